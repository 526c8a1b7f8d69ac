import subprocess
import sys
from pathlib import Path

from kept.store.process_lock import Exclusive

HOLD = """
import sys
from pathlib import Path
from kept.store.process_lock import Exclusive
place = Exclusive(Path(sys.argv[1]))
print(place.take(), flush=True)
sys.stdin.read()
"""


def test_one_holds_it_until_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        mine = Exclusive(path)
        assert not mine.take()
        other.kill()
        other.wait()
        assert mine.take()
        assert mine.take()
    assert not Exclusive(path).take()
    mine.leave()
    again = Exclusive(path)
    assert again.take()
    again.leave()
