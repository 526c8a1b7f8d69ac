"""Kits are worth what they find: each keeper that breaks a promise fails the test that says so."""

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "how-to" / "write-a-keeper.md"
FOUND = [
    "TestTrustingBlobs::test_a_flipped_bit_is_found",
    "TestWholeBlobs::test_a_large_file_is_never_whole_in_memory",
    "TestForgettingBlobs::test_it_is_there_when_it_is_opened_again",
    "TestRepeatingTables::test_a_repeated_write_changes_nothing",
    "TestAddingTables::test_every_version_can_be_read",
    "TestHalfwayDatabase::test_a_transaction_that_raises_leaves_nothing",
    "TestUnclosedDatabase::test_each_in_a_group_gets_its_own_answer_or_error",
    "TestLocalClock::test_its_times_are_in_utc",
    "TestOverfullExecutor::test_only_so_many_run_at_once_and_waiting_ones_can_be_cancelled",
    "TestTalkativeRoutes::test_it_gives_nothing_when_they_are_known",
    "TestReassuringRoutes::test_a_change_is_seen_by_who_knows_the_routes_before",
    "TestReassuringRoutes::test_out_of_reach_it_raises_and_says_never_that_there_are_no_routes",
]


def run(folder: Path, *tests: str) -> str:
    """Runs tests as a user does, in a process of their own, and gives what it says."""
    options = ["-q", "--tb=short", "-rf", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={folder / 'tests'}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", *options, *tests]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=90, check=False)
    return done.stdout + done.stderr


def test_each_broken_promise_is_found(tmp_path: Path) -> None:
    said = run(tmp_path, *(f"{HERE / 'faulty_keepers.py'}::{test}" for test in FOUND))
    assert re.findall(r"^FAILED \S*faulty_keepers\.py::(\S+)", said, re.MULTILINE) == FOUND, said
    assert re.search(rf"^{len(FOUND)} failed in", said, re.MULTILINE), said
    # What fails is shown with its values, as in a test of one's own.
    assert "assert datetime.timedelta(seconds=7200) == datetime.timedelta(0)" in " ".join(said.split())


def test_the_keeper_of_the_page_conforms(tmp_path: Path) -> None:
    code = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "test_mine.py").write_text("\n".join(code))
    said = run(tmp_path, "test_mine.py")
    assert re.search(r"^6 passed in", said, re.MULTILINE), said
