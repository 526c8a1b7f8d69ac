"""The spool of a process that logs a run.

Its form is that of `kept.store.spool`; a segment begins with the 8 bytes `KEPTRUN2`, and a frame's payload is one
`Frame` in MessagePack. Beside the segments stand `spool.json`, which says whose it is, and the files that wait.
"""

import os
import socket
from pathlib import Path

import msgspec

from kept.core.errors import Damaged

MAGIC = b"KEPTRUN"
FACTS = "spool.json"


class SpoolFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a spool is.

    Args:
        run: the run that is logged.
        begun: whether this process began the run; if so, its death ends the run.
        actor: who logs, where the workspace is on this machine.
        host: the machine.
        pid: the process.
        address: the server or the workspace that it is for.
    """

    run: str
    begun: bool
    actor: str
    host: str
    pid: int
    address: str


def facts_of(run: str, *, begun: bool, actor: str, address: str) -> SpoolFacts:
    """The facts of a spool of this process."""
    return SpoolFacts(run=run, begun=begun, actor=actor, host=socket.gethostname(), pid=os.getpid(), address=address)


def read_facts(spool: Path) -> SpoolFacts:
    """Whose the spool in this folder is; `Damaged` when that cannot be read."""
    path = spool / FACTS
    try:
        return msgspec.json.decode(path.read_bytes(), type=SpoolFacts)
    except (OSError, msgspec.DecodeError) as error:
        raise Damaged(f"it does not say whose it is ({error})", where=str(path)) from error
