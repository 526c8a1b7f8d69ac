"""Models whose numbers lead out of their arrays: they are refused before compiled code goes there."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skops.io
from scipy import sparse
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler
from sklearn.svm import SVC, SVR, NuSVC, NuSVR

from kept.core.errors import Damaged, Forbidden
from kept.packaging.sklearn_model import load_skops
from kept.packaging.sound_arrays import check_arrays

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(80, 4))
LABELS = RANDOM.integers(0, 3, 80)
BINARY = (ROWS[:, 0] > 0).astype(int)


def changed(model: Any, field: str, change: Callable[[Any], Any]) -> Any:
    setattr(model, field, change(getattr(model, field)))
    return model


def put(place: int, value: float) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array = array.copy()
        array.reshape(-1)[place] = value
        return array

    return change


def counts_that_sum_up(counts: Any) -> Any:
    counts = counts.copy()
    counts[:2] += np.array([-(10**6), 10**6], dtype=counts.dtype)
    return counts


def holder(**fields: Any) -> Any:
    """An estimator that is loaded, with attributes like those of a sparse matrix."""
    return vars_of(StandardScaler(), **fields)


def spline() -> Any:
    return SplineTransformer().fit(ROWS).bsplines_[0]


def changed_spline(field: str, change: Callable[[Any], Any]) -> Any:
    """A spline whose part has changed: from SciPy 1.18 on knots and coefficients are one step further down."""
    made = spline()
    inner = getattr(made, "_delegate_to", made)
    changed(inner, f"_{field}" if f"_{field}" in vars(inner) else field, change)
    return made


def vars_of(model: Any, **fields: Any) -> Any:
    vars(model).update(fields)
    return model


def as_if_sparse(*, fitted: bool) -> Any:
    """A machine whose vectors are none that is loaded, but look so to who asks for their parts: they lead out of memory."""
    machine = SOUND["classes"]()
    vectors, coefficients = machine.support_vectors_, machine._dual_coef_
    ends = np.arange(len(vectors) + 1, dtype=np.int32) * 10**7
    machine._sparse = True
    machine.support_vectors_ = holder(
        data=np.ones(4), indices=np.zeros(4, dtype=np.int32), indptr=ends, shape=vectors.shape
    )
    machine._dual_coef_ = holder(data=np.ones(2), shape=coefficients.shape)
    if not fitted:
        del machine.support_
    return machine


SOUND: dict[str, Callable[[], Any]] = {
    "classes": lambda: SVC().fit(ROWS, LABELS),
    "two classes": lambda: make_pipeline(StandardScaler(), SVC().fit(ROWS, BINARY)),
    "nu": lambda: NuSVC(nu=0.2).fit(ROWS, LABELS),
    "precomputed": lambda: SVC(kernel="precomputed").fit(ROWS @ ROWS.T, LABELS),
    "values": lambda: SVR().fit(ROWS, LABELS),
    "nu values": lambda: NuSVR().fit(ROWS, LABELS),
    "neighbours": lambda: KNeighborsClassifier(algorithm="brute").fit(ROWS, LABELS),
    "neighbours of values": lambda: KNeighborsRegressor(algorithm="brute").fit(ROWS, ROWS[:, 0]),
    "neighbours of several": lambda: KNeighborsClassifier(algorithm="brute").fit(ROWS, np.c_[LABELS, BINARY]),
    "splines": lambda: SplineTransformer().fit(ROWS),
    "splines in a circle": lambda: SplineTransformer(extrapolation="periodic", degree=1, knots="quantile").fit(ROWS),
    "plain": lambda: LogisticRegression().fit(ROWS, LABELS),
}
HOSTILE: dict[str, Callable[[], Any]] = {
    "a support vector beyond the kernel": lambda: changed(SOUND["precomputed"](), "support_", put(0, 10**8)),
    "one before it": lambda: changed(SOUND["precomputed"](), "support_", put(0, -5)),
    "counts": lambda: changed(SOUND["classes"](), "_n_support", counts_that_sum_up),
    "fewer coefficients": lambda: changed(SOUND["classes"](), "_dual_coef_", lambda array: array[:, :3].copy()),
    "coefficients of fewer classes": lambda: changed(SOUND["classes"](), "_dual_coef_", lambda array: array[:1].copy()),
    "fewer intercepts": lambda: changed(SOUND["classes"](), "_intercept_", lambda array: array[:1].copy()),
    "fewer vectors": lambda: changed(SOUND["classes"](), "support_vectors_", lambda array: array[:3].copy()),
    "chances of too few": lambda: changed(SOUND["classes"](), "_probA", lambda _: np.zeros(1)),
    "fewer coefficients of values": lambda: changed(
        SOUND["values"](), "_dual_coef_", lambda array: array[:, :3].copy()
    ),
    "a label that is no class": lambda: changed(SOUND["neighbours"](), "_y", put(3, 10**7)),
    "a label before all classes": lambda: changed(SOUND["neighbours"](), "_y", put(3, -1)),
    "vectors as of a sparse matrix": lambda: as_if_sparse(fitted=True),
    "such vectors, and no support": lambda: as_if_sparse(fitted=False),
    "fewer coefficients of splines": lambda: changed_spline("c", lambda array: array[:3].copy()),
    "more knots": lambda: changed_spline("t", lambda array: np.r_[array, array[-1] + np.arange(9) + 1]),
    "fewer knots than a degree needs": lambda: changed_spline("t", lambda array: array[:6].copy()),
    "knots without an order": lambda: changed_spline("t", lambda array: array[::-1].copy()),
    "knots that are none": lambda: changed_spline("t", put(3, np.nan)),
    "knots of half the size": lambda: changed_spline("t", lambda array: array.astype(np.float32)),
    "a degree of many knots": lambda: changed_spline("k", lambda _: 10**6),
    "a degree below none": lambda: changed_spline("k", lambda _: -1),
    "splines along another axis": lambda: changed_spline("axis", lambda _: 1),
    "knots that are told otherwise": lambda: vars_of(changed_spline("t", lambda array: -array - 9), _asarray=np.abs),
    "fewer labels": lambda: changed(SOUND["neighbours"](), "_y", lambda array: array[:5].copy()),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_scikit_learn_made_is_loaded(name: str) -> None:
    load_skops(skops.io.dumps(SOUND[name]()))


@pytest.mark.parametrize("name", HOSTILE)
def test_what_leads_out_of_its_arrays_is_damaged(name: str) -> None:
    with pytest.raises(Damaged, match="lead out of its arrays|not a skops file"):
        load_skops(skops.io.dumps(HOSTILE[name]()))


@pytest.mark.parametrize(
    "model",
    [
        KNeighborsClassifier(algorithm="kd_tree").fit(ROWS, LABELS),
        KNeighborsClassifier(algorithm="ball_tree").fit(ROWS, LABELS),
        SVC().fit(sparse.csr_matrix(ROWS), LABELS),
        SGDClassifier(loss="log_loss").fit(ROWS, BINARY).sparsify(),
    ],
)
def test_trees_of_neighbours_and_sparse_matrices_are_not_loaded_at_all(model: Any) -> None:
    with pytest.raises(Forbidden, match="not known to be safe"):
        load_skops(skops.io.dumps(model))


def test_what_an_estimator_was_made_with_needs_no_support_vectors() -> None:
    # An ensemble keeps those that nobody has fitted beside its own.
    model = VotingRegressor([("one", SVR()), ("two", Ridge())]).fit(ROWS, ROWS[:, 0])
    check_arrays(model)
    model.estimators_[0].support_ = model.estimators_[0].support_ + 10**6
    with pytest.raises(Damaged, match="lead out of its arrays"):
        check_arrays(model)
