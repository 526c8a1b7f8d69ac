"""Limits of the service's child processes: they end with the service, and have a bound on memory."""

import contextlib
import fcntl
import os
import resource
import select
import signal
import sys
from pathlib import Path

# Under the killer of processes it goes before the service does.
_OOM_SCORE = "500"


def end_with(life: int) -> None:
    """Has the kernel end this process, and those that it starts, when the other end of a pipe closes, whatever they are doing then.

    They are a group of their own from now on; who leaves it is not ended.
    """
    os.setpgid(0, 0)
    fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    # The number of the file is as high as the service has many.
    closed = select.poll()
    closed.register(life, select.POLLIN)
    if closed.poll(0):
        # It had closed before.
        sys.exit(0)


def end_group(pid: int) -> None:
    """Ends a process that keeps to `end_with`, and those that it has started; these also when it has gone itself."""
    # Before it keeps to that it has no group, and has started nothing.
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def limit_memory(megabytes: int) -> None:
    """Lets this process have so much memory, 0 for no limit; where it runs short it goes first."""
    if megabytes:
        most = megabytes * 1_000_000
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    try:
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
    except OSError:
        # Elsewhere there is no such thing.
        return
