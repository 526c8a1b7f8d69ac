"""Whatever is done, and wherever it is killed, an endpoint's route, rollouts, aliases and audit chain agree."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kept.core.errors import KeptError
from kept.deployment.catalog import (
    ListRollouts,
    ShowHistory,
    ShowRoutes,
    ShowStatus,
    list_rollouts,
    show_history,
    show_routes,
    show_status,
)
from kept.deployment.release import Advance, ReleaseVersion, advance, release
from kept.deployment.rollback import RollBack, roll_back
from kept.governance.actor import Actor
from kept.governance.journal import ListAudit, VerifyAudit, list_audit, verify_audit
from kept.governance.workspace import Workspace
from kept.plan.policy import Fallback, Release
from kept.registry.catalog import ListVersions, list_versions
from kept.registry.version import ModelVersion

pytest_plugins = ["releasing"]

Register = Callable[..., ModelVersion]
Declare = Callable[[Release], None]
VERSIONS = 5

CHURN = """
import random, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_rollouts_under_fault import act
from kept.core.clock import SystemClock
from kept.governance.actor import owner
from kept.governance.workspace import Workspace
from kept.settings.settings import Settings
from kept.store.blobs import FolderBlobs
from kept.store.sqlite import SqliteDatabase
from kept.store.tables import DeltaTables

root, seed = Path(sys.argv[1]), int(sys.argv[2])
workspace = Workspace(
    root=root, database=SqliteDatabase(root / "kept.db"), blobs=FolderBlobs(root / "blobs"),
    tables=DeltaTables(root / "tables"), clock=SystemClock(), settings=Settings(workspace=str(root)),
)
chance = random.Random(seed)
print("ready", flush=True)
for _ in range(100_000):
    act(workspace, owner("ada", "python"), chance.randrange(4), chance.randrange(5) + 1)
    print("done", flush=True)
"""


def act(workspace: Workspace, actor: Actor, kind: int, version: int) -> None:
    """One thing that a person might do; what is not possible now is refused, and that is fine."""
    with suppress(KeptError):
        if kind == 0:
            request = ReleaseVersion(endpoint="flights", version=str(version), replace=bool(version % 2))
            release(workspace, actor, request)
        elif kind == 1:
            roll_back(workspace, actor, RollBack(endpoint="flights", to=str(version) if version > 3 else None))
        else:
            (found,) = show_status(workspace, actor, ShowStatus(endpoint="flights"))
            if found.rollout is not None:
                rollout = found.rollout
                advance(
                    workspace,
                    actor,
                    Advance(endpoint="flights", rollout=rollout.id, step=rollout.step, reason="it looks good"),
                )


def check(workspace: Workspace, actor: Actor) -> int:
    """Everything that must agree, whatever happened; gives the revision."""
    verify_audit(workspace, actor, VerifyAudit())
    history = show_history(workspace, actor, ShowHistory(endpoint="flights", limit=1_000))
    table = show_routes(workspace, actor, ShowRoutes())
    (found,) = show_status(workspace, actor, ShowStatus(endpoint="flights"))
    rollouts = list_rollouts(workspace, actor, ListRollouts(endpoint="flights", limit=1_000))
    revisions = [one.revision for one in history.routes]
    assert revisions == list(range(table.revision, table.revision - len(revisions), -1))
    assert found.route is not None
    assert table.revision == found.route.revision
    (route,) = table.routes
    running = [one for one in rollouts if one.running]
    assert len(running) <= 1
    if running:
        trial = route.shadows[0] if running[0].phase == "shadow" else route.canary
        assert trial is not None
        assert trial.version_id == running[0].candidate
        assert trial.weight == running[0].share
        assert route.champion.version_id == running[0].champion
        assert len(route.shadows) == (running[0].phase == "shadow")
    else:
        assert route.canary is None
        assert not route.shadows
    assert len({arm.version_id for arm in route.arms}) == len(route.arms)
    aliases = {name: one.id for one in list_versions(workspace, actor, ListVersions()) for name in one.aliases}
    assert aliases == {"champion": route.champion.version_id} | (
        {"challenger": running[0].candidate} if running else {}
    )
    assert found.previous != route.champion.version_id
    assert all(one.evidence and one.evidence[-1].state == one.state for one in rollouts)
    return table.revision


POLICIES = (
    Release(),
    Release(shadow=timedelta(hours=1)),
    Release(shadow=timedelta(0), challenger=0.3),
    Release(strategy="blue_green"),
    Release(fallback=Fallback(constant=0.5)),
)


@given(
    policy=st.sampled_from(POLICIES),
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(1, VERSIONS)), max_size=25),
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_every_step_all_that_is_recorded_agrees(
    workspace: Workspace,
    me: Actor,
    register: Register,
    declare: Declare,
    policy: Release,
    steps: list[tuple[int, int]],
) -> None:
    declare(policy)
    while len(list_versions(workspace, me, ListVersions())) < VERSIONS:
        register()
    with suppress(KeptError):
        release(workspace, me, ReleaseVersion(endpoint="flights", version="1", replace=True))
    last = check(workspace, me)
    for kind, version in steps:
        before = len(list_audit(workspace, me, ListAudit(limit=1_000)))
        act(workspace, me, kind, version)
        revision = check(workspace, me)
        assert revision >= last
        # Whatever moved a route is in the chain, as one entry.
        assert len(list_audit(workspace, me, ListAudit(limit=1_000))) - before >= (revision > last)
        last = revision


@pytest.mark.parametrize("policy", [Release(), Release(shadow=timedelta(hours=1), challenger=0.5)])
def test_killed_anywhere_it_is_as_before_or_as_after(
    workspace: Workspace, me: Actor, register: Register, declare: Declare, policy: Release
) -> None:
    declare(policy)
    for _ in range(VERSIONS):
        register()
    release(workspace, me, ReleaseVersion(endpoint="flights", version="1"))
    chance, revision = random.Random(3), 0
    for seed in range(3):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", CHURN, str(workspace.root), str(10 * seed + n), str(Path(__file__).parent)],
                stdout=subprocess.PIPE,
            )
            for n in range(2)
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            for _ in range(25):
                assert writer.stdout.readline() == b"done\n"
        time.sleep(0.02 * chance.random())
        for writer in writers:
            writer.kill()
            writer.wait()
            assert writer.stdout is not None
            writer.stdout.close()
        after = check(workspace, me)
        assert after >= revision
        revision = after
    assert revision > 20
