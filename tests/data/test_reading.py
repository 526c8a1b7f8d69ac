from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kept
from kept.core.errors import Invalid, NotFound
from kept.data.reading import as_it_looks, as_times, read_table


def write(tmp_path: Path, text: str, name: str = "rows.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_blanks_and_marks_are_missing_and_types_are_those_that_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "age, zip, ok, job\n39, 02134, yes, ?\n , 10115, no, clerk\nNA,,, farmer \n")
    frame = kept.read_table(path, numbers=["age"], texts=["zip"], booleans=["ok"])
    assert frame.rows() == [(39.0, "02134", True, None), (None, "10115", False, "clerk"), (None, None, None, "farmer")]


def test_columns_that_are_not_named_are_what_their_values_are(tmp_path: Path) -> None:
    path = write(tmp_path, "n,x,code,flag,word\n1,1.5,007,true,a\n-2,2,012,FALSE,b\n")
    dtypes = {"n": pl.Int64, "x": pl.Float64, "code": pl.String, "flag": pl.Boolean, "word": pl.String}
    assert dict(read_table(path).schema) == dtypes


def test_names_are_for_files_without_them_and_a_line_that_says_them_is_no_row(tmp_path: Path) -> None:
    bare = read_table(write(tmp_path, "1, x\n2, y\n"), names=["n", "word"])
    named = read_table(write(tmp_path, "n,word\n1,x\n2,y\n"), names=["n", "word"])
    assert bare.equals(named)
    assert bare.rows() == [(1, "x"), (2, "y")]
    fewer = read_table(write(tmp_path, "word\nx\ny\n"), names=["n", "word"])
    assert fewer.rows(named=True) == [{"word": "x"}, {"word": "y"}]
    with pytest.raises(Invalid, match="3 names were given, the first line has 2 values"):
        read_table(write(tmp_path, "1,x\n"), names=["a", "b", "c"])


def test_columns_that_a_file_lacks_are_passed_over(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, "a\n1\n"), numbers=["a", "b"], texts=["c"]).columns == ["a"]


def test_other_separators_and_the_decimal_comma(tmp_path: Path) -> None:
    frame = read_table(write(tmp_path, "x;word\n3,5;a,b\n-1;c\n"), numbers=["x"])
    assert frame.rows() == [(3.5, "a,b"), (-1.0, "c")]


def test_blank_lines_a_byte_order_mark_and_quotes_behind_blanks(tmp_path: Path) -> None:
    path = write(tmp_path, '\ufeffa,b\r\n1, "x, y"\r\n\r\n2,z\r\n\r\n')
    assert read_table(path).rows() == [(1, "x, y"), (2, "z")]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "it is empty"),
        ("\n \n", "it is empty"),
        ("a,b\n1,2\n3\n", "line 3: it has 1 values, the first line has 2"),
        ("a,b\n1,2,3\n", "line 2: it has 3 values"),
        ('a,b\n1,2\n3,"half', "not readable"),
        ("a,a\n1,2\n", "two columns are called 'a'"),
    ],
)
def test_files_that_are_not_whole_are_refused(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(Invalid, match=what):
        read_table(write(tmp_path, text))


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(NotFound, match="no such file"):
        read_table(tmp_path / "none.parquet")
    with pytest.raises(Invalid, match="folder"):
        read_table(tmp_path)
    (tmp_path / "latin.csv").write_bytes("a\nBr\u00fchl\n".encode("latin-1"))
    with pytest.raises(Invalid, match="not UTF-8"):
        read_table(tmp_path / "latin.csv")
    (tmp_path / "half.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(Invalid, match="not readable"):
        read_table(tmp_path / "half.parquet")


@pytest.mark.parametrize(
    ("name", "content", "fix"),
    [
        ("sheet.xlsx", b"PK\x03\x04\x14\x00\xff\xfe", "Save the sheet as CSV"),
        ("rows.csv.gz", b"\x1f\x8b\x08\x00\xff", "gunzip --keep rows.csv.gz"),
        ("rows.csv", b"PAR1\x15\xff\xfe", "the ending .parquet"),
    ],
)
def test_what_only_looks_like_text_is_told_by_its_form(tmp_path: Path, name: str, content: bytes, fix: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid, match=fix):
        read_table(tmp_path / name)


def test_a_value_that_is_not_what_its_column_holds_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "age\n1\nold\n")
    with pytest.raises(Invalid, match=r"column age: 'old' is not a number.*missing=\['old'\]"):
        read_table(path, numbers=["age"])
    assert read_table(path, numbers=["age"], missing=["old"]).rows() == [(1.0,), (None,)]


def test_parquet_and_json_are_brought_to_the_same_types(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [1, None], "kind": ["a ", "?"]}, schema_overrides={"kind": pl.Categorical})
    frame.write_parquet(tmp_path / "rows.parquet")
    frame.cast({"kind": pl.String}).write_ndjson(tmp_path / "rows.ndjson")
    for name in ("rows.parquet", "rows.ndjson"):
        found = read_table(tmp_path / name, numbers=["x"], texts=["kind"])
        assert found.rows() == [(1.0, "a"), (None, None)]


def test_moments_are_utc_however_they_are_written() -> None:
    iso = pl.Series(
        [
            "2020-01-01",
            "2020-01-01T01:00",
            "2020-01-01 02:00:00.5",
            "2020-01-01T03:00:00Z",
            "2020-01-01T06:00:00+02:00",
            None,
        ]
    )
    hours = as_times(iso).dt.epoch("ms") / 3_600_000 - 1577836800 / 3600
    assert hours.round(3).to_list() == [0, 1, 2, 3, 4, None]
    assert as_times(pl.Series(["31/12/2019 23:30"]), "%d/%m/%Y %H:%M").dt.epoch("s").to_list() == [1577835000]
    assert as_times(pl.Series(["1577836800"]), "s").dt.epoch("s").to_list() == [1577836800]
    assert as_times(pl.Series(["2020-01-01T01:00:00+0100"]), "%Y-%m-%dT%H:%M:%S%z").dt.epoch("s").to_list() == [
        1577836800
    ]


@given(st.lists(st.integers(-(10**15), 10**15) | st.none(), min_size=1, max_size=20))
def test_whole_numbers_stay_exact(values: list[int | None]) -> None:
    found = as_it_looks(pl.Series([None if value is None else str(value) for value in values], dtype=pl.String))
    assert found.to_list() == values
