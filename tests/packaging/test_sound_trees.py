"""Models whose trees lead nowhere: they are refused before scikit-learn follows them out of its memory."""

from collections.abc import Callable
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from kept.core.errors import Damaged
from kept.packaging.sklearn_model import load_skops
from kept.packaging.sound_arrays import check_arrays
from kept.packaging.sound_trees import check_trees

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(200, 4))
LABELS = (ROWS[:, 0] > 0).astype(int)


def change_tree(model: Any, field: str, told: int) -> None:
    state = model.tree_.__getstate__()
    state["nodes"][field][0] = told
    model.tree_.__setstate__(state)


def forest_of_wide_trees() -> Any:
    """Its trees say that they take more columns than the forest does."""
    forest = RandomForestClassifier(3, max_depth=2).fit(ROWS, LABELS)
    for one in forest.estimators_:
        one.n_features_in_ = 10**9
        change_tree(one, "feature", 10**8)
    return forest


def tree_with(field: str, told: int) -> Callable[[], Any]:
    def make() -> Any:
        model = DecisionTreeClassifier(max_depth=3).fit(ROWS, LABELS)
        change_tree(model, field, told)
        return make_pipeline(model)

    return make


def boosting_with(field: str, told: int) -> Callable[[], Any]:
    def make() -> Any:
        model = HistGradientBoostingClassifier(max_iter=2).fit(ROWS, LABELS)
        model._predictors[0][0].nodes[field][0] = told
        return model

    return make


@pytest.mark.parametrize(
    "make",
    [
        tree_with("left_child", 10**12),
        tree_with("left_child", 0),
        tree_with("right_child", -1),
        tree_with("feature", 10**10),
        tree_with("feature", -3),
        boosting_with("left", 4_000_000_000),
        boosting_with("left", 0),
        boosting_with("feature_idx", 10**6),
        forest_of_wide_trees,
    ],
)
def test_a_tree_that_leads_nowhere_is_damaged(make: Callable[[], Any]) -> None:
    with pytest.raises(Damaged, match="leads to a node"):
        load_skops(skops.io.dumps(make()))


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(ccp_alpha=0.01),
        DecisionTreeClassifier(max_leaf_nodes=5),
        RandomForestClassifier(3, max_depth=3),
        ExtraTreesRegressor(3),
        GradientBoostingRegressor(n_estimators=3),
        HistGradientBoostingClassifier(max_iter=3, categorical_features=[3]),
        AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=3),
        BaggingClassifier(DecisionTreeClassifier(), 3, max_features=2),
        BaggingClassifier(make_pipeline(OneHotEncoder(handle_unknown="ignore"), RandomForestClassifier(2)), 2),
        make_pipeline(StandardScaler(), RandomForestClassifier(3)),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_sound_model_is_loaded(model: Any) -> None:
    rows = np.column_stack([ROWS[:, :3].round(1), RANDOM.integers(0, 3, len(ROWS))])
    fitted = model.fit(rows, LABELS)
    assert np.array_equal(load_skops(skops.io.dumps(fitted)).predict(rows), fitted.predict(rows))


@pytest.mark.parametrize("harm", ["stream", "encrypted", "method"])
def test_a_zip_that_can_not_be_unpacked_is_damaged(harm: str) -> None:
    plain = ZipFile(BytesIO(skops.io.dumps(DecisionTreeClassifier().fit(ROWS, LABELS))))
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        for name in plain.namelist():
            archive.writestr(name, plain.read(name))
    data = bytearray(packed.getvalue())
    if harm == "stream":
        data[60:90] = b"\xff" * 30
    for mark, flags, method in ((b"PK\x01\x02", 8, 10), (b"PK\x03\x04", 6, 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + flags] |= harm == "encrypted"
            if harm == "method":
                data[at + method] = 99
            at = data.find(mark, at + 4)
    with pytest.raises(Damaged):
        load_skops(bytes(data))


def test_a_tree_that_two_ensembles_share_is_checked_for_each() -> None:
    wide = RandomForestClassifier(2, max_depth=2, max_features=None).fit(ROWS[:, ::-1], LABELS)
    narrow = RandomForestClassifier(2, max_depth=2).fit(ROWS[:, :2], LABELS)
    narrow.estimators_ = wide.estimators_
    for first, second in ((wide, narrow), (narrow, wide)):
        with pytest.raises(Damaged, match="a tree leads to a node or a column"):
            check_trees([first, second])


def test_an_estimator_of_any_depth_is_looked_through() -> None:
    model: Any = tree_with("feature", 10**8)()
    for _ in range(3_000):
        model = make_pipeline(model)
    with pytest.raises(Damaged, match="a tree leads to a node or a column"):
        check_trees(model)
    check_arrays(model)
