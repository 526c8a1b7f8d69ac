"""SimpleImputer, with its indicator columns."""

import math
from typing import Any

import numpy as np

from kept.core.errors import Invalid
from kept.packaging.exporters.graph import Graph, Origin, Tensor
from kept.packaging.exporters.selecting import join, select


def export_simple_imputer(step: Any, graph: Graph, features: Tensor) -> Tensor:
    """Fills NaN with the column's statistic, leaves out columns that were always missing, appends the indicators.

    A column of text holds codes here, and is filled with the code of its statistic.
    """
    if any(int(column) in graph.words for column in features.origin.columns):
        return _fill_texts(step, graph, features)
    if not (isinstance(step.missing_values, float) and math.isnan(step.missing_values)):
        raise Invalid(f"its imputer takes {step.missing_values!r}, not NaN, for missing")
    statistics = np.asarray(step.statistics_, dtype=np.float64)
    empty = np.isnan(statistics)
    if empty.any() and step.keep_empty_features:
        raise Invalid("its imputer keeps columns that were always missing")
    used = np.flatnonzero(~empty)
    values = features if not empty.any() else select(graph, features, used)
    unknown = graph.node("IsNaN", values.name)
    filled = graph.node("Where", unknown, graph.constant(statistics[used]), values.name)
    result = Tensor(name=filled, origin=values.origin)
    if step.indicator_ is None or not len(step.indicator_.features_):
        return result
    watched = select(graph, features, np.asarray(step.indicator_.features_, dtype=np.int64))
    flags = graph.node("Cast", graph.node("IsNaN", watched.name), to=_DOUBLE)
    indicators = Tensor(name=flags, origin=Origin.other(watched.origin.inputs))
    return join(graph, [result, indicators])


def _fill_texts(step: Any, graph: Graph, features: Tensor) -> Tensor:
    if step.indicator_ is not None:
        raise Invalid("its imputer marks missing texts")
    if isinstance(step.missing_values, float) and math.isnan(step.missing_values):
        # In a column of text what is missing is None, which scikit-learn does not take for NaN.
        return features
    if step.missing_values is not None:
        raise Invalid(f"its imputer takes {step.missing_values!r}, not None, for a missing text")
    codes = []
    for column, text in zip(features.origin.columns, step.statistics_, strict=True):
        words = graph.words.get(int(column), ())
        if text not in words:
            raise Invalid("its imputer has nothing to fill a column of text with")
        codes.append(float(words.index(text)))
    filled = graph.node("Where", graph.node("IsNaN", features.name), graph.constant(codes), features.name)
    return Tensor(name=filled, origin=features.origin)


# onnx.TensorProto.DOUBLE
_DOUBLE = 11
