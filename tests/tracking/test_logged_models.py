import math
from collections.abc import Callable

import pytest

from kept.core.errors import Invalid, NotFound
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.experiment import Lifecycle
from kept.tracking.filtering import Kind, Order
from kept.tracking.logged_model import LoggedModel, ModelStatus
from kept.tracking.logged_models import (
    create_logged_model,
    delete_logged_model,
    delete_logged_model_tag,
    finalize_logged_model,
    log_logged_model_params,
    search_logged_models,
    set_logged_model_tags,
    show_logged_model,
)
from kept.tracking.points import Point
from kept.tracking.recording import log_run
from kept.tracking.requests import (
    CreateLoggedModel,
    DatasetFilter,
    DeleteLoggedModel,
    DeleteLoggedModelTag,
    FinalizeLoggedModel,
    LogLoggedModelParams,
    LogRun,
    SearchLoggedModels,
    SetLoggedModelTags,
    ShowLoggedModel,
)
from kept.tracking.run import Run

pytestmark = pytest.mark.each_database

Make = Callable[..., Run]


def _model(workspace: Workspace, me: Actor, name: str = "", **more: object) -> LoggedModel:
    return create_logged_model(workspace, me, CreateLoggedModel(experiment="1", name=name, **more))  # type: ignore[arg-type]


def _show(workspace: Workspace, me: Actor, model: LoggedModel) -> LoggedModel:
    return show_logged_model(workspace, me, ShowLoggedModel(model=model.id))


def test_a_model_is_put_down_and_deleted(workspace: Workspace, me: Actor, logged: Make) -> None:
    run = logged()
    model = _model(workspace, me, "trees", run=run.id, type="Agent", tags={"a": "1"}, params={"p": "1"})
    assert model.id.startswith("m-")
    assert model.artifact_location == f"mlflow-artifacts:/1/models/{model.id}/artifacts"
    assert _show(workspace, me, model) == model
    ready = finalize_logged_model(workspace, me, FinalizeLoggedModel(model=model.id, status=ModelStatus.READY))
    assert ready.status is ModelStatus.READY
    assert ready.updated_at >= model.updated_at
    set_logged_model_tags(workspace, me, SetLoggedModelTags(model=model.id, tags={"a": "2", "b": "3"}))
    log_logged_model_params(workspace, me, LogLoggedModelParams(model=model.id, params={"q": "2"}))
    log_logged_model_params(workspace, me, LogLoggedModelParams(model=model.id, params={"p": "1"}))
    with pytest.raises(Invalid, match=r"Changing param values is not allowed\. .*'old_value': '1', 'new_value': '9'"):
        log_logged_model_params(workspace, me, LogLoggedModelParams(model=model.id, params={"r": "1", "p": "9"}))
    delete_logged_model_tag(workspace, me, DeleteLoggedModelTag(model=model.id, name="b"))
    with pytest.raises(NotFound, match="No tag with key 'b'"):
        delete_logged_model_tag(workspace, me, DeleteLoggedModelTag(model=model.id, name="b"))
    shown = _show(workspace, me, model)
    assert (shown.tags, shown.params) == ({"a": "2"}, {"p": "1", "q": "2"})
    delete_logged_model(workspace, me, DeleteLoggedModel(model=model.id))
    with pytest.raises(NotFound, match="not found"):
        _show(workspace, me, model)
    gone = show_logged_model(workspace, me, ShowLoggedModel(model=model.id, deleted=True))
    assert gone.lifecycle is Lifecycle.DELETED
    assert not search_logged_models(workspace, me, SearchLoggedModels(experiments=["1"])).models


@pytest.mark.usefixtures("experiment")
@pytest.mark.parametrize("name", ["a/b", "a:b", "a.b", "a%b", 'a"b', "a'b"])
def test_a_name_that_breaks_an_address_is_refused(workspace: Workspace, me: Actor, name: str) -> None:
    with pytest.raises(Invalid, match="Invalid model name"):
        _model(workspace, me, name)


def test_points_measured_on_a_model_are_its_own_too(workspace: Workspace, me: Actor, logged: Make) -> None:
    run, model = logged(), _model(workspace, me)
    point = Point(name="auc", value=math.inf, at=1, step=2, model=model.id, dataset_name="d", dataset_digest="1")
    log_run(workspace, me, LogRun(run=run.id, metrics=[point]))
    log_run(workspace, me, LogRun(run=run.id, metrics=[point]))
    assert [(one.run, one.point) for one in _show(workspace, me, model).metrics] == [(run.id, point)]


@pytest.fixture
def three(workspace: Workspace, me: Actor, logged: Make) -> None:
    """Three models that differ in what was measured on them."""
    run = logged()
    for name, value, dataset in (("a", 0.9, "train"), ("b", 0.7, "test"), ("c", None, None)):
        model = _model(workspace, me, name, params={"depth": name}, tags={"t": name} if name != "c" else {})
        if value is not None:
            point = Point(name="auc", value=value, at=1, model=model.id, dataset_name=dataset, dataset_digest="1")
            log_run(workspace, me, LogRun(run=run.id, metrics=[point]))


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "cba"),
        ("name = 'a'", "a"),
        ("name IN ('a', 'c')", "ca"),
        ("metrics.auc > 0.8", "a"),
        ("params.depth LIKE 'b' AND tags.t = 'b'", "b"),
        ("status = 'pending' AND creation_timestamp > 0", "cba"),
        ("attributes.experiment_id = '1'", "cba"),
    ],
)
def test_models_are_searched(workspace: Workspace, me: Actor, text: str, names: str) -> None:
    found = search_logged_models(workspace, me, SearchLoggedModels(experiments=["1"], filter=text))
    assert "".join(model.name for model in found.models) == names


@pytest.mark.usefixtures("three")
def test_models_are_sorted_and_paged(workspace: Workspace, me: Actor) -> None:
    for order, names in (
        (Order(kind=Kind.METRIC, name="auc"), "bac"),
        (Order(kind=Kind.METRIC, name="auc", ascending=False), "abc"),
        (Order(kind=Kind.METRIC, name="auc", dataset_name="test"), "bca"),
        (Order(kind=Kind.ATTRIBUTE, name="creation_timestamp"), "abc"),
    ):
        first = search_logged_models(workspace, me, SearchLoggedModels(experiments=["1"], order_by=[order], limit=2))
        rest = search_logged_models(
            workspace, me, SearchLoggedModels(experiments=["1"], order_by=[order], limit=2, page=first.next_page)
        )
        assert "".join(model.name for model in first.models + rest.models) == names
    only = SearchLoggedModels(experiments=["1"], datasets=[DatasetFilter(name="test")])
    assert [model.name for model in search_logged_models(workspace, me, only).models] == ["b"]
    with pytest.raises(Invalid, match="Invalid order_by entity"):
        search_logged_models(
            workspace, me, SearchLoggedModels(experiments=["1"], order_by=[Order(kind=Kind.PARAM, name="p")])
        )
