"""The live timeline of the demo: where the replay is, what the loop did, how both models do."""

from collections.abc import Iterable
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from kept.cli.demonstration.score import Gain, Month
from kept.cli.show import spark

_STYLES = {
    "alarm": "yellow",
    "retrain": "cyan",
    "release": "blue",
    "advance": "blue",
    "promote": "green",
    "roll_back": "red",
    "hold": "dim",
}


class Timeline:
    """A progress bar and the table of months, redrawn; above them a line for each thing that happened."""

    def __init__(self, console: Console, days: int) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TextColumn("days  {task.fields[said]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._progress.add_task("replay", total=days, said="")
        self._months: list[Month] = []
        self._daily: list[float | None] = []
        self._live = Live(self._draw(), console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.update(self._draw(), refresh=True)
        self._live.stop()

    def day(self, at: datetime, requests: int, failed: int, note: str) -> None:
        """A day is over."""
        said = f"{requests:,} requests, {failed} failed" + (f", {note}" if note else "")
        self._progress.update(self._task, advance=1, description=f"{at:%d %b %Y}", said=said)
        self._live.update(self._draw())

    def note(self, text: str) -> None:
        """What the loop is at just now."""
        self._progress.update(self._task, said=text)
        self._live.update(self._draw())

    def happened(self, at: datetime | None, kind: str, text: str) -> None:
        """A line that stays."""
        when = f"{at:%d %b %H:%M}" if at else " " * 12
        line = Text.assemble((when, "dim"), "  ", (f"{kind.replace('_', ' '):<9}", _STYLES.get(kind, "")), " ", text)
        self._console.print(line, highlight=False)

    def months(self, months: list[Month], daily: Iterable[float | None]) -> None:
        """The score so far, and the kept model's daily loss."""
        self._months, self._daily = months, list(daily)
        self._live.update(self._draw())

    def _draw(self) -> Group:
        parts: list[Table | Text | Progress] = []
        if self._months:
            parts.append(month_table(self._months))
        if self._daily:
            parts.append(Text(f"log loss of the kept model, day by day  {spark(self._daily)}", style="dim"))
        return Group(*parts, self._progress)


def month_table(months: list[Month], title: str = "") -> Table:
    """Both models, month by month; the better number is bold."""
    table = Table(title=title or None, title_justify="left", box=None, header_style="dim")
    table.add_column("month")
    table.add_column("flights", justify="right")
    for name in ("AUC", "log loss", "calibration error"):
        for side in ("alone", "kept"):
            table.add_column(f"{name}\n{side}", justify="right")
    for month in months:
        cells = []
        for field, higher in (("roc_auc", True), ("log_loss", False), ("ece", False)):
            alone, kept = getattr(month.alone, field), getattr(month.kept, field)
            better = kept > alone if higher else kept < alone
            cells += [Text(f"{alone:.4f}"), Text(f"{kept:.4f}", style="bold green" if better else "")]
        table.add_row(month.month, f"{month.rows:,}", *cells)
    return table


def gain_sentence(gain: Gain | None) -> str:
    """The gain as people read it."""
    if gain is None:
        return "The replay ended before April: there is nothing to compare yet."
    return (
        f"From April on the kept model's log loss is {gain.log_loss:.4f} lower on the same {gain.rows:,} requests "
        f"(95% interval {gain.low:.4f} to {gain.high:.4f}, by resampling days)."
    )
