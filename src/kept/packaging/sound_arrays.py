"""Bounds checks of indices and counts in untrusted models' arrays, which compiled code follows unchecked.

Sparse matrices, and the trees that find neighbours, are no types that are loaded.
"""

from typing import Any

import numpy as np
from scipy.interpolate import BSpline
from sklearn.neighbors._base import NeighborsBase
from sklearn.svm._base import BaseLibSVM

from kept.core.errors import Damaged
from kept.packaging.fitted_parts import parts_of

_WHERE = "skops file"


def check_arrays(estimator: Any) -> None:
    """Refuses a model with support vectors, labels of neighbours or knots that lead out of its memory, with `Damaged`."""
    for part in parts_of(estimator):
        if not isinstance(part, BaseLibSVM | NeighborsBase | BSpline):
            continue
        try:
            sound = _is_sound(part)
        except (AttributeError, TypeError, ValueError, LookupError):
            # It lacks what such a part has, or has it in another form.
            sound = False
        if not sound:
            what = f"a part of it ({type(part).__name__}) has numbers that lead out of its arrays"
            raise Damaged(what, where=_WHERE, fix="Log the model again")


def _is_sound(part: Any) -> bool:
    if isinstance(part, BSpline):
        return _is_sound_spline(part)
    return _is_sound_machine(part) if isinstance(part, BaseLibSVM) else _are_sound_neighbours(part)


def _is_sound_spline(spline: BSpline) -> bool:
    """Knots in order, and as many coefficients as splines between them."""
    # As compiled code is given them: what is told of them goes through a function of the file's own.
    held = vars(spline)
    if "_delegate_to" in held:
        # From SciPy 1.18 on they are in a part of it.
        held = vars(held["_delegate_to"])
        knots, coefficients = held["t"], held["c"]
    else:
        knots, coefficients = held["_t"], held["_c"]
    degree, axis = held["k"], held["axis"]
    return (
        type(knots) is np.ndarray
        and type(coefficients) is np.ndarray
        and type(degree) is int
        and axis == 0
        and knots.dtype == coefficients.dtype == np.float64
        and (knots.ndim, coefficients.ndim) == (1, 2)
        and degree >= 0
        and len(knots) >= 2 * (degree + 1)
        and len(coefficients) >= len(knots) - degree - 1
        and bool(np.isfinite(knots).all() and (np.diff(knots) >= 0).all())
    )


def _is_sound_machine(machine: Any) -> bool:
    """Support vectors, their counts by class, and a coefficient of each for each pair of classes, as libsvm reads them."""
    if not {"support_", "support_vectors_", "_dual_coef_"} & set(vars(machine)):
        # Nobody has fitted it, and nothing of it gets to libsvm: an estimator of others keeps what it was made with, too.
        return True
    support = np.asarray(machine.support_)
    counts = np.asarray(machine._n_support)  # noqa: SLF001 - what is given to libsvm
    coefficients, intercepts = machine._dual_coef_, np.asarray(machine._intercept_)
    classes = len(machine.classes_) if hasattr(machine, "classes_") and len(counts) > 0 else 2
    pairs = classes * (classes - 1) // 2
    vectors = machine.support_vectors_
    precomputed = machine.kernel == "precomputed"
    chances = [len(machine._probA), len(machine._probB)]  # noqa: SLF001
    return (
        # Of one that says that it is sparse libsvm goes where its parts say, which anything may have.
        not machine._sparse  # noqa: SLF001
        and isinstance(vectors, np.ndarray)
        and isinstance(coefficients, np.ndarray)
        and support.ndim == 1
        and _within(support, int(machine.shape_fit_[0]))
        and bool((counts >= 0).all())
        and (int(counts.sum()) == len(support) if hasattr(machine, "classes_") else True)
        and (not hasattr(machine, "classes_") or len(counts) == classes)
        and coefficients.shape == (classes - 1, len(support))
        and intercepts.shape == (pairs,)
        and (precomputed or vectors.shape == (len(support), machine.n_features_in_))
        and chances in ([0, 0], [pairs, pairs])
    )


def _are_sound_neighbours(model: Any) -> bool:
    """A label for each neighbour, which is the place of a class."""
    if not hasattr(model, "_y") or not hasattr(model, "classes_"):
        return True
    labels = np.asarray(model._y)  # noqa: SLF001 - the places that are gone to
    several = labels.ndim == 2 and labels.shape[1] > 1
    columns = list(labels.T) if several else [labels.reshape(-1)]
    classes = list(model.classes_) if several else [model.classes_]
    fitted = model._fit_X.shape[0]  # noqa: SLF001
    return len(columns) == len(classes) and all(
        len(column) == fitted and column.dtype.kind in "iu" and _within(column, len(known))
        for column, known in zip(columns, classes, strict=True)
    )


def _within(places: Any, size: int) -> bool:
    return bool(((places >= 0) & (places < size)).all())
