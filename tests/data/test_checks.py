import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.core.errors import Invalid
from kept.data.checks import Roles, check
from kept.data.contract import TableContract
from kept.data.inference import infer

NO_ROLES = Roles()


def rows(**columns: Any) -> pl.DataFrame:
    plain: dict[str, Any] = {
        "id": range(1000),
        "temp": [10.0 + at % 40 for at in range(1000)],
        "carrier": ["AA", "UA"] * 500,
        "gust": [None, 5.0] * 500,
    }
    return pl.DataFrame(plain | columns)


@pytest.fixture
def contract() -> TableContract:
    return infer(rows(), "flights", key=("id",))


def test_inference_sees_kinds_ranges_categories_and_nulls(contract: TableContract) -> None:
    identity, temp, carrier, gust = contract.columns
    assert (identity.kind, identity.identifier, identity.required, identity.maximum) == ("integer", True, True, None)
    assert (temp.lowest, temp.highest, temp.minimum, temp.maximum) == (10.0, 49.0, 10 - 490, 49 + 490)
    assert (carrier.categories, carrier.distinct) == (("AA", "UA"), 2)
    assert (gust.null_rate, gust.required, gust.constant) == (0.5, False, True)


def test_few_rows_make_no_column_required() -> None:
    small = infer(pl.DataFrame({"a": [1.0] * 299}), "small")
    large = infer(pl.DataFrame({"a": [1.0] * 300}), "large")
    assert (small.columns[0].required, large.columns[0].required) == (False, True)


def test_rows_like_those_before_hold(contract: TableContract) -> None:
    checked = check(rows(), contract, NO_ROLES, name="flights")
    assert checked.good.equals(rows())
    assert checked.quality.bad == 0
    assert checked.quality.findings == ()
    assert checked.contract == contract


def test_a_missing_column_is_named(contract: TableContract) -> None:
    with pytest.raises(Invalid, match="the column 'temp' is missing"):
        check(rows().drop("temp"), contract, NO_ROLES, name="flights")


def test_a_column_of_another_type_is_refused_with_an_example(contract: TableContract) -> None:
    with pytest.raises(Invalid, match=r"'temp' holds string values \(for example 'warm'\), the schema says number"):
        check(rows(temp="warm"), contract, NO_ROLES, name="flights")
    with pytest.raises(Invalid, match="'id' holds number values"):
        check(rows(id=[at + 0.5 for at in range(1000)]), contract, NO_ROLES, name="flights")


def test_types_that_hold_the_same_values_are_taken(contract: TableContract) -> None:
    whole = check(rows(id=[float(at) for at in range(1000)], temp=20, gust=None), contract, NO_ROLES, name="flights")
    assert whole.quality.bad == 0
    assert whole.good.schema == rows().schema


def test_bad_rows_are_set_aside_with_every_reason(contract: TableContract) -> None:
    temp = [20.0] * 1000
    temp[3], temp[4], temp[5] = -999.0, math.inf, math.nan
    carrier: list[str | None] = ["AA"] * 1000
    carrier[3] = None
    checked = check(rows(temp=temp, carrier=carrier), contract, NO_ROLES, name="flights")
    assert checked.bad["id"].to_list() == [3, 4, 5]
    assert checked.reasons.to_list() == ["temp is below -480; carrier is null", "temp is infinite", "temp is null"]
    assert checked.quality.reasons["carrier is null"] == 1
    assert checked.good.height == 997


def test_a_label_may_be_unknown_but_not_nan() -> None:
    frame = pl.DataFrame({"x": [1, 2, 3], "late": [1.0, None, math.nan]})
    checked = check(frame, None, Roles(label="late"), name="flights")
    assert checked.good["late"].to_list() == [1.0, None]
    assert checked.reasons.to_list() == ["late is NaN: a label that is not known yet is null"]


def test_nan_elsewhere_is_a_missing_value() -> None:
    frame = pl.DataFrame({"x": [1.0, math.nan], "late": [True, False]})
    checked = check(frame, None, Roles(label="late"), name="flights")
    assert checked.good["x"].to_list() == [1.0, None]
    assert [finding.kind for finding in checked.quality.findings] == ["not_a_number"]


def test_the_last_usable_row_of_a_key_is_kept() -> None:
    frame = pl.DataFrame({"id": [1, 2, 1, 1, None], "x": [1.0, 2.0, 3.0, math.inf, 5.0]})
    checked = check(frame, None, Roles(key=("id",)), name="flights")
    assert checked.good.rows() == [(2, 2.0), (1, 3.0)]
    assert checked.reasons.to_list() == ["x is infinite", "id is null", "another row with this key (id) comes later"]


def test_changes_are_findings_not_errors(contract: TableContract) -> None:
    changed = rows(carrier=["AA", "ZZ"] * 500, temp=200.0, gust=[None] * 900 + [5.0] * 100, extra=1)
    checked = check(changed, contract, NO_ROLES, name="flights")
    found = {(finding.kind, finding.column) for finding in checked.quality.findings}
    assert found == {
        ("new_column", "extra"),
        ("new_categories", "carrier"),
        ("range", "temp"),
        ("constant", "temp"),
        ("nulls", "gust"),
    }
    assert checked.quality.bad == 0
    assert checked.contract.names == (*contract.names, "extra")


def test_a_column_without_values_takes_the_kind_of_its_first_ones() -> None:
    first = check(pl.DataFrame({"a": [1], "b": [None]}), None, NO_ROLES, name="t")
    assert [column.kind for column in first.contract.columns] == ["integer", "unknown"]
    second = check(pl.DataFrame({"a": [1], "b": [0.5]}), first.contract, NO_ROLES, name="t")
    assert [column.kind for column in second.contract.columns] == ["integer", "number"]


@given(
    st.lists(
        st.tuples(st.sampled_from([1, 2, None]), st.sampled_from([1.0, math.inf, math.nan, None, 1e12])), max_size=30
    )
)
def test_every_row_is_either_good_or_set_aside_with_a_reason(values: list[tuple[int | None, float | None]]) -> None:
    frame = pl.DataFrame(values, schema={"id": pl.Int64, "x": pl.Float64}, orient="row").with_row_index("row")
    contract = infer(pl.DataFrame({"row": [1, 2], "id": [1, 2], "x": [0.0, 1.0]}), "t", key=("id",), required=("x",))
    checked = check(frame, contract, Roles(key=("id",), required=("x",)), name="t")
    assert sorted([*checked.good["row"], *checked.bad["row"]]) == list(range(len(values)))
    assert checked.reasons.len() == checked.bad.height
    assert all(checked.reasons)
    assert checked.good["id"].n_unique() == checked.good.height
    assert checked.good["x"].is_between(-100, 100).all()
    assert check(checked.good, contract, Roles(key=("id",), required=("x",)), name="t").quality.bad == 0
