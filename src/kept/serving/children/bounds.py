"""What a process that the service has started keeps to: it ends with the service, and needs no more memory than it may."""

import fcntl
import os
import resource
import select
import sys
from pathlib import Path

# Under the killer of processes it goes before the service does.
_OOM_SCORE = "500"


def end_with(life: int) -> None:
    """Has the kernel end this process when the other end of a pipe closes, whatever it is doing then."""
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([life], [], [], 0)[0]:
        # It had closed before.
        sys.exit(0)


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
