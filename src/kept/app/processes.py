"""Listing the processes of a running Kept by their heartbeats."""

from datetime import timedelta

import msgspec

from kept.app import records
from kept.app.alive import surely_gone
from kept.app.process import Process
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace

SILENT = timedelta(seconds=10)


class ListProcesses(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The processes that have said within the last ten seconds that they live."""


@operation("app.processes", needs=Permission.VIEW, audit=Audit.READ)
def list_processes(workspace: Workspace, actor: Actor, request: ListProcesses) -> list[Process]:
    """Web, work and serve processes that are alive, oldest first. One of this machine that was killed is left out at once."""
    del actor, request
    with workspace.database.reading() as connection:
        heard = records.processes_since(connection, workspace.clock.now() - SILENT)
    return [one for one in heard if not surely_gone(one)]
