"""What the processes that stay write into their logs."""

import logging
import re
from collections.abc import Iterator

import pytest

from kept.app.logs import log_plainly


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    logger = logging.getLogger("kept")
    before = (logger.handlers, logger.propagate, logger.level)
    yield
    logger.handlers, logger.propagate = before[0], before[1]
    logger.setLevel(before[2])


def test_a_line_says_when_where_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    log_plainly()
    logging.getLogger("kept.courier").info("%s is back", "mail")
    line = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO kept.courier: mail is back\n"
    assert re.fullmatch(line, capsys.readouterr().out)


def test_a_traceback_tells_no_values_and_libraries_stay_silent(capsys: pytest.CaptureFixture[str]) -> None:
    log_plainly()

    def failing(secret: str) -> None:
        raise ValueError(str(len(secret)))

    try:
        failing("hush" * 3)
    except ValueError:
        logging.getLogger("kept.courier").exception("failed")
    logging.getLogger("httpx").info("GET https://user:hush@example.org")
    said = capsys.readouterr().out
    assert "ValueError: 12" in said
    assert "hush" not in said.replace('failing("hush" * 3)', "")
