"""What each input added to a prediction, as its chart is drawn from it."""

from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from kept.app.connection import Connection
from kept.core.errors import KeptError
from kept.loop.explain import ExplainedPrediction, ExplainPrediction, explain_prediction
from kept.packaging.explaining.explanation import SCALES
from kept.serving.protocol.answers import label_text

_HOW = {
    "tree_shap": "Exact Shapley values of the model's trees.",
    "linear": "Exact contributions of the model's weights.",
    "sampling": "Shapley values by sampling, with 95% intervals.",
}


class ExplainedInput(msgspec.Struct, frozen=True, kw_only=True):
    """One bar."""

    name: str
    value: Any
    adds: float
    half_width: float | None


class ExplainedOutput(msgspec.Struct, frozen=True, kw_only=True):
    """One chart."""

    name: str | None
    """The class; None for a regression."""
    base: float
    sum: float
    inputs: tuple[ExplainedInput, ...]


class ExplanationChart(msgspec.Struct, frozen=True, kw_only=True):
    """All charts of a prediction, or why there are none."""

    outputs: tuple[ExplainedOutput, ...] = ()
    meaning: str = ""
    how: str = ""
    error: str | None = None


def routes(connection: Connection) -> list[HTTPRouteHandler]:
    """`/predictions/ID/explanation.json`."""

    @get("/predictions/{prediction:str}/explanation.json", include_in_schema=False, sync_to_thread=True)
    def chart(prediction: FromPath[str]) -> Response[bytes]:
        try:
            found = chart_of(connection.call(explain_prediction, ExplainPrediction(prediction=prediction)))
        except KeptError as error:
            # The page stands without it, and says why.
            found = ExplanationChart(error=str(error))
        return Response(msgspec.json.encode(found), media_type="application/json")

    return [chart]


def chart_of(found: ExplainedPrediction) -> ExplanationChart:
    """The charts of an explanation: one, or one for each of several classes."""
    said, row = found.explanation, found.explanation.rows[0]
    names: list[str | None] = [label_text(label) for label in said.outputs] or [None]
    outputs = []
    for place, name in enumerate(names):
        widths = row.half_widths[place] if row.half_widths is not None else [None] * len(said.features)
        inputs = [
            ExplainedInput(name=feature, value=found.values[feature], adds=adds, half_width=width)
            for feature, adds, width in zip(said.features, row.contributions[place], widths, strict=True)
        ]
        outputs.append(ExplainedOutput(name=name, base=said.base[place], sum=row.sums[place], inputs=tuple(inputs)))
    return ExplanationChart(outputs=tuple(outputs), meaning=SCALES[said.scale], how=_HOW[said.method])
