"""A version of a dataset: what was stored, from where, by whom, and how it stood up to its contract."""

from datetime import datetime
from typing import Literal

import msgspec

from kept.data.contract import Quality


class DatasetVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one dataset of a project. A feature view `weather` is the dataset `features/weather`."""

    id: str
    project: str
    dataset: str
    number: int
    """1, 2, 3, ... of this dataset."""
    table_version: int
    """The version of the table that holds exactly these rows."""
    mode: Literal["append", "replace"]
    fingerprint: str
    """Of the content, whatever the order of rows."""
    rows: int
    rows_added: int
    """Rows that the version before did not hold."""
    rows_quarantined: int
    columns: dict[str, str]
    contract_digest: str
    quality: Quality
    source: str
    created_by: str
    run_id: str | None
    event_from: datetime | None
    event_to: datetime | None
    created_at: datetime


def table_of(project: str, dataset: str) -> str:
    """The table that holds a dataset: `data/<project>/<dataset>`, of a feature view `features/<project>/<view>`."""
    if dataset.startswith("features/"):
        return f"features/{project}/{dataset.removeprefix('features/')}"
    return f"data/{project}/{dataset}"


def quarantine_of(project: str, dataset: str) -> str:
    """The table that holds a dataset's bad rows."""
    return f"quarantine/{project}/{dataset}"
