"""The processes of a running Kept: each says that it lives, so that anyone can see who does."""

import os
import socket
from datetime import timedelta
from typing import Any, Literal

import msgspec

from kept.app import records
from kept.app.process import Process
from kept.core.ids import new_id
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace

SILENT = timedelta(seconds=10)


class ListProcesses(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The processes that have said within the last ten seconds that they live."""


@operation("app.processes", needs=Permission.VIEW, audit=Audit.READ)
def list_processes(workspace: Workspace, actor: Actor, request: ListProcesses) -> list[Process]:
    """Web, work and serve processes that are alive, oldest first."""
    del actor, request
    with workspace.database.reading() as connection:
        return records.processes_since(connection, workspace.clock.now() - SILENT)


class Heartbeat:
    """One process's sign of life."""

    def __init__(self, workspace: Workspace, kind: Literal["web", "work", "serve"], address: str) -> None:
        self._workspace = workspace
        now = workspace.clock.now()
        self._process = Process(
            id=new_id(),
            kind=kind,
            host=socket.gethostname(),
            pid=os.getpid(),
            address=address,
            started_at=now,
            seen_at=now,
            details={},
        )

    def beat(self, **details: Any) -> None:
        """Says that the process lives, and how it is."""
        self._process = msgspec.structs.replace(self._process, seen_at=self._workspace.clock.now(), details=details)
        with self._workspace.database.writing() as connection:
            records.save_process(connection, self._process)

    def end(self) -> None:
        """Takes the process off the list."""
        with self._workspace.database.writing() as connection:
            records.remove_process(connection, self._process.id)
