"""CPU of explaining one row, by kind of model; beside it LightGBM explaining itself in C++ on one thread, where it is installed.

python benchmarks/explaining.py
"""

import importlib.util
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kept.packaging.build import package
from kept.packaging.explaining.explainer import load_explainer
from kept.packaging.frames import encode_frame, fit_encoder, signature_of

ROWS, WIDTH = 20_000, 20
SIZES = (1, 10, 100)


def main() -> None:
    random = np.random.default_rng(0)
    numbers = random.normal(size=(ROWS, WIDTH))
    frame = pl.DataFrame({f"c{place}": numbers[:, place] for place in range(WIDTH)})
    late = numbers[:, 0] + numbers[:, 1] * numbers[:, 2] + random.normal(size=ROWS) > 0
    named = frame.with_columns(kind=pl.Series(random.choice(list("abcdef"), ROWS)))
    steps = ColumnTransformer([("kind", OneHotEncoder(), ["kind"]), ("rest", StandardScaler(), frame.columns)])
    boosting = HistGradientBoostingClassifier(early_stopping=False)
    models: list[tuple[str, Any, pl.DataFrame]] = [
        ("histogram boosting, 100 trees of 31 leaves", boosting, frame),
        ("random forest, 100 trees 8 deep", RandomForestClassifier(100, max_depth=8, random_state=0), frame),
        ("random forest, 20 trees fully grown", RandomForestClassifier(20, random_state=0), frame),
        ("logistic regression behind one-hot and scaler", make_pipeline(steps, LogisticRegression()), named),
        ("naive Bayes, by sampling 200 orders", GaussianNB(), frame),
    ]
    print(f"{'CPU of a row, ms':<48}{'load':>10}" + "".join(f"{size:>7} rows" for size in SIZES))
    for name, model, rows in models:
        matrix = encode_frame(rows, fit_encoder(rows)) if rows is frame else rows
        report(name, model.fit(matrix, late), rows)
    if importlib.util.find_spec("lightgbm") is not None:
        by_itself(numbers, late)


def report(name: str, model: Any, frame: pl.DataFrame) -> None:
    """Times one model."""
    encoder = fit_encoder(frame)
    signature = signature_of(frame, encoder, task="binary", classes=(False, True))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "bundle"
        table = hasattr(model, "feature_names_in_")
        package(model, None if table else encoder, signature, frame, folder, latency_runs=1)
        load = spent(lambda: load_explainer(folder), 1)
        explainer = load_explainer(folder)
    rows = frame.head(max(SIZES)).to_dicts()
    sizes = [size for size in SIZES if size <= explainer.most_rows]
    times = [spent(lambda size=size: explainer.explain(rows[:size]), max(1, 30 // size)) / size for size in sizes]  # type: ignore[misc]
    print(f"{name:<48}{load:>10.0f}" + "".join(f"{time:>12.3f}" for time in times))


def by_itself(numbers: NDArray[np.float64], late: NDArray[np.bool_]) -> None:
    """LightGBM's own TreeSHAP."""
    import lightgbm  # noqa: PLC0415 - an extra

    settings = {"objective": "binary", "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(numbers, late), 100)
    times = [
        spent(lambda size=size: booster.predict(numbers[:size], pred_contrib=True), max(1, 30 // size)) / size  # type: ignore[misc]
        for size in SIZES
    ]
    print(f"{'(LightGBM itself, 100 trees of 31 leaves)':<58}" + "".join(f"{time:>12.3f}" for time in times))


def spent(work: Callable[[], object], times: int) -> float:
    """Milliseconds of CPU that a piece of work takes, in the mean."""
    began = _cpu()
    for _ in range(times):
        work()
    return (_cpu() - began) / times * 1e3


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
