"""ColumnTransformer: some columns through some steps, side by side."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier, StackingRegressor, VotingClassifier, VotingRegressor
from sklearn.pipeline import Pipeline

from kept.core.errors import Invalid
from kept.packaging.exporters.encoders import texts_of
from kept.packaging.exporters.graph import Graph, Tensor
from kept.packaging.exporters.selecting import join, select

_OF_TABLES = (StackingClassifier, StackingRegressor, VotingClassifier, VotingRegressor)
Transform = Callable[[Any, Graph, Tensor], Tensor]


def export_column_transformer(step: Any, graph: Graph, features: Tensor, transform: Transform) -> Tensor:
    """The results of its transformers, in their order. `transform` exports one of them."""
    if step.transformer_weights:
        raise Invalid("its columns are weighted")
    parts = []
    for places, transformer in _branches(step):
        chosen = select(graph, features, places)
        if transformer != "passthrough":
            chosen = transform(transformer, graph, chosen)
        elif any(int(column) in graph.words for column in chosen.origin.columns):
            raise Invalid("it passes text on")
        parts.append(chosen)
    return join(graph, parts)


def words_of(estimator: Any) -> dict[int, list[str]]:
    """The texts that a fitted estimator knows, by the number of its input column, sorted."""
    found: dict[int, set[str]] = {}
    for column, texts in _texts(estimator):
        found.setdefault(column, set()).update(texts)
    return {place: sorted(known) for place, known in found.items()}


def _texts(estimator: Any) -> Iterator[tuple[int, list[str]]]:
    """The same, part by part; a column comes again where several parts know texts of it."""
    step = next(iter(flatten(estimator)), None)
    if isinstance(step, _OF_TABLES):
        # Each part is given the same table.
        for part in step.estimators_:
            yield from _texts(part)
    if isinstance(step, CalibratedClassifierCV):
        for fold in step.calibrated_classifiers_:
            yield from _texts(fold.estimator)
    if not isinstance(step, ColumnTransformer):
        return
    for places, transformer in _branches(step):
        if transformer == "passthrough":
            continue
        for one in flatten(transformer):
            texts = texts_of(one)
            if texts is None or len(texts) != len(places):
                # What follows has other columns.
                break
            yield from zip(map(int, places), texts, strict=True)


def flatten(estimator: Any) -> list[Any]:
    """The steps of a pipeline, of pipelines in it too; an estimator alone is one step."""
    if type(estimator) is not Pipeline:
        return [estimator]
    found: list[Any] = []
    for _, step in estimator.steps:
        if step is not None and step != "passthrough":
            found += flatten(step)
    return found


def _branches(step: Any) -> Iterator[tuple[Any, Any]]:
    """Input columns and fitted transformer of each part, in the order of the result."""
    for name, transformer, _ in step.transformers_:
        places = np.asarray(step._transformer_to_input_indices[name], dtype=np.int64)  # noqa: SLF001 - no public face
        if len(places) and not (isinstance(transformer, str) and transformer == "drop"):
            yield places, _plain(transformer)


def _plain(transformer: Any) -> Any:
    # After fitting, what passes columns on is a FunctionTransformer of its own.
    if type(transformer).__name__ == "FunctionTransformer" and transformer.func is None:
        return "passthrough"
    return transformer
