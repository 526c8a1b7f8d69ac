"""Options that say which outputs of an ONNX graph are its scores, and of what."""

from typing import Annotated, cast, get_args

import typer

from kept.app.model_files import Answering
from kept.packaging import signature
from kept.packaging.signature import Label, Scored

Task = Annotated[str, typer.Option("--task", help="Of an .onnx file: binary, multiclass, regression; or tensors only.")]
Classes = Annotated[str, typer.Option("--classes", help="Labels with commas between them, in the order of the scores.")]
Scores = Annotated[str, typer.Option("--scores", help="The output that holds the scores, where there are several.")]
Form = Annotated[str, typer.Option("--form", help="What the scores are: probabilities, logits or value.")]
Tolerance = Annotated[
    float, typer.Option("--tolerance", help="How far an .onnx file's answers may be from those of the sample.")
]

_FORMS = ("probabilities", "logits", "value")


def answering(task: str, classes: str, scores: str, form: str, tolerance: float) -> Answering:
    """What the options say; `typer.BadParameter` when they are not right."""
    if task not in get_args(signature.Task):
        raise typer.BadParameter(f"it is one of {', '.join(get_args(signature.Task))}", param_hint="--task")
    return Answering(
        task=cast("signature.Task", task),
        classes=tuple(_label(one.strip()) for one in classes.split(",")) if classes else (),
        scored=scored(scores, form),
        tolerance=tolerance,
    )


def scored(scores: str, form: str) -> Scored | None:
    """Where scores come from; None where no output is named."""
    if form not in _FORMS:
        raise typer.BadParameter(f"it is one of {', '.join(_FORMS)}", param_hint="--form")
    known = cast("signature.ScoreForm", form)
    return Scored(output=scores, form=known) if scores else None


def _label(text: str) -> Label:
    return int(text) if text.removeprefix("-").isdecimal() else text
