"""Models and their versions: the card, the verdict, where a version comes from."""

from dataclasses import dataclass
from typing import cast, get_args

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from kept.app.connection import Connection
from kept.loop.story import TellVersion, tell_version
from kept.measures.calibration import ReliabilityCurve
from kept.registry.catalog import SearchVersions, ShowVersion, search_versions, show_version
from kept.registry.version import Status
from kept.web.rendering import render

_LISTED = 200
# What tells most of a model, by task; all that is measured stands on its own page.
_COLUMNS = (
    "roc_auc",
    "log_loss",
    "expected_calibration_error",
    "accuracy",
    "rmse",
    "mae",
    "r2",
    "latency_p99_ms",
    "size_mb",
)
_SIDE = 300.0


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A bin of the calibration chart, in its drawing's coordinates."""

    x: float
    y: float
    says: str


def routes(connection: Connection) -> list[HTTPRouteHandler]:
    """`/models` and `/models/NAME/VERSION`."""

    @get("/models", include_in_schema=False, sync_to_thread=True)
    def models(text: FromQuery[str] = "", status: FromQuery[str] = "", bounds: FromQuery[str] = "") -> Response[bytes]:
        wanted = cast("Status", status) if status in get_args(Status) else None
        request = SearchVersions(text=text, status=wanted, bounds=bounds, limit=_LISTED)
        found = connection.call(search_versions, request)
        measured = {name for one in found for name, value in one.metrics.items() if value is not None}
        columns = [name for name in _COLUMNS if name in measured]
        return render(
            "models.html", section="Models", found=found, columns=columns, text=text, status=status, bounds=bounds
        )

    @get("/models/{model:str}", include_in_schema=False, sync_to_thread=True)
    def newest(model: FromPath[str]) -> Response[bytes]:
        return _version(connection, model, "latest")

    @get("/models/{model:str}/{reference:str}", include_in_schema=False, sync_to_thread=True)
    def version(model: FromPath[str], reference: FromPath[str]) -> Response[bytes]:
        return _version(connection, model, reference)

    return [models, newest, version]


def _version(connection: Connection, model: str, reference: str) -> Response[bytes]:
    found = connection.call(show_version, ShowVersion(model=model, version=reference))
    if found.version is None:
        return render("unjudged.html", section="Models", found=found, one=found.registered)
    card = found.version.card
    story = connection.call(tell_version, TellVersion(model=found.version.model, version=str(found.version.number)))
    return render(
        "version.html",
        section="Models",
        found=found,
        one=found.version,
        card=card,
        story=story,
        dots=dots_of(card.report.calibration) if card.report.calibration else [],
    )


def dots_of(curve: ReliabilityCurve) -> list[Dot]:
    """The bins of a calibration curve in a square of 300 by 300, observed upwards."""
    return [
        Dot(
            x=round(_SIDE * score, 1),
            y=round(_SIDE * (1.0 - observed), 1),
            says=f"said {score:.1%}, observed {observed:.1%} in {rows:,} rows",
        )
        for rows, score, observed in zip(curve.rows, curve.mean_score, curve.observed, strict=True)
    ]
