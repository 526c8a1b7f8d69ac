"""Preparing a bundle for explanations. Training's side: serving never imports this module."""

import msgspec
import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from kept.core.digests import canonical_json
from kept.core.errors import Damaged, Invalid
from kept.packaging.encoding import TableEncoder
from kept.packaging.explaining.exact import ExactExplainer
from kept.packaging.explaining.recipe import COVERS, RECIPE, Recipe, encode_covers
from kept.packaging.exporters.registry import Exported
from kept.packaging.frames import encode_frame
from kept.packaging.runtime import Runtime

BACKGROUND = 100
_TRIED = 32


def explanation_files(
    runtime: Runtime,
    exported: Exported | None,
    encoder: TableEncoder | None,
    frame: pl.DataFrame,
    *,
    redacted: frozenset[str] = frozenset(),
) -> dict[str, bytes]:
    """The files that explain a model's answers, by name.

    An exported model is explained exactly, where that gives back its answers; any other by sampling.

    Args:
        runtime: the packaged model.
        exported: what it was exported to; None when it was not.
        encoder: how the frame becomes the exported model's matrix.
        frame: training rows with the model's inputs.
        redacted: inputs whose values must not be in the background.
    """
    if exported is not None and encoder is not None and exported.inputs:
        found = _exact(runtime, exported, encoder, frame)
        if found is not None:
            return found
    return {RECIPE: canonical_json(Recipe(method="sampling", background=tuple(background_rows(frame, redacted))))}


# So many rows have to share a value that may stand for all.
_SHARED = 5


def background_rows(frame: pl.DataFrame, redacted: frozenset[str]) -> list[dict[str, object]]:
    """At most 100 rows of a frame, evenly spaced, as a request would bring them.

    Of a redacted column all have the same value, which tells of nobody: the mean of numbers, or the most frequent value where
    five rows have it, else none.
    """
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    # JSON has no infinities.
    finite = pl.all_horizontal(pl.lit(value=True), *[~pl.col(name).is_infinite() for name in floats])
    rows = frame.filter(finite.fill_null(value=True))
    usual = [_usual(rows, name) for name in rows.columns if name in redacted]
    some = rows.gather_every(max(1, -(-rows.height // BACKGROUND))) if rows.height else rows
    return some.with_columns(usual).with_columns(cs.float().fill_nan(None)).to_dicts()


def _usual(rows: pl.DataFrame, name: str) -> pl.Expr:
    values = rows.get_column(name)
    if values.dtype.is_numeric():
        middle = (values.fill_nan(None) if values.dtype.is_float() else values).cast(pl.Float64).mean()
        return pl.lit(middle).round(0 if values.dtype.is_integer() else 12).cast(values.dtype).alias(name)
    counts = (
        pl.DataFrame({"value": values.drop_nulls()})
        .group_by("value")
        .len()
        .sort("len", "value", descending=[True, False])
    )
    shared = counts.height and counts["len"][0] >= _SHARED
    return pl.lit(counts["value"][0] if shared else None, dtype=values.dtype).alias(name)


def _exact(runtime: Runtime, exported: Exported, encoder: TableEncoder, frame: pl.DataFrame) -> dict[str, bytes] | None:
    """The files of an exact explanation, if it gives back the model's answers."""
    matrix = encode_frame(frame, encoder)
    rows = frame.head(_TRIED).with_columns(cs.float().fill_nan(None)).to_dicts()
    try:
        if exported.covers is not None:
            recipe = Recipe(method="tree_shap", inputs=exported.inputs)
        else:
            recipe = _with_means(runtime, exported, matrix)
        ExactExplainer(runtime, exported.model, recipe, exported.covers).explain(rows)
    except (Damaged, Invalid):
        return None
    files = {RECIPE: canonical_json(recipe)}
    return files if exported.covers is None else files | {COVERS: encode_covers(exported.covers)}


def _with_means(runtime: Runtime, exported: Exported, matrix: NDArray[np.float64]) -> Recipe:
    blank = Recipe(method="linear", inputs=exported.inputs, means=(0.0,) * len(exported.inputs))
    columns = ExactExplainer(runtime, exported.model, blank, None).columns(matrix)
    whole = columns[np.isfinite(columns).all(axis=1)]
    if not len(whole):
        raise Invalid("no training row is complete", where="background")
    return msgspec.structs.replace(blank, means=tuple(whole.mean(axis=0).tolist()))
