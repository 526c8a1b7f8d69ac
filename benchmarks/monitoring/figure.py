"""A figure that is measured, and the target it is held against."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table. `reached` is None where no target stands: what a peer needs, or what could not be run."""

    section: str
    name: str
    value: str
    peer: str = ""
    target: str = ""
    reached: bool | None = None
    from_: str = ""

    def as_json(self) -> dict[str, Any]:
        """What `--json` writes of it."""
        return asdict(self) | {"from": self.from_}


def share(hits: int, trials: int) -> str:
    """A share with its exact binomial interval (Clopper and Pearson 1934) at 95%."""
    interval = binomtest(hits, trials).proportion_ci()
    return f"{hits / trials:.2%} [{interval.low:.2%}, {interval.high:.2%}]"


def print_figures(figures: list[Figure]) -> None:
    """The figures as a table."""
    table = Table(title="Monitoring")
    for heading in ("section", "figure", "Kept", "peers", "target", "reached", "from"):
        table.add_column(heading, overflow="fold")
    for each in figures:
        mark = {True: "[green]yes", False: "[red]no", None: ""}[each.reached]
        table.add_row(each.section, each.name, each.value, each.peer, each.target, mark, each.from_)
    Console(width=170).print(table)
