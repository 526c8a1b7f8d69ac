"""Showing answers: tables and spark lines for people, JSON for programs."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

console = Console()
errors = Console(stderr=True)

_BARS = "▁▂▃▄▅▆▇█"


def print_json(answer: Any) -> None:
    """The answer as indented JSON on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode() + "\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table; a column whose name begins with # holds numbers and is set flush right."""
    shown = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
    for column in columns:
        shown.add_column(column.removeprefix("#"), justify="right" if column.startswith("#") else "left")
    for row in rows:
        shown.add_row(*(text(value) for value in row))
    console.print(shown)


def text(value: Any) -> str:
    """A value as people read it: short times, few digits, a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def spark(values: Iterable[float | None]) -> str:
    """Numbers as a line of bars, lowest to highest; a blank for nothing."""
    known = list(values)
    numbers = [value for value in known if value is not None]
    if not numbers:
        return ""
    low, high = min(numbers), max(numbers)
    width = (high - low) or 1.0
    return "".join(" " if value is None else _BARS[round((value - low) / width * (len(_BARS) - 1))] for value in known)
