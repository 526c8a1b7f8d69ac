"""Lists of a workspace that several projects share."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kept.app.workspace import embedded_actor, open_workspace
from kept.cli.models import telling
from kept.data.ingestion import TableSpec, ingest
from kept.registry.version import ModelSummary
from kept.settings.settings import Settings


def test_data_of_two_projects_is_told_apart(command: Callable[..., Any], tmp_path: Path) -> None:
    settings = Settings(workspace=str(tmp_path / ".kept"))
    workspace, me = open_workspace(settings), embedded_actor(settings, "python")
    frame = pl.DataFrame({"id": ["a", "b"]})
    ingest(workspace, me, "churn", TableSpec(name="customers", key=("id",)), frame)
    assert "project" not in command("data", "list")
    ingest(workspace, me, "fraud", TableSpec(name="customers", key=("id",)), frame)
    said = command("data", "list")
    assert "churn" in said
    assert "fraud" in said


@pytest.mark.parametrize(
    ("measured", "shown"),
    [
        ([], []),
        ([{"size_mb": 1.0}], []),
        ([{"log_loss": 0.5, "roc_auc": 0.8, "accuracy": 0.7}], ["roc_auc", "log_loss"]),
        ([{"roc_auc": 0.8, "log_loss": 0.5}, {"rmse": 3.0, "mae": 2.0}], ["roc_auc", "rmse"]),
        ([{"roc_auc": None, "accuracy": 0.7}, {"rmse": 3.0}, {"roc_auc": 0.8}], ["roc_auc", "accuracy", "rmse"]),
    ],
)
def test_of_every_version_a_metric_is_shown(measured: list[dict[str, float | None]], shown: list[str]) -> None:
    assert telling([summary(metrics) for metrics in measured]) == shown


def summary(metrics: dict[str, float | None]) -> ModelSummary:
    return ModelSummary(
        id="1",
        project="churn",
        model="churn",
        number=1,
        status="accepted",
        aliases=(),
        metrics=metrics,
        failed=(),
        bundle=None,
        run_id=None,
        created_by="ada",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
