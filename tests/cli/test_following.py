"""What is shown while a run goes, where nobody watches."""

import pytest
from rich.text import Text

from kept.cli.following import _display


def test_what_comes_after_the_steps_begins_a_line_in_a_file_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LookupError), _display(quiet=False) as live:
        assert live is not None
        live.update(Text("the steps"))
        raise LookupError
    assert capsys.readouterr().err.endswith("the steps\n")
