"""Starts the process of a model with room for one to six files: `start_without_room.py FOLDER`. Says what came of it, and which
files it left open.
"""

import resource
import sys
from itertools import count, islice
from pathlib import Path

from kept.core.errors import KeptError
from kept.serving.children.messages import Duty
from kept.serving.children.process import Process


def open_files() -> set[int]:
    """The numbers of open files."""
    return {number for number in range(4096) if Path(f"/proc/self/fd/{number}").is_symlink()}


one = Duty(socket=-1, life=-1, folder=sys.argv[1], digest="", trusted=False, megabytes=0, quiet=False)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
before = open_files()
for room in range(1, 7):
    *_, last = islice((number for number in count() if number not in before), room)
    resource.setrlimit(resource.RLIMIT_NOFILE, (last + 1, hard))
    try:
        Process(one).end()
        said = "started"
    except KeptError as error:
        said = type(error).__name__
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(f"{said}: {sorted(open_files() - before)}")
