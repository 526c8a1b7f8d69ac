"""What large requests took is given back to the system, also after one that was larger than all others."""

import subprocess
import sys

SCRIPT = """
import resource, sys
from pathlib import Path
from kept.serving.memory import Remains, keep_little

if sys.argv[1] != "much":
    keep_little()
remains = Remains(0.0 if "late" in sys.argv[1] else 600.0)
bytearray(30_000_000)
requests = [(bytes(60_000), bytes(2_000)) for _ in range(600)]
answers = [answer for _, answer in requests] if "gaps" in sys.argv[1] else []
if "late" in sys.argv[1]:
    remains.look()
del requests
if sys.argv[1] .startswith("gaps closed"):
    remains.look()
print(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1_000_000)
"""


def held(what: str) -> int:
    """Megabytes that a process holds when it has dealt with its requests."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, what], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_what_requests_took_is_given_back() -> None:
    assert held("little") < held("much") - 15


def test_so_is_what_lay_between_things_that_stay() -> None:
    assert held("gaps closed") < held("gaps") - 20
    # Also what was in use when somebody looked.
    assert held("gaps closed late") < held("gaps") - 20
