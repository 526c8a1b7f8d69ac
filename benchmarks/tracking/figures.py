"""One line of the table: what was measured on both sides, what it should be, and whether it is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """A figure of both servers. It is to be so many times as good as MLflow's, or within a limit of its own.

    The limit holds on PostgreSQL too, where that was measured. `more` says that MLflow was not waited for to its end.
    """

    work: str
    unit: str
    kept: float
    mlflow: float
    more_is_better: bool = False
    times: float | None = None
    limit: float | None = None
    postgres: float | None = None
    more: bool = False

    @property
    def ratio(self) -> float:
        """How many times as good Kept's is."""
        better, worse = (self.kept, self.mlflow) if self.more_is_better else (self.mlflow, self.kept)
        return better / worse if worse else float("inf")

    @property
    def target(self) -> str:
        """What it should be, in words."""
        return f"at least {self.times:g}x" if self.times is not None else f"under {self.limit:g} {self.unit}"

    @property
    def reached(self) -> bool:
        """Whether it is."""
        if self.times is not None:
            return self.ratio >= self.times
        return max(self.kept, self.postgres or 0.0) < (self.limit or 0.0)

    def told(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {**asdict(self), "ratio": self.ratio, "target": self.target, "reached": self.reached}


def table_of(figures: Sequence[Figure], title: str) -> Table:
    """The table that a person reads."""
    table = Table(title=title)
    table.add_column("work")
    for name in ("Kept", "on PostgreSQL", "MLflow", "ratio"):
        table.add_column(name, justify="right")
    table.add_column("to reach")
    table.add_column("reached")
    for figure in figures:
        kept, mlflow = (f"{_short(one)} {figure.unit}" for one in (figure.kept, figure.mlflow))
        postgres = "" if figure.postgres is None else f"{_short(figure.postgres)} {figure.unit}"
        more = "> " if figure.more else ""
        reached = "[green]yes[/]" if figure.reached else "[red]no[/]"
        ratio = f"{more}{figure.ratio:.1f}x"
        table.add_row(figure.work, kept, postgres, more + mlflow, ratio, figure.target, reached)
    return table


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"
