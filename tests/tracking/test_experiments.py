import pytest

from kept.core.errors import Conflict, Invalid, NotFound
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.experiment import Lifecycle, View
from kept.tracking.experiments import (
    create_experiment,
    delete_experiment,
    delete_experiment_tag,
    ensure_default_experiment,
    find_experiment,
    restore_experiment,
    search_experiments,
    set_experiment_tag,
    show_experiment,
    update_experiment,
)
from kept.tracking.finding import search_runs
from kept.tracking.recording import create_logged_run
from kept.tracking.requests import (
    CreateExperiment,
    CreateRun,
    DeleteExperiment,
    DeleteExperimentTag,
    FindExperiment,
    RestoreExperiment,
    SearchExperiments,
    SearchRuns,
    SetExperimentTag,
    ShowExperiment,
    UpdateExperiment,
)
from kept.tracking.runs import create_run

pytestmark = pytest.mark.each_database


def _names(workspace: Workspace, me: Actor, filter_: str = "", **more: object) -> list[str]:
    request = SearchExperiments(filter=filter_, **more)  # type: ignore[arg-type]
    return [found.name for found in search_experiments(workspace, me, request).experiments]


def test_ids_are_given_out_in_order_and_names_are_unique(workspace: Workspace, me: Actor) -> None:
    made = [create_experiment(workspace, me, CreateExperiment(name=name, tags={"a": name})) for name in ("x", "y")]
    assert [one.id for one in made] == ["1", "2"]
    assert made[1].artifact_location == "mlflow-artifacts:/2"
    assert show_experiment(workspace, me, ShowExperiment(experiment="2")) == made[1]
    assert find_experiment(workspace, me, FindExperiment(name="x")) == made[0]
    with pytest.raises(Conflict, match=r"Experiment\(name=x\) already exists"):
        create_experiment(workspace, me, CreateExperiment(name="x"))
    for missing in ("3", "-1", "9" * 40):
        with pytest.raises(NotFound, match=f"No Experiment with id={missing}"):
            show_experiment(workspace, me, ShowExperiment(experiment=missing))
    for wrong in ("x", "", "1.5"):
        with pytest.raises(Invalid, match=f"Invalid experiment ID '{wrong}'"):
            show_experiment(workspace, me, ShowExperiment(experiment=wrong))


def test_the_default_experiment_is_number_0(workspace: Workspace, me: Actor) -> None:
    for _ in range(2):
        ensure_default_experiment(workspace)
    assert show_experiment(workspace, me, ShowExperiment(experiment="0")).name == "Default"
    assert create_experiment(workspace, me, CreateExperiment(name="x")).id == "1"
    assert _names(workspace, me, order_by=["experiment_id"]) == ["Default", "x"]


def test_its_runs_go_and_come_back_with_it(workspace: Workspace, me: Actor, experiment: str) -> None:
    run = create_logged_run(workspace, me, CreateRun(experiment=experiment))
    gone = delete_experiment(workspace, me, DeleteExperiment(experiment=experiment))
    assert gone.lifecycle is Lifecycle.DELETED
    assert not search_runs(workspace, me, SearchRuns(experiments=[experiment])).runs
    deleted = search_runs(workspace, me, SearchRuns(experiments=[experiment], view=View.DELETED)).runs
    assert [one.run.id for one in deleted] == [run.id]
    with pytest.raises(Invalid, match="must be in the 'active' state"):
        create_logged_run(workspace, me, CreateRun(experiment=experiment))
    with pytest.raises(Conflict, match="Cannot rename a non-active experiment"):
        update_experiment(workspace, me, UpdateExperiment(experiment=experiment, name="new"))
    with pytest.raises(NotFound):
        delete_experiment(workspace, me, DeleteExperiment(experiment=experiment))
    restore_experiment(workspace, me, RestoreExperiment(experiment=experiment))
    assert len(search_runs(workspace, me, SearchRuns(experiments=[experiment])).runs) == 1


def test_a_project_has_an_experiment_of_its_name(workspace: Workspace, me: Actor) -> None:
    first = create_run(workspace, project="flights", kind="training", name="a", created_by="ada")
    second = create_run(workspace, project="flights", kind="training", name="b", created_by="ada")
    assert first.experiment == second.experiment
    found = find_experiment(workspace, me, FindExperiment(name="flights"))
    assert found.id == first.experiment
    assert first.artifact_location == f"{found.artifact_location}/{first.id}/artifacts"
    seen = search_runs(workspace, me, SearchRuns(experiments=[found.id], filter="kind = 'training'")).runs
    assert {one.run.name for one in seen} == {"a", "b"}


def test_they_are_searched_by_name_tag_and_time(workspace: Workspace, me: Actor) -> None:
    for name in ("Alpha", "beta", "alphabet"):
        create_experiment(workspace, me, CreateExperiment(name=name, tags={"team": name[0]} if name != "beta" else {}))
    assert _names(workspace, me) == ["alphabet", "beta", "Alpha"]
    assert _names(workspace, me, "name LIKE 'alpha%'") == ["alphabet"]
    assert _names(workspace, me, "name ILIKE 'alpha%'", order_by=["name"]) == ["Alpha", "alphabet"]
    assert _names(workspace, me, "tags.team = 'a' AND attribute.name != 'x'") == ["alphabet"]
    assert _names(workspace, me, "tags.team IS NULL") == ["beta"]
    assert _names(workspace, me, "experiment_id IN ('1', '2')", order_by=["experiment_id desc"]) == ["beta", "Alpha"]
    assert len(_names(workspace, me, "creation_time > 0 AND last_update_time >= 1000")) == 3
    page = search_experiments(workspace, me, SearchExperiments(limit=2))
    rest = search_experiments(workspace, me, SearchExperiments(limit=2, page=page.next_page))
    assert [one.name for one in page.experiments + rest.experiments] == ["alphabet", "beta", "Alpha"]
    assert rest.next_page is None
    for wrong in ("names = 'x'", "metrics.a > 1", "tags.team > 'a'", "creation_time > 'x'", "name = x"):
        with pytest.raises(Invalid):
            _names(workspace, me, wrong)


def test_tags_are_set_and_removed(workspace: Workspace, me: Actor, experiment: str) -> None:
    for value in ("red", "blue"):
        set_experiment_tag(workspace, me, SetExperimentTag(experiment=experiment, name="team", value=value))
    assert show_experiment(workspace, me, ShowExperiment(experiment=experiment)).tags == {"team": "blue"}
    delete_experiment_tag(workspace, me, DeleteExperimentTag(experiment=experiment, name="team"))
    with pytest.raises(NotFound, match="No tag with name: team"):
        delete_experiment_tag(workspace, me, DeleteExperimentTag(experiment=experiment, name="team"))
