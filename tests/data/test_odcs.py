import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.core.errors import Invalid
from kept.data.contract import ColumnContract, TableContract
from kept.data.odcs import from_odcs, to_odcs

numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
columns = st.builds(
    ColumnContract,
    name=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8),
    kind=st.sampled_from(["integer", "number", "boolean", "string", "timestamp", "date", "binary", "unknown"]),
    required=st.booleans(),
    minimum=numbers,
    maximum=numbers,
    categories=st.none()
    | st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5), max_size=3).map(tuple),
    null_rate=st.sampled_from([0.0, 0.25, 1.0]),
    lowest=numbers,
    highest=st.none() | st.integers(-(2**40), 2**40),
    distinct=st.integers(0, 10),
    identifier=st.booleans(),
    constant=st.booleans(),
)


@given(st.lists(columns, min_size=1, max_size=4, unique_by=lambda column: column.name), st.integers(0, 3))
def test_a_contract_survives_its_file(described: list[ColumnContract], keys: int) -> None:
    contract = TableContract(
        name="flights", key=tuple(column.name for column in described[:keys]), columns=tuple(described), rows=7
    )
    assert from_odcs(to_odcs(contract), where="flights.yaml") == contract


def test_a_contract_by_hand() -> None:
    text = """
    apiVersion: v3.1.0
    kind: DataContract
    schema:
      - name: flights
        properties:
          - {name: id, logicalType: integer, primaryKey: true}
          - name: temp
            logicalType: number
            logicalTypeOptions: {minimum: -60, maximum: 140}
    """
    contract = from_odcs(text, where="flights.yaml")
    assert contract.key == ("id",)
    assert contract.columns[1] == ColumnContract(name="temp", kind="number", minimum=-60, maximum=140)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "flights.yaml: not valid YAML"),
        ("kind: Other", "not a data contract"),
        ("{kind: DataContract, schema: [{name: a}]}", "has no properties"),
        ("{kind: DataContract, schema: [{properties: [{logicalType: number}]}]}", "is not a property with a name"),
        (
            "{kind: DataContract, schema: [{properties: [{name: a, logicalType: colour}]}]}",
            "column a: Invalid enum value",
        ),
        (
            "{kind: DataContract, schema: [{properties: [{name: a, logicalType: number}, {name: a, logicalType: number}]}]}",
            "twice",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        from_odcs(text, where="flights.yaml")


def test_a_contract_survives_its_record() -> None:
    contract = TableContract(name="t", columns=(ColumnContract(name="a", kind="integer", lowest=1, highest=2.5),))
    again = msgspec.json.decode(msgspec.json.encode(contract), type=TableContract)
    assert again.digest() == contract.digest()
