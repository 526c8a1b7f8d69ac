"""The shipped predictions of an endpoint, read by windows of event time."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from kept.governance.workspace import Workspace
from kept.measures.arrays import Flags, Floats
from kept.monitoring.window import Window, numbered
from kept.plan.specs import Task
from kept.plan.windows import Windows
from kept.serving.frames import plain_names

_FEATURE = "feature_"
_KINDS = {"number", "integer", "boolean", "category", "text"}
_OURS = 500
# What was asked does not fit the model's signature.
_REFUSED = (400, 422)
_SLACK = 1e-6
# What was on its way to the table, or was dated by another clock, at the last look.
_SHIPPING = timedelta(minutes=1)
_EVER = datetime.min.replace(tzinfo=UTC)
_TIME = pl.Datetime("us", "UTC")
_ANSWERS = pl.Schema(
    {
        "id": pl.String(),
        "key": pl.String(),
        "event_time": _TIME,
        "received_at": _TIME,
        "version_id": pl.String(),
        "latency_us": pl.Int64(),
        "share": pl.Float64(),
        "score": pl.Float64(),
        "scores": pl.List(pl.Float64()),
    }
)
_ANSWERING = ["champion", "canary", "challenger"]
_DECLARED = ["constant", "rule"]
_COMPARED = ("score", "scores", "prediction", "latency_us")
_FAILURES = pl.Schema({"received_at": _TIME, "version_id": pl.String(), "role": pl.String(), "status": pl.Int64()})


def predictions_table(endpoint: str) -> str:
    """The table of an endpoint's predictions."""
    return f"predictions/{endpoint}"


def errors_table(endpoint: str) -> str:
    """The table of an endpoint's failed requests."""
    return f"prediction_errors/{endpoint}"


class Stream:
    """One version of an endpoint's prediction table: what is read here does not change while it is read."""

    def __init__(self, workspace: Workspace, endpoint: str) -> None:
        self.endpoint = endpoint
        self._tables = workspace.tables
        self.now = workspace.clock.now()
        # Failures first: of what comes between the two looks, answers are seen and failures are not, so that no stretch
        # of time seems to hold failures alone.
        self.errors_version = workspace.tables.version(errors_table(endpoint))
        self.version = workspace.tables.version(predictions_table(endpoint))

    def rows(self) -> pl.LazyFrame | None:
        """All predictions that were logged, or None when none was shipped. `share` says of each how many were."""
        if self.version is None:
            return None
        rows = self._tables.read(predictions_table(self.endpoint), self.version)
        columns = rows.collect_schema()
        rows, told = rows.rename(plain_names(columns)), "share" in columns
        # A declared constant, or what a rule says, is no model's answer. Rows from before there was a choice: all were logged.
        rows = rows.filter(~pl.col("role").is_in(_DECLARED))
        return rows.with_columns(share=pl.col("share").fill_null(1.0) if told else pl.lit(1.0))

    def span(self, known: datetime | None) -> tuple[datetime, datetime] | None:
        """The oldest and newest event time after what is known already, or None when there is nothing newer.

        Rows that claim to be of the future are left out: one wrong clock must not close every window to come.
        """
        rows = self.rows()
        if rows is None:
            return None
        rows = rows.filter(pl.col("event_time") <= self.now)
        if known is not None:
            rows = rows.filter(pl.col("event_time") > known)
        first, last = rows.select(first=pl.min("event_time"), last=pl.max("event_time")).collect().row(0)
        return None if last is None else (first, last)

    def between(self, start: datetime, end: datetime) -> pl.DataFrame:
        """Predictions with these event times, by event time and id."""
        rows = self.rows()
        if rows is None:
            return pl.DataFrame()
        inside = (pl.col("event_time") >= start) & (pl.col("event_time") < end)
        return rows.filter(inside).collect().sort("event_time", "id")

    def window(self, window: Window) -> pl.DataFrame:
        """A window's predictions, by event time and id."""
        return self.between(window.start, window.end)

    def answers_since(self, received: datetime) -> pl.DataFrame:
        """What was answered to requests that came at this time or later, without their features, by time."""
        rows = self.rows()
        if rows is None:
            return pl.DataFrame(schema=_ANSWERS)
        answered = (pl.col("received_at") >= received) & pl.col("role").is_in(_ANSWERING)
        return rows.filter(answered).select(_ANSWERS.names()).collect().sort("received_at", "id")

    def pairs_since(self, received: datetime, champion: str, shadow: str) -> pl.DataFrame:
        """What a champion answered to requests that came at this time or later, where its shadow was asked, too.

        The columns of the table as the champion's answer has them, and beside them `other_score`, `other_scores`,
        `other_prediction` and `other_latency_us` of its shadow.
        """
        rows = self.rows()
        if rows is None:
            return pl.DataFrame()
        came = rows.filter(pl.col("received_at") >= received)
        others = came.filter((pl.col("role") == "shadow") & (pl.col("version_id") == shadow)).select(
            "answer_id", *(pl.col(name).alias(f"other_{name}") for name in _COMPARED)
        )
        own = came.filter(pl.col("role").is_in(_ANSWERING) & (pl.col("version_id") == champion))
        return (
            own.drop("answer_id").join(others, left_on="id", right_on="answer_id").collect().sort("received_at", "id")
        )

    def copies_since(self, received: datetime, shadow: str) -> pl.DataFrame:
        """What a shadow answered to copies of requests that came at this time or later, by time."""
        rows = self.rows()
        if rows is None:
            return pl.DataFrame(schema=_ANSWERS)
        mine = (pl.col("role") == "shadow") & (pl.col("version_id") == shadow)
        asked = rows.filter((pl.col("received_at") >= received) & mine)
        return asked.select(_ANSWERS.names()).collect().sort("received_at", "id")

    def first_on_trial(self, version_id: str, role: str, after: datetime | None) -> datetime | None:
        """When the first request came that a version was asked in a role, after a moment or ever, and answered or not."""
        tables = [one for one in (self.rows(), self._failed_rows()) if one is not None]
        mine = (pl.col("version_id") == version_id) & (pl.col("role") == role)
        asked = mine if after is None else mine & (pl.col("received_at") > after)
        firsts = [one.filter(asked).select(pl.min("received_at")).collect().item() for one in tables]
        return min((one for one in firsts if one is not None), default=None)

    def next_event(self, since: datetime) -> datetime | None:
        """The oldest event time at or after a moment, up to now."""
        rows = self.rows()
        if rows is None:
            return None
        found: datetime | None = (
            rows.filter(pl.col("event_time").is_between(since, self.now)).select(pl.min("event_time")).collect().item()
        )
        return found

    def times_between(self, start: datetime, end: datetime) -> pl.Series:
        """The event times of predictions in a stretch, its end left out."""
        rows = self.rows()
        if rows is None:
            return pl.Series("event_time", [], dtype=_TIME)
        inside = (pl.col("event_time") >= start) & (pl.col("event_time") < end) & (pl.col("role") != "shadow")
        return rows.filter(inside).select("event_time").collect().to_series()

    def grown_since(
        self, looked_at: datetime | None, stretch: Window, windows: Windows, *, shadows: bool
    ) -> dict[Window, int]:
        """The windows of a stretch that predictions were shipped to since a look, and how many each holds now.

        What was on its way to the table, or was dated by another clock, counts as shipped since then. None are before the first look.
        """
        rows = self.rows()
        if looked_at is None or rows is None or "shipped_at" not in rows.collect_schema():
            return {}
        inside = pl.col("event_time").is_between(stretch.start, stretch.end, closed="left")
        counted = rows.filter(inside if shadows else inside & (pl.col("role") != "shadow"))
        number = windows.numbers(pl.col("event_time")).alias("number")
        # Where the clock was set back, nothing tells what has been shipped since but the number.
        shipped = looked_at - _SHIPPING if looked_at <= self.now else _EVER
        # What was shipped since is told from a few files, and then no other window is counted.
        fresh = counted.filter(pl.col("shipped_at") > shipped).select(number).unique().collect()["number"]
        grown = sorted(numbered(one, windows) for one in fresh)
        if not grown:
            return {}
        between = pl.col("event_time").is_between(grown[0].start, grown[-1].end, closed="left")
        found = counted.filter(between).group_by(number).len().filter(pl.col("number").is_in(fresh.implode())).collect()
        return {numbered(one, windows): count for one, count in found.iter_rows()}

    def last_answer(self) -> datetime | None:
        """When the newest request that was answered came."""
        rows = self.rows()
        if rows is None:
            return None
        found: datetime | None = rows.select(pl.max("received_at")).collect().item()
        return found

    def first_answer(self, *, after: datetime | None) -> datetime | None:
        """When the first request that was answered came, after a moment or ever."""
        rows = self.rows()
        if rows is None:
            return None
        later = rows if after is None else rows.filter(pl.col("received_at") > after)
        found: datetime | None = later.select(pl.min("received_at")).collect().item()
        return found

    def last_failure(self) -> datetime | None:
        """When the newest request that failed came, whoever's fault it was."""
        rows = self._failed_rows()
        found: datetime | None = None if rows is None else rows.select(pl.max("received_at")).collect().item()
        return found

    def _failed_rows(self) -> pl.LazyFrame | None:
        if self.errors_version is None:
            return None
        return self._tables.read(errors_table(self.endpoint), self.errors_version)

    def failures(self, predictions: pl.DataFrame, after: datetime | None = None) -> pl.DataFrame:
        """Requests that failed by our fault up to the last of these predictions: after a moment, or from the first on.

        A failed request has no event time, so it is placed by the time it came. What callers did wrong (below 500)
        says nothing of a model.
        """
        if predictions.is_empty():
            return pl.DataFrame(schema=_FAILURES)
        first, last = predictions.select(first=pl.min("received_at"), last=pl.max("received_at")).row(0)
        # What fails as a shadow fails nobody.
        answering = pl.col("role") != "shadow"
        if after is None:
            return self.failures_between(first, last).filter(answering)
        return self.failures_between(after, last).filter(answering & (pl.col("received_at") > after))

    def refusals(self, predictions: pl.DataFrame, after: datetime | None = None) -> int:
        """Requests that were refused since they did not fit the signature, counted where `failures` would count them."""
        if predictions.is_empty() or self.errors_version is None:
            return 0
        first, last = predictions.select(first=pl.min("received_at"), last=pl.max("received_at")).row(0)
        came = pl.col("received_at")
        there = came.is_between(first, last) if after is None else came.is_between(after, last, closed="right")
        rows = self._tables.read(errors_table(self.endpoint), self.errors_version)
        refused = rows.filter(pl.col("status").is_in(_REFUSED) & (pl.col("role") != "shadow") & there)
        return int(refused.select(pl.len()).collect().item())

    def failures_between(self, first: datetime, last: datetime) -> pl.DataFrame:
        """Requests that came in this time, ends included, and failed by our fault: as
        `received_at`, `version_id`, `role`, `status`.
        """
        if self.errors_version is None:
            return pl.DataFrame(schema=_FAILURES)
        rows = self._tables.read(errors_table(self.endpoint), self.errors_version)
        ours = (pl.col("status") >= _OURS) & pl.col("received_at").is_between(first, last)
        return rows.filter(ours).select(_FAILURES.names()).collect()

    def failing_since(
        self, moment: datetime | None, *, refused: bool = False
    ) -> tuple[int, datetime | None, datetime | None]:
        """How many requests failed by our fault after a moment, and when the first and the last of them came.

        With `refused`, of those that did not fit the signature.
        """
        if self.errors_version is None:
            return 0, None, None
        rows = self._tables.read(errors_table(self.endpoint), self.errors_version)
        status = pl.col("status")
        chosen = status.is_in(_REFUSED) if refused else status >= _OURS
        rows = rows.filter(chosen & (pl.col("role") != "shadow"))
        if moment is not None:
            rows = rows.filter(pl.col("received_at") > moment)
        came = pl.col("received_at")
        count, first, last = rows.select(pl.len(), first=came.min(), last=came.max()).collect().row(0)
        return count, first, last


def asked(predictions: pl.DataFrame) -> int:
    """How many rows were answered, told by those that were logged: each stands for 1 / share rows (Horvitz and Thompson 1952)."""
    return 0 if predictions.is_empty() else round((1 / predictions["share"]).sum())


def features_of(predictions: pl.DataFrame) -> pl.DataFrame:
    """The features by their own names, and `score` where no feature is called so.

    A value that its column could not hold was logged in a column of its own (`feature_<name>__<kind>`): it is put
    back where its type allows it.
    """
    columns: dict[str, pl.Expr] = {}
    names = [name for name in predictions.columns if name.startswith(_FEATURE)]
    for name in names:
        base, _, kind = name.rpartition("__")
        if base in names and kind in _KINDS:
            columns[base] = pl.coalesce(columns[base], pl.col(name).cast(predictions.schema[base], strict=False))
        else:
            columns[name] = pl.col(name)
    named = {name.removeprefix(_FEATURE): one for name, one in columns.items()}
    if "score" in predictions.columns:
        named.setdefault("score", pl.col("score"))
    return predictions.select(**named)


def scores_of(predictions: pl.DataFrame, task: Task) -> Floats:
    """The scores as the model gave them: `(n,)`, or `(n, k)` for more than two classes; NaN where it gave none."""
    if task == "multiclass":
        if predictions.is_empty():
            return np.zeros((0, 1))
        told = predictions["scores"].to_list()
        width = max((len(one) for one in told if one is not None), default=1)
        nothing = [np.nan] * width
        return np.array([one if one is not None and len(one) == width else nothing for one in told], dtype=np.float64)
    return predictions["score"].to_numpy().astype(np.float64)


def answered(scores: Floats, task: Task) -> Flags:
    """Which rows have an answer that the task knows: numbers that are finite; of classes such that are from 0 to 1."""
    rows = scores[:, None] if scores.ndim == 1 else scores
    fit = np.isfinite(rows)
    if task != "regression":
        # Sums of 32-bit floats may end a little beyond.
        fit &= (rows > -_SLACK) & (rows < 1 + _SLACK)
    return np.asarray(fit.all(axis=1), dtype=np.bool_)


def latencies_of(answers: pl.DataFrame) -> pl.Series:
    """Milliseconds for each row: a request's time by its rows, since a batch takes longer without anything being slow."""
    of_request = pl.len().over("version_id", "received_at", "latency_us")
    return answers.select(latency=pl.col("latency_us") / of_request / 1000).get_column("latency")
