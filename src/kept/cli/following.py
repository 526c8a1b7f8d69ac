"""Following a run live: its steps as they go."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kept.app.connection import Connection
from kept.cli.show import errors
from kept.pipelines.catalog import ListSteps, list_steps
from kept.pipelines.run_step import RunStep, StepStatus
from kept.tracking.run import Run
from kept.tracking.runs import ShowRun, show_run

_LOOK_SECONDS = 0.2
_SIGNS = {
    StepStatus.WAITING: ("·", "dim"),
    StepStatus.RUNNING: ("▶", "cyan"),
    StepStatus.FINISHED: ("✓", "green"),
    StepStatus.CACHED: ("=", "green"),
    StepStatus.FAILED: ("✗", "red"),
    StepStatus.SKIPPED: ("-", "dim"),
}


def follow(
    connection: Connection, run_id: str, check: Callable[[], None] | None = None, *, quiet: bool = False
) -> tuple[Run, list[RunStep]]:
    """Waits until a run has ended, and shows its steps meanwhile (on standard error, so that answers stay clean).

    `check` is called at every look, and raises where the run cannot go on.
    """
    with _display(quiet) as display:
        while True:
            run = connection.call(show_run, ShowRun(run=run_id)).run
            steps = connection.call(list_steps, ListSteps(run=run_id))
            if display is not None:
                display.update(render(run, steps))
            if run.status.ended:
                return run, steps
            if check is not None:
                check()
            time.sleep(_LOOK_SECONDS)


def render(run: Run, steps: list[RunStep]) -> Group:
    """The steps as a table with signs, times and progress."""
    shown = Table(box=None, show_header=False, pad_edge=False)
    for _ in range(4):
        shown.add_column()
    for step in steps:
        sign, style = _SIGNS[step.status]
        shown.add_row(Text(sign, style=style), Text(step.step, style=style), _seconds(step), _said(step))
    title = Text(f"{run.kind} of {run.project}: {run.status.value}", style="bold")
    return Group(title, shown)


def _said(step: RunStep) -> Text | Table:
    message = Text(step.message or "", style="dim", overflow="ellipsis", no_wrap=True)
    if step.status is not StepStatus.RUNNING or step.done is None or not step.total:
        return message
    row = Table.grid(padding=(0, 1))
    row.add_row(ProgressBar(total=step.total, completed=step.done, width=20), message)
    return row


def _seconds(step: RunStep) -> Text:
    if step.started_at is None or step.status is StepStatus.CACHED:
        return Text("")
    end = step.ended_at or datetime.now(UTC)
    return Text(f"{(end - step.started_at).total_seconds():.1f} s", style="dim", justify="right")


@contextmanager
def _display(quiet: bool) -> Iterator[Live | None]:
    if quiet:
        yield None
        return
    try:
        with Live(console=errors, refresh_per_second=8) as live:
            yield live
    finally:
        if not errors.is_terminal:
            # Into a file, the last picture comes without the end of its line.
            errors.line()
