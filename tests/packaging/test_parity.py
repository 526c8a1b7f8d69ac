from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from sklearn.ensemble import HistGradientBoostingClassifier

from kept.core.errors import Invalid
from kept.packaging.answers import answering
from kept.packaging.encoding import Column, TableEncoder
from kept.packaging.exporters.registry import Exported, export
from kept.packaging.limits import FLOAT32_LIMIT, find_limits
from kept.packaging.manifest import ParityReport
from kept.packaging.onnx_model import OnnxModel
from kept.packaging.parity import check_parity
from kept.packaging.probes import matrix_probes
from kept.packaging.signature import Field, Signature

ENCODER = TableEncoder(columns=(Column(name="a", kind="number"), Column(name="b", kind="number")))
SIGNATURE = Signature(
    inputs=(Field(name="a", kind="number"), Field(name="b", kind="number")), task="binary", classes=(0, 1)
)


def fitted() -> Any:
    random = np.random.default_rng(2)
    features = random.normal(size=(300, 2))
    model = HistGradientBoostingClassifier(max_iter=5).fit(features, (features[:, 0] > features[:, 1]).astype(int))
    return model, features


def altered(data: bytes, attribute: str, change: Callable[[Any], Any]) -> bytes:
    """The model with one attribute of its trees changed."""
    model = onnx.load_from_string(data)
    node = next(node for node in model.graph.node if node.op_type == "TreeEnsemble")
    found = next(item for item in node.attribute if item.name == attribute)
    if found.ints:
        values = change(np.array(found.ints))
        del found.ints[:]
        found.ints.extend(values.tolist())
    else:
        found.t.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(found.t).copy()), found.t.name))
    return bytes(model.SerializeToString())


def parity(model: Any, features: Any, data: Callable[[bytes], bytes]) -> ParityReport:
    exported = export(model)
    assert isinstance(exported, Exported)
    run = OnnxModel(data(exported.model), width=2).run
    groups = matrix_probes(features, ENCODER, exported)
    return check_parity(answering(model, SIGNATURE), lambda rows: run(np.ascontiguousarray(rows)).ravel(), groups)


def test_a_right_export_holds() -> None:
    model, features = fitted()
    report = parity(model, features, lambda data: data)
    assert report.holds
    assert report.reason == ""
    assert {group.name for group in report.groups} == {
        "training rows",
        "thresholds",
        "missing",
        "extremes",
        "epoch seconds",
    }


def test_one_ulp_in_the_thresholds_is_seen() -> None:
    model, features = fitted()
    report = parity(
        model, features, lambda data: altered(data, "nodes_splits", lambda splits: np.nextafter(splits, np.inf))
    )
    assert not report.holds
    assert "thresholds" in report.reason
    assert "training rows" not in report.reason


def test_float32_thresholds_are_seen() -> None:
    model, features = fitted()
    to_float32 = lambda splits: splits.astype(np.float32).astype(np.float64)  # noqa: E731
    assert "thresholds" in parity(model, features, lambda data: altered(data, "nodes_splits", to_float32)).reason


def test_turned_missing_values_are_seen() -> None:
    model, features = fitted()
    report = parity(
        model, features, lambda data: altered(data, "nodes_missing_value_tracks_true", lambda tracks: 1 - tracks)
    )
    assert "missing" in report.reason
    assert "training rows" not in report.reason


def test_a_leaf_that_is_off_by_a_little_is_seen() -> None:
    model, features = fitted()
    report = parity(model, features, lambda data: altered(data, "leaf_weights", lambda weights: weights + 1e-7))
    assert "training rows" in report.reason
    assert 1e-9 < (report.groups[0].largest_difference or 0) < 1e-5


def test_answering_what_the_original_refuses_does_not_hold() -> None:
    def careful(rows: Any) -> Any:
        if np.isnan(rows).any():
            raise ValueError("NaN")
        return rows[:, 0]

    rows = {"training rows": np.array([[1.0], [2.0]]), "missing": np.array([[1.0], [np.nan]])}
    assert "1 rows that the original refuses" in check_parity(careful, lambda rows: rows[:, 0], rows).reason
    assert check_parity(careful, careful, rows).holds


def test_refusing_more_is_fine_except_for_training_rows() -> None:
    def strict(rows: Any) -> Any:
        if (rows > 1).any():
            raise Invalid("too large")
        return rows[:, 0]

    wide = lambda rows: rows[:, 0]  # noqa: E731
    assert check_parity(wide, strict, {"extremes": np.array([[1.0], [5.0]])}).holds
    assert "refuses rows" in check_parity(wide, strict, {"training rows": np.array([[1.0], [5.0]])}).reason


def test_infinities_and_nan_must_agree() -> None:
    def answers(*values: Any) -> Any:
        return lambda rows: np.array(values)[: len(rows)]

    rows = {"training rows": np.zeros((2, 1))}
    assert check_parity(answers(np.inf, np.nan), answers(np.inf, np.nan), rows).holds
    report = check_parity(answers(np.inf, 1.0), answers(-np.inf, 1.0), rows)
    assert not report.holds
    assert report.groups[0].largest_difference is None
    assert check_parity(answers(1e12, 0.0), answers(1e12 + 1, 0.0), rows).groups[0].largest_difference == pytest.approx(
        1e-12
    )


def test_limits_are_what_the_estimator_takes() -> None:
    def ask(rows: Any) -> Any:
        if np.isnan(rows[:, 0]).any() or np.abs(rows[:, 1]).max(initial=0, where=~np.isnan(rows[:, 1])) > FLOAT32_LIMIT:
            raise ValueError
        return np.zeros(len(rows))

    limits = find_limits(ask, np.array([[np.nan, 0.0], [1.0, 2.0]]))
    assert limits.missing == (False, True)
    assert limits.largest == (None, FLOAT32_LIMIT)
    with np.errstate(over="ignore"):
        assert np.isfinite(np.float32(FLOAT32_LIMIT))
        assert np.isinf(np.float32(np.nextafter(FLOAT32_LIMIT, np.inf)))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (np.nan, "its answer is no finite number"),
        (ValueError("not fitted\nyet"), "(not fitted)"),
        (TypeError(), "TypeError"),
    ],
)
def test_an_estimator_that_answers_nothing_is_quoted(answer: Any, said: str) -> None:
    def ask(rows: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return np.full(len(rows), answer)

    with pytest.raises(Invalid, match="for none of the sample's rows") as raised:
        find_limits(ask, np.ones((3, 2)))
    assert said in raised.value.what
