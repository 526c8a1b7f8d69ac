import numpy as np
import polars as pl

from kept.monitoring.quality import Expected, check_columns, check_errors, check_schema, check_volume

AGE = Expected(column="age", missing_share=0.02, low=18.0, high=90.0)
CITY = Expected(column="city", missing_share=0.0, categories=frozenset({"Oslo", "Rome", "1"}))


def frame(**changes: object) -> pl.DataFrame:
    columns: dict[str, object] = {"age": np.linspace(18, 90, 200), "city": ["Oslo", "Rome"] * 100}
    return pl.DataFrame({**columns, **changes})


def rules(rows: pl.DataFrame) -> list[tuple[str, str]]:
    return [(breach.rule, breach.column) for breach in check_columns(rows, [AGE, CITY])]


def test_a_usual_window_breaks_nothing() -> None:
    assert rules(frame()) == []


def test_missing_values() -> None:
    assert rules(frame(age=[None] * 40 + [30.0] * 160)) == [("missing", "age")]
    assert rules(frame(age=[float("nan")] * 40 + [30.0] * 160)) == [("missing", "age")]
    assert rules(frame(age=[None] * 10 + [30.0] * 190)) == []
    assert rules(frame().drop("city")) == [("missing", "city")]


def test_values_never_seen_are_named() -> None:
    (breach,) = check_columns(frame(city=["Oslo"] * 190 + ["Bonn"] * 9 + ["Kiel"]), [CITY])
    assert breach.evidence["values"] == {"Bonn": 9, "Kiel": 1}
    assert rules(frame(city=["Oslo"] * 199 + ["Bonn"])) == []
    assert rules(frame(city=[1] * 200)) == []


def test_a_change_of_unit_is_wild_and_a_new_record_is_not() -> None:
    assert rules(frame(age=np.linspace(18, 90, 200) * 12)) == [("range", "age")]
    assert rules(frame(age=np.linspace(18, 110, 200))) == []


def test_volume() -> None:
    assert check_volume(0, []) is None
    assert check_volume(0, [900]) is not None
    assert check_volume(10, [1000, 1000]) is None
    assert check_volume(10, [1000] * 7) is not None
    assert check_volume(300, [1000] * 7) is None


def test_a_quiet_weekend_is_usual_once_one_was_seen() -> None:
    week = [1000, 1000, 1000, 1000, 1000, 10, 0]
    assert check_volume(8, week, [10]) is None
    assert check_volume(0, week, [0, 0]) is None
    assert check_volume(0, week, [900, 1000]) is not None
    assert check_volume(8, week) is not None


def test_errors() -> None:
    assert check_errors(1000, 4, 0.001) is None
    assert check_errors(1000, 8, 0.01) is None
    breach = check_errors(1000, 30, 0.01)
    assert breach is not None
    assert breach.evidence["requests"] == 1030


def test_refused_requests_are_told_of_where_they_are_many() -> None:
    assert check_schema(1_000, 4) is None
    assert check_schema(1_000, 40) is None
    found = check_schema(900, 100)
    assert found is not None
    assert (found.rule, found.metric, found.evidence["share"]) == ("schema", "schema", 0.1)
