"""`kept explain`: what each input added to one prediction."""

from typing import Annotated

import typer
from rich.text import Text

from kept.cli.options import Json, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import print_json, say, table, text
from kept.loop.explain import ExplainedPrediction, ExplainPrediction, explain_prediction
from kept.packaging.explaining.explanation import SCALES
from kept.serving.protocol.answers import label_text

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_HALF = 12
_PARTS = "▏▎▍▌▋▊▉█"


@app.command()
def main(
    prediction: Annotated[str, typer.Argument(help="The id that the answer carried.")],
    endpoint: Annotated[str | None, typer.Option(help="The endpoint, if you know it.")] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Tell what each input added to a prediction; the contributions and the base add up to its answer."""
    request = ExplainPrediction(prediction=prediction, endpoint=endpoint)
    found = connect(settings_for(workspace)).call(explain_prediction, request)
    if as_json:
        print_json(found)
        return
    said = found.explanation
    say((f"prediction {found.prediction}", "bold"), f" of {found.endpoint} at {found.event_time}")
    say(f"answered {text(found.answer)} by version {found.number} of {found.model}")
    for place in range(len(said.rows[0].sums)):
        _show(found, place)
    say((f"On the scale of the {SCALES[said.scale]}.", "dim"))
    if said.orders is not None:
        say((f"By sampling {said.orders} orders (seed {said.seed}), with 95% intervals.", "dim"))


def _show(found: ExplainedPrediction, place: int) -> None:
    """One output's contributions, the largest first."""
    said, row = found.explanation, found.explanation.rows[0]
    contributions = row.contributions[place]
    largest = max(map(abs, contributions), default=0.0) or 1.0
    order = sorted(range(len(contributions)), key=lambda one: -abs(contributions[one]))
    widths = row.half_widths[place] if row.half_widths is not None else None
    columns = ["input", "#value", "#adds", *(["#give or take"] if widths is not None else []), ""]
    rows = [
        [
            said.features[one],
            found.values[said.features[one]],
            contributions[one],
            *([widths[one]] if widths is not None else []),
            Text(_bar(contributions[one] / largest), style="red" if contributions[one] < 0 else "green"),
        ]
        for one in order
    ]
    title = f"{text(row.sums[place])} = {text(said.base[place])} + the contributions"
    of = f"class {label_text(said.outputs[place])}: " if said.outputs else ""
    table(f"{of}{title}", columns, rows)


def _bar(share: float) -> str:
    """A bar from the middle, to the right for what adds and to the left for what takes away; eighths of a sign long."""
    eighths = round(abs(share) * _HALF * 8)
    if share < 0:
        return ("█" * round(eighths / 8)).rjust(_HALF)
    return " " * _HALF + "█" * (eighths // 8) + (_PARTS[eighths % 8 - 1] if eighths % 8 else "")
