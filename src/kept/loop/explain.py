"""Explaining one logged prediction: what each input added to it, computed again from the log by the version's own bundle."""

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from kept.core.errors import Conflict, NotFound
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.loop.logged_prediction import FEATURE, the_prediction
from kept.packaging.bundle import fetch_bundle
from kept.packaging.explaining.explanation import Explanation
from kept.registry.records.versions import version_by_id

_SAME = 1e-6


class ExplainPrediction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One prediction, by the id that its answer carried."""

    prediction: str
    endpoint: str | None = None
    """Where it was made; looked for everywhere if not given."""


class ExplainedPrediction(msgspec.Struct, frozen=True, kw_only=True):
    """What a prediction was made of."""

    prediction: str
    endpoint: str
    model: str
    number: int
    """Of the version that made it."""
    event_time: str
    answer: str | None
    """The class that was said, as text."""
    values: dict[str, Any]
    """The inputs as they were logged."""
    explanation: Explanation
    """Of one row."""


@operation("loop.explain", needs=Permission.VIEW, on="prediction", audit=Audit.READ)
def explain_prediction(workspace: Workspace, actor: Actor, request: ExplainPrediction) -> ExplainedPrediction:
    """Tells what each input added to a prediction, from the log and the bundle of the version that made it."""
    del actor
    logged = the_prediction(workspace, request.prediction, request.endpoint)
    row, where = logged.row, f"prediction {request.prediction}"
    with workspace.database.reading() as connection:
        version = version_by_id(connection, row["version_id"])
    if version is None:
        raise NotFound(f"there is no version {row['version_id']}", where=where)
    # A server starts without what is needed here.
    from kept.packaging.explaining.explainer import load_explainer  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as scratch:
        explainer = load_explainer(fetch_bundle(version.bundle, workspace.blobs, Path(scratch) / "bundle"))
        names = explainer.features
        unlogged = [name for name in names if f"{FEATURE}{name}" not in row]
        hidden = unlogged or sorted(workspace.settings.redacted & set(names))
        if hidden:
            what = f"the log does not hold {hidden[0]!r} as it was sent"
            raise Conflict(what, where=where, fix="Ask with ?explain=true when the prediction is made")
        values = {name: row[f"{FEATURE}{name}"] for name in names}
        found = explainer.explain([values])
    scores = row["scores"] if row.get("scores") else [row["score"]]
    if not np.allclose(found.rows[0].answers, np.array(scores, dtype=np.float64), rtol=_SAME, atol=_SAME):
        what = f"the model answers {list(found.rows[0].answers)} to what was logged, and {scores} was answered then"
        raise Conflict(what, where=where, fix="Its inputs may not have been logged as they were sent")
    return ExplainedPrediction(
        prediction=request.prediction,
        endpoint=logged.endpoint,
        model=version.model,
        number=version.number,
        event_time=row["event_time"],
        answer=row["prediction"],
        values=values,
        explanation=found,
    )
