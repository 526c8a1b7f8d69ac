"""Where the columns of a table stand: side by side while there is room, else on several lines of each row."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

_GAP = 2
_INDENT = 2
# A sentence in less room than this reads badly.
_LEAST_SENTENCE = 20
# On a narrower screen lines are as long as on this one: a column needs room for a letter, which may take two places.
_NARROWEST = 8


class Place(NamedTuple):
    """Where a column stands on a line of a row."""

    column: int
    width: int
    right: bool
    """Whether it is set flush right."""


def arrange(columns: Sequence[str], longest: Sequence[int], width: int) -> list[list[Place]]:
    """The lines of each row. Only what is wider than the whole screen, and sentences, go on below themselves.

    Args:
        columns: their names; # begins that of numbers, ~ that of a sentence.
        longest: how wide each would be; 0 where it is left out.
        width: that of the screen.
    """
    width = max(width, _NARROWEST)
    lines: list[list[Place]] = [[]]
    room = width
    for number, (name, wide) in enumerate(zip(columns, longest, strict=True)):
        if not wide:
            continue
        wanted = min(wide, _LEAST_SENTENCE) if name.startswith("~") else wide
        if lines[-1] and wanted > room:
            lines.append([])
            room = width - _INDENT
        place = Place(number, min(wanted, room), name.startswith("#"))
        lines[-1].append(place)
        room -= place.width + _GAP
    return [_filled(line, longest, width - (_INDENT if number else 0)) for number, line in enumerate(lines)]


def _filled(line: list[Place], longest: Sequence[int], width: int) -> list[Place]:
    """The line with its sentences as wide as they would be, as far as there is room."""
    spare = width - sum(one.width for one in line) - _GAP * (len(line) - 1)
    filled = []
    for one in line:
        more = max(min(longest[one.column] - one.width, spare), 0)
        spare -= more
        filled.append(one._replace(width=one.width + more))
    return filled


def row_lines(row: Sequence[Text], arranged: Sequence[Sequence[Place]], console: Console) -> Iterator[Text]:
    """The lines that a row takes; none for columns that hold nothing on a line of their own."""
    for number, places in enumerate(arranged):
        parts = [row[one.column].wrap(console, one.width) for one in places]
        for cells in zip_longest(*parts, fillvalue=Text()):
            line = Text(" " * _INDENT if number else "")
            for one, cell in zip(places, cells, strict=True):
                padded = cell.copy()
                padded.align("right" if one.right else "left", one.width)
                line.append_text(padded)
                line.append(" " * _GAP)
            line.rstrip()
            if line or not number:
                yield line
