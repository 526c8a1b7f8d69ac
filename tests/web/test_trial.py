"""A version on trial as a shadow, as the page of its endpoint and the command show it."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from filled import APRIL, HOSTILE, NAME, OBJECTIVES, fill
from litestar.testing import TestClient
from visiting import ADDRESS

from kept.app.workspace import open_workspace
from kept.cli import rollout
from kept.core.ids import new_id
from kept.deployment.release import ReleaseVersion, release
from kept.deployment.rollback import RollBack, roll_back
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.plan.catalog import ensure_registered
from kept.plan.project import Project
from kept.registry.version import ModelVersion
from kept.settings.settings import Settings
from kept.web.site import make_site

PAGE = {"accept": "text/html"}
ROWS = 60


def try_as_shadow(workspace: Workspace, me: Actor, folder: Path) -> None:
    versions = fill(workspace, me, folder, np.random.default_rng(5).uniform(size=600)).versions
    project = Project(NAME, question="Late?", owner="ops", objectives=OBJECTIVES)
    project.release(shadow="1d")
    ensure_registered(workspace, me, project, folder / "project.py")
    roll_back(workspace, me, RollBack(endpoint=NAME, reason=HOSTILE))
    release(workspace, me, ReleaseVersion(endpoint=NAME, version=str(versions[1].number), reason=HOSTILE))
    answered = [new_id() for _ in range(ROWS)]
    # The shadow answers otherwise where the value is hostile, and only there.
    workspace.tables.append(f"predictions/{NAME}", answers(workspace, versions[0], "champion", answered, answered))
    copies = answers(workspace, versions[1], "shadow", [new_id() for _ in range(ROWS)], answered)
    workspace.tables.append(f"predictions/{NAME}", copies)


def answers(
    workspace: Workspace, version: ModelVersion, role: str, ids: list[str], answered: list[str]
) -> pl.DataFrame:
    origins = [HOSTILE if place % 2 else "JFK" for place in range(ROWS)]
    low = [role == "shadow" and one == HOSTILE for one in origins]
    return pl.DataFrame(
        {
            "id": ids,
            "answer_id": answered,
            "event_time": [APRIL] * ROWS,
            "received_at": [workspace.clock.now()] * ROWS,
            "version_id": [version.id] * ROWS,
            "version": [version.number] * ROWS,
            "role": [role] * ROWS,
            "key": [None] * ROWS,
            "latency_us": [800] * ROWS,
            "score": [0.2 if one else 0.7 for one in low],
            "prediction": ["false" if one else "true" for one in low],
            "scores": pl.Series([None] * ROWS, dtype=pl.List(pl.Float64)),
            "feature_origin": origins,
        },
        schema_overrides={"key": pl.String},
    )


def test_the_page_and_the_command_say_where_a_shadow_differs(
    me: Actor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = open_workspace(Settings(workspace=str(tmp_path / "workspace")))
    try_as_shadow(workspace, me, tmp_path)
    with TestClient(make_site(workspace, me), base_url=ADDRESS) as client:
        page = client.get(f"/endpoints/{NAME}", headers=PAGE)
    assert page.status_code == 200
    assert "As a shadow it answered 30 of 60 rows as the champion did (50%)." in page.text
    assert "<script>document.title" not in page.text
    with pytest.raises(SystemExit) as ended:
        rollout.app(["show", NAME, "--workspace", str(workspace.root)])
    assert ended.value.code == 0
    assert "30 of 60 rows answered as the champion did (50.0%)" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        rollout.app(["show", NAME, "--workspace", str(workspace.root), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert [(one["part"], one["disagreement"]) for one in told["shadow"]["slices"]] == [(HOSTILE, 1.0), ("JFK", 0.0)]
    with pytest.raises(SystemExit) as ended:
        rollout.app(["advance", NAME, "--reason", "Seen.", "--workspace", str(workspace.root)])
    assert ended.value.code == 0
    assert "canary 10%" in capsys.readouterr().out
