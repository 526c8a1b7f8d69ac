"""Rows as people have them: each gives the right answers, or says what is wrong with it."""

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deletion_vectors import delete_row
from deltalake import DeltaTable, write_deltalake

from kept.app.scoring.score import score
from kept.core.digests import digest_bytes, digest_json
from kept.core.errors import Conflict, Invalid, Unavailable
from kept.packaging.runtime import load_runtime
from kept.store.delta import scan_folder
from kept.store.tables import DeltaTables

Frame = Callable[[pl.DataFrame], pl.DataFrame]
HEADER = "number,kind,flag,count,shelf"


def scores(bundle: Path, source: Path, to: Path) -> list[float]:
    score(bundle, source, to, keep=[], overwrite=True, piece=300)
    return pl.read_parquet(to).get_column("probability").to_list()


def answers(bundle: Path, rows: pl.DataFrame) -> Any:
    """What the prediction service's own path answers to these rows, as what lists of numbers are compared with."""
    found = load_runtime(bundle).predict_rows(rows.to_dicts())
    return pytest.approx([float(one) for one in found], rel=0, abs=1e-12)


def with_decimal_commas(rows: pl.DataFrame) -> str:
    commas = pl.col("number").cast(pl.String).str.replace(".", ",", literal=True)
    return rows.with_columns(commas).write_csv(separator=";")


def with_blanks(rows: pl.DataFrame) -> str:
    lines = rows.write_csv(quote_style="always").splitlines()
    return "\n".join([line.replace('","', '", "') + "\n" * (place % 3) for place, line in enumerate(lines)])


TEXTS: dict[str, Callable[[pl.DataFrame], str]] = {
    "byte order mark": lambda rows: "\ufeff" + rows.write_csv(),
    "semicolons": lambda rows: rows.write_csv(separator=";"),
    "tabs": lambda rows: rows.write_csv(separator="\t"),
    "decimal commas": with_decimal_commas,
    "lines of Windows": lambda rows: rows.write_csv(line_terminator="\r\n"),
    "no end of line": lambda rows: rows.write_csv().rstrip("\n"),
    "blanks and blank lines": with_blanks,
    "another order": lambda rows: rows.select(reversed(rows.columns)).with_columns(more=1).write_csv(),
    "line breaks in texts": lambda rows: rows.with_columns(note=pl.lit('a\n"b",c')).write_csv(),
    "whole numbers with a point": lambda rows: rows.with_columns(pl.col("count", "shelf").cast(float)).write_csv(),
}


@pytest.mark.parametrize("how", TEXTS)
def test_text_is_read_as_it_is_meant(bundle: Path, rows: pl.DataFrame, tmp_path: Path, how: str) -> None:
    source = tmp_path / "rows [1].csv"
    source.write_bytes(TEXTS[how](rows).encode())
    assert scores(bundle, source, tmp_path / "scores.parquet") == answers(bundle, rows)


def test_long_texts_beside_the_inputs_are_kept(bundle: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    long = "long " * 50_000 + "text"
    rows.head(20).with_columns(note=pl.lit(long)).write_csv(tmp_path / "rows.csv")
    score(bundle, tmp_path / "rows.csv", tmp_path / "scores.parquet", keep=["note"])
    assert pl.read_parquet(tmp_path / "scores.parquet")["note"].to_list() == [long] * 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        (f"{HEADER}\n1,a,true,1,1\n1,a,true\n", "line 3: it has 3 values, the first line has 5"),
        (f"{HEADER}\n1,a,true,1,1,9\n", "line 2: it has 6 values"),
        (f"{HEADER},number\n1,a,true,1,1,2\n", "two columns are called 'number'"),
        (f'{HEADER}\n1,"a,true,1,1\n', "quotes are closed"),
        ("number,kind,Flag,count,shelf\n1,a,true,1,1\n", "no column 'flag'"),
        (f"{HEADER}\n1,\u00e9,true,1,1\n", "not UTF-8 text"),
        (f"{HEADER}\n1,a,perhaps,1,1\n", "row 0, column 'flag': 'perhaps' is not true or false"),
    ],
)
def test_text_that_is_wrong_is_told_before_anything_is_scored(
    bundle: Path, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "rows.csv").write_text(text, encoding="latin-1")
    with pytest.raises(Invalid, match=said):
        score(bundle, tmp_path / "rows.csv", tmp_path / "scores.csv")
    assert not (tmp_path / "scores.csv").exists()


def test_a_line_of_names_alone_gives_no_rows(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(HEADER)
    assert score(bundle, tmp_path / "rows.csv", tmp_path / "scores.csv").rows == 0
    assert (tmp_path / "scores.csv").read_text() == f"{HEADER},prediction,probability\n"


TYPES: dict[str, Frame] = {
    "categories": lambda rows: rows.with_columns(pl.col("kind").cast(pl.Categorical)),
    "bytes": lambda rows: rows.with_columns(pl.col("kind").cast(pl.Binary)),
    "decimals": lambda rows: rows.with_columns(pl.col("count").cast(pl.Decimal(10, 2))),
    "nullable whole numbers as pandas has them": lambda rows: rows.with_columns(pl.col("count", "shelf").cast(float)),
    "narrow whole numbers": lambda rows: rows.with_columns(pl.col("count", "shelf").cast(pl.UInt8)),
    "numbers as text": lambda rows: rows.with_columns(pl.col("count", "shelf", "number").cast(pl.String)),
    "flags as numbers": lambda rows: rows.with_columns(pl.col("flag").cast(pl.Int8)),
    "flags as text": lambda rows: rows.with_columns(pl.col("flag").cast(pl.String)),
    "nested columns beside": lambda rows: rows.with_columns(more=pl.struct("number", "kind"), list=[1, 2]),
}


@pytest.mark.parametrize("how", TYPES)
def test_types_that_can_mean_an_input_are_taken(bundle: Path, rows: pl.DataFrame, tmp_path: Path, how: str) -> None:
    TYPES[how](rows).write_parquet(tmp_path / "rows.parquet")
    assert scores(bundle, tmp_path / "rows.parquet", tmp_path / "scores.parquet") == answers(bundle, rows)


def test_what_training_never_saw_is_answered_as_the_service_answers_it(
    bundle: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    strange = rows.with_columns(kind=pl.lit("never seen"), shelf=pl.lit(77), number=pl.col("number") * 1e300)
    for frame in (strange, rows.with_columns(kind=None, number=None)):
        frame.write_parquet(tmp_path / "rows.parquet")
        assert scores(bundle, tmp_path / "rows.parquet", tmp_path / "scores.parquet") == answers(bundle, frame)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pl.lit(date(2020, 1, 1)).alias("number"), "column 'number': expected numbers, found Date"),
        (pl.lit(timedelta(1)).alias("count"), "column 'count': expected whole numbers, found Duration"),
        (pl.lit(datetime(2020, 1, 1, tzinfo=UTC)).alias("kind"), "column 'kind': expected categories, found Datetime"),
        (pl.lit(1.5).alias("kind"), "column 'kind': expected categories, found Float64"),
        (pl.concat_list("kind").alias("kind"), "column 'kind': expected categories, found List"),
        (pl.struct("number").alias("number"), "column 'number': expected numbers, found Struct"),
        (pl.lit(value=True).alias("number"), "column 'number': expected numbers, found Boolean"),
        (pl.lit(b"\xff").alias("kind"), "column 'kind': its bytes are no text"),
    ],
)
def test_types_that_can_not_are_told(
    bundle: Path, rows: pl.DataFrame, tmp_path: Path, column: pl.Expr, said: str
) -> None:
    rows.with_columns(column).write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(Invalid, match=said):
        score(bundle, tmp_path / "rows.parquet", tmp_path / "scores.parquet")


@pytest.mark.parametrize("folder", ["plain", "my data", "env=prod", "kind=z/a b=ä%"])
def test_tables_with_partitions_and_deleted_rows(bundle: Path, rows: pl.DataFrame, tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    lake = str(tmp_path / folder / "lake")
    write_deltalake(lake, rows.with_columns(day=date(2020, 1, 1)), partition_by=["day", "kind"])
    DeltaTable(lake).delete("key = 'r5'")
    rows.write_delta(tmp_path / folder / "marked")
    delete_row(tmp_path / folder / "marked", 5)
    score(bundle, Path(lake), tmp_path / "scores.parquet", keep=["key"])
    found = pl.read_parquet(tmp_path / "scores.parquet").sort("key")
    left = rows.filter(pl.col("key") != "r5").sort("key")
    assert found["key"].to_list() == left["key"].to_list()
    assert found["probability"].to_list() == answers(bundle, left)
    marked = scores(bundle, tmp_path / folder / "marked", tmp_path / "scores.parquet")
    assert marked == answers(bundle, rows.filter(pl.col("key") != "r5"))


@pytest.mark.parametrize("folder", ["plain", "env=prod"])
def test_deleted_rows_of_a_partition_whose_value_is_quoted(tmp_path: Path, folder: str) -> None:
    table = tmp_path / folder / "table"
    table.parent.mkdir()
    frame = pl.DataFrame({"number": [1, 2, 3], "place": ["New York & ä%"] * 3})
    write_deltalake(str(table), frame, partition_by=["place"])
    delete_row(table, 1)
    kept = scan_folder(table)
    assert kept.collect().equals(frame.filter(pl.col("number") != 2))
    # A reading goes on where only what was made of it is held.
    numbers = kept.select("number")
    del kept
    gc.collect()
    assert numbers.collect(engine="streaming")["number"].to_list() == [1, 3]


def test_a_folder_is_its_own_files_and_their_types_may_be_narrower(
    bundle: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    rows.head(300).write_parquet(folder / "1.parquet")
    rows.tail(-300).with_columns(pl.col("count").cast(pl.Int32)).write_parquet(folder / "2.parquet")
    for left in (".3.parquet", "_4.parquet"):
        (folder / left).write_bytes(b"what a program left for itself")
    assert scores(bundle, folder, tmp_path / "scores.parquet") == answers(bundle, rows)


def test_scores_are_no_part_of_the_rows(bundle: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    rows.write_delta(tmp_path / "lake")
    (tmp_path / "folder").mkdir()
    rows.write_parquet(tmp_path / "folder" / "1.parquet")
    for source, to in (("lake", "lake"), ("folder", "folder/2.parquet"), ("folder", "folder")):
        for overwrite in (False, True):
            with pytest.raises(Conflict, match="it is where the rows are"):
                score(bundle, tmp_path / source, tmp_path / to, overwrite=overwrite)
    assert pl.read_delta(str(tmp_path / "lake")).height == rows.height
    # One file may take the place of another: it is there whole, or as it was.
    rows.write_parquet(tmp_path / "rows.parquet")
    score(bundle, tmp_path / "rows.parquet", tmp_path / "rows.parquet", overwrite=True)
    assert pl.read_parquet(tmp_path / "rows.parquet")["probability"].to_list() == answers(bundle, rows)


def test_what_a_result_cannot_hold_is_told(bundle: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    source = tmp_path / "rows.parquet"
    rows.with_columns(more=pl.struct("number"), span=timedelta(1)).write_parquet(source)
    for column in ("more", "span"):
        with pytest.raises(Invalid, match=f"column '{column}': a CSV file cannot hold"):
            score(bundle, source, tmp_path / "scores.csv", keep=[column])
    with pytest.raises(Unavailable, match="scores cannot be written .*Duration"):
        score(bundle, source, tmp_path / "scores")
    write_deltalake(str(tmp_path / "other"), pl.DataFrame({"prediction": [1.5]}))
    with pytest.raises(Unavailable, match="scores cannot be written"):
        score(bundle, source, tmp_path / "other", keep=[])
    (tmp_path / "note").touch()
    with pytest.raises(Conflict, match="it is a file"):
        score(bundle, source, tmp_path / "note")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(Conflict, match="it is a folder"):
        score(bundle, source, tmp_path / "folder.csv", keep=[], overwrite=True)
    with pytest.raises(Unavailable, match="scores cannot be written"):
        score(bundle, source, tmp_path / "note" / "scores.parquet")


def test_moments_of_any_zone_are_kept_in_a_table(bundle: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    moment = datetime(2020, 7, 1, 12, tzinfo=UTC)
    here = pl.lit(moment).dt.convert_time_zone("Europe/Berlin").alias("at")
    rows.with_columns(here).write_parquet(tmp_path / "rows.parquet")
    score(bundle, tmp_path / "rows.parquet", tmp_path / "scores", keep=["at", "at"])
    assert set(pl.read_delta(str(tmp_path / "scores"))["at"]) == {moment}


def stop_after(pieces: int) -> Callable[[int, int], None]:
    seen = iter(range(pieces))

    def stop(_: int, __: int) -> None:
        if next(seen, None) is None:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_rows_that_changed_while_they_were_scored_give_no_result(
    bundle: Path, rows: pl.DataFrame, tmp_path: Path, ending: str
) -> None:
    source, to = tmp_path / f"rows{ending}", tmp_path / "scores.parquet"
    write = pl.DataFrame.write_csv if ending == ".csv" else pl.DataFrame.write_parquet

    def change(done: int, _: int) -> None:
        if done == rows.height:
            write(rows.reverse(), source)

    write(rows, source)
    with pytest.raises(Conflict, match="the rows changed while they were scored"):
        score(bundle, source, to, piece=100, progress=change)
    assert not to.exists()
    assert score(bundle, source, to, piece=100).taken_up == 0
    assert pl.read_parquet(to)["probability"].to_list() == answers(bundle, rows.reverse())


def test_what_a_table_holds_of_rows_that_changed_is_said_to_be_replaced(
    bundle: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    source, to = tmp_path / "rows.parquet", tmp_path / "scores"
    rows.write_parquet(source)
    changed = rows.reverse()
    with pytest.raises(Conflict, match="--overwrite"):
        score(bundle, source, to, progress=lambda done, _: changed.write_parquet(source) if done else None)
    assert score(bundle, source, to, overwrite=True).taken_up == 0
    assert pl.read_delta(str(to)).height == rows.height


def test_other_rows_under_the_same_size_and_time_are_another_job(
    bundle: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    source, to = tmp_path / "rows.csv", tmp_path / "scores.parquet"
    rows.write_csv(source)
    before = source.stat()
    with pytest.raises(KeyboardInterrupt):
        score(bundle, source, to, piece=100, progress=stop_after(3))
    header, *lines = source.read_text().splitlines()
    source.write_text("\n".join([header, *reversed(lines), ""]))
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert source.stat().st_size == before.st_size
    assert score(bundle, source, to, piece=100).taken_up == 0
    assert pl.read_parquet(to)["key"].to_list() == rows["key"].reverse().to_list()


def test_a_table_that_was_made_anew_is_another_job(bundle: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    lake, to = tmp_path / "lake", tmp_path / "scores"
    rows.write_delta(lake)
    with pytest.raises(KeyboardInterrupt):
        score(bundle, lake, to, piece=100, progress=stop_after(3))
    lake.rename(tmp_path / "old")
    rows.write_delta(lake)
    assert score(bundle, lake, to, piece=100, overwrite=True).taken_up == 0
    assert pl.read_delta(str(to)).height == rows.height


def test_a_table_holds_no_rows_of_a_job_that_was_cut_off_beside_those_of_another(
    bundle: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    source, to = tmp_path / "rows.parquet", tmp_path / "scores"
    rows.write_parquet(source)
    with pytest.raises(KeyboardInterrupt):
        score(bundle, source, to, piece=100, progress=stop_after(3))
    changed = rows.reverse()
    changed.write_parquet(source)
    with pytest.raises(Conflict, match="was cut off there"):
        score(bundle, source, to, piece=100)
    assert score(bundle, source, to, piece=100, overwrite=True).taken_up == 0
    found = pl.read_delta(str(to)).sort("key")
    assert found["key"].to_list() == sorted(rows["key"])
    # Cut off while it replaces, and taken up.
    rows.write_parquet(source)
    with pytest.raises(KeyboardInterrupt):
        score(bundle, source, to, piece=100, overwrite=True, progress=stop_after(3))
    assert score(bundle, source, to, piece=100, overwrite=True).taken_up == 300
    assert pl.read_delta(str(to)).height == rows.height


def test_what_replaced_a_table_is_replaced_by_what_was_there_before(
    bundle: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    one, other, to = tmp_path / "one.parquet", tmp_path / "other.parquet", tmp_path / "scores"
    rows.head(10).write_parquet(one)
    rows.tail(20).write_parquet(other)
    for source, expected in ((one, 10), (other, 20), (one, 10), (one, 10)):
        score(bundle, source, to, overwrite=True)
        assert pl.read_delta(str(to)).height == expected
    # Added to what is there, and no row twice.
    for _ in range(2):
        score(bundle, other, to)
        score(bundle, one, to)
        assert pl.read_delta(str(to)).height == 30


@pytest.mark.parametrize("place", ["scores.parquet", "scores"])
def test_two_that_score_to_one_place_do_not_meet(bundle: Path, rows: pl.DataFrame, tmp_path: Path, place: str) -> None:
    source, others, to = tmp_path / "rows.parquet", tmp_path / "others.parquet", tmp_path / place
    rows.write_parquet(source)
    rows.reverse().write_parquet(others)
    told: list[int] = []

    def second(done: int, _: int) -> None:
        # From the first moment on, before anything of the first is kept.
        for one in (source, others):
            with pytest.raises(Conflict, match="another process scores to there"):
                score(bundle, one, to, overwrite=True)
        told.append(done)

    score(bundle, source, to, piece=500, progress=second)
    assert told == [0, 500, rows.height]
    found = pl.read_delta(str(to)) if place == "scores" else pl.read_parquet(to)
    assert found.sort("key")["probability"].to_list() == answers(bundle, rows.sort("key"))
    # Once it is over, others may.
    score(bundle, others, to, overwrite=True)


def test_a_try_that_failed_at_its_beginning_keeps_no_place(bundle: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    source, to = tmp_path / "rows.parquet", tmp_path / "scores.parquet"
    rows.write_parquet(source)
    strange = tmp_path / ".scores.parquet.parts" / "folder"
    strange.mkdir(parents=True)
    with pytest.raises(Unavailable, match="scores cannot be written"):
        score(bundle, source, to)
    strange.rmdir()
    assert score(bundle, source, to).rows == rows.height


def test_a_full_disk_is_told_and_the_next_try_goes_on(bundle: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    source, to = tmp_path / "rows.parquet", tmp_path / "scores.parquet"
    rows.write_parquet(source)
    code = (
        "import resource, signal, sys; from pathlib import Path; from kept.app.scoring.score import score;"
        "from kept.core.errors import Unavailable;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "full = lambda done, _: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)) if done >= 300 else None;\n"
        "try: score(*map(Path, sys.argv[1:]), piece=100, progress=full)\n"
        "except Unavailable as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(bundle), str(source), str(to)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=540).stdout
    assert "scores cannot be written" in said
    assert "Make room" in said
    assert score(bundle, source, to, piece=100).taken_up == 300
    assert pl.read_parquet(to)["probability"].to_list() == answers(bundle, rows)


def test_what_stands_beside_a_jobs_own_rows_is_replaced_when_that_is_asked(
    bundle: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    one, other, to = tmp_path / "one.parquet", tmp_path / "other.parquet", tmp_path / "scores"
    rows.head(10).write_parquet(one)
    rows.tail(20).write_parquet(other)
    for source, overwrite, expected in ((one, False, 10), (other, False, 30), (other, True, 20), (other, True, 20)):
        score(bundle, source, to, overwrite=overwrite)
        assert pl.read_delta(str(to)).height == expected
    assert score(bundle, other, to, overwrite=True).taken_up == 20


def test_a_table_that_was_scored_before_tables_were_told_by_their_ids_is_not_scored_twice(
    bundle: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    source, to = tmp_path / "rows.parquet", tmp_path / "scores"
    rows.write_parquet(source)
    facts = source.stat()
    files = f'[["{source.name}",{facts.st_size},{facts.st_mtime_ns}]]'
    origin = f'{{"path":"{source}","kind":"parquet","version":null,"files":{files}}}'.encode()
    job = digest_json([digest_bytes(origin), load_runtime(bundle).digest, rows.columns])
    score(bundle, source, tmp_path / "fresh.parquet")
    scored = pl.read_parquet(tmp_path / "fresh.parquet").head(300)
    DeltaTables(tmp_path).append("scores", scored, once=(job, 300))
    for taken_up in (300, rows.height):
        assert score(bundle, source, to, piece=100).taken_up == taken_up
        assert pl.read_delta(str(to)).sort("key")["key"].to_list() == sorted(rows["key"])
