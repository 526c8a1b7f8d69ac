"""Draws what a demo showed: the loss of the model left alone beside the model kept, and what the loop did.

    .venv/bin/python tools/draw_timeline.py .kept-demo docs/pictures/timeline.svg

It reads the workspace that `kept demo` left: its predictions, labels, alerts and decisions. The model left alone is the
first version that was released, asked for the same requests. Nothing in the picture comes from anywhere else.
"""

import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from kept.app.workspace import open_workspace
from kept.cli.demonstration.score import Month, months
from kept.data import labels
from kept.deployment.records import all_endpoints, routes_of
from kept.governance.workspace import Workspace
from kept.loop.decision import Decision
from kept.loop.records import decisions_of
from kept.measures.metrics import measure
from kept.monitoring.alert import Alert
from kept.monitoring.records import alerts_of
from kept.monitoring.stream import predictions_table
from kept.packaging.bundle import fetch_bundle
from kept.packaging.runtime import load_runtime
from kept.settings.settings import Settings

EVERY = timedelta(days=3)
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 880, 56, 118, 56, 260
ALARMS, DECISIONS, TABLE = 284, 312, 348
MOST = 100_000

STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #334155 }
.title { font-size: 15px; font-weight: 600; fill: #0f172a }
.grid { stroke: #cbd5e1; stroke-width: 1 }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round }
.alone { stroke: #c2620a } .kept { stroke: #1d5fd0 }
text.alone { fill: #c2620a; stroke: none } text.kept { fill: #1d5fd0; stroke: none; font-weight: 600 }
.alarm { stroke: #d13438; stroke-width: 2 } .quiet { stroke: #94a3b8; stroke-width: 1.5 }
.mark { stroke: #64748b; stroke-dasharray: 3 3 } .retrain { fill: #7c3aed } .promote { fill: #15803d } .back { fill: #d13438 }
@media (prefers-color-scheme: dark) {
  text { fill: #cbd5e1 } .title { fill: #f1f5f9 } .grid { stroke: #475569 }
  .alone { stroke: #f59e4b } .kept { stroke: #6ea8ff } text.alone { fill: #f59e4b } text.kept { fill: #6ea8ff }
  .alarm { stroke: #ff6b6e } .quiet { stroke: #94a3b8 } .mark { stroke: #94a3b8 }
  .retrain { fill: #b794f6 } .promote { fill: #4ade80 } .back { fill: #ff6b6e }
}
"""


def scored_requests(workspace: Workspace, endpoint: str) -> pl.DataFrame:
    """Event time, label (0 or 1), what was answered, and what the first version would have answered."""
    answered = workspace.tables.read(predictions_table(endpoint)).filter(pl.col("role") != "shadow")
    rows = labels.join(workspace, answered, endpoint).drop_nulls("label").sort("event_time").collect()
    with workspace.database.reading() as connection:
        first = routes_of(connection, endpoint)[0].route.champion.bundle
    with tempfile.TemporaryDirectory() as folder:
        runtime = load_runtime(fetch_bundle(first, workspace.blobs, Path(folder) / "first"), digest=first)
        inputs = {name: rows.get_column(f"feature_{name}").to_list() for name in runtime.manifest.signature.names}
        alone = runtime.predict_columns(inputs)
    classes = runtime.manifest.signature.classes
    return rows.select(
        at="event_time", label=(pl.col("label") == str(classes[1])).cast(pl.Float64), kept="score"
    ).with_columns(alone=pl.Series(alone))


def three_daily(scored: pl.DataFrame) -> list[tuple[datetime, float, float]]:
    """Middle of the stretch, and the log loss of both models in it."""
    found = []
    for (start,), group in scored.group_by_dynamic("at", every=EVERY):
        if isinstance(start, datetime) and group.height >= MOST // 1000:
            truth = group["label"].to_numpy()
            alone, kept = (measure("log_loss", truth, group[side].to_numpy()) for side in ("alone", "kept"))
            found.append((start + EVERY / 2, alone, kept))
    return found


class Picture:
    """Places in the picture: time runs to the right, loss upwards."""

    def __init__(self, points: list[tuple[datetime, float, float]]) -> None:
        self._start, self._end = points[0][0] - EVERY / 2, points[-1][0] + EVERY / 2
        losses = [value for _, *both in points for value in both]
        self._low, self._high = min(losses) - 0.01, max(losses) + 0.01
        self.parts: list[str] = []

    def x(self, at: datetime) -> float:
        """Where a moment lies."""
        share = (at - self._start) / (self._end - self._start)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def y(self, loss: float) -> float:
        """Where a loss lies."""
        return BOTTOM - (loss - self._low) / (self._high - self._low) * (BOTTOM - TOP)

    def text(self, x: float, y: float, said: str, kind: str = "", anchor: str = "start") -> None:
        """Adds words."""
        said = said.replace("&", "&amp;").replace("<", "&lt;")
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{said}</text>')

    def rule(self, x: float, top: float, bottom: float, kind: str, said: str = "") -> None:
        """Adds an upright line, with words for the pointer."""
        title = f"<title>{said.replace('&', '&amp;').replace('<', '&lt;')}</title>" if said else ""
        self.parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" class="{kind}">{title}</line>'
        )

    def axes(self, seen: list[Month]) -> None:
        """Adds losses at the left and months below, with each month's AUC."""
        for step in range(1, 20):
            loss = step * 0.05
            if self._low < loss < self._high:
                y = self.y(loss)
                self.parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
                self.text(LEFT - 8, y + 4, f"{loss:.2f}", anchor="end")
        self.text(LEFT - 14, ALARMS + 4, "alarms", anchor="end")
        self.text(WIDTH - RIGHT + 8, ALARMS + 4, "grey: one column")
        self.text(LEFT - 14, DECISIONS + 4, "loop", anchor="end")
        for place, row in enumerate(("AUC", "alone", "kept")):
            self.text(LEFT - 14, TABLE + 18 * place, row, kind=row if place else "", anchor="end")
        for month in seen:
            start = datetime.strptime(month.month, "%Y-%m").replace(tzinfo=UTC)
            if not self._start - timedelta(days=3) <= start < self._end - timedelta(days=5):
                continue
            middle = self.x(start + timedelta(days=15))
            self.rule(self.x(start), TOP, TABLE + 40, "grid")
            self.text(middle, TABLE, f"{start:%B %Y}", anchor="middle")
            self.text(middle, TABLE + 18, f"{month.alone.roc_auc:.3f}", kind="alone", anchor="middle")
            self.text(middle, TABLE + 36, f"{month.kept.roc_auc:.3f}", kind="kept", anchor="middle")

    def curves(self, points: list[tuple[datetime, float, float]]) -> None:
        """Adds both models' losses, each named where it ends."""
        ends = {}
        for place, side in ((1, "alone"), (2, "kept")):
            path = " ".join(f"{self.x(point[0]):.1f},{self.y(float(point[place])):.1f}" for point in points)  # type: ignore[arg-type]
            self.parts.append(f'<polyline points="{path}" class="line {side}"/>')
            ends[side] = self.y(float(points[-1][place]))  # type: ignore[arg-type]
        # Names keep apart where the ends do not.
        apart = max(0.0, 16 - (ends["kept"] - ends["alone"])) / 2
        self.text(WIDTH - RIGHT + 8, ends["alone"] + 4 - apart, "left alone", kind="alone")
        self.text(WIDTH - RIGHT + 8, ends["kept"] + 4 + apart, "kept", kind="kept")

    def alerts(self, found: list[Alert]) -> None:
        """Adds a tick for each alarm; those about single columns are grey."""
        for one in found:
            if one.event_time is not None:
                kind = "quiet" if one.kind == "quality" else "alarm"
                x = self.x(one.event_time)
                self.rule(x, ALARMS - 7, ALARMS + 7, kind, f"{one.event_time:%d %B}: {one.title}")

    def decisions(self, found: list[Decision]) -> None:
        """Adds a sign for each retraining, promotion and roll-back."""
        signs = {"retrain": ("retrain", "M0,-7 L7,6 L-7,6 Z"), "promote": ("promote", "M-6,-6 H6 V6 H-6 Z")}
        for one in found:
            if one.event_time is None or one.kind not in {"retrain", "promote", "roll_back"}:
                continue
            kind, path = signs.get(one.kind, ("back", "M0,7 L7,-6 L-7,-6 Z"))
            x = self.x(one.event_time)
            self.rule(x, TOP, DECISIONS - 8, "mark")
            said = f"{one.event_time:%d %B}: {one.kind.replace('_', ' ')}. {one.reason}".replace("&", "&amp;")
            shape = f'<path d="{path}" class="{kind}"><title>{said.replace("<", "&lt;")}</title></path>'
            self.parts.append(f'<g transform="translate({x:.1f},{DECISIONS})">{shape}</g>')
        for place, (name, kind) in enumerate((("retrained", "retrain"), ("promoted", "promote"))):
            y = DECISIONS + 18 * place
            shape = f'<path d="{signs[kind][1]}" class="{kind}"/>'
            self.parts.append(f'<g transform="translate({WIDTH - RIGHT + 16},{y}) scale(.8)">{shape}</g>')
            self.text(WIDTH - RIGHT + 28, y + 4, name)

    def svg(self, title: str, description: str) -> str:
        """The whole picture, complete in itself."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {TABLE + 48}" role="img" '
            f'aria-label="{title}"><title>{title}</title><desc>{description}</desc><style>{STYLE}</style>'
        )
        self.text(LEFT, 24, title, kind="title")
        self.text(LEFT, 42, "log loss of each three days; lower is better")
        return "\n".join([head, *self.parts, "</svg>\n"])


def draw(root: Path) -> str:
    """The picture of a demo's workspace."""
    workspace = open_workspace(Settings(workspace=str(root)), create=False)
    with workspace.database.reading() as connection:
        endpoint = all_endpoints(connection)[0]
        decisions = decisions_of(connection, endpoint.project, limit=MOST)
        alerts = alerts_of(connection, endpoint=endpoint.name, limit=MOST)
    scored = scored_requests(workspace, endpoint.name)
    points = three_daily(scored)
    picture = Picture(points)
    picture.axes(months(scored))
    picture.alerts(alerts)
    picture.decisions(decisions)
    picture.curves(points)
    said = f"{scored.height:,} labelled predictions of {endpoint.name}, the same requests for both models."
    return picture.svg("One model, left alone and kept", said)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("Usage: draw_timeline.py WORKSPACE PICTURE.svg")
    Path(sys.argv[2]).write_text(draw(Path(sys.argv[1])))
