"""What has become of labels: how many of them meet a prediction, wait for theirs, repeat or correct what was known."""

import msgspec
import polars as pl

from kept.data import labels as ledger
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.monitoring.stream import Stream

_TARGET = ("prediction_id", "key")


class MatchLabels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which labels of an endpoint: all, those of a source, those behind one."""

    endpoint: str
    source: str | None = None
    """As it was given with the labels; of a file its name."""
    after: int = 0
    """Only labels whose sequence is larger."""


class LabelMatches(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of labels by now."""

    labels: int
    matched: int
    """Those of a prediction that was logged."""
    waiting: int
    """Those of none yet."""
    duplicates: int
    """Those that say what the label before them said of the same prediction or key."""
    corrected: int
    """Those that say otherwise."""


@operation("labels.match", needs=Permission.VIEW, on="endpoint", audit=Audit.READ)
def match_labels(workspace: Workspace, actor: Actor, request: MatchLabels) -> LabelMatches:
    """How many labels meet a prediction, wait for one, repeat or correct what was known. As of now: predictions may come later."""
    del actor
    wanted = pl.col("sequence") > request.after
    if request.source is not None:
        wanted &= pl.col("source") == request.source
    chosen = ledger.history(workspace, request.endpoint, wanted).select("sequence", *_TARGET).collect()
    matched = sum(_matched(workspace, request.endpoint, chosen))
    named = [chosen[name].drop_nulls().unique() for name in _TARGET]
    about = pl.any_horizontal(pl.col(name).is_in(names.implode()) for name, names in zip(_TARGET, named, strict=True))
    known = ledger.history(workspace, request.endpoint, about).select("sequence", "value", *_TARGET)
    before = pl.col("value").shift(1).over(_TARGET, order_by="sequence")
    told = known.with_columns(before=before).filter(pl.col("before").is_not_null())
    again = told.select("sequence", same=pl.col("before") == pl.col("value")).collect()
    again = again.join(chosen, on="sequence", how="semi")
    duplicates = int(again["same"].sum())
    return LabelMatches(
        labels=chosen.height,
        matched=matched,
        waiting=chosen.height - matched,
        duplicates=duplicates,
        corrected=again.height - duplicates,
    )


def _matched(workspace: Workspace, endpoint: str, chosen: pl.DataFrame) -> list[int]:
    """How many labels are of a logged prediction, by its id and by its key."""
    rows = Stream(workspace, endpoint).rows()
    if rows is None:
        return []
    found = []
    for name, logged in zip(_TARGET, ("id", "key"), strict=True):
        some = chosen[name].drop_nulls()
        # Few at a time, however many predictions there are: what has no label is never held.
        met = rows.select(pl.col(logged).cast(pl.String)).filter(pl.col(logged).is_in(some.unique().implode()))
        known = met.unique().collect(engine="streaming")[logged] if len(some) else some
        found.append(int(some.is_in(known.implode()).sum()))
    return found
