"""A figure of Kept, what it is held against, and whether it is reached."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """Kept's figure and that of the best peer (or of Kept otherwise), with what is to be reached.

    Attributes:
        times: how many times as good as the other it has to be.
        limit: or what it has to be at most, at least where more is better.
    """

    work: str
    unit: str
    kept: float
    other: float | None = None
    against: str = ""
    more_is_better: bool = False
    times: float | None = None
    limit: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times as good Kept's is."""
        if self.other is None:
            return None
        better, worse = (self.kept, self.other) if self.more_is_better else (self.other, self.kept)
        return better / worse if worse else None

    @property
    def target(self) -> str:
        """What is to be reached, in words."""
        if self.times is not None:
            return f"at least {self.times:g}x"
        return f"at {'least' if self.more_is_better else 'most'} {self.limit:g} {self.unit}"

    @property
    def reached(self) -> bool:
        """Whether it is."""
        if self.times is not None:
            return self.ratio is not None and self.ratio >= self.times
        if self.limit is None:
            return False
        return self.kept >= self.limit if self.more_is_better else self.kept <= self.limit

    def told(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {**asdict(self), "ratio": self.ratio, "target": self.target, "reached": self.reached}


def table_of(figures: Sequence[Figure], title: str) -> Table:
    """The table that a person reads."""
    table = Table(title=title)
    table.add_column("figure")
    for name in ("Kept", "other"):
        table.add_column(name, justify="right")
    table.add_column("is")
    table.add_column("ratio", justify="right")
    table.add_column("to reach")
    table.add_column("reached")
    for one in figures:
        table.add_row(
            one.work,
            f"{short(one.kept)} {one.unit}",
            "" if one.other is None else short(one.other),
            one.against,
            "" if one.ratio is None else f"{one.ratio:.1f}x",
            one.target,
            "[green]yes[/]" if one.reached else "[red]no[/]",
        )
    return table


def short(number: float) -> str:
    """Few digits."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"
