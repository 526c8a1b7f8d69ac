"""Conversion by skl2onnx (`pip install 'kept[skl2onnx]'`) where no exporter here fits: float64 where it can, else float32.

skl2onnx makes graphs of some estimators that answer otherwise than these, without an error: what comes from here is only
ever served behind the check of `kept.packaging.parity`.
"""

import importlib
import warnings
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto
from onnx.utils import Extractor
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.tree._tree import Tree

from kept.core.errors import Invalid, KeptError
from kept.packaging.exporters.booster import Booster
from kept.packaging.exporters.deadline import in_time
from kept.packaging.exporters.graph import OPERATORS, Graph, Origin, Tensor
from kept.packaging.fitted_parts import parts_of
from kept.packaging.onnx_check import check_onnx
from kept.packaging.onnx_model import open_session

CONVERTED_TOLERANCE = 1e-6
"""Support vectors and their like are float32 in ONNX: what is converted is held to fewer digits, and says so."""
LONGEST_CONVERSION = 120.0
"""Seconds; most conversions take less than one."""
_INPUT = "converted_input"
# The last version of the operators for machine learning that it writes.
_ML_OPERATORS = 3


def convert_predictor(model: Any, graph: Graph, features: Tensor) -> str:
    """Answers of an estimator, as an exporter of ours gives them: shape [rows, 1] for a value or the second of two classes.

    Raises:
        Invalid: skl2onnx is not installed, or cannot convert it to operators that are served.
    """
    classes = len(model.classes_) if hasattr(model, "classes_") else 0
    name, width = _embedded(model, graph, features, place=1 if classes else 0, kinds=(True, False))
    if width != max(1, classes):
        raise Invalid(f"skl2onnx makes {width} answers of {type(model).__name__}")
    return graph.node("Gather", name, graph.constant([1], np.int64), axis=1) if classes == 2 else name


def convert_transformer(step: Any, graph: Graph, features: Tensor) -> Tensor:
    """The columns that a transformer makes, in float64: in float32 they could fall on the other side of a threshold behind it.

    Raises as `convert_predictor` does.
    """
    name, width = _embedded(step, graph, features, place=0, kinds=(True,))
    return Tensor(name=name, origin=Origin.other(np.full(width, -1)))


def _embedded(step: Any, graph: Graph, features: Tensor, *, place: int, kinds: tuple[bool, ...]) -> tuple[str, int]:
    """The name in the graph, and the width, of one of the step's results as a float64 matrix.

    `kinds` says what is tried, one after the other: True is float64, False float32.
    """
    kind = type(step).__name__
    if any(int(column) in graph.words for column in features.origin.columns):
        raise Invalid(f"skl2onnx would be given codes for the texts of {kind}")
    if any(isinstance(part, Booster | Tree | TreePredictor) for part in parts_of(step)):
        # It writes them in float32, misreads missing values, and looks for some thresholds without end.
        raise Invalid(f"there are trees in {kind}, which skl2onnx does not convert exactly")
    trouble = ""
    for double in kinds:
        try:
            fragment = _converted(step, features.width, place, double=double)
            width = _try(fragment, features.width, double=double)
        except KeptError as refusal:
            trouble = trouble or refusal.what
            continue
        given = features.name if double else graph.node("Cast", features.name, to=TensorProto.FLOAT)
        name = graph.node("Cast", graph.embed(fragment, {_INPUT: given}), to=TensorProto.DOUBLE)
        graph.converted.append(kind)
        return graph.node("Reshape", name, graph.constant([-1, width], np.int64)), width
    raise Invalid(f"skl2onnx does not convert {kind}: {trouble}")


def _converted(step: Any, width: int, place: int, *, double: bool) -> ModelProto:
    """A graph with one input and the wanted output alone."""
    try:
        skl2onnx = importlib.import_module("skl2onnx")
        types = importlib.import_module("skl2onnx.common.data_types")
    except ImportError as error:
        raise Invalid(f"skl2onnx cannot be imported ({error}): pip install 'kept[skl2onnx]'") from error
    tensor = types.DoubleTensorType if double else types.FloatTensorType

    def convert() -> bytes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = skl2onnx.convert_sklearn(
                step,
                initial_types=[(_INPUT, tensor([None, width]))],
                options={id(step): {"zipmap": False}} if place else None,
                target_opset={"": OPERATORS, "ai.onnx.ml": _ML_OPERATORS},
            )
            found = Extractor(whole).extract_model([_INPUT], [whole.graph.output[place].name])
            return bytes(found.SerializeToString())

    try:
        data = in_time(convert, LONGEST_CONVERSION)
    except Exception as error:
        # What it meets in releases of scikit-learn and ONNX that it does not know can go wrong in any way.
        lines = str(error).strip().splitlines() or [""]
        raise Invalid(f"{type(error).__name__}: {lines[0]}") from error
    return check_onnx(data, where="skl2onnx")


def _try(fragment: ModelProto, width: int, *, double: bool) -> int:
    """How many columns the graph answers. `Invalid` when it does not run."""
    rows = np.ones((2, width), dtype=np.float64 if double else np.float32)
    try:
        answer = open_session(fragment.SerializeToString()).run(None, {_INPUT: rows})[0]
        return int(np.asarray(answer, dtype=np.float64).reshape(2, -1).shape[1])
    except Exception as error:
        # ONNX Runtime's own errors share no class but Exception.
        raise Invalid(str(error)) from error
