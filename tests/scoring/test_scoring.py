import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from kept.app.scoring.score import score
from kept.core.errors import Conflict, Damaged, Invalid, NotFound
from kept.packaging.runtime import load_runtime
from kept.store.delta import scan_folder
from kept.store.tables import DeltaTables


def told(bundle: Path, rows: pl.DataFrame) -> np.ndarray:
    """What the prediction service's own path answers to these rows."""
    return load_runtime(bundle).predict_rows(rows.to_dicts())


def read(path: Path) -> pl.DataFrame:
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    return pl.read_csv(path) if path.suffix else pl.read_delta(str(path))


@pytest.fixture
def parquet(rows: pl.DataFrame, tmp_path: Path) -> Path:
    rows.write_parquet(tmp_path / "rows.parquet", row_group_size=100)
    return tmp_path / "rows.parquet"


@pytest.mark.parametrize("given", ["rows.parquet", "rows.csv", "folder", "delta"])
@pytest.mark.parametrize("wanted", ["scores.parquet", "scores.csv", "scores"])
def test_every_row_is_scored_as_the_service_scores_it(
    bundle: Path, rows: pl.DataFrame, tmp_path: Path, given: str, wanted: str
) -> None:
    source = tmp_path / given
    match given:
        case "rows.parquet":
            rows.write_parquet(source, row_group_size=70)
        case "rows.csv":
            rows.write_csv(source)
        case "folder":
            source.mkdir()
            rows.head(300).write_parquet(source / "1.parquet")
            rows.tail(-300).write_parquet(source / "2.parquet")
        case _:
            write_deltalake(str(source), rows)
    found = score(bundle, source, tmp_path / wanted, piece=128)
    assert (found.rows, found.taken_up) == (rows.height, 0)
    result = read(tmp_path / wanted).sort("key")
    expected = rows.sort("key")
    assert result.get_column("key").to_list() == expected.get_column("key").to_list()
    chances = told(bundle, expected)
    np.testing.assert_allclose(result.get_column("probability").to_numpy(), chances, rtol=0, atol=1e-12)
    assert result.get_column("prediction").to_list() == ["yes" if chance > 0.5 else "no" for chance in chances]
    assert result.columns == [*rows.columns, "prediction", "probability"]


def test_tables_may_lie_in_folders_with_any_names(bundle: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    place = tmp_path / "Größe & mehr"
    write_deltalake(str(place / "rows"), rows.with_columns(part=pl.lit("New York")), partition_by=["part"])
    found = score(bundle, place / "rows", place / "scores", keep=["key", "part"])
    assert found.rows == rows.height
    assert scan_folder(place / "scores").select("part").unique().collect().rows() == [("New York",)]


def test_the_order_of_a_file_is_kept(bundle: Path, rows: pl.DataFrame, parquet: Path, tmp_path: Path) -> None:
    score(bundle, parquet, tmp_path / "scores.parquet", piece=64)
    assert read(tmp_path / "scores.parquet").select(rows.columns).equals(rows)


def test_three_classes_and_their_probabilities(
    three_classes: Path, rows: pl.DataFrame, parquet: Path, tmp_path: Path
) -> None:
    score(three_classes, parquet, tmp_path / "scores.parquet", keep=["key"], piece=64)
    result = read(tmp_path / "scores.parquet")
    assert result.columns == ["key", "prediction", "probability_0", "probability_1", "probability_2"]
    expected = told(three_classes, rows)
    np.testing.assert_allclose(result.select(pl.col("^probability_.*$")).to_numpy(), expected, atol=1e-12)
    assert result.get_column("prediction").to_list() == expected.argmax(axis=1).tolist()


def test_a_regression_answers_its_value(line: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    complete = rows.drop_nulls()
    complete.write_parquet(tmp_path / "rows.parquet")
    score(line, tmp_path / "rows.parquet", tmp_path / "scores.parquet", keep=[])
    result = read(tmp_path / "scores.parquet")
    assert result.columns == ["prediction"]
    np.testing.assert_allclose(result.get_column("prediction").to_numpy(), told(line, complete), atol=1e-12)


def test_what_an_earlier_try_kept_is_not_scored_again(
    bundle: Path, rows: pl.DataFrame, parquet: Path, tmp_path: Path
) -> None:
    for wanted in ("scores.parquet", "scores"):
        seen: list[int] = []

        def stop(done: int, total: int, seen: list[int] = seen) -> None:
            seen.append(done)
            if done >= 300:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            score(bundle, parquet, tmp_path / wanted, piece=100, progress=stop)
        assert seen == [0, 100, 200, 300]
        found = score(bundle, parquet, tmp_path / wanted, piece=100)
        assert (found.rows, found.taken_up) == (rows.height, 300)
        result = read(tmp_path / wanted).sort("key")
        np.testing.assert_allclose(result.get_column("probability").to_numpy(), told(bundle, rows.sort("key")))


def test_other_rows_are_another_job(bundle: Path, rows: pl.DataFrame, parquet: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(bundle, parquet, tmp_path / "scores.parquet", piece=100, progress=stop)
    rows.reverse().write_parquet(parquet)
    assert score(bundle, parquet, tmp_path / "scores.parquet", piece=100).taken_up == 0
    assert read(tmp_path / "scores.parquet").select(rows.columns).equals(rows.reverse())


def test_a_finished_table_is_not_scored_twice(bundle: Path, rows: pl.DataFrame, parquet: Path, tmp_path: Path) -> None:
    score(bundle, parquet, tmp_path / "scores")
    version = DeltaTable(str(tmp_path / "scores")).version()
    assert score(bundle, parquet, tmp_path / "scores").taken_up == rows.height
    assert DeltaTable(str(tmp_path / "scores")).version() == version


def test_a_killed_job_goes_on_and_every_row_is_there_once(
    bundle: Path, rows: pl.DataFrame, parquet: Path, tmp_path: Path
) -> None:
    for wanted in ("scores.parquet", "scores"):
        code = (
            "import sys, time; from pathlib import Path; from kept.app.scoring.score import score;"
            "told = lambda done, total: (print(done, flush=True), time.sleep(600 if done >= 100 else 0));"
            "score(*map(Path, sys.argv[1:]), piece=20, progress=told)"
        )
        command = [sys.executable, "-c", code, str(bundle), str(parquet), str(tmp_path / wanted)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) >= 100:
                    os.kill(process.pid, signal.SIGKILL)
                    break
        found = score(bundle, parquet, tmp_path / wanted, piece=50)
        assert 100 <= found.taken_up < rows.height
        assert read(tmp_path / wanted).sort("key").select(rows.columns).equals(rows.sort("key"))


def test_values_that_do_not_fit_are_named_with_their_row(bundle: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    text = rows.cast(pl.String).with_columns(
        pl.when(pl.col("key") == "r777").then(pl.lit("many")).otherwise("count").alias("count")
    )
    text.write_csv(tmp_path / "rows.csv")
    with pytest.raises(Invalid, match=r"row 777, column 'count': 'many' is not a whole number"):
        score(bundle, tmp_path / "rows.csv", tmp_path / "scores.csv", piece=100)
    assert not (tmp_path / "scores.csv").exists()


def test_marks_for_missing_values_in_text_are_missing(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("number,kind,flag,count,shelf\nNA, a ,TRUE,,3\n0.5,b,no,4,1.0\n")
    score(bundle, tmp_path / "rows.csv", tmp_path / "scores.parquet")
    same: list[dict[str, Any]] = [
        {"number": None, "kind": "a", "flag": True, "count": None, "shelf": 3},
        {"number": 0.5, "kind": "b", "flag": False, "count": 4, "shelf": 1},
    ]
    expected = load_runtime(bundle).predict_rows(same)
    np.testing.assert_allclose(read(tmp_path / "scores.parquet").get_column("probability").to_numpy(), expected)


def test_no_rows_give_a_table_of_no_rows(bundle: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    rows.clear().write_parquet(tmp_path / "rows.parquet")
    assert score(bundle, tmp_path / "rows.parquet", tmp_path / "scores.parquet").rows == 0
    assert read(tmp_path / "scores.parquet").columns == [*rows.columns, "prediction", "probability"]


def test_wrong_names_are_said(bundle: Path, rows: pl.DataFrame, parquet: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    with pytest.raises(NotFound, match="no such file"):
        score(bundle, tmp_path / "none.parquet", out)
    with pytest.raises(Invalid, match=r"\.xlsx cannot be scored"):
        (tmp_path / "rows.xlsx").touch()
        score(bundle, tmp_path / "rows.xlsx", out)
    with pytest.raises(Invalid, match=r"cannot be written as \.json"):
        score(bundle, parquet, tmp_path / "scores.json")
    with pytest.raises(Invalid, match="no column 'nothing'"):
        score(bundle, parquet, out, keep=["nothing"])
    rows.drop("flag").write_parquet(tmp_path / "short.parquet")
    with pytest.raises(Invalid, match="no column 'flag'"):
        score(bundle, tmp_path / "short.parquet", out)
    rows.with_columns(prediction=1).write_parquet(tmp_path / "taken.parquet")
    with pytest.raises(Invalid, match="a column 'prediction' already"):
        score(bundle, tmp_path / "taken.parquet", out)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not at all")
    with pytest.raises(Invalid, match="not readable"):
        score(bundle, tmp_path / "broken.parquet", out)
    assert not out.exists()


def test_a_result_is_replaced_only_when_that_is_asked(bundle: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    rows.head(10).write_parquet(tmp_path / "first.parquet")
    rows.tail(20).write_parquet(tmp_path / "second.parquet")
    for wanted in ("scores.parquet", "scores"):
        score(bundle, tmp_path / "first.parquet", tmp_path / wanted)
        if wanted == "scores.parquet":
            with pytest.raises(Conflict, match="there already"):
                score(bundle, tmp_path / "second.parquet", tmp_path / wanted)
        score(bundle, tmp_path / "second.parquet", tmp_path / wanted, overwrite=True)
        assert read(tmp_path / wanted).sort("key").select(rows.columns).equals(rows.tail(20).sort("key"))


def test_a_damaged_bundle_scores_nothing(bundle: Path, parquet: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    copy.mkdir()
    for file in bundle.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    model = copy / load_runtime(bundle).manifest.model
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    with pytest.raises(Damaged):
        score(copy, parquet, tmp_path / "scores.parquet")


def test_memory_does_not_grow_with_the_rows(bundle: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    many = pl.concat([rows] * 50)
    tables = DeltaTables(tmp_path)
    for number in range(20):
        tables.append("many", many, once=("test", number + 1))
    code = (
        "import resource, sys; from pathlib import Path; from kept.app.scoring.score import score;"
        "score(*map(Path, sys.argv[1:]), piece=20_000);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )

    def peak(source: str, to: str) -> int:
        command = [sys.executable, "-c", code, str(bundle), str(tmp_path / source), str(tmp_path / to)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    tables.append("few", many)
    began = time.monotonic()
    small, large = peak("few", "a.parquet"), peak("many", "b.parquet")
    assert large < small * 1.6, f"{small} to {large} kB in {time.monotonic() - began:.1f} s"
