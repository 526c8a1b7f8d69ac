import subprocess
import sys

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from kept.data.fingerprint import fingerprint

rows = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["x", "y", None])), max_size=12)
SCHEMA = {"a": pl.Int64, "b": pl.String}


@given(rows, st.randoms())
def test_the_order_of_rows_and_columns_does_not_matter(values: list[tuple[int, str | None]], random: object) -> None:
    frame = pl.DataFrame(values, schema=SCHEMA, orient="row")
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = pl.DataFrame(shuffled, schema=SCHEMA, orient="row").select("b", "a")
    assert fingerprint(again) == fingerprint(frame)


@given(rows, rows)
def test_other_content_has_another_fingerprint(
    one: list[tuple[int, str | None]], two: list[tuple[int, str | None]]
) -> None:
    prints = [fingerprint(pl.DataFrame(values, schema=SCHEMA, orient="row")) for values in (one, two)]
    same = sorted(one, key=repr) == sorted(two, key=repr)
    assert (prints[0] == prints[1]) == same


def test_names_and_types_count() -> None:
    prints = {
        fingerprint(pl.DataFrame(columns)) for columns in ({"a": [1]}, {"b": [1]}, {"a": [1.0]}, {"a": [True]}, {})
    }
    assert len(prints) == 5


def test_another_process_finds_the_same() -> None:
    code = (
        "import polars as pl; from kept.data.fingerprint import fingerprint;"
        "print(fingerprint(pl.DataFrame({'a': [1, 2], 'b': ['x', None]})))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert found == fingerprint(pl.DataFrame({"a": [2, 1], "b": [None, "x"]}))
