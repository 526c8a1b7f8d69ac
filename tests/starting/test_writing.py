import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kept.app.starting.draft import Asked, Draft, draft_project
from kept.app.starting.writing import check_folder, function_name, write_project
from kept.core.errors import Conflict, Invalid
from kept.data.frames import call
from kept.plan.loading import load_project
from kept.plan.project import Project
from kept.plan.split import RandomSplit, StratifiedSplit, TimeSplit

ROWS = 240


def rows(**more: Any) -> pl.DataFrame:
    draw = random.Random(7)
    x = [draw.gauss(0, 1) for _ in range(ROWS)]
    word = [draw.choice(["red", "green", "blue"]) for _ in range(ROWS)]
    late = ["yes" if one + draw.gauss(0, 1) > 0 else "no" for one in x]
    return pl.DataFrame({"x": x, "word": word, **more, "late": late})


def begin(
    tmp_path: Path, frame: pl.DataFrame, target: str = "late", **asked: Any
) -> tuple[Draft, Project, pl.DataFrame]:
    """The draft, the project that was written, and the rows that its dataset gives."""
    data = tmp_path / "rows of mine.csv"
    frame.write_csv(data, include_header=asked.pop("written_header", True))
    draft = draft_project(Asked(name="mine", data=data, target=target, **asked))
    path = write_project(draft, tmp_path / "mine", owner="ada")
    project = load_project(path)
    assert project.the_model.function() is not None
    return draft, project, call(project.the_dataset.function, None, where="rows")


@pytest.fixture(autouse=True)
def projects_of_its_own() -> Any:
    yield
    sys.modules.pop("project", None)


def test_the_project_is_short_and_says_what_was_taken_for_what(tmp_path: Path) -> None:
    draft, project, found = begin(
        tmp_path, rows(customer_id=[f"c{number}" for number in range(ROWS)], nothing=[None] * ROWS)
    )
    assert {one.name: one.taken for one in draft.columns} == {
        "x": "number", "word": "category", "customer_id": "key", "nothing": "empty", "late": "target",
    }  # fmt: skip
    spec = project.the_dataset
    assert (spec.key, spec.features, spec.label) == (("customer_id",), ("x", "word"), "late")
    assert isinstance(project.split_rule, StratifiedSplit)
    assert found.height == ROWS
    text = (tmp_path / "mine" / "project.py").read_text()
    assert "# nothing: empty (no value in any row)" in text
    assert "Is late no or yes?" in text
    assert len(text.splitlines()) < 75


def test_a_time_brings_a_split_a_watch_and_a_loop(tmp_path: Path) -> None:
    days = [(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number)).strftime("%d.%m.%Y") for number in range(ROWS)]
    draft, project, found = begin(tmp_path, rows(day=days), time="day")
    assert project.the_dataset.event_time == "day"
    assert isinstance(project.split_rule, TimeSplit)
    assert draft.window == "30d"
    assert project.window == timedelta(days=30)
    assert project.retraining.on
    assert found.schema["day"] == pl.Datetime("us", "UTC")


def test_a_file_without_a_header_is_read_by_position(tmp_path: Path) -> None:
    draft, project, found = begin(tmp_path, rows(), "col_3", written_header=False)
    assert draft.names == ("col_1", "col_2", "col_3")
    assert project.the_dataset.features == ("col_1", "col_2")
    assert found.height == ROWS


def test_regression_has_objectives_of_its_own(tmp_path: Path) -> None:
    frame = rows().with_columns(price=pl.col("x") * 3 + pl.int_range(ROWS) % 7).drop("late")
    draft, project, _ = begin(tmp_path, frame, "price")
    assert project.the_model.task == "regression"
    assert isinstance(project.split_rule, RandomSplit)
    assert [one.metric for one in project.objectives][:2] == ["r2", "mae"]
    assert draft.probe.skill


def test_labels_are_mended_for_learning_and_need_not_be_there_to_predict(tmp_path: Path) -> None:
    frame = rows().with_columns(
        late=pl.when(pl.int_range(ROWS) < 3).then(pl.lit("odd.")).otherwise(pl.col("late") + ".")
    )
    draft, project, found = begin(tmp_path, frame)
    assert sorted(found.get_column("late").drop_nulls().unique()) == ["no", "yes"]
    assert found.get_column("late").null_count() == 3
    assert any("dot" in note for note in draft.notes)
    assert any("odd" in note for note in draft.notes)
    bare = tmp_path / "new.csv"
    frame.drop("late").write_csv(bare)
    assert project.the_dataset.function(path=bare).columns == ["x", "word"]


def test_marks_flags_and_what_cannot_be_stored(tmp_path: Path) -> None:
    frame = rows(flag=["true", "false"] * (ROWS // 2), size=["1.5", "unknown", "2", "?"] * (ROWS // 4))
    _, _, found = begin(tmp_path, frame)
    assert found.schema["flag"] == pl.Boolean
    assert found.get_column("size").null_count() == ROWS // 2
    frame = rows(took=[timedelta(seconds=number) for number in range(ROWS)], list=[[1]] * ROWS)
    data = tmp_path / "rows.parquet"
    frame.write_parquet(data)
    path = write_project(draft_project(Asked(name="more", data=data, target="late")), tmp_path / "more", owner="ada")
    assert call(load_project(path).the_dataset.function, None, where="rows").columns == ["x", "word", "late"]


def test_names_of_any_kind_are_written_so_that_python_reads_them(tmp_path: Path) -> None:
    names = {"x": 'the "x"\\', "word": "a word, a 'name' {really}", "late": "late? \u00e9\u4e2d"}
    _, project, found = begin(tmp_path, rows().rename(names), names["late"])
    assert project.the_dataset.features == (names["x"], names["word"])
    assert set(found.columns) == set(names.values())


def test_many_columns_are_wrapped(tmp_path: Path) -> None:
    frame = rows(
        **{f"measure number {place}": [float(row * place % 61) for row in range(ROWS)] for place in range(1, 41)}
    )
    _, project, _ = begin(tmp_path, frame)
    assert len(project.the_dataset.features or ()) == 42
    assert max(map(len, (tmp_path / "mine" / "project.py").read_text().splitlines())) <= 120


def test_columns_that_say_nothing_are_said_to(tmp_path: Path) -> None:
    draw = random.Random(3)
    frame = pl.DataFrame({"x": [draw.random() for _ in range(ROWS)], "y": [draw.choice("ab") for _ in range(ROWS)]})
    draft, _, _ = begin(tmp_path, frame, "y")
    assert not draft.probe.skill
    assert any("guessing" in note for note in draft.notes)


def test_rows_in_order_of_time_are_noticed(tmp_path: Path) -> None:
    frame = rows().with_columns(
        late=pl.when(pl.int_range(ROWS) // 12 % 2 == 0).then(pl.lit("no")).otherwise(pl.lit("yes"))
    )
    draft, _, _ = begin(tmp_path, frame)
    assert any("--time" in note for note in draft.notes)


def test_nothing_of_anybodys_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(Conflict, match="not empty"):
        check_folder(tmp_path / "full")
    with pytest.raises(Invalid, match="file of that name"):
        check_folder(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    check_folder(tmp_path / "empty")


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"name": "My Model"}, "the name cannot be used"),
        ({"time": "x"}, "its values are not moments"),
        ({"key": "word"}, "rows share theirs with another"),
        ({"key": "late"}, "one column cannot be two things"),
        ({"target": "lat"}, "Did you mean late?"),
        ({"time": "whn"}, "there is no column 'whn'"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(
    tmp_path: Path, asked: dict[str, Any], what: str
) -> None:
    data = tmp_path / "rows.csv"
    rows().write_csv(data)
    with pytest.raises(Invalid, match=what):
        draft_project(Asked(**{"name": "mine", "data": data, "target": "late", **asked}))


def test_the_dataset_is_named_for_its_file() -> None:
    assert function_name(Path("Telco Churn-2.csv")) == "telco_churn_2"
    for odd in ("class.csv", "2020.csv", "project.csv", "\u4e2d.csv", "pl.csv"):
        assert function_name(Path(odd)) == "rows"


def test_a_project_is_begun_again_and_the_former_one_stays(tmp_path: Path) -> None:
    begin(tmp_path, rows())
    folder = tmp_path / "mine"
    written = folder / "project.py"
    first = written.read_text()
    written.write_text(first + "# changed\n")
    begin(tmp_path, rows())
    begin(tmp_path, rows())
    assert (folder / "project.1.py").read_text() == first + "# changed\n"
    assert (folder / "project.2.py").read_text() == written.read_text() == first


@pytest.mark.parametrize("beside", [".kept", "notes.txt"])
def test_a_project_that_something_was_made_of_is_not_begun_again(tmp_path: Path, beside: str) -> None:
    begin(tmp_path, rows())
    (tmp_path / "mine" / beside).mkdir()
    with pytest.raises(Conflict, match="not empty"):
        begin(tmp_path, rows())


def test_a_project_of_ones_own_is_not_begun_again(tmp_path: Path) -> None:
    begin(tmp_path, rows())
    (tmp_path / "mine" / "project.py").write_text("project = ...\n")
    with pytest.raises(Conflict, match="not empty"):
        begin(tmp_path, rows())


def test_a_file_that_is_no_text_is_somebody_elses(tmp_path: Path) -> None:
    begin(tmp_path, rows())
    (tmp_path / "mine" / "project.py").write_bytes("# Größe".encode("utf-16"))
    with pytest.raises(Conflict, match="not empty"):
        begin(tmp_path, rows())
