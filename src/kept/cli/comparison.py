"""Showing a comparison of runs on the terminal: each metric with its interval, then how each group differs."""

from rich.text import Text

from kept.cli.show import say, table
from kept.tracking.comparison import RunComparison, Verdict

_MOST_COLUMNS = 3
_STYLES: dict[Verdict, str] = {"better": "green", "worse": "red", "higher": "bold", "lower": "bold"}


def show_comparison(found: RunComparison) -> None:
    """Groups in rows, metrics in columns while there is room; below, differences from the baseline."""
    arrows = {"higher": " ↑", "lower": " ↓", None: ""}
    columns = [f"{metric.name}{arrows[metric.better]}" for metric in found.metrics]
    title = f"Means with {found.level:.0%} intervals"
    names = [Text(group.name, style="bold" if group.name == found.baseline else "") for group in found.groups]
    if len(columns) <= _MOST_COLUMNS:
        rows = [
            (name, len(group.runs), *(measured.said for measured in group.metrics))
            for name, group in zip(names, found.groups, strict=True)
        ]
        table(title, ["group", "#runs", *columns], rows)
    else:
        each = [
            (column, name, group.metrics[place].said)
            for place, column in enumerate(columns)
            for name, group in zip(names, found.groups, strict=True)
        ]
        table(title, ["metric", "group", "mean"], each)
    if found.differences:
        told = [
            (one.group, one.metric, Text(one.said, style=_STYLES.get(one.verdict, "dim"))) for one in found.differences
        ]
        table(f"Against {found.baseline}", ["group", "metric", "difference"], told)
    for note in found.notes:
        say((f"{note[:1].upper()}{note[1:]}.", "dim"))
