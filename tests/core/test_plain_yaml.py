"""What stands in a text of YAML, and what is refused before it is read."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from kept.core.errors import Invalid
from kept.core.plain_yaml import read_yaml


def read(text: str | bytes) -> Any:
    return read_yaml(text, where="a.yaml", fix="Mend it")


def laughs(levels: int, line: str) -> str:
    """Each line is nine times the one before it."""
    lines = ["a0: &a0 {" + ", ".join(f"k{place}: v" for place in range(9)) + "}"]
    for level in range(1, levels + 1):
        before = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} {{{line}: [{before}]}}")
    return "\n".join(lines)


def test_plain_data_is_read() -> None:
    text = "a: [1, 2.5, x, true, null, 2026-01-02T03:04:05Z]\nb: {c: &c [1], d: *c, <<: &e {e: 1}}\nf: {<<: *e}"
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert read(text) == {"a": [1, 2.5, "x", True, None, moment], "b": {"c": [1], "d": [1], "e": 1}, "f": {"e": 1}}
    assert read(text.encode()) == read(text)
    assert read("") is None


@pytest.mark.parametrize("text", ["[" * 200_000, "{a: " * 100_000, "- " * 200_000, "? " * 100_000, "[" * 65 + "]" * 65])
def test_what_is_nested_too_deep_is_refused(text: str) -> None:
    """The parser's recursion would end the process, not the request."""
    with pytest.raises(Invalid, match="a.yaml: it is nested deeper than 64. Mend it"):
        read(text)


@pytest.mark.parametrize("line", ["k", "<<", "!!merge x"])
def test_what_grows_from_line_to_line_is_refused(line: str) -> None:
    """As values, of which many are one and are still told of one by one, and as what is merged, where each is there by itself."""
    with pytest.raises(Invalid, match="a.yaml: it repeats parts of its own too often"):
        read(laughs(8, line))


@pytest.mark.parametrize("number", ["1" + ":1" * 2_000_000, "0x" + "f" * 9000, "'1" + ":1" * 600 + "'", "9" * 1001])
def test_numbers_of_thousands_of_digits_are_refused(number: str) -> None:
    """Of sixties of sixties it took a quarter of an hour to read 4 MB, and no error can tell of a number that long."""
    with pytest.raises(Invalid, match="more than 1000 digits"):
        read(f"a: !!int {number}")


@pytest.mark.parametrize("text", ["&a [*a]", "a: &a {b: [*a]}", "&a {<<: *a}", "&a !!str {=: *a}"])
def test_what_holds_itself_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="repeats parts of its own"):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: [", "9" * 5000, "0x" + "f" * 9000, "a: 2026-99-99", "? [a]\n: b", "!!python/object:os.system x", "!!binary '&'",
        "!!int ''", "!!float ''", "!!bool x", "!!timestamp x", ":".join(["1"] * 3000) + ":1.5", b"\xff\xfe\x00",
        "a: 1\n---\nb: 2", "\0", "9999-12-31T23:59:59-14:00",
    ],
)  # fmt: skip
def test_nothing_else_is_raised_of_what_is_no_yaml_or_says_what_is_nothing(text: str | bytes) -> None:
    with suppress(Invalid):
        read(text)
