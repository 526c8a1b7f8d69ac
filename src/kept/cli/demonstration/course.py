"""The course of the replay: requests in the order of their events, and labels when they become known."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from kept.core.errors import Invalid
from kept.data.frames import call
from kept.features.catalog import build_views, with_features
from kept.plan.project import Project

_LABELS_EVERY = timedelta(hours=2)


@dataclass(frozen=True)
class Batch:
    """Rows that are asked about at one moment, in one request."""

    at: datetime
    keys: list[str]
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Labels:
    """Labels that have become known up to a moment."""

    at: datetime
    entries: list[dict[str, Any]]


class Course:
    """Everything that happens between two moments, day by day.

    Features are joined through the function that training joins them with, as they were known at each row's event.
    """

    def __init__(self, project: Project, start: datetime, end: datetime, features: tuple[str, ...]) -> None:
        spec = project.the_dataset
        if spec.event_time is None or spec.label_time is None or len(spec.key) != 1:
            fix = "Declare key, event_time and label_time with @project.dataset"
            raise Invalid("its rows cannot be replayed in time", where=f"Project({project.name!r})", fix=fix)
        self._event, self._known, self._key = spec.event_time, spec.label_time, spec.key[0]
        self._label, self._features = spec.label, features
        rows = call(spec.function, end, where=f"dataset {spec.name}")
        rows = rows.filter(pl.col(self._event).is_between(start, end, closed="left")).sort(self._event)
        self.rows = with_features(project, rows, build_views(project))
        self.start, self.end = start, end

    @property
    def days(self) -> list[datetime]:
        """The first moment of each day."""
        return [self.start + timedelta(days=day) for day in range((self.end - self.start).days)]

    def truth(self) -> pl.DataFrame:
        """Key, event time and label (0 or 1) of the rows that got a label before the end."""
        return self.rows.filter(pl.col(self._label).is_not_null()).select(
            key=pl.col(self._key).cast(pl.String), at=self._event, label=pl.col(self._label).cast(pl.Float64)
        )

    def inputs(self) -> dict[str, list[Any]]:
        """The features of all rows, in their order."""
        return {name: self.rows.get_column(name).to_list() for name in self._features}

    def keys(self) -> list[str]:
        """The keys of all rows, in their order."""
        return self.rows.get_column(self._key).cast(pl.String).to_list()

    def day(self, start: datetime) -> Iterator[Batch | Labels]:
        """What happens on a day, in order."""
        end = start + timedelta(days=1)
        asked = self.rows.filter(pl.col(self._event).is_between(start, end, closed="left"))
        known = self.rows.filter(
            pl.col(self._known).is_between(start, end, closed="left") & pl.col(self._label).is_not_null()
        ).sort(self._known)
        batches = iter(self._batches(asked))
        batch = next(batches, None)
        moment = start
        while moment < end:
            following = moment + _LABELS_EVERY
            while batch is not None and batch.at < following:
                yield batch
                batch = next(batches, None)
            landed = known.filter(pl.col(self._known).is_between(moment, following, closed="left"))
            if landed.height:
                yield Labels(at=following, entries=self._entries(landed))
            moment = following

    def _batches(self, rows: pl.DataFrame) -> Iterator[Batch]:
        for (at,), group in rows.group_by([self._event], maintain_order=True):
            if isinstance(at, datetime):
                keys = group.get_column(self._key).cast(pl.String).to_list()
                yield Batch(at=at, keys=keys, rows=group.select(self._features).to_dicts())

    def _entries(self, rows: pl.DataFrame) -> list[dict[str, Any]]:
        chosen = rows.select(
            key=pl.col(self._key).cast(pl.String), value=pl.col(self._label), known_at=pl.col(self._known)
        )
        return chosen.to_dicts()
