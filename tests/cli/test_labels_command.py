from collections.abc import Callable
from pathlib import Path
from typing import Any

from kept.app.workspace import open_workspace
from kept.settings.settings import load_settings


def test_what_became_of_a_file_of_labels_is_told(command: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "outcomes.csv"
    open_workspace(load_settings(tmp_path), create=True)
    path.write_text("key,label\na,1\na,1\na,0\n")
    words = ("labels", "import", str(path), "--endpoint", "flights")
    told = command(*words)
    assert "3 new labels of 3 in outcomes.csv." in told
    assert "3 are of no prediction that was logged by now" in told
    found = command(*words, "--json")
    # Given again, it adds nothing: what is told is what has become of all its labels.
    assert found == {
        "rows": 3,
        "recorded": 0,
        "refused": 0,
        "labels": 3,
        "matched": 0,
        "waiting": 3,
        "duplicates": 1,
        "corrected": 1,
    }
    assert command("labels", "match", "--endpoint", "flights", "--json")["labels"] == 3
