"""Fixtures that register versions and declare release policies."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest

from kept.core.ids import new_id
from kept.evaluation.gate import ObjectiveResult, Verdict
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.plan.objective import at_least, at_most
from kept.plan.policy import Release
from kept.plan.records import ProjectRecord, save_project
from kept.registry.card import Lineage, write_card
from kept.registry.catalog import RegisterVersion, register_version
from kept.registry.version import ModelVersion
from registering import a_report

Register = Callable[..., ModelVersion]
Declare = Callable[[Release], None]


@pytest.fixture
def register(workspace: Workspace, me: Actor) -> Register:
    """Registers the next version of `flights`; `auc` is what it reached of the promised 0.65."""

    def make(*, auc: float = 0.7, model: str = "flights", project: str = "flights") -> ModelVersion:
        objective = at_least("roc_auc", 0.65)
        passed = objective.holds(auc)
        result = ObjectiveResult(
            objective=objective,
            value=auc,
            low=None,
            high=None,
            margin=objective.margin(auc),
            passed=passed,
            sentence=f"roc_auc is {auc:g}; promised is at least 0.65.",
        )
        verdict = Verdict(
            accepted=passed, objectives=(result,), checks=(), reasons=() if passed else (result.sentence,)
        )
        bundle = workspace.blobs.put(new_id().encode())
        lineage = Lineage(
            question="Late?", owner="ops", estimator="trees", data=(), features=("x",), training_rows=10, bundle=bundle
        )
        card = write_card(lineage, a_report())
        return register_version(
            workspace, me, RegisterVersion(project=project, model=model, bundle=bundle, verdict=verdict, card=card)
        )

    return make


@pytest.fixture
def declare(workspace: Workspace) -> Declare:
    """Registers the project with a release policy."""

    def make(policy: Release) -> None:
        plan = msgspec.to_builtins({"release": policy, "objectives": (at_most("latency_p99_ms", 20),)})
        record = ProjectRecord(
            name="flights",
            question="Late?",
            owner="ops",
            plan=plan,
            plan_digest="sha256:0",
            source="project.py",
            updated_at=datetime.now(UTC),
        )
        with workspace.database.writing() as connection:
            save_project(connection, record)

    return make
