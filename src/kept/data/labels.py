"""The ledger of labels: they may come late, in any order, and be corrected; none is lost, no history overwritten.

A label is acknowledged when the transaction that holds it is durable: it waits in the database's inbox, from where
`ship` moves it to the table `labels/<endpoint>`, each exactly once for every reader. Of the labels of one target (a
prediction, or a key) the one that was received last is in force.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import polars as pl

from kept.core.errors import Invalid, NotFound
from kept.core.listing import list_limit
from kept.data.label import LabelEntry, LabelFile, LabelRow, make_row
from kept.data.records import (
    delete_labels,
    endpoints_waiting,
    find_file,
    insert_labels,
    last_waiting,
    save_file,
    waiting_labels,
)
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace

MOST = 10_000
"""Most labels in one request: more would keep other writers waiting."""
_WRITER = "labels"
_COMPACT_EVERY = 64
_BATCH = 100_000
_BATCHES = 1_000
_ENDPOINT = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
_MOMENT = pl.Datetime("us", "UTC")
_SCHEMA = pl.Schema(
    {
        "sequence": pl.Int64(),
        "prediction_id": pl.String(),
        "key": pl.String(),
        "value": pl.String(),
        "known_at": _MOMENT,
        "received_at": _MOMENT,
        "source": pl.String(),
        "actor": pl.String(),
    }
)


class RecordLabels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Labels of an endpoint's predictions."""

    endpoint: str
    labels: list[LabelEntry]
    source: str = "api"


class ImportLabels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Some rows of a file of labels, from the row `first` (0 is the first) on."""

    endpoint: str
    digest: str
    """Names the file's content and the way it was read."""
    file: str
    first: int
    labels: list[LabelEntry]


class ShowLabels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The history of one target's labels, or the newest labels of the endpoint."""

    endpoint: str
    prediction_id: str | None = None
    key: str | None = None
    limit: int = 50


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """How many labels are durable: of the request, or of the file so far."""

    recorded: int


class RecordedRows(Recorded, frozen=True, kw_only=True):
    """How much of a file is durable."""

    before: int
    """The sequence of the endpoint's newest label before these rows, 0 where they are the first."""


@operation("labels.record", needs=Permission.CONTRIBUTE, on="endpoint", audit=Audit.COUNTED)
def record_labels(workspace: Workspace, actor: Actor, request: RecordLabels) -> Recorded:
    """Records labels, all of the request or none. They are durable when it answers."""
    rows = _rows(workspace, actor, request.endpoint, request.labels, request.source, 0)
    with workspace.database.writing() as connection:
        insert_labels(connection, rows)
    return Recorded(recorded=len(rows))


@operation("labels.import", needs=Permission.CONTRIBUTE, on="endpoint", audit=Audit.COUNTED)
def import_labels(workspace: Workspace, actor: Actor, request: ImportLabels) -> RecordedRows:
    """Records the next rows of a file and says how many of its rows are recorded; rows that are already, are passed over."""
    if request.first < 0:
        raise Invalid(f"first={request.first} is below 0", where=f"labels file {request.file}", fix="Begin at row 0")
    rows = _rows(workspace, actor, request.endpoint, request.labels, request.file, request.first)
    with workspace.database.writing() as connection:
        known = find_file(connection, request.endpoint, request.digest)
        done = known.rows if known else 0
        if request.first > done:
            what = f"it goes on at row {request.first}, and {done} rows are recorded"
            raise Invalid(what, where=f"labels file {request.file}", fix="Send its rows in order")
        before = newest(workspace.inside(connection), request.endpoint)
        insert_labels(connection, rows[done - request.first :])
        total = max(done, request.first + len(rows))
        file = LabelFile(
            endpoint=request.endpoint,
            digest=request.digest,
            name=request.file,
            rows=total,
            updated_at=workspace.clock.now(),
        )
        save_file(connection, file)
    return RecordedRows(recorded=total, before=before)


@operation("labels.show", needs=Permission.VIEW, audit=Audit.READ)
def show_labels(workspace: Workspace, actor: Actor, request: ShowLabels) -> list[LabelRow]:
    """Labels as they were received, newest first."""
    del actor
    limit = list_limit(request.limit, where="labels")
    where = pl.lit(value=True)
    if request.prediction_id is not None:
        where &= pl.col("prediction_id") == request.prediction_id
    if request.key is not None:
        where &= pl.col("key") == request.key
    rows = history(workspace, request.endpoint, where)
    newest = rows.sort("sequence", descending=True).head(limit).collect()
    return [LabelRow(endpoint=request.endpoint, **row) for row in newest.iter_rows(named=True)]


def history(workspace: Workspace, endpoint: str, where: pl.Expr | None = None) -> pl.LazyFrame:
    """Every label of the endpoint that was ever received, in the columns of `LabelRow`, in no order.

    With `where` those for which it holds: the others are not read into memory, however many there are.
    """
    _check_endpoint(endpoint)
    # The inbox first: what leaves it meanwhile is in the table by then, so nothing can be missed between the two.
    with workspace.database.reading() as connection:
        waiting = waiting_labels(connection, endpoint)
    wanted = pl.lit(value=True) if where is None else where
    inbox = _frame(waiting).lazy().filter(wanted)
    try:
        # Filtered here: what is above the removal of doubles is not brought down to the files.
        table = workspace.tables.read(_table(endpoint)).select(_SCHEMA.names()).filter(wanted)
    except NotFound:
        return inbox
    return pl.concat([table, inbox]).unique("sequence", keep="any")


def version(workspace: Workspace, endpoint: str) -> int | None:
    """The version of the endpoint's labels that were shipped; it grows with each that is. None before the first."""
    return workspace.tables.version(_table(endpoint))


def newest(workspace: Workspace, endpoint: str) -> int:
    """The sequence of the label that was recorded last, 0 before the first: whether any has come is told without reading them."""
    _check_endpoint(endpoint)
    with workspace.database.reading() as connection:
        waiting = last_waiting(connection, endpoint)
    # What waits is newer than whatever was shipped.
    return waiting or workspace.tables.last(_table(endpoint), _WRITER) or 0


def last_received(workspace: Workspace, endpoint: str) -> datetime | None:
    """When the newest label came, in processing time."""
    found: datetime | None = history(workspace, endpoint).select(pl.max("received_at")).collect().item()
    return found


def current(workspace: Workspace, endpoint: str, *, until: datetime | None = None) -> pl.LazyFrame:
    """The labels in force: one row for each target, `prediction_id` or `key`.

    Columns: `prediction_id`, `key`, `value`, `known_at`, `received_at`, `sequence`, and `corrections`: how often the
    value changed. With `until`, of the labels known at that event time.
    """
    rows = _known(workspace, endpoint, until)
    return (
        rows.sort("sequence")
        .group_by("prediction_id", "key")
        .agg(
            pl.col("value", "known_at", "received_at", "sequence").last(),
            (pl.col("value") != pl.col("value").shift()).sum().cast(pl.Int64).alias("corrections"),
        )
    )


def join(
    workspace: Workspace,
    predictions: pl.LazyFrame,
    endpoint: str,
    *,
    id_column: str = "id",
    key_column: str = "key",
    until: datetime | None = None,
) -> pl.LazyFrame:
    """The predictions, in their order, with `label` (a text, see `LabelRow.value`), `label_known_at` and `label_sequence`.

    A prediction's label is one that names its id or its key; of the two the one received last. The columns are null
    where there is none; predictions with one `label_sequence` share one label. `until` as in `current`.
    """
    names = predictions.collect_schema().names()
    targets = [(column, by) for column, by in ((id_column, "prediction_id"), (key_column, "key")) if column in names]
    labels = _known(workspace, endpoint, until, _about(predictions, targets)).collect().lazy()
    result = predictions
    found: list[str] = []
    for column, by in targets:
        value = pl.struct("sequence", pl.col("value").alias("label"), pl.col("known_at").alias("label_known_at"))
        some = (
            labels.filter(pl.col(by).is_not_null())
            .sort("sequence")
            .unique(by, keep="last")
            .select(pl.col(by), value.alias(f"\0{by}"))
        )
        at = pl.col(column).cast(pl.String)
        result = result.join(some, left_on=at, right_on=by, how="left", maintain_order="left", coalesce=False)
        result = result.select(*names, *found, f"\0{by}")
        found.append(f"\0{by}")
    if not found:
        fix = f"Give one of the columns {id_column!r} and {key_column!r}"
        raise Invalid("predictions have neither id nor key", where=f"labels of {endpoint}", fix=fix)
    last = pl.col(found[0])
    for other in found[1:]:
        newer = pl.col(other).struct.field("sequence") > last.struct.field("sequence")
        last = pl.when(newer | last.is_null()).then(pl.col(other)).otherwise(last)
    return result.select(
        *names,
        last.struct.field("label"),
        last.struct.field("label_known_at"),
        last.struct.field("sequence").alias("label_sequence"),
    )


def _about(predictions: pl.LazyFrame, targets: Sequence[tuple[str, str]]) -> pl.Expr:
    """Whether a label is one of these predictions'; `targets` pairs their columns with those of labels."""
    about = pl.lit(value=False)
    if targets:
        named = predictions.select(pl.col(column).cast(pl.String) for column, _ in targets).collect()
        for column, by in targets:
            about |= pl.col(by).is_in(named[column].drop_nulls().unique().implode())
    return about


def _known(workspace: Workspace, endpoint: str, until: datetime | None, where: pl.Expr | None = None) -> pl.LazyFrame:
    rows = history(workspace, endpoint, where)
    if until is None:
        return rows
    return rows.filter(pl.col("known_at") <= pl.lit(until.astimezone(UTC), dtype=_MOMENT))


def ship(workspace: Workspace, endpoint: str) -> int:
    """Moves the endpoint's labels from the inbox to its table and gives how many rows the table gained.

    Killed at any moment and started again, it goes on: a row leaves the inbox after it is in the table.
    """
    name, moved = _table(endpoint), 0
    for _ in range(_BATCHES):
        with workspace.database.reading() as connection:
            rows = waiting_labels(connection, endpoint, _BATCH)
        if not rows:
            break
        shipped = workspace.tables.last(name, _WRITER) or 0
        if new := [row for row in rows if row.sequence > shipped]:
            version = workspace.tables.append(name, _frame(new), once=(_WRITER, new[-1].sequence))
            moved += len(new)
            if version % _COMPACT_EVERY == _COMPACT_EVERY - 1:
                workspace.tables.compact(name)
        with workspace.database.writing() as connection:
            delete_labels(connection, endpoint, rows[-1].sequence)
    return moved


def ship_all(workspace: Workspace) -> int:
    """Ships the labels of every endpoint; for the worker, every now and then."""
    with workspace.database.reading() as connection:
        endpoints = endpoints_waiting(connection)
    return sum(ship(workspace, endpoint) for endpoint in endpoints)


def _rows(
    workspace: Workspace, actor: Actor, endpoint: str, labels: Sequence[LabelEntry], source: str, first: int
) -> list[LabelRow]:
    _check_endpoint(endpoint)
    if len(labels) > MOST:
        fix = f"Send at most {MOST} at a time"
        raise Invalid(f"{len(labels)} labels are too many", where=f"labels of {endpoint}", fix=fix)
    now = workspace.clock.now()
    return [
        make_row(
            label, endpoint=endpoint, received_at=now, source=source, actor=actor.name, where=f"labels[{first + at}]"
        )
        for at, label in enumerate(labels)
    ]


def _check_endpoint(endpoint: str) -> None:
    if not _ENDPOINT.fullmatch(endpoint):
        fix = "Use letters, digits, - and _, for example flight-delays"
        raise Invalid(f"{endpoint!r} is not the name of an endpoint", where="labels", fix=fix)


def _table(endpoint: str) -> str:
    return f"labels/{endpoint}"


def _frame(rows: Sequence[LabelRow]) -> pl.DataFrame:
    return pl.DataFrame({name: [getattr(row, name) for row in rows] for name in _SCHEMA.names()}, schema=_SCHEMA)
