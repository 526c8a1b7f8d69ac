from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kept.app.starting.columns import Guess, choose_key, copies, guess_column, time_form
from kept.app.starting.source import check_column, open_source
from kept.app.starting.target import guess_target
from kept.app.starting.texts import notes_on_text
from kept.core.errors import Invalid


def taken(values: list[Any], name: str = "x") -> Guess:
    return guess_column(pl.Series(name, values), decimal_comma=False)


@pytest.mark.parametrize(
    ("values", "name", "expected"),
    [
        ([str(number % 7 + 0.5) for number in range(60)], "x", "number"),
        (["1", "2", "?", " ", "3"] * 12, "x", "number"),
        (["a", "b", None] * 20, "x", "category"),
        (["true", "False"] * 30, "x", "flag"),
        ([True, False] * 30, "x", "flag"),
        (["02134", "10115"] * 30, "zip", "category"),
        ([f"c-{number}" for number in range(60)], "customer", "identifier"),
        ([str(number) for number in range(60)], "row", "identifier"),
        ([str(number * 17 % 1009) for number in range(60)], "customer_id", "identifier"),
        ([str(number * 17 % 1009) for number in range(60)], "price", "number"),
        ([f"a story of {number} and more words" for number in range(60)], "note", "text"),
        ([f"2020-01-{day:02d}" for day in range(1, 31)] * 2, "day", "moment"),
        ([f"{day:02d}/01/2020" for day in range(1, 31)] * 2, "day", "moment"),
        ([datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(60)], "day", "moment"),
        (["same"] * 60, "x", "constant"),
        (["?", "", None] * 20, "x", "empty"),
        ([[1], [2]] * 30, "x", "not a single value"),
    ],
)
def test_a_column_is_taken_for_what_its_values_say(values: list[Any], name: str, expected: str) -> None:
    guess = taken(values, name)
    assert guess.taken == expected
    assert guess.why


def test_marks_for_missing_are_found_and_those_that_are_new_are_told() -> None:
    guess = taken(["1", "2.5", "?", "unknown", " ", "3"] * 10)
    assert (guess.taken, guess.missing) == ("number", 30)
    assert guess.marks == ("?", "unknown")
    assert guess.more_marks == ("unknown",)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["32%", "8 %", "?", None] * 20, "such as '32%' look like numbers with a unit, and were taken for category"),
        ([f"${number},000.50" for number in range(60)], "such as '$0,000.50' look like numbers with a unit"),
        (["basic", "Basic", "plus"] * 20, "differ by case alone ('Basic' and 'basic')"),
    ],
)
def test_texts_that_mean_other_things_are_told(values: list[str | None], said: str) -> None:
    (note,) = notes_on_text(pl.Series("x", values), taken(values))
    assert said in note


@pytest.mark.parametrize("values", [["a", "b"] * 30, ["12A", "3B", "4C", "1D"] * 15, ["1", "2"] * 30])
def test_of_other_texts_nothing_is_told(values: list[str]) -> None:
    assert notes_on_text(pl.Series("x", values), taken(values)) == []


def test_days_before_months_are_told_from_months_before_days() -> None:
    assert time_form(pl.Series(["13/02/2020", "01/02/2020"])) == "%d/%m/%Y"
    assert time_form(pl.Series(["02/13/2020", "01/02/2020"])) == "%m/%d/%Y"
    assert time_form(pl.Series([1577836800, 1577836900])) == "s"
    assert time_form(pl.Series(["1577836800000", "1577836900000"])) == "ms"
    assert time_form(pl.Series([1.5, 2.5])) is None
    assert time_form(pl.Series(["a", "b"])) is None


def test_one_identifier_becomes_the_key_and_counters_never_do() -> None:
    counter, first, second = (
        taken([str(number) for number in range(60)], "row"),
        taken([f"a{number}" for number in range(60)], "one"),
        taken([f"b{number}" for number in range(60)], "two"),
    )
    assert [one.taken for one in choose_key([counter, first, second], 60)] == ["identifier", "key", "identifier"]


def test_a_column_that_says_the_class_in_other_words_is_left_out() -> None:
    frame = pl.DataFrame({"code": ["1", "2", "3"] * 20, "other": ["1", "2", "2"] * 20})
    target = pl.Series("kind", ["a", "b", "c"] * 20)
    guesses = [taken(frame.get_column(name).to_list(), name) for name in frame.columns]
    assert [one.taken for one in copies(guesses, frame, target)] == ["copy of the target", "number"]


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["yes", "no"] * 30, "binary", {"no": 30, "yes": 30}),
        (["<=50K.", ">50K."] * 30, "binary", {"<=50K": 30, ">50K": 30}),
        ([0.0, 1.0] * 30, "binary", {"0": 30, "1": 30}),
        (["true", "false"] * 30, "binary", {"False": 30, "True": 30}),
        (["a", "b", "c"] * 20, "multiclass", {"a": 20, "b": 20, "c": 20}),
        ([str(number % 10) for number in range(200)], "multiclass", {str(digit): 20 for digit in range(10)}),
        ([str(number) for number in range(25, 346)], "regression", {}),
        ([number / 7 for number in range(60)], "regression", {}),
        (["a", "b", "c"] * 20 + ["d"] * 3, "multiclass", {"a": 20, "b": 20, "c": 20}),
        (["a", "b"] * 20 + ["d"] * 3, "binary", {"a": 20, "b": 20}),
    ],
)
def test_the_kind_of_task_is_guessed(values: list[Any], task: str, classes: dict[str, int]) -> None:
    target, labels = guess_target(pl.Series("rows", values), None, where="target", decimal_comma=False)
    assert (target.task, target.classes) == (task, classes)
    assert len(labels) == len(values)


@pytest.mark.parametrize(
    ("values", "task", "what"),
    [
        ([None, "?"] * 30, None, "no row has a value"),
        (["a"] * 60, None, "every row has the same value, 'a'"),
        ([f"c{number}" for number in range(300)], None, "300 different values are too many"),
        (["a"] * 60 + ["b"] * 3, None, r"too few rows of 'b' \(3 rows\)"),
        (["a", "b"] * 30, "regression", "not numbers"),
        (["a", "b", "c"] * 30, "binary", "3 classes are not for binary"),
        (["a", "b"] * 30, "multiclass", "two classes are not for multiclass"),
        ([f"2020-01-{day:02d}" for day in range(1, 31)] * 2, None, "neither numbers nor classes"),
    ],
)
def test_targets_that_nothing_can_be_learnt_from_are_refused(values: list[Any], task: Any, what: str) -> None:
    with pytest.raises(Invalid, match=what):
        guess_target(pl.Series("y", values), task, where="target", decimal_comma=False)


def rows(first: str, line: str = "{0},b{1},1.5") -> str:
    return first + "".join(line.format(number, number % 3) + "\n" for number in range(60))


@pytest.mark.parametrize(
    ("text", "named_here"),
    [
        (rows("age,kind,x\n"), False),
        (rows("39,b1,2.5\n"), True),
        (rows("?,b1,2.5\n"), True),
        (rows("0,1,2\n"), False),
        (rows("1,2,3\n"), False),
        (rows("name,kind\n", "c{0},b{1}"), False),
        (rows("c7,b1\n", "c{0},b{1}"), True),
        (rows("b1,b1\n", "b{1},b{1}"), True),
    ],
)
def test_the_header_is_told_from_a_row(tmp_path: Path, text: str, named_here: bool) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    source = open_source(path)
    assert source.named_here == named_here
    assert source.frame.height == 60 + named_here


def test_names_for_a_file_without_them(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(rows("39,b1,2.5\n"))
    assert open_source(path).frame.columns == ["col_1", "col_2", "col_3"]
    assert open_source(path, ("age", "kind", "x")).frame.columns == ["age", "kind", "x"]
    with pytest.raises(Invalid, match="gives 2 names, the file has 3 columns"):
        open_source(path, ("age", "kind"))
    with pytest.raises(Invalid, match=r"Its first line is a row \(39, b1, 2.5\), so the columns are col_1 to col_3"):
        check_column(open_source(path), "age", "--target")


def test_a_column_that_is_not_there_brings_the_names_that_come_close(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(rows("Age,Kind,x\n"))
    with pytest.raises(Invalid, match="there is no column 'kinds'. Did you mean Kind?"):
        check_column(open_source(path), "kinds", "--target")
    path.write_text("a,b\n1,2\n")
    with pytest.raises(Invalid, match="it has 1 rows. Give 50 or more"):
        open_source(path)
