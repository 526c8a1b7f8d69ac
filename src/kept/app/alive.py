"""Whether a process of this machine still runs: told at once, where its last sign of life alone would be believed for a while."""

from functools import cache
from pathlib import Path

from kept.app.process import Process

BORN = "born"
"""Under this name a process's details hold what `birth_of` says of it."""

_GONE = ("Z", "X")


def birth_of(pid: int) -> str | None:
    """What tells a running process from every other, and from a later one of the same number; None where none runs.

    It begins with what tells its machine, since when that is up, and the container. None, too, where the system does not say.
    """
    here = _here()
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    # The state is the third field of all, the moment of its start in ticks the twenty-second: proc(5).
    return None if here is None or fields[0] in _GONE else f"{here}/{fields[19]}"


def surely_gone(process: Process) -> bool:
    """Whether a process was of this machine and container and runs no more. Of any other nothing is known."""
    born, here = process.details.get(BORN), _here()
    if here is None or not isinstance(born, str) or born.rpartition("/")[0] != here:
        return False
    return birth_of(process.pid) != born


@cache
def _here() -> str | None:
    try:
        booted = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{booted}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None
