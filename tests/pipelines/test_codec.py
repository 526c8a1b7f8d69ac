import enum
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kept.core.errors import Damaged, Invalid
from kept.pipelines.codec import Codec
from kept.store.blobs import FolderBlobs


class Report(msgspec.Struct, frozen=True):
    auc: float
    at: datetime
    names: tuple[str, ...] = ()


class Parts(msgspec.Struct):
    train: pl.DataFrame
    weights: np.ndarray[Any, Any]
    report: Report
    rows: int


@dataclass
class Bundle:
    folder: Path
    parts: list[pl.DataFrame]


class Colour(enum.Enum):
    RED = "red"


FRAME = pl.DataFrame(
    {
        "n": [1, None],
        "t": [datetime(2013, 1, 1, tzinfo=UTC)] * 2,
        "c": pl.Series(["a", "b"], dtype=pl.Categorical),
        "f": [math.nan, 1.5],
        "l": [[1], []],
    }
)


@pytest.fixture
def codec(tmp_path: Path) -> Codec:
    return Codec(FolderBlobs(tmp_path / "blobs"), tmp_path / "scratch")


def _back(codec: Codec, value: Any, kind: Any = Any) -> Any:
    return codec.load(codec.store(value, where="step a"), kind, where="step b, parameter 'a'")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=plain)
def test_plain_values_come_back_the_same(codec: Codec, value: Any) -> None:
    assert repr(_back(codec, value)) == repr(value)


def test_frames_come_back_with_their_types(codec: Codec) -> None:
    assert _back(codec, FRAME).equals(FRAME)
    assert _back(codec, FRAME).schema == FRAME.schema
    assert isinstance(_back(codec, FRAME.lazy(), pl.LazyFrame), pl.LazyFrame)
    assert isinstance(_back(codec, FRAME.lazy(), pl.DataFrame), pl.DataFrame)
    assert codec.store(FRAME, where="x") == codec.store(FRAME.clone(), where="x")


def test_arrays_bytes_and_scalars_come_back(codec: Codec) -> None:
    array = np.array([[1.5, np.nan]], dtype=np.float32)
    np.testing.assert_array_equal(_back(codec, array), array)
    assert _back(codec, array).dtype == np.float32
    assert _back(codec, b"\x00model") == b"\x00model"
    assert _back(codec, {"a": np.float32(0.5), "b": np.int64(3)}) == {"a": 0.5, "b": 3}
    assert _back(codec, (1, "a")) == (1, "a")


def test_typed_values_come_back_as_the_annotation_says(codec: Codec) -> None:
    report = Report(auc=math.nan, at=datetime(2013, 4, 1, tzinfo=UTC), names=("a",))
    back = _back(codec, report, Report | None)
    assert back.at == report.at
    assert math.isnan(back.auc)
    assert _back(codec, {1: date(2013, 1, 1)}, dict[int, date]) == {1: date(2013, 1, 1)}
    assert _back(codec, {"a", "b"}, set[str]) == {"a", "b"}
    assert _back(codec, Colour.RED, Colour) is Colour.RED
    assert _back(codec, [report], list[Report])[0].names == ("a",)


def test_structs_of_frames_come_back(codec: Codec) -> None:
    report = Report(auc=0.5, at=datetime(2013, 4, 1, tzinfo=UTC))
    parts = _back(codec, Parts(train=FRAME, weights=np.ones(2), report=report, rows=2), Parts)
    assert parts.train.equals(FRAME)
    assert parts.report == report
    both = _back(codec, (FRAME, {"weights": np.ones(2)}), tuple[pl.DataFrame, dict[str, Any]])
    assert both[0].equals(FRAME)
    assert both[1]["weights"].sum() == 2


def test_files_and_folders_come_back(codec: Codec, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "weights.bin").write_bytes(b"123")
    back = _back(codec, folder, Path)
    assert back.name == "model"
    assert (back / "deep" / "weights.bin").read_bytes() == b"123"
    assert _back(codec, folder / "deep" / "weights.bin").read_bytes() == b"123"
    bundle = _back(codec, Bundle(folder=folder, parts=[FRAME]), Bundle)
    assert (bundle.folder / "deep" / "weights.bin").exists()
    assert bundle.parts[0].equals(FRAME)


class Estimator:
    pass


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (Estimator(), r"step a: a value of type Estimator can not be kept\. Return a polars frame.*skops"),
        (FRAME["n"], "type Series can not be kept"),
        ([Estimator()], "type Estimator"),
        (np.array([object()]), "array of Python objects"),
        (pl.DataFrame({"o": [object()]}), "Give every column a type"),
        (Path("/nothing/here"), "there is nothing at /nothing/here"),
    ],
)
def test_what_can_not_be_kept_says_what_to_return(codec: Codec, value: Any, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        codec.store(value, where="step a")


def test_a_struct_needs_an_annotation_that_fits(codec: Codec) -> None:
    digest = codec.store(Report(auc=1, at=datetime(2013, 4, 1, tzinfo=UTC)), where="step a")
    with pytest.raises(Invalid, match=r"step b, parameter 'a': it receives .*Report\. Annotate the parameter"):
        codec.load(digest, Any, where="step b, parameter 'a'")
    with pytest.raises(Invalid, match="it is not of type int"):
        codec.load(digest, int, where="step b, parameter 'a'")


def test_another_format_is_damage(codec: Codec, tmp_path: Path) -> None:
    digest = FolderBlobs(tmp_path / "blobs").put(b'{"format":99}')
    with pytest.raises(Damaged, match="format is 99"):
        codec.load(digest, Any, where="x")
