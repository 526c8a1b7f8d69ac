import math
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.core.errors import Invalid
from kept.packaging.encoding import Column, TableEncoder
from kept.packaging.frames import encode_frame, fit_encoder, infer_signature, signature_of
from kept.packaging.rows import MatrixEncoder, RowReader
from kept.packaging.signature import Field, Signature

SIGNATURE = Signature(
    inputs=(
        Field(name="distance", kind="number", minimum=0.0, maximum=10.0),
        Field(name="seats", kind="integer"),
        Field(name="night", kind="boolean", nullable=False),
        Field(name="origin", kind="category", categories=("EWR", "JFK")),
        Field(name="gate", kind="category", categories=(1, 2)),
    ),
    task="binary",
    classes=(False, True),
)
ENCODER = TableEncoder(
    columns=tuple(
        Column(name=f.name, kind=f.kind, categories=f.categories)
        for f in SIGNATURE.inputs
        if f.kind != "text"
        if f.kind != "tensor"
    )
)
GOOD = {"distance": 1.5, "seats": 3, "night": True, "origin": "JFK", "gate": 2, "flight_id": "extra is fine"}


def test_a_row_becomes_numbers() -> None:
    matrix = MatrixEncoder(SIGNATURE, ENCODER).encode([GOOD, GOOD | {"distance": None, "origin": "LGA", "gate": None}])
    assert matrix[0].tolist() == [1.5, 3.0, 1.0, 1.0, 1.0]
    assert np.isnan(matrix[1]).tolist() == [True, False, False, True, True]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"distance": "1.5"}, ["row 0", "'distance'", "a number", "text '1.5'"]),
        ({"distance": True}, ["'distance'", "a number", "a boolean True"]),
        ({"seats": 2.5}, ["'seats'", "a whole number", "2.5"]),
        ({"night": None}, ["'night'", "must not be null"]),
        ({"night": 1}, ["'night'", "true or false"]),
        ({"origin": 3}, ["'origin'", "text", "a number 3"]),
        ({"origin": ["JFK"]}, ["'origin'", "a list"]),
        ({"gate": "2"}, ["'gate'", "a whole number"]),
        ({"gate": True}, ["'gate'", "a whole number"]),
        ({"distance": 10**400}, ["too large"]),
    ],
)
def test_a_wrong_type_is_refused_by_name(change: Any, words: Any) -> None:
    encoder = MatrixEncoder(SIGNATURE, ENCODER)
    encoder.encode([GOOD])
    with pytest.raises(Invalid) as caught:
        encoder.encode([GOOD | change])
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_missing_field_and_a_row_that_is_none_are_refused() -> None:
    reader = RowReader(SIGNATURE)
    with pytest.raises(Invalid, match="row 1: the field 'origin' is missing"):
        reader.read([GOOD, {name: value for name, value in GOOD.items() if name != "origin"}])
    with pytest.raises(Invalid, match="a row must name its fields, found a list"):
        reader.read([[1, 2, 3, 4, 5]])  # type: ignore[list-item]  # what a request may bring


def test_whole_floats_are_integers_and_fractions_are_not_remembered_as_good() -> None:
    reader = RowReader(SIGNATURE)
    reader.read([GOOD | {"seats": 3.0}])
    with pytest.raises(Invalid, match="whole number"):
        reader.read([GOOD | {"seats": 3.5}])


def test_columns_and_rows_give_the_same_matrix() -> None:
    rows = [GOOD, GOOD | {"distance": None}, GOOD | {"origin": "LGA"}]
    columns = {name: [row[name] for row in rows] for name in SIGNATURE.names}
    encoder = MatrixEncoder(SIGNATURE, ENCODER)
    assert np.array_equal(encoder.encode(rows), encoder.encode_columns(columns), equal_nan=True)
    arrays = columns | {
        "distance": np.array([1.5, math.nan, 1.5]),
        "seats": np.array([3, 3, 3]),
        "night": np.ones(3, bool),
    }
    assert np.array_equal(encoder.encode(rows), encoder.encode_columns(arrays), equal_nan=True)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"seats": np.array([1.5])}, "whole"),
        ({"origin": [1]}, "text"),
        ({"night": np.array([1])}, "true"),
        ({"gate": [1, 2]}, "lengths"),
    ],
)
def test_wrong_columns_are_refused(change: Any, word: str) -> None:
    columns = {name: [GOOD[name]] for name in SIGNATURE.names}
    with pytest.raises(Invalid, match=word):
        MatrixEncoder(SIGNATURE, ENCODER).encode_columns(columns | change)
    del columns["seats"]
    with pytest.raises(Invalid, match="'seats' is missing"):
        MatrixEncoder(SIGNATURE, ENCODER).encode_columns(columns)


@pytest.mark.parametrize(("task", "classes"), [("binary", (1,)), ("multiclass", (0, 1)), ("regression", (0, 1))])
def test_a_signature_names_as_many_classes_as_its_task_has(task: Any, classes: Any) -> None:
    with pytest.raises(Invalid, match="classes"):
        Signature(inputs=SIGNATURE.inputs, task=task, classes=classes)


def test_a_signature_refuses_two_inputs_of_one_name_and_none() -> None:
    with pytest.raises(Invalid, match="there twice"):
        Signature(inputs=(SIGNATURE.inputs[0], SIGNATURE.inputs[0]), task="regression")
    with pytest.raises(Invalid, match="at least one"):
        Signature(inputs=(), task="regression")


frames = st.lists(
    st.tuples(
        st.none() | st.floats(allow_nan=False),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.booleans(),
        st.none() | st.text(max_size=3),
        st.none() | st.integers(-3, 3),
    ),
    min_size=1,
    max_size=20,
).map(
    lambda rows: pl.DataFrame(
        rows,
        schema={"a": pl.Float64, "b": pl.Int64, "c": pl.Boolean, "d": pl.String, "e": pl.Int64},
        orient="row",
    )
)


@given(seen=frames, asked=frames)
def test_training_and_serving_encode_alike(seen: Any, asked: Any) -> None:
    encoder = fit_encoder(seen, categorical=["e"], max_categories=4)
    signature = signature_of(seen, encoder, task="regression")
    of_frame = encode_frame(asked, encoder)
    of_rows = MatrixEncoder(signature, encoder).encode(asked.to_dicts())
    of_columns = MatrixEncoder(signature, encoder).encode_columns(asked.to_dict(as_series=False))
    assert of_frame.tobytes() == of_rows.tobytes() == of_columns.tobytes() or (
        np.array_equal(of_frame, of_rows, equal_nan=True) and np.array_equal(of_frame, of_columns, equal_nan=True)
    )


@given(seen=frames)
def test_encoders_and_signatures_survive_json(seen: Any) -> None:
    encoder = fit_encoder(seen, categorical=["e"])
    signature = infer_signature(seen, seen.columns, task="multiclass", classes=("x", 2, True))
    assert msgspec.json.decode(msgspec.json.encode(encoder), type=TableEncoder) == encoder
    assert msgspec.json.decode(msgspec.json.encode(signature), type=Signature) == signature


def test_the_most_frequent_categories_are_kept() -> None:
    frame = pl.DataFrame({"x": ["b", "b", "a", "a", "c", "d", "d", "d"]})
    assert fit_encoder(frame, max_categories=2).columns[0].categories == ("a", "d")


def test_polars_categories_and_enums_are_categories() -> None:
    frame = pl.DataFrame({"x": ["b", "a", None]}).select(
        pl.col("x"), pl.col("x").cast(pl.Categorical).alias("y"), pl.col("x").cast(pl.Enum(["b", "a"])).alias("z")
    )
    encoder = fit_encoder(frame)
    assert encoder.categorical == [0, 1, 2]
    assert np.array_equal(encode_frame(frame, encoder), np.array([[1.0] * 3, [0.0] * 3, [np.nan] * 3]), equal_nan=True)


@pytest.mark.parametrize("values", [[[1]], [pl.date(2020, 1, 1)]])
def test_what_cannot_be_encoded_is_refused(values: Any) -> None:
    with pytest.raises(Invalid, match="cannot be encoded"):
        fit_encoder(pl.select(x=values[0]) if isinstance(values[0], pl.Expr) else pl.DataFrame({"x": values}))


def test_a_frame_must_fit_its_encoder() -> None:
    encoder = fit_encoder(pl.DataFrame({"a": ["x"], "b": [True], "c": [1]}), categorical=["c"])
    for change in ({"a": [1]}, {"b": [1]}, {"c": ["1"]}):
        with pytest.raises(Invalid):
            encode_frame(pl.DataFrame({"a": ["x"], "b": [True], "c": [1]} | change), encoder)
    with pytest.raises(Invalid, match="no column 'a'"):
        encode_frame(pl.DataFrame({"b": [True]}), encoder)
