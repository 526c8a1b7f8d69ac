"""Validating a frame against its contract: breaches stop it, bad rows are quarantined, changes are noted."""

import math
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl

from kept.core.errors import Invalid
from kept.data.contract import ColumnContract, Finding, Kind, Quality, TableContract
from kept.data.inference import infer, kind_of

RISE = 0.05
"""Rise of the null rate that is worth a finding, where it is also beyond three standard errors."""
_DTYPES: dict[Kind, Any] = {
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "string": pl.String,
    "timestamp": pl.Datetime("us", "UTC"),
    "date": pl.Date,
}
_SHOWN = 5


@dataclass(frozen=True)
class Roles:
    """Which columns mean something beyond their values."""

    key: tuple[str, ...] = ()
    """Together they name a row; of rows with one key the last is kept."""
    required: tuple[str, ...] = ()
    """Each row must have a value in them."""
    label: str | None = None
    """May be null (not known yet), never NaN."""
    optional: bool = False
    """Whether all other columns may be null at any time, whatever was observed."""


@dataclass(frozen=True)
class Checked:
    """The rows that hold, those set aside with their reasons, and how the whole stood up."""

    good: pl.DataFrame
    bad: pl.DataFrame
    reasons: pl.Series
    """Why each bad row was set aside; several reasons are joined by `; `."""
    quality: Quality
    contract: TableContract
    """The contract in force from here on: the given one with new columns added, or the one inferred."""


def check(frame: pl.DataFrame, contract: TableContract | None, roles: Roles, *, name: str) -> Checked:
    """Holds a frame in stored types against a contract; without one, infers it from the rows that can be used.

    Raises:
        Invalid: a column of the contract is missing or has another type.
    """
    known = contract or TableContract(name=name, key=roles.key, columns=())
    frame = conform(frame, known, where=name)
    frame, findings = _without_nan(frame, roles.label)
    good, bad, reasons = _set_aside(frame, _problems(frame.schema, known, roles), roles.key)
    if contract is None:
        findings_here: list[Finding] = []
        contract = _inferred(good, roles, name)
    else:
        findings_here = _changes(good, contract)
        contract = _grown(good, contract, roles)
    quality = Quality(
        rows=frame.height,
        bad=bad.height,
        reasons=_counted(reasons),
        findings=(*findings, *findings_here),
    )
    return Checked(good=good, bad=bad, reasons=reasons, quality=quality, contract=contract)


def conform(frame: pl.DataFrame, contract: TableContract, *, where: str) -> pl.DataFrame:
    """The frame in the contract's order and types, new columns last.

    Raises:
        Invalid: a column is missing, or its values cannot be taken for what they should be.
    """
    missing = [name for name in contract.names if name not in frame.columns]
    if missing:
        fix = "Give it again; if it is gone for good, take it out of the schema (kept data schema)"
        several = f"the columns {missing} are missing" if len(missing) > 1 else f"the column {missing[0]!r} is missing"
        raise Invalid(several, where=where, fix=fix)
    casts = [
        pl.col(column.name).cast(_DTYPES[column.kind])
        for column in contract.columns
        if _needs_cast(frame.get_column(column.name), column.kind, where)
    ]
    new = [name for name in frame.columns if contract.column(name) is None]
    return frame.with_columns(casts).select(*contract.names, *new)


def _needs_cast(series: pl.Series, kind: Kind, where: str) -> bool:
    found = kind_of(series.dtype)
    if kind in {found, "unknown"}:
        return False
    if found == "unknown":
        return kind in _DTYPES
    if (found, kind) == ("integer", "number"):
        return True
    if (found, kind) == ("number", "integer") and (series.is_null() | (series == series.round())).all():
        return True
    example = series.drop_nulls().head(1).to_list()
    fix = "Cast it in the function; if the change is meant, change the schema (kept data schema)"
    raise Invalid(
        f"the column {series.name!r} holds {found} values (for example {example[0]!r}), the schema says {kind}",
        where=where,
        fix=fix,
    )


def _without_nan(frame: pl.DataFrame, label: str | None) -> tuple[pl.DataFrame, list[Finding]]:
    """NaN is how most libraries write a missing number: it becomes null, and is noted. Not so in the label."""
    names = [name for name, dtype in frame.schema.items() if dtype.is_float() and name != label]
    if not names:
        return frame, []
    counts = frame.select(pl.col(names).is_nan().sum()).row(0, named=True)
    found = {name: count for name, count in counts.items() if count}
    findings = [
        Finding(kind="not_a_number", column=name, what=f"{count} NaN were taken for missing values", rows=count)
        for name, count in found.items()
    ]
    return frame.with_columns(pl.col(name).fill_nan(None) for name in found), findings


def _problems(schema: pl.Schema, contract: TableContract, roles: Roles) -> list[tuple[str, pl.Expr]]:
    """Reasons to set a row aside, each with the expression that is true for such rows (null counts as false)."""
    problems: list[tuple[str, pl.Expr]] = []
    must = {column.name for column in contract.columns if column.required} | {*roles.key, *roles.required}
    for name, dtype in schema.items():
        column = pl.col(name)
        if name in must:
            problems.append((f"{name} is null", column.is_null()))
        if dtype.is_float():
            problems.append((f"{name} is infinite", column.is_infinite()))
            if name == roles.label:
                problems.append((f"{name} is NaN: a label that is not known yet is null", column.is_nan()))
        held = contract.column(name)
        if held is None or not dtype.is_numeric():
            continue
        finite = column.is_finite() if dtype.is_float() else pl.lit(value=True)
        if held.minimum is not None:
            problems.append((f"{name} is below {held.minimum:.6g}", finite & (column < held.minimum)))
        if held.maximum is not None:
            problems.append((f"{name} is above {held.maximum:.6g}", finite & (column > held.maximum)))
    return problems


def _set_aside(
    frame: pl.DataFrame, problems: list[tuple[str, pl.Expr]], key: tuple[str, ...]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.Series]:
    counts = (
        frame.select(problem.sum().alias(str(at)) for at, (_, problem) in enumerate(problems)).row(0)
        if problems
        else ()
    )
    found = [problem for problem, count in zip(problems, counts, strict=True) if count]
    good, bad, reasons = frame, frame.clear(), pl.Series("reason", [], pl.String)
    if found:
        texts = [pl.when(problem).then(pl.lit(reason)) for reason, problem in found]
        reasons = frame.select(pl.concat_str(texts, separator="; ", ignore_nulls=True).alias("reason")).to_series()
        # Where nothing is wrong, joining nothing gives the empty text.
        wrong = reasons != ""
        good, bad, reasons = frame.filter(~wrong), frame.filter(wrong), reasons.filter(wrong)
    if key and good.select(pl.struct(key) if len(key) > 1 else pl.col(key)).to_series().n_unique() < good.height:
        last = good.select(pl.struct(key).is_last_distinct()).to_series()
        twice = good.filter(~last)
        why = f"another row with this key ({', '.join(key)}) comes later"
        bad = pl.concat([bad, twice])
        reasons = pl.concat([reasons, pl.repeat(why, twice.height, dtype=pl.String, eager=True).alias("reason")])
        good = good.filter(last)
    return good, bad, reasons


def _counted(reasons: pl.Series) -> dict[str, int]:
    counts = reasons.str.split("; ").explode().value_counts(sort=True)
    return dict(zip(*counts, strict=True)) if reasons.len() else {}


def _inferred(good: pl.DataFrame, roles: Roles, name: str) -> TableContract:
    free = good.columns if roles.optional else [roles.label] if roles.label else []
    return infer(good, name, key=roles.key, required=roles.required, free=free)


def _grown(good: pl.DataFrame, contract: TableContract, roles: Roles) -> TableContract:
    """The contract with the columns that are new, or whose first values came now."""
    late = [
        name
        for name in good.columns
        if (held := contract.column(name)) is None or (held.kind == "unknown" and good.schema[name] != pl.Null)
    ]
    if not late or not good.height:
        return contract
    learnt = {
        column.name: column
        for column in _inferred(good.select(late), Roles(label=roles.label, optional=roles.optional), "").columns
    }
    kept = [learnt.pop(column.name, column) for column in contract.columns]
    return msgspec.structs.replace(contract, columns=(*kept, *learnt.values()))


def _changes(good: pl.DataFrame, contract: TableContract) -> list[Finding]:
    findings = [
        Finding(
            kind="new_column",
            column=name,
            what="the column is new; it is part of the schema from now on",
            rows=good.height,
        )
        for name in good.columns
        if contract.column(name) is None
    ]
    if not good.height:
        return findings
    facts = good.select(fact for column in contract.columns for fact in _observed(column, good.schema[column.name]))
    row = facts.row(0, named=True)
    for column in contract.columns:
        findings += _nulls(column, row[f"{column.name}\0nulls"], good.height, contract.rows)
        if beyond := row.get(f"{column.name}\0beyond"):
            what = f"{beyond} values lie beyond {column.lowest} to {column.highest} by more than that range's width"
            findings.append(Finding(kind="range", column=column.name, what=what, rows=beyond))
        if column.categories is not None:
            findings += _categories(column, good.get_column(column.name))
        if column.distinct > 1 and row.get(f"{column.name}\0same"):
            what = "all values are the same, which was not so before"
            findings.append(Finding(kind="constant", column=column.name, what=what, rows=good.height))
    return findings


def _observed(column: ColumnContract, dtype: pl.DataType) -> list[pl.Expr]:
    value = pl.col(column.name)
    facts = [value.null_count().alias(f"{column.name}\0nulls")]
    low, high = column.lowest, column.highest
    if column.kind in {"integer", "number"} and isinstance(low, int | float) and isinstance(high, int | float):
        width = high - low
        if not column.identifier and not math.isinf(width):
            facts.append(((value < low - width) | (value > high + width)).sum().alias(f"{column.name}\0beyond"))
        facts.append(((value.min() == value.max()) & (value.count() > 1)).alias(f"{column.name}\0same"))
    elif dtype == pl.Boolean:
        facts.append(((value.min() == value.max()) & (value.count() > 1)).alias(f"{column.name}\0same"))
    return facts


def _nulls(column: ColumnContract, nulls: int, rows: int, seen: int) -> list[Finding]:
    rate, before = nulls / rows, column.null_rate
    error = math.sqrt(max(before * (1 - before), 1e-4) * (1 / rows + 1 / max(seen, 1)))
    if rate - before <= max(RISE, 3 * error):
        return []
    return [
        Finding(kind="nulls", column=column.name, what=f"{rate:.1%} are null, {before:.1%} were before", rows=nulls)
    ]


def _categories(column: ColumnContract, series: pl.Series) -> list[Finding]:
    new = sorted(set(series.unique().drop_nulls()) - set(column.categories or ()))
    if not new:
        return []
    shown = ", ".join(repr(value) for value in new[:_SHOWN]) + (", ..." if len(new) > _SHOWN else "")
    return [
        Finding(
            kind="new_categories",
            column=column.name,
            what=f"values not seen before: {shown}",
            rows=int(series.is_in(new).sum()),
        )
    ]
