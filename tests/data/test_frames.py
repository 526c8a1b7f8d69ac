from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from kept.core.errors import Invalid
from kept.data.frames import as_known, call, need_columns, need_moments, stored_types, to_frame


class Elsewhere:
    """A table of another library that speaks Arrow."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.frame.__arrow_c_stream__(requested_schema)


def test_a_function_gets_the_moment_only_when_it_asks() -> None:
    moment = datetime(2013, 3, 1, tzinfo=UTC)
    assert call(lambda: pl.DataFrame({"a": [1]}), moment, where="flights").rows() == [(1,)]

    def asking(until: datetime | None) -> pl.LazyFrame:
        return pl.LazyFrame({"a": [until]})

    assert call(asking, moment, where="flights").item() == moment
    assert call(asking, None, where="flights").item() is None


@pytest.mark.parametrize("given", [None, [{"a": 1}], 7, pl.Series([1])])
def test_what_is_no_frame_is_refused(given: Any) -> None:
    with pytest.raises(Invalid, match=r"flights: it gave .* not a frame. Return a polars DataFrame"):
        call(lambda: given, None, where="flights")


def test_frames_of_other_libraries_are_taken() -> None:
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"]})
    assert to_frame(Elsewhere(frame), where="flights").equals(frame)


def test_an_error_of_the_function_says_where_it_was() -> None:
    def broken() -> pl.DataFrame:
        raise FileNotFoundError("flights.csv")

    with pytest.raises(Invalid, match=r"dataset flights: it raised FileNotFoundError: flights.csv"):
        call(broken, None, where="dataset flights")


def test_types_are_brought_to_those_that_are_stored() -> None:
    frame = pl.DataFrame(
        {
            "small": pl.Series([1], dtype=pl.UInt8),
            "single": pl.Series([0.5], dtype=pl.Float32),
            "category": pl.Series(["x"], dtype=pl.Categorical),
            "moment": pl.Series([datetime(2013, 1, 1, 12)], dtype=pl.Datetime("ms")).dt.replace_time_zone(
                "Europe/Rome"
            ),
        }
    )
    stored = stored_types(frame, where="flights")
    assert list(stored.schema.values()) == [pl.Int64, pl.Float64, pl.String, pl.Datetime("us", "UTC")]
    assert stored["moment"].item() == datetime(2013, 1, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([datetime(2013, 1, 1)], r"'a' holds times without a zone.*replace_time_zone"),
        ([timedelta(1)], "'a' is a Duration"),
        (pl.Series([2**64 - 1], dtype=pl.UInt64), "cannot be stored"),
    ],
)
def test_types_that_cannot_be_stored_are_refused(values: Any, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        stored_types(pl.DataFrame({"a": values}), where="flights")


def test_missing_columns_are_named_with_those_that_are_there() -> None:
    with pytest.raises(Invalid, match="there is no column 'late'. It gives a, b; add it"):
        need_columns(pl.DataFrame({"a": [1], "b": [2]}), ["a", "late"], where="flights")


def test_a_date_is_no_moment() -> None:
    with pytest.raises(Invalid, match="holds Date, not moments with a zone"):
        need_moments(pl.DataFrame({"day": [date(2013, 1, 1)]}), ["day"], where="flights")


def test_as_known_hides_later_rows_and_later_labels() -> None:
    day = datetime(2013, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame(
        {"at": [day, day, day + timedelta(2)], "landed": [day, day + timedelta(1), None], "late": [True, False, None]}
    )
    known = as_known(frame, day, event_time="at", label="late", label_known=pl.col("landed"))
    assert known["late"].to_list() == [True, None]
    everything = as_known(frame, None, event_time="at", label="late", label_known=pl.col("landed"))
    assert everything.equals(frame)
