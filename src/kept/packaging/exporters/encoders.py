"""OneHotEncoder and OrdinalEncoder, on numbers and on the codes of texts."""

import math
from typing import Any

import numpy as np
from onnx import TensorProto

from kept.core.errors import Invalid
from kept.packaging.exporters.graph import Graph, Origin, Tensor
from kept.packaging.exporters.selecting import join, select

# Whole numbers beyond this are not apart in float64, and categories are compared as numbers.
_LARGEST_WHOLE = 2**53
# No code, and no number, is equal to this.
_NEVER = math.nan


def export_one_hot(step: Any, graph: Graph, features: Tensor) -> Tensor:
    """OneHotEncoder: for each column a column of 0 and 1 per category, without those that are dropped.

    Infrequent categories share one column, the last.
    """
    if step.drop_idx_ is not None and _puts_together(step):
        raise Invalid("its encoder puts infrequent categories together and drops some")
    parts = []
    for place, categories in enumerate(step.categories_):
        dropped = None if step.drop_idx_ is None else step.drop_idx_[place]
        rare = _infrequent(step, place)
        kept = [one for number, one in enumerate(categories) if number != dropped and number not in rare]
        flags = _flags(graph, features, place, kept) if kept else None
        if flags is not None:
            parts.append(_anonymous(flags, features, place, len(kept)))
        if rare:
            together = step.handle_unknown == "infrequent_if_exist"
            seldom = _rest(graph, flags) if together else _any(graph, features, place, [categories[n] for n in rare])
            parts.append(_anonymous(seldom, features, place))
    return join(graph, parts)


def export_ordinal(step: Any, graph: Graph, features: Tensor) -> Tensor:
    """OrdinalEncoder: the place of the category; its own numbers for what is missing and what is unknown."""
    if _puts_together(step):
        raise Invalid("its encoder puts infrequent categories together")
    parts = []
    for place, categories in enumerate(step.categories_):
        # None is a category like others to scikit-learn; only NaN gets the number for what is missing.
        present = [category for category in categories if category is None or not _is_missing(category)]
        flags = _flags(graph, features, place, present)
        places = np.arange(len(present), dtype=np.float64)[:, None]
        found = graph.node("MatMul", flags, graph.constant(places))
        known = graph.node(
            "Greater", graph.node("ReduceSum", flags, graph.constant([1], np.int64)), graph.constant(0.0)
        )
        unknown = step.unknown_value if step.handle_unknown == "use_encoded_value" else _NEVER
        value = graph.node("Where", known, found, graph.constant(float(unknown)))
        if len(present) < len(categories):
            missing = graph.node("IsNaN", _column(graph, features, place).name)
            value = graph.node("Where", missing, graph.constant(float(step.encoded_missing_value)), value)
        parts.append(_anonymous(value, features, place))
    return join(graph, parts)


def export_target_encoder(step: Any, graph: Graph, features: Tensor) -> Tensor:
    """TargetEncoder: what the target was on average for the category, for each class where there are several."""
    several = len(step.classes_) if step.target_type_ == "multiclass" else 1
    means = np.ravel(step.target_mean_)
    parts = []
    for place, categories in enumerate(step.categories_):
        flags = _flags(graph, features, place, list(categories))
        known = graph.node("Greater", _sum(graph, flags), graph.constant(0.0))
        told = np.column_stack(step.encodings_[place * several : (place + 1) * several])
        value = graph.node("Where", known, graph.node("MatMul", flags, graph.constant(told)), graph.constant(means))
        parts.append(_anonymous(value, features, place, several))
    return join(graph, parts)


def texts_of(step: Any) -> list[list[str]] | None:
    """For each column the texts that a fitted encoder or imputer knows; None when the step knows none."""
    if hasattr(step, "categories_"):
        return [[str(one) for one in categories if isinstance(one, str)] for categories in step.categories_]
    if hasattr(step, "statistics_"):
        return [[str(one)] if isinstance(one, str) else [] for one in step.statistics_]
    return None


def _any(graph: Graph, features: Tensor, place: int, categories: list[Any]) -> str:
    """Whether a row has one of the categories, as 0 or 1 of shape [rows, 1]."""
    return _sum(graph, _flags(graph, features, place, categories))


def _rest(graph: Graph, flags: str | None) -> str:
    """1 for the rows that no flag is set for: everything is infrequent then, the unknown, too."""
    if flags is None:
        raise Invalid("all categories of a column are infrequent")
    return graph.node("Sub", graph.constant(1.0), _sum(graph, flags))


def _sum(graph: Graph, flags: str) -> str:
    return graph.node("ReduceSum", flags, graph.constant([1], np.int64))


def _flags(graph: Graph, features: Tensor, place: int, categories: list[Any]) -> str:
    """Which category each row has, as 0 and 1 of shape [rows, categories]."""
    column = _column(graph, features, place)
    words = graph.words.get(int(features.origin.columns[place]))
    values = [_number(category, words) for category in categories]
    found = graph.node("Equal", column.name, graph.constant([values]))
    missing = [_is_missing(category) for category in categories]
    if any(missing):
        both = graph.node("And", graph.node("IsNaN", column.name), graph.constant([missing], np.bool_))
        found = graph.node("Or", found, both)
    return graph.node("Cast", found, to=TensorProto.DOUBLE)


def _number(category: Any, words: tuple[str, ...] | None) -> float:
    if _is_missing(category):
        return _NEVER
    if words is not None:
        return float(words.index(category)) if isinstance(category, str) and category in words else _NEVER
    if isinstance(category, str):
        raise Invalid("its encoder knows texts in a column of numbers")
    if abs(category) > _LARGEST_WHOLE:
        raise Invalid(f"its category {category} is too large to be told from its neighbours in float64")
    return float(category)


def _is_missing(category: Any) -> bool:
    return category is None or (isinstance(category, float | np.floating) and math.isnan(category))


def _column(graph: Graph, features: Tensor, place: int) -> Tensor:
    return select(graph, features, np.array([place], dtype=np.int64))


def _anonymous(name: str, features: Tensor, place: int, width: int = 1) -> Tensor:
    return Tensor(name=name, origin=Origin.other(np.repeat(features.origin.inputs[[place]], width)))


def _infrequent(step: Any, place: int) -> list[int]:
    """The places of a column's infrequent categories."""
    found = getattr(step, "_infrequent_indices", None)
    return [] if found is None or found[place] is None else [int(one) for one in found[place]]


def _puts_together(step: Any) -> bool:
    return any(_infrequent(step, place) for place in range(len(step.categories_)))
