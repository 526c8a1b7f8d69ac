"""The quarantine: bad rows as they came, each with the reason it was set aside."""

from datetime import datetime
from typing import Any

import msgspec
import polars as pl

from kept.core.errors import NotFound
from kept.data.version import quarantine_of
from kept.store.tables import Tables


class BadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was set aside. Its values are texts, as NaN and infinity have no other form that keeps them."""

    ingest_id: str
    reason: str
    set_aside_at: datetime
    row: dict[str, Any]


def put_aside(
    tables: Tables,
    project: str,
    dataset: str,
    bad: pl.DataFrame,
    reasons: pl.Series,
    *,
    ingest_id: str,
    at: datetime,
) -> None:
    """Appends bad rows to the dataset's quarantine table.

    Each is one JSON text, so rows of every shape fit one table. Rows whose ingest never became a version are those of
    an attempt that failed.
    """
    if bad.is_empty():
        return
    texts = [
        pl.col(name).cast(pl.String) if not dtype.is_nested() else pl.col(name) for name, dtype in bad.schema.items()
    ]
    frame = bad.select(
        pl.lit(ingest_id).alias("ingest_id"),
        reasons.alias("reason"),
        pl.lit(at, dtype=pl.Datetime("us", "UTC")).alias("set_aside_at"),
        pl.struct(texts).struct.json_encode().alias("row"),
    )
    tables.append(quarantine_of(project, dataset), frame)


def set_aside(tables: Tables, project: str, dataset: str, ingest_id: str | None, limit: int) -> list[BadRow]:
    """Bad rows of one ingest, or of the last one that had any; none when there was never one."""
    try:
        rows = tables.read(quarantine_of(project, dataset))
    except NotFound:
        return []
    if ingest_id is None:
        ingest_id = rows.select(pl.col("ingest_id").max()).collect().item()
    found = rows.filter(pl.col("ingest_id") == ingest_id).head(limit).collect()
    return [BadRow(**{**row, "row": msgspec.json.decode(row["row"])}) for row in found.iter_rows(named=True)]
