"""Printing answers: tables and spark lines for people, JSON for programs."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kept.cli.columns import arrange, row_lines

console = Console()
errors = Console(stderr=True)

_BARS = "▁▂▃▄▅▆▇█"
# They would move the cursor, colour or rename the terminal: names of runs come from any client.
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)], "\N{REPLACEMENT CHARACTER}")


def print_json(answer: Any) -> None:
    """The answer as indented JSON on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode() + "\n")


def say(*parts: str | tuple[str, str]) -> None:
    """A line: texts, and texts with a style. Nothing in them is taken for markup: they may be anybody's words."""
    console.print(Text.assemble(*(_harmless(one) for one in parts)))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, nothing: str = "") -> None:
    """A table. A column whose name begins with # holds numbers and is set flush right; one with ~ a sentence, which goes on below itself.

    Where the screen is too narrow for all columns, each row takes several lines, and so does the header: nothing is cut.
    Where there are no rows, `nothing` is said in its place, if it is given.
    """
    cells = [[value if isinstance(value, Text) else _harmless(text(value)) for value in row] for row in rows]
    if nothing and not cells:
        say(nothing)
        return
    header = [Text(name.lstrip("#~"), "dim") for name in columns]
    longest = [max((row[place].cell_len for row in cells), default=0) for place in range(len(columns))]
    # A sentence that is never said is left out.
    longest = [
        0 if name.startswith("~") and not wide else max(wide, one.cell_len)
        for name, wide, one in zip(columns, longest, header, strict=True)
    ]
    arranged = arrange(columns, longest, console.width)
    if title:
        say((title, "bold"))
    for row in (header, *cells):
        for line in row_lines(row, arranged, console):
            console.print(line, soft_wrap=True)


def lines(rows: Iterable[Sequence[str | tuple[str, str]]]) -> None:
    """Rows of short texts and, last, a sentence, which goes on below itself; texts may have a style."""
    shown = Table.grid(padding=(0, 2, 0, 0))
    for row in rows:
        if not shown.columns:
            for place in range(len(row) + 1):
                shown.add_column(no_wrap=place < len(row), overflow="fold", width=0 if place == 0 else None)
        shown.add_row("", *(_harmless(one) for one in row))
    if shown.columns:
        console.print(shown)


def _harmless(said: str | tuple[str, str]) -> Text:
    words, style = (said, "") if isinstance(said, str) else said
    return Text(words.translate(_CONTROLS), style)


def short(identifier: str | None) -> str:
    """The end of an id, by which people tell a few of them apart: all that are made in one minute begin alike."""
    return identifier[-8:] if identifier else "-"


def text(value: Any) -> str:
    """A value as people read it: short times, few digits, a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%MZ")
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def spark(values: Iterable[float | None], *, low: float | None = None, high: float | None = None) -> str:
    """Numbers as a line of bars, from `low` to `high` (their own by default); a blank for nothing."""
    known = list(values)
    numbers = [value for value in known if value is not None]
    if not numbers:
        return ""
    bottom = min(numbers) if low is None else low
    width = ((max(numbers) if high is None else high) - bottom) or 1.0
    return "".join(" " if value is None else _BARS[_step((value - bottom) / width)] for value in known)


def _step(share: float) -> int:
    return round(min(max(share, 0.0), 1.0) * (len(_BARS) - 1))
