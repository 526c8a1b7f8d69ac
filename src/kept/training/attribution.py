"""The step `attribution`: keeps the feature contributions that production is compared with."""

from pathlib import Path

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from kept.measures.arrays import encode
from kept.packaging.bundle import fetch_bundle, read_bundle
from kept.packaging.explaining.attribution import attribution_table, attributions
from kept.packaging.explaining.exact import ExactExplainer
from kept.packaging.explaining.explainer import load_explainer
from kept.packaging.explaining.recipe import not_explainable
from kept.pipelines.context import StepContext
from kept.plan.loading import load_project
from kept.training.facts import Columns, Packaged
from kept.training.reference import declared_seasons, numbered_windows

# Enough windows to know how much they vary.
_MOST_WINDOWS, _MOST_OF_SEASONS = 60, 240
# Times what is explained at once, which takes a few seconds.
_MOST_GOES = 4


def attribution(
    context: StepContext, source: str, join: pl.DataFrame, columns: Columns, package: Packaged
) -> str | None:
    """The digest of the reference of contributions: of some rows of some monitoring windows, how much each input adds.

    None where the project does not declare that contributions are watched, and for models that are explained by sampling.
    """
    project = load_project(Path(source))
    if not project.explained_rows:
        return None
    folder = fetch_bundle(package.bundle, context.workspace.blobs, context.scratch / "bundle")
    if (refusal := not_explainable(read_bundle(folder).manifest, package.bundle)) is not None:
        context.log(f"contributions are not watched: {refusal.what}")
        return None
    explainer = load_explainer(folder)
    if not isinstance(explainer, ExactExplainer):
        context.log("contributions are not watched: this model's can only be sampled")
        return None
    numbers = numbered_windows(join, columns, project.windows, context.seed)
    seasons = declared_seasons(project, join, columns)
    windows = _MOST_WINDOWS if seasons is None else _MOST_OF_SEASONS
    most = _MOST_GOES * explainer.most_rows
    chosen = some_of_each(numbers, project.explained_rows, windows=windows, most=most, seed=context.seed)
    rows = join[chosen].select(explainer.features).with_columns(cs.float().fill_nan(None)).to_dicts()
    of_rows = None if seasons is None else seasons[chosen]
    table = attribution_table(explainer, rows)
    made = attributions(table, numbers[chosen], cycle=project.season, seasons=of_rows, zone=project.time_zone)
    context.log(f"contributions of {made.reference.rows} rows in {made.reference.windows} windows")
    return context.workspace.blobs.put(encode(made))


def some_of_each(numbers: NDArray[np.int64], rows: int, *, windows: int, most: int, seed: int) -> NDArray[np.int64]:
    """Places of some rows, evenly spaced, of each of some windows, which are drawn: evenly spaced they could all be of one hour.

    Args:
        numbers: the window of each row.
        rows: of each window, at most.
        windows: at most so many.
        most: rows in all, about.
        seed: of the draw.
    """
    known = np.unique(numbers)
    if len(known) > windows:
        known = np.sort(np.random.default_rng(seed).choice(known, windows, replace=False))
    each = max(1, min(rows, most // len(known)))
    places = [np.flatnonzero(numbers == window) for window in known]
    return np.concatenate([one[:: -(-len(one) // each)] for one in places])
