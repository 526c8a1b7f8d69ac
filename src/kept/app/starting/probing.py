"""A quick estimate of what can be promised: cross-validated scores of a model and of the baseline, with their spread."""

import math
from typing import Any, Literal

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import KFold, StratifiedKFold

from kept.measures.losses import log_losses
from kept.measures.metrics import measure, metric
from kept.packaging.frames import encode_frame, fit_encoder
from kept.plan.objective import Objective, at_least, at_most
from kept.plan.specs import Task
from kept.training.baselines import baseline_scores
from kept.training.targets import classes_of, encode_labels

Family = Literal["boosting", "linear"]
Floats = NDArray[np.float64]
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]

TEST_SHARE = 0.2
_MOST_ROWS = 10_000
_DRAWS = 300
_TAIL = 0.005
_SEED = 0
_ONE_ERROR, _CLEARLY, _TINY = 1.0, 2.0, 1e-12


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """An objective that the data supports."""

    objective: Objective
    why: str


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen in cross-validation."""

    family: Family
    """Boosted trees; or a linear model, where those are not better by one standard error (Breiman et al. 1984, section 3.4.3);
    with categories: where they are worse by two."""
    settings: dict[str, Any]
    """Hyperparameters of the boosted trees that suit the size of the data."""
    trials: int
    promises: tuple[Promise, ...]
    skill: bool
    """Whether the columns say more of the target than guessing."""


def probe(features: pl.DataFrame, labels: pl.Series, task: Task, *, in_time: bool, plain: bool) -> Probe:
    """Fits boosted trees and the simple baseline on parts of at most 10,000 rows and scores the others.

    A bound stands where 99.5% of random tests as large as the one to come would have kept it.

    Args:
        features: the columns to learn from.
        labels: a label for each row, none missing.
        task: the kind of task.
        in_time: whether the rows are in order of time: then later ones are scored by earlier ones.
        plain: whether a linear model is a choice (numbers and categories only).
    """
    rows = len(labels)
    classes = classes_of(labels, task)
    settings = boosting_settings(rows, len(classes))
    places = _sample(rows, in_time=in_time)
    features, labels = features[places], labels[places]
    truth = np.asarray(encode_labels(labels, classes), dtype=np.float64)
    boosted, linear, scored = [], [], []
    for train, test in _folds(truth, task, in_time=in_time):
        encoder = fit_encoder(features[train])
        known = truth[train] if task == "regression" else truth[train].astype(np.int64)
        kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
        model = kind(**settings, categorical_features=encoder.categorical or None, random_state=_SEED)
        model.fit(encode_frame(features[train], encoder), known)
        boosted.append(_scores(model, encode_frame(features[test], encoder), task))
        linear.append(baseline_scores(features[train], known, features[test], encoder, task=task, seed=_SEED))
        scored.append(truth[test])
    said, simple, true = np.concatenate(boosted), np.concatenate(linear), np.concatenate(scored)
    worse = _losses(true, said, task) - _losses(true, simple, task)
    # Trees export exactly whatever the columns; a linear model of categories is run by scikit-learn itself, which is slower.
    doubt = worse.mean() / (worse.std() / math.sqrt(len(worse)) + _TINY)
    linear_wins = plain and doubt > (_CLEARLY if any(kind == pl.String for kind in features.dtypes) else -_ONE_ERROR)
    family: Family = "linear" if linear_wins else "boosting"
    best = simple if family == "linear" else said
    promises = _promises(true, best, simple, task, tests=max(1, round(rows * TEST_SHARE)), family=family)
    return Probe(
        family=family,
        settings=settings,
        trials=10 if rows * features.width * max(1, len(classes) - 1) <= 1_000_000 else 5,
        promises=promises,
        skill=_skill(true, best, task),
    )


def boosting_settings(rows: int, classes: int) -> dict[str, Any]:
    """Hyperparameters of boosted trees for so many rows and classes: small trees for few rows."""
    few = rows < 1_000
    return {
        "learning_rate": 0.04 if few else 0.06,
        "max_iter": 100 if few or classes > 2 else 200,
        "max_leaf_nodes": 8 if few else 15,
        "min_samples_leaf": 10 if few else 20,
        "l2_regularization": 1.0,
        "early_stopping": False,
    }


def _sample(rows: int, *, in_time: bool) -> NDArray[np.int64]:
    if rows <= _MOST_ROWS:
        return np.arange(rows)
    if in_time:
        return np.linspace(0, rows - 1, _MOST_ROWS).astype(np.int64)
    return np.sort(np.random.default_rng(_SEED).choice(rows, _MOST_ROWS, replace=False))


def _folds(truth: Floats, task: Task, *, in_time: bool) -> list[Fold]:
    rows = np.arange(len(truth))
    found: list[Fold] = []
    if in_time:
        for first, last in ((0.6, 0.8), (0.8, 1.0)):
            start, end = round(first * len(rows)), round(last * len(rows))
            if len(np.unique(truth[:start])) == len(np.unique(truth)) or task == "regression":
                found.append((rows[:start], rows[start:end]))
    if found:
        # Where the first rows lack a class there are no such folds.
        return found
    folds = 5 if len(rows) < 2_000 and len(np.unique(truth)) < 5 else 3
    kind = KFold if task == "regression" else StratifiedKFold
    return list(kind(folds, shuffle=True, random_state=_SEED).split(rows, truth))


def _scores(model: Any, matrix: Floats, task: Task) -> Floats:
    if task == "regression":
        return np.asarray(model.predict(matrix), dtype=np.float64)
    scores = np.asarray(model.predict_proba(matrix), dtype=np.float64)
    return scores[:, 1] if task == "binary" else scores


def _losses(truth: Floats, scores: Floats, task: Task) -> Floats:
    return (scores - truth) ** 2 if task == "regression" else log_losses(truth, scores)


def _promises(
    truth: Floats, scores: Floats, simple: Floats, task: Task, *, tests: int, family: Family
) -> tuple[Promise, ...]:
    found = []
    for name in _metrics(truth, task):
        higher = metric(name).better == "higher"
        drawn = _drawn(name, truth, scores, tests)
        worst = np.nanquantile(drawn, _TAIL if higher else 1 - _TAIL)
        bound = _down(max(float(worst), _CHANCE.get(name, 0.0))) if higher else _up(float(worst))
        why = f"{_short(measure(name, truth, scores))} in cross-validation"
        if family == "boosting":
            why += f"; a linear model: {_short(measure(name, truth, simple))}"
        found.append(Promise(objective=(at_least if higher else at_most)(name, bound), why=why))
    return tuple(found)


_CHANCE = {"roc_auc": 0.5}


def _metrics(truth: Floats, task: Task) -> tuple[str, ...]:
    if task == "regression":
        return ("r2", "mae")
    shares = np.bincount(truth.astype(np.int64)) / len(truth)
    if task == "binary":
        rare = shares[1] < 0.1
        return ("roc_auc", *(("average_precision",) if rare else ()), "expected_calibration_error")
    return ("balanced_accuracy" if shares.max() > 0.6 else "accuracy", "log_loss")


def _drawn(name: str, truth: Floats, scores: Floats, tests: int) -> Floats:
    draw = np.random.default_rng(_SEED)
    size = min(tests, len(truth))
    picks = (draw.integers(0, len(truth), size) for _ in range(_DRAWS))
    return np.array([measure(name, truth[pick], scores[pick]) for pick in picks])


def _skill(truth: Floats, scores: Floats, task: Task) -> bool:
    """Whether the scores beat what is said without looking at any column, by more than chance."""
    if task == "regression":
        guess = np.full(len(truth), truth.mean())
    else:
        shares = np.bincount(truth.astype(np.int64), minlength=scores.shape[-1] if scores.ndim == 2 else 2) / len(truth)
        guess = np.full(len(truth), shares[1]) if scores.ndim == 1 else np.tile(shares, (len(truth), 1))
    gain = _losses(truth, guess, task) - _losses(truth, scores, task)
    return bool(gain.mean() > 2 * gain.std() / math.sqrt(len(gain)))


def _down(value: float) -> float:
    return math.floor(value * 100) / 100


def _up(value: float) -> float:
    """Two digits that count, rounded up, with a tenth of room."""
    if value <= 0:
        return 0.01
    unit = 10.0 ** (math.floor(math.log10(value * 1.1)) - 1)
    return float(f"{math.ceil(value * 1.1 / unit) * unit:.12g}")


def _short(value: float) -> str:
    return f"{value:.3g}"
