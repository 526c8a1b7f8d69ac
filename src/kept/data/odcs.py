"""Contracts as files: a subset of the Open Data Contract Standard 3.1 in YAML.

Used of the standard: `schema[].properties[]` with `name`, `logicalType`, `physicalType`, `required`, `primaryKey` and its
position, `logicalTypeOptions.minimum` and `.maximum`, and the library quality rules `invalidValues` (categories) and
`nullValues` (the observed share, in percent). What was merely observed stands in `customProperties` under `kept.*`.
Other parts of the standard are read over.
"""

from typing import Any, get_args

import msgspec

from kept.core.errors import Invalid
from kept.core.plain_yaml import read_yaml
from kept.data.contract import ColumnContract, Kind, TableContract

_API = "v3.1.0"
# The standard has neither a type for bytes nor one for "nothing seen yet"; its physicalType says which is meant.
_LOGICAL: dict[Kind, str] = {"binary": "string", "unknown": "string"}
_OBSERVED = ("lowest", "highest", "distinct", "identifier", "constant")


def to_odcs(contract: TableContract) -> str:
    """The contract as ODCS YAML."""
    table: dict[str, Any] = {
        "name": contract.name,
        "logicalType": "object",
        "customProperties": [{"property": "kept.rows", "value": contract.rows}],
        "properties": [_to_property(column, contract.key) for column in contract.columns],
    }
    document = {
        "apiVersion": _API,
        "kind": "DataContract",
        "id": contract.name,
        "name": contract.name,
        "version": "1.0.0",
        "status": "active",
        "schema": [table],
    }
    return msgspec.yaml.encode(document).decode()


def from_odcs(text: str, *, where: str) -> TableContract:
    """The contract that ODCS YAML (or JSON) says; `Invalid` names the property that is wrong."""
    document = read_yaml(text, where=where, fix="Mend the line it names")
    if not isinstance(document, dict) or document.get("kind") != "DataContract":
        raise Invalid("not a data contract", where=where, fix="Write kind: DataContract, as kept data schema does")
    tables = document.get("schema")
    if not isinstance(tables, list) or len(tables) != 1 or not isinstance(tables[0], dict):
        raise Invalid("it must describe one table", where=where, fix="Write one entry under schema")
    table = tables[0]
    properties = table.get("properties")
    if not isinstance(properties, list) or not properties:
        raise Invalid("the table has no properties", where=where, fix="Describe each column under properties")
    columns = [_from_property(one, where) for one in properties]
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(f"the column {twice!r} is described twice", where=where, fix="Keep one of them")
    keys = sorted((one.get("primaryKeyPosition", 1), one["name"]) for one in properties if one.get("primaryKey"))
    rows = _custom(table).get("rows", 0)
    return TableContract(
        name=str(table.get("name", "")), key=tuple(name for _, name in keys), columns=tuple(columns), rows=rows
    )


def _to_property(column: ColumnContract, key: tuple[str, ...]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": column.name,
        "logicalType": _LOGICAL.get(column.kind, column.kind),
        "physicalType": column.kind,
        "required": column.required,
    }
    if column.name in key:
        fields |= {"primaryKey": True, "primaryKeyPosition": key.index(column.name) + 1}
    limits = {name: value for name in ("minimum", "maximum") if (value := getattr(column, name)) is not None}
    if limits:
        fields["logicalTypeOptions"] = limits
    quality: list[dict[str, Any]] = [
        {"type": "library", "metric": "nullValues", "unit": "percent", "mustBeLessOrEqualTo": 100 * column.null_rate}
    ]
    if column.categories is not None:
        values = {"validValues": list(column.categories)}
        quality.append({"type": "library", "metric": "invalidValues", "arguments": values, "mustBe": 0})
    fields["quality"] = quality
    fields["customProperties"] = [
        {"property": f"kept.{name}", "value": value}
        for name in _OBSERVED
        if (value := getattr(column, name)) is not None
    ]
    return fields


def _from_property(one: Any, where: str) -> ColumnContract:
    if not isinstance(one, dict) or not isinstance(one.get("name"), str):
        raise Invalid(f"{one!r} is not a property with a name", where=where, fix="Write - name: column")
    place = f"{where}, column {one['name']}"
    rules = {rule.get("metric"): rule for rule in one.get("quality") or () if isinstance(rule, dict)}
    plain: dict[str, Any] = {
        "name": one["name"],
        "kind": one.get("physicalType") if one.get("physicalType") in get_args(Kind) else one.get("logicalType"),
        "required": one.get("required", False),
        **{name: value for name, value in _custom(one).items() if name in _OBSERVED},
    }
    options = one.get("logicalTypeOptions") or {}
    plain |= {name: options[name] for name in ("minimum", "maximum") if name in options}
    if "invalidValues" in rules:
        plain["categories"] = (rules["invalidValues"].get("arguments") or {}).get("validValues", [])
    if "nullValues" in rules:
        plain["null_rate"] = rules["nullValues"].get("mustBeLessOrEqualTo", 0) / 100
    try:
        return msgspec.convert(plain, ColumnContract)
    except msgspec.ValidationError as error:
        raise Invalid(str(error), where=place, fix="Write it as kept data schema does") from error


def _custom(holder: dict[str, Any]) -> dict[str, Any]:
    return {
        str(one["property"]).removeprefix("kept."): one.get("value")
        for one in holder.get("customProperties") or ()
        if isinstance(one, dict) and str(one.get("property", "")).startswith("kept.")
    }
