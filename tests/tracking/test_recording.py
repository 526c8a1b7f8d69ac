import math
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kept.core.errors import Conflict, Invalid, NotFound
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.experiment import Lifecycle
from kept.tracking.finding import metric_history, metric_history_bulk
from kept.tracking.points import Dataset, DatasetInput, ModelOutput, Point
from kept.tracking.recording import (
    create_logged_run,
    delete_run,
    delete_run_tag,
    log_inputs,
    log_outputs,
    log_run,
    restore_run,
    set_run_tag,
    update_run,
)
from kept.tracking.requests import (
    CreateRun,
    DeleteRun,
    DeleteRunTag,
    LogInputs,
    LogOutputs,
    LogRun,
    MetricHistory,
    MetricHistoryBulk,
    RestoreRun,
    SetRunTag,
    UpdateRun,
)
from kept.tracking.run import Run, RunDetail, RunStatus
from kept.tracking.runs import ShowRun, show_run

pytestmark = pytest.mark.each_database

Make = Callable[..., Run]


def _show(workspace: Workspace, me: Actor, run: str) -> RunDetail:
    return show_run(workspace, me, ShowRun(run=run))


def test_a_run_is_begun_named_and_ended(workspace: Workspace, me: Actor, experiment: str) -> None:
    begun = datetime(2013, 4, 1, tzinfo=UTC)
    run = create_logged_run(workspace, me, CreateRun(experiment=experiment, user="eve", started_at=begun))
    assert (run.status, run.started_at, run.user, run.created_by) == (RunStatus.RUNNING, begun, "eve", "ada")
    assert run.tags["mlflow.runName"] == run.name
    assert run.artifact_location == f"mlflow-artifacts:/{experiment}/{run.id}/artifacts"
    set_run_tag(workspace, me, SetRunTag(run=run.id, name="mlflow.runName", value="best"))
    assert _show(workspace, me, run.id).run.name == "best"
    ended = update_run(workspace, me, UpdateRun(run=run.id, status=RunStatus.FAILED, ended_at=begun, name="last"))
    assert (ended.status, ended.ended_at, ended.tags["mlflow.runName"]) == (RunStatus.FAILED, begun, "last")
    child = create_logged_run(
        workspace, me, CreateRun(experiment=experiment, tags={"mlflow.parentRunId": run.id, "mlflow.runName": "c"})
    )
    assert (child.parent, child.name) == (run.id, "c")
    with pytest.raises(Invalid, match="different values"):
        create_logged_run(workspace, me, CreateRun(experiment=experiment, name="a", tags={"mlflow.runName": "b"}))
    with pytest.raises(Conflict):
        create_logged_run(workspace, me, CreateRun(experiment=experiment, id=run.id))


def test_a_deleted_run_takes_nothing(workspace: Workspace, me: Actor, logged: Make) -> None:
    run = logged()
    assert delete_run(workspace, me, DeleteRun(run=run.id)).lifecycle is Lifecycle.DELETED
    with pytest.raises(Invalid, match="must be in the 'active' state"):
        log_run(workspace, me, LogRun(run=run.id, params={"a": "1"}))
    assert restore_run(workspace, me, RestoreRun(run=run.id)).deleted_at is None
    log_run(workspace, me, LogRun(run=run.id, params={"a": "1"}))
    with pytest.raises(NotFound, match="Run with id=none not found"):
        log_run(workspace, me, LogRun(run="none"))


def test_a_batch_is_kept_whole_or_not_at_all(workspace: Workspace, me: Actor, logged: Make) -> None:
    run = logged(params={"lr": "0.1"})
    batch = LogRun(
        run=run.id, metrics=[Point(name="m", value=1, at=1)], params={"new": "1", "lr": "0.2"}, tags={"t": "1"}
    )
    with pytest.raises(Invalid, match="Changing param values is not allowed.*'old_value': '0.1', 'new_value': '0.2'"):
        log_run(workspace, me, batch)
    with pytest.raises(Invalid, match="already logged with value='0.1' for run ID=.* logging new value '0.2'"):
        log_run(workspace, me, LogRun(run=run.id, params={"lr": "0.2"}))
    shown = _show(workspace, me, run.id)
    assert (shown.params, shown.latest, "t" in shown.run.tags) == ({"lr": "0.1"}, [], False)
    log_run(workspace, me, LogRun(run=run.id, params={"lr": "0.1"}))


def test_batches_of_a_thousand_are_as_exact_as_points_one_by_one(workspace: Workspace, me: Actor, logged: Make) -> None:
    whole, single = logged(), logged()
    odd = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7e308, 2**53 + 1.0]
    names = [f"größe {place}" if place % 3 else f"of class/{place}" for place in range(400)]
    batches = [
        [
            Point(
                name=names[(place * 7) % 400],
                value=odd[(place + turn) % 7],
                at=(place * 13) % 5,
                step=(place * turn) % 9 - 4,
            )
            for place in range(1_000)
        ]
        for turn in (1, 5, 0, 5)
    ]
    for batch in batches:
        log_run(workspace, me, LogRun(run=whole.id, metrics=batch))
        for point in batch[:60]:
            log_run(workspace, me, LogRun(run=single.id, metrics=[point]))
    again = logged()
    for batch in batches:
        log_run(workspace, me, LogRun(run=again.id, metrics=batch[:60]))
    assert repr(_show(workspace, me, again.id).latest) == repr(_show(workspace, me, single.id).latest)
    shown = {point.name: point for point in _show(workspace, me, whole.id).latest}
    assert set(shown) == set(names)
    told = [point for batch in batches for point in batch]
    for name in names[:20]:
        mine = {_facts(point) for point in told if point.name == name}
        points = metric_history(workspace, me, MetricHistory(run=whole.id, name=name)).points
        assert sorted(map(_facts, points)) == sorted(mine)
        assert (shown[name].step, shown[name].at) == max(mine)[:2]


def _facts(point: Point) -> tuple[int, int, str]:
    # SQLite has no zero with a sign.
    return point.step, point.at, str(point.value + 0.0)


@pytest.mark.parametrize("name", ["a/../b", "/a", "..", "a?b", "a\n", "", "./a", "x" * 251])
def test_a_name_that_could_not_be_a_file_is_refused(workspace: Workspace, me: Actor, logged: Make, name: str) -> None:
    run = logged()
    for request in (
        LogRun(run=run.id, metrics=[Point(name=name, value=1, at=1)]),
        LogRun(run=run.id, params={name: "1"}),
        LogRun(run=run.id, tags={name: "1"}),
    ):
        with pytest.raises(Invalid, match="Names may|maximum length"):
            log_run(workspace, me, request)


def test_the_latest_point_is_of_the_largest_step_then_time_then_value(
    workspace: Workspace, me: Actor, logged: Make
) -> None:
    run = logged()
    points = [(5, 2, 0.1), (3, 9, 9.0), (5, 2, 0.3), (5, 1, 7.0), (5, 2, 0.2), (5, 2, 0.3)]
    for step, at, value in points:
        log_run(workspace, me, LogRun(run=run.id, metrics=[Point(name="m", value=value, at=at, step=step)]))
    at_once = [Point(name="n", value=value, at=at, step=step) for step, at, value in points]
    log_run(workspace, me, LogRun(run=run.id, metrics=at_once))
    latest = _show(workspace, me, run.id).latest
    assert latest == [Point(name=name, value=0.3, at=2, step=5) for name in ("m", "n")]
    for name in ("m", "n"):
        found = metric_history(workspace, me, MetricHistory(run=run.id, name=name)).points
        assert [(p.step, p.at, p.value) for p in found] == sorted(set(points), key=lambda p: (p[1], p[0], p[2]))


def test_a_history_is_given_by_pages_and_samples(workspace: Workspace, me: Actor, logged: Make) -> None:
    runs = [logged(), logged()]
    for run in runs:
        points = [Point(name="m", value=step, at=step, step=step) for step in range(25)]
        log_run(workspace, me, LogRun(run=run.id, metrics=points))
    page = metric_history(workspace, me, MetricHistory(run=runs[0].id, name="m", limit=20))
    rest = metric_history(workspace, me, MetricHistory(run=runs[0].id, name="m", limit=20, page=page.next_page))
    assert [point.step for point in page.points + rest.points] == list(range(25))
    assert rest.next_page is None
    ids = [run.id for run in runs]
    every = metric_history_bulk(workspace, me, MetricHistoryBulk(runs=ids, name="m", limit=30))
    assert [one.run for one in every] == [ids[0]] * 25 + [ids[1]] * 5
    some = metric_history_bulk(workspace, me, MetricHistoryBulk(runs=ids, name="m", sample=3))
    assert [(one.run, one.point.step) for one in some] == [(run, step) for run in ids for step in (0, 9, 24)]
    part = MetricHistoryBulk(runs=ids[:1], name="m", sample=2, start_step=3, end_step=7)
    assert [one.point.step for one in metric_history_bulk(workspace, me, part)] == [3, 7]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.floats(), min_size=1, max_size=30))
def test_every_value_is_kept_exactly(workspace: Workspace, me: Actor, logged: Make, values: list[float]) -> None:
    run = logged()
    points = [Point(name="m", value=value, at=at) for at, value in enumerate(values)]
    log_run(workspace, me, LogRun(run=run.id, metrics=points))
    found = metric_history(workspace, me, MetricHistory(run=run.id, name="m")).points
    assert [_same(point.value) for point in found] == [_same(value) for value in values]


@given(value=st.floats())
def test_every_value_travels_as_json(value: float) -> None:
    point = Point(name="m", value=value, at=1)
    back = msgspec.json.decode(msgspec.json.encode(point), type=Point)
    assert _same(back.value) == _same(value)
    assert msgspec.json.encode(back) == msgspec.json.encode(point)


@pytest.mark.parametrize(("text", "value"), [('"Infinity"', math.inf), ('"-Infinity"', -math.inf), ("3", 3.0)])
def test_a_value_comes_by_its_name(text: str, value: float) -> None:
    point = msgspec.json.decode(f'{{"name":"m","at":1,"value":{text}}}', type=Point)
    assert point.value == value
    assert isinstance(point.value, float)
    with pytest.raises(msgspec.ValidationError, match="'high' is not a number"):
        msgspec.json.decode('{"name":"m","at":1,"value":"high"}', type=Point)


def _same(value: float) -> object:
    return "nan" if math.isnan(value) else value


def test_tags_are_removed(workspace: Workspace, me: Actor, logged: Make) -> None:
    run = logged(tags={"a": "1"})
    delete_run_tag(workspace, me, DeleteRunTag(run=run.id, name="a"))
    with pytest.raises(NotFound, match="No tag with name: a in run with id"):
        delete_run_tag(workspace, me, DeleteRunTag(run=run.id, name="a"))


def test_what_it_read_and_made_is_noted_once(workspace: Workspace, me: Actor, logged: Make) -> None:
    run = logged()
    read = DatasetInput(
        dataset=Dataset(name="d", digest="1", source_type="http", source="{}"), tags={"mlflow.data.context": "train"}
    )
    for _ in range(2):
        log_inputs(workspace, me, LogInputs(run=run.id, datasets=[read, read], models=["m-1"]))
    log_outputs(workspace, me, LogOutputs(run=run.id, models=[ModelOutput(model="m-2", step=3)]))
    shown = _show(workspace, me, run.id)
    assert shown.datasets == [read]
    assert shown.model_inputs == ["m-1"]
    assert shown.outputs == [ModelOutput(model="m-2", step=3)]


def test_many_threads_log_at_once_and_nothing_is_lost(workspace: Workspace, me: Actor, logged: Make) -> None:
    runs = [logged() for _ in range(4)]
    refused: list[str] = []

    def work(number: int) -> None:
        for step in range(40):
            run = runs[number % 4].id
            point = Point(name=f"m{number}", value=step, at=step, step=step)
            log_run(workspace, me, LogRun(run=run, metrics=[point]))
            try:
                log_run(workspace, me, LogRun(run=run, params={f"p{number}": str(step)}))
            except Invalid:
                refused.append(run)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(refused) == 8 * 39
    for number in range(8):
        history = metric_history(workspace, me, MetricHistory(run=runs[number % 4].id, name=f"m{number}"))
        assert [point.value for point in history.points] == list(range(40))
