"""Registered versions for tests that are about something else."""

from kept.evaluation.gate import Verdict
from kept.evaluation.report import EvaluationReport
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.packaging.signature import Label
from kept.registry.card import Lineage, write_card
from kept.registry.catalog import RegisterVersion, register_version
from kept.registry.version import ModelVersion


def a_report(classes: tuple[Label, Label] = (False, True)) -> EvaluationReport:
    """The report of a model of two classes, of which it says nothing."""
    return EvaluationReport(
        task="binary",
        classes=classes,
        rows=100,
        metrics={},
        slices=(),
        calibration=None,
        confusion=((50, 0), (0, 50)),
        operational={},
        seed=0,
    )


def register(
    workspace: Workspace, actor: Actor, model: str, bundle: str, classes: tuple[Label, Label] = (False, True)
) -> ModelVersion:
    """An accepted version of a model of two classes, whose project bears its name."""
    lineage = Lineage(
        question="Which?", owner="ops", estimator="trees", data=(), features=("x",), training_rows=1, bundle=bundle
    )
    verdict = Verdict(accepted=True, objectives=(), checks=(), reasons=())
    card = write_card(lineage, a_report(classes))
    request = RegisterVersion(project=model, model=model, bundle=bundle, verdict=verdict, card=card)
    return register_version(workspace, actor, request)
