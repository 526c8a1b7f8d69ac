import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kept.core.errors import Conflict, Forbidden, Invalid, NotFound
from kept.governance.actor import Actor
from kept.governance.journal import ListAudit, list_audit
from kept.governance.workspace import Workspace
from kept.tracking.run import Run, RunStatus
from kept.tracking.runs import (
    CancelRun,
    ListRuns,
    ShowMetric,
    ShowRun,
    cancel,
    cancel_run,
    create_run,
    fail,
    finish,
    get_run,
    list_runs,
    log_metrics,
    log_params,
    queued_runs,
    show_metric,
    show_run,
    start,
)

pytestmark = pytest.mark.each_database

# What UTF-8 can write, and without a NUL, which is refused.
_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


def _run(workspace: Workspace, name: str = "first", parent: str | None = None) -> Run:
    return create_run(
        workspace,
        project="flights",
        kind="trial" if parent else "training",
        name=name,
        created_by="ada",
        reason="by hand",
        request={"rows": [1, 2]},
        parent=parent,
    )


def test_a_run_goes_from_queued_to_finished(workspace: Workspace) -> None:
    run = _run(workspace)
    assert run.status is RunStatus.QUEUED
    assert get_run(workspace, run.id) == run
    assert [queued.id for queued in queued_runs(workspace, "training")] == [run.id]
    started = start(workspace, run.id, code="sha256:" + "0" * 64)
    assert started.status is RunStatus.RUNNING
    assert started.code == "sha256:" + "0" * 64
    assert start(workspace, run.id) == started
    ended = finish(workspace, run.id)
    assert ended.status is RunStatus.FINISHED
    assert ended.ended_at is not None
    assert finish(workspace, run.id) == ended


def test_an_ended_run_stays_ended(workspace: Workspace) -> None:
    run = _run(workspace)
    start(workspace, run.id)
    assert fail(workspace, run.id, "it broke").error == "it broke"
    with pytest.raises(Conflict, match="failed and can not become finished"):
        finish(workspace, run.id)
    with pytest.raises(Conflict):
        cancel(workspace, run.id, "too late")
    with pytest.raises(Conflict):
        start(workspace, run.id)


def test_a_given_id_makes_creation_idempotent(workspace: Workspace) -> None:
    first = create_run(workspace, project="p", kind="training", name="a", created_by="ada", run_id="a" * 36)
    again = create_run(workspace, project="p", kind="training", name="b", created_by="ada", run_id="a" * 36)
    assert again == first


def test_params_and_metrics_are_shown_with_the_last_value(workspace: Workspace, me: Actor) -> None:
    run = _run(workspace)
    log_params(workspace, run.id, {"rate": 0.1, "name": "trees", "depths": [1, 2]})
    log_params(workspace, run.id, {"rate": 0.2})
    for step, value in enumerate([0.5, 0.6, math.nan]):
        log_metrics(workspace, run.id, {"auc": value, "loss": 1 - value if step < 2 else math.inf}, step=step)
    detail = show_run(workspace, me, ShowRun(run=run.id))
    assert detail.params == {"rate": "0.2", "name": "trees", "depths": "[1,2]"}
    assert detail.metrics == {"auc": None, "loss": math.inf}
    history = show_metric(workspace, me, ShowMetric(run=run.id, metric="auc"))
    assert [point.value for point in history] == [0.5, 0.6, None]


def test_a_step_that_is_measured_again_is_replaced(workspace: Workspace, me: Actor) -> None:
    run = _run(workspace)
    for value, step in ((0.9, 1), (0.7, 2), (0.1, 1), (0.5, 2)):
        log_metrics(workspace, run.id, {"auc": value}, step=step)
    assert show_run(workspace, me, ShowRun(run=run.id)).metrics == {"auc": 0.5}
    history = show_metric(workspace, me, ShowMetric(run=run.id, metric="auc"))
    assert [(point.step, point.value) for point in history] == [(1, 0.1), (2, 0.5)]


def test_what_can_not_be_logged_is_refused_by_name(workspace: Workspace) -> None:
    run = _run(workspace)
    with pytest.raises(Invalid, match="metric auc"):
        log_metrics(workspace, run.id, {"auc": "high"})  # type: ignore[dict-item]
    with pytest.raises(Invalid, match="parameter f"):
        log_params(workspace, run.id, {"f": object()})


def test_trials_are_children(workspace: Workspace, me: Actor) -> None:
    run = _run(workspace)
    trials = [_run(workspace, f"trial {number}", run.id) for number in range(3)]
    assert [child.id for child in show_run(workspace, me, ShowRun(run=run.id)).children] == [t.id for t in trials]
    assert [found.id for found in list_runs(workspace, me, ListRuns(kind="training"))] == [run.id]
    newest_first = list_runs(workspace, me, ListRuns(parent=run.id, limit=2))
    assert [found.id for found in newest_first] == [trials[2].id, trials[1].id]


def test_cancelling_is_audited_and_needs_permission(workspace: Workspace, me: Actor) -> None:
    run = _run(workspace)
    nobody = Actor(name="eve", origin="api", permissions=frozenset())
    with pytest.raises(Forbidden):
        cancel_run(workspace, nobody, CancelRun(run=run.id))
    assert get_run(workspace, run.id).status is RunStatus.QUEUED
    ended = cancel_run(workspace, me, CancelRun(run=run.id, reason="wrong month"))
    assert ended.status is RunStatus.CANCELLED
    assert ended.error == "cancelled by ada: wrong month"
    outcomes = [entry.outcome for entry in list_audit(workspace, me, ListAudit(subject=run.id))]
    assert outcomes == ["done", "refused"]


def test_an_unknown_run_is_not_found(workspace: Workspace, me: Actor) -> None:
    with pytest.raises(NotFound, match="there is no run nothing"):
        show_run(workspace, me, ShowRun(run="nothing"))
    with pytest.raises(NotFound):
        finish(workspace, "nothing")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.dictionaries(_NAMES, st.floats(width=64), min_size=1, max_size=20))
def test_every_float_comes_back(workspace: Workspace, me: Actor, values: dict[str, float]) -> None:
    run = _run(workspace)
    log_metrics(workspace, run.id, values)
    shown = show_run(workspace, me, ShowRun(run=run.id)).metrics
    assert shown == {name: None if math.isnan(value) else value for name, value in values.items()}
