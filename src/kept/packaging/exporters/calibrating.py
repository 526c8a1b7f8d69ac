"""CalibratedClassifierCV: scores of other classifiers, put through a curve for each class."""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression

from kept.core.errors import Invalid
from kept.packaging.exporters.graph import Graph, Tensor
from kept.packaging.exporters.linear import normalised

Score = Callable[[Any, Graph, Tensor], str]
"""What a calibration is given of a classifier: shape [rows, 1] for the second of two classes, [rows, classes] for more."""


def export_calibrated(model: Any, graph: Graph, features: Tensor, score: Score) -> str:
    """The mean over the folds of the calibrated probabilities."""
    parts = [
        _calibrated(one, model, graph, score(one.estimator, graph, features)) for one in model.calibrated_classifiers_
    ]
    graph.note_no_parts()
    return graph.node("Div", graph.sum(parts), graph.constant(float(len(parts))))


def _calibrated(fold: Any, model: Any, graph: Graph, scores: str) -> str:
    if not np.array_equal(fold.estimator.classes_, model.classes_):
        raise Invalid("one of its folds does not know all classes")
    curves = []
    for place, calibrator in enumerate(fold.calibrators):
        column = graph.node("Gather", scores, graph.constant([place], np.int64), axis=1)
        curves.append(_curve(calibrator, graph, column))
    if len(curves) == 1:
        return curves[0]
    return normalised(graph, graph.node("Concat", *curves, axis=1), len(curves))


def _curve(calibrator: Any, graph: Graph, scores: str) -> str:
    if type(calibrator) is _SigmoidCalibration:
        turned = graph.node("Mul", scores, graph.constant(calibrator.a_))
        return graph.node("Sigmoid", graph.node("Neg", graph.node("Add", turned, graph.constant(calibrator.b_))))
    if type(calibrator) is IsotonicRegression and calibrator.out_of_bounds == "clip":
        return _steps(calibrator, graph, scores)
    raise Invalid(f"it calibrates by {type(calibrator).__name__}")


def _steps(calibrator: Any, graph: Graph, scores: str) -> str:
    """Between two thresholds on the line between their values, beyond the first and the last on theirs."""
    at, value = np.asarray(calibrator.X_thresholds_), np.asarray(calibrator.y_thresholds_)
    if len(at) == 1:
        return graph.node("Add", graph.node("Mul", scores, graph.constant(0.0)), graph.constant(value[0]))
    low, high = graph.constant(calibrator.X_min_), graph.constant(calibrator.X_max_)
    inside = graph.node("Where", graph.node("Less", scores, low), low, scores)
    inside = graph.node("Where", graph.node("Greater", inside, high), high, inside)
    above = graph.node("Cast", graph.node("Greater", inside, graph.constant(at[1:-1])), to=TensorProto.INT64)
    place = graph.node("ReduceSum", above, graph.constant([1], np.int64))
    slope, start, height = (
        graph.node("Gather", graph.constant(table), place)
        for table in (np.diff(value) / np.diff(at), at[:-1], value[:-1])
    )
    return graph.node("Add", graph.node("Mul", slope, graph.node("Sub", inside, start)), height)
