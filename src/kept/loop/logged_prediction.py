"""Finding one logged prediction by the id that its answer carried."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import polars as pl

from kept.core.clock import format_time
from kept.core.errors import Invalid, NotFound
from kept.deployment.records import all_endpoints
from kept.governance.workspace import Workspace
from kept.monitoring.stream import predictions_table
from kept.serving.frames import plain_names

FEATURE = "feature_"

# An id tells when it was made. Requests are stamped by the same clock, save for its steps.
_SLACK = timedelta(minutes=5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LoggedPrediction(msgspec.Struct, frozen=True, kw_only=True):
    """A row of an endpoint's predictions, as plain values."""

    endpoint: str
    row: dict[str, Any]


def the_prediction(workspace: Workspace, prediction: str, endpoint: str | None) -> LoggedPrediction:
    """The prediction with an id, of one endpoint or of any, that a model has answered.

    Raises:
        Invalid: it is no such id.
        NotFound: it was not logged, or not shipped yet; or a declared constant or rule was answered.
    """
    made_at = _made_at(prediction)
    with workspace.database.reading() as connection:
        endpoints = [one for one in all_endpoints(connection) if endpoint in {None, one.name}]
    for one in endpoints:
        row = _find(workspace, one.name, prediction, made_at)
        if row is not None:
            break
    else:
        fix = "It is found once it was shipped, which takes some seconds; name the endpoint's own workspace"
        raise NotFound(f"there is no prediction {prediction}", where="predictions", fix=fix)
    if row["role"] in {"constant", "rule"}:
        fix = "Its reason stands beside its id among the endpoint's failed requests"
        what = f"no version made it: it is the {row['role']} that the endpoint falls back to"
        raise NotFound(what, where=f"prediction {prediction}", fix=fix)
    return LoggedPrediction(endpoint=one.name, row=row)


def _made_at(prediction: str) -> datetime:
    try:
        value = UUID(prediction)
    except ValueError as error:
        fix = "Give the id that the answer carried"
        raise Invalid(f"{prediction!r} is not the id of a prediction", where="prediction", fix=fix) from error
    return _EPOCH + timedelta(milliseconds=value.int >> 80)


def _find(workspace: Workspace, endpoint: str, prediction: str, made_at: datetime) -> dict[str, Any] | None:
    """The row, as plain values. The time in the id spares reading all but a few files."""
    try:
        rows = workspace.tables.read(predictions_table(endpoint))
    except NotFound:
        return None
    near = pl.col("received_at").is_between(made_at - _SLACK, made_at + _SLACK)
    for found in (rows.filter(near & (pl.col("id") == prediction)), rows.filter(pl.col("id") == prediction)):
        frame = found.head(1).collect()
        if frame.height:
            row = frame.rename(plain_names(frame.columns)).row(0, named=True)
            return {name: format_time(value) if isinstance(value, datetime) else value for name, value in row.items()}
    return None
