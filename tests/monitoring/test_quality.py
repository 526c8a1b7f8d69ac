import numpy as np
import polars as pl
import pytest

from kept.measures.arrays import Array
from kept.measures.drift.grid import Kind
from kept.measures.drift.reference import build_reference
from kept.monitoring.drift import expectations
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


def test_columns_with_more_missing_values_than_usual_break_a_rule() -> None:
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


def test_far_fewer_rows_than_usual_break_a_rule_once_enough_windows_are_known() -> None:
    assert check_volume(0, []) is None
    assert check_volume(0, [900]) is not None
    assert check_volume(10, [1000, 1000]) is None
    assert check_volume(10, [1000] * 7) is not None
    assert check_volume(300, [1000] * 7) is None


@pytest.mark.parametrize("usual", [0.5, 2, 5, 8, 20, 60, 500])
def test_quiet_hours_of_an_endpoint_that_few_ask_are_no_news(usual: float) -> None:
    random = np.random.default_rng(0)
    hours = random.poisson(usual, 5_000)
    told = [at for at in range(7, hours.size) if check_volume(int(hours[at]), hours[at - 7 : at].tolist()) is not None]
    # One in 10,000 at the usual rate, which a median of seven knows only roughly.
    assert len(told) <= 5
    assert (check_volume(0, [int(usual)] * 7) is not None) == (usual >= 20)


def test_a_quiet_weekend_is_usual_once_one_was_seen() -> None:
    week = [1000, 1000, 1000, 1000, 1000, 10, 0]
    assert check_volume(8, week, [10]) is None
    assert check_volume(0, week, [0, 0]) is None
    assert check_volume(0, week, [900, 1000]) is not None
    assert check_volume(8, week) is not None


def test_failed_requests_break_a_rule_above_the_declared_share() -> None:
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


def quiet(random: np.random.Generator, kind: str, rows: int) -> dict[str, Array]:
    """Rows of which nothing changes, of columns that hold rare things by their nature."""
    if kind == "users":
        return {"c": np.array([f"user {number}" for number in random.integers(0, 1_500, rows)], dtype=object)}
    if kind == "long tail":
        return {"c": np.array([f"word {number}" for number in random.zipf(1.6, rows)], dtype=object)}
    if kind == "missing":
        return {"a": np.where(random.random(rows) < 0.4, np.nan, random.normal(size=rows))}
    return {"a": random.standard_cauchy(rows)}


@pytest.mark.parametrize("kind", ["users", "long tail", "missing", "heavy tail"])
@pytest.mark.parametrize("rows", [5, 20, 100, 1_000])
def test_what_is_rare_by_its_nature_breaks_no_rule_and_a_change_does(kind: str, rows: int) -> None:
    random = np.random.default_rng(1)
    table = quiet(random, kind, 1_000)
    (name,) = table
    kinds: dict[str, Kind] = {name: "categorical" if name == "c" else "numeric"}
    expected = expectations(build_reference(table, kinds, np.repeat(np.arange(20), 50)))
    for _ in range(50):
        window = {name: list(values) for name, values in quiet(random, kind, rows).items()}
        assert check_columns(pl.DataFrame(window), expected) == []
    if kind == "users":
        # Half of them are new on every day: more new ones are no news.
        return
    changed = {"long tail": ["another"] * rows, "missing": [None] * rows, "heavy tail": [1e9] * rows}[kind]
    broken = [one.rule for one in check_columns(pl.DataFrame({name: changed}), expected)]
    assert broken == [{"long tail": "unseen", "missing": "missing", "heavy tail": "range"}[kind]] or rows == 5
