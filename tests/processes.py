"""What a test asks of processes that it, or what it started, has started."""

from pathlib import Path


def alive(pid: int) -> bool:
    """Whether the process is there and no zombie: who took over an orphan may never ask how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
