import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import kept
from kept.core.errors import Invalid, NotFound
from kept.governance.actor import Actor
from kept.governance.journal import ListAudit, list_audit
from kept.governance.workspace import Workspace
from kept.plan.catalog import ShowProject, ensure_registered, show_project
from kept.plan.description import describe
from kept.plan.loading import load_project
from kept.plan.project import Project


def flights(**changes: Any) -> Project:
    given: dict[str, Any] = {
        "name": "flight-delays",
        "question": "Will it land late?",
        "owner": "ops@example.org",
        "objectives": [kept.at_least("roc_auc", 0.65)],
    } | changes
    return kept.Project(given.pop("name"), **given)


def test_a_project_says_what_it_promises() -> None:
    project = flights(objectives=[kept.at_least("roc_auc", 0.6, by="origin"), kept.at_most("latency_p99_ms", 20)])
    names = [objective.name for objective in project.objectives]
    assert names == ["roc_auc at least 0.6 by origin", "latency_p99_ms at most 20"]
    assert project.objectives[0].holds(0.6)
    assert not project.objectives[0].holds(0.59)
    assert not project.objectives[0].holds(float("nan"))
    assert project.objectives[1].margin(15) == 5


def rows() -> None:
    """Gives rows."""


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: flights(name="Flight Delays"), "for example flight-delays"),
    (lambda: flights(name="flight-delays\n"), "for example flight-delays"),
    (lambda: flights(question=" "), "has no question"),
    (lambda: flights(owner=""), "has no owner"),
    (lambda: flights(objectives=[]), "Promise something"),
    (lambda: flights(objectives=[0.65]), "is not an objective"),
    (lambda: flights(objectives=[kept.at_least("auc_roc", 0.65)]), "roc_auc"),
    (lambda: flights(objectives=[kept.at_most("roc_auc", 0.65)]), r'Write at_least\("roc_auc", 0.65\)'),
    (lambda: kept.at_least("roc_auc", float("nan")), "not a finite number"),
    (lambda: kept.floats(0.3, 0.02), "low end is not below the high end"),
    (lambda: kept.floats(0, 1, log=True), "must start above 0"),
    (lambda: kept.choices("one"), "nothing to choose from"),
    (lambda: kept.by_time(test="soon"), "Write it like 30m, 2h, 7d or 4w"),
    (lambda: kept.by_time(test=1.5), "is not a share"),
    (lambda: kept.at_random(test=0.6, validation=0.4), "leave nothing to train on"),
    (lambda: kept.stratified(test=0.6, validation=0.6), "leave nothing to train on"),
    (lambda: kept.by_group("who", test=0.5, validation=0.5), "leave nothing to train on"),
    (lambda: kept.by_time(test=0.6, validation=0.4), "leave nothing to train on"),
    (lambda: kept.by_time(test=timedelta(days=-1)), "below zero"),
    (lambda: flights().split(0.2), "is not a split"),  # type: ignore[arg-type]
    (lambda: flights().retrain(on=["drift"]), "is not a trigger"),  # type: ignore[list-item]
    (lambda: flights().release(canary=[0.5, 0.1]), "rising shares that end in 1"),
    (lambda: flights().release(shadow="soon"), "not a length of time"),
    (lambda: flights().release(shadow=0), "not a number of rows"),
    (lambda: flights().release(shadow_rows=5), "without a shadow"),
    (lambda: flights().release(ab={"champion": 0.5, "challenger": 0.4}), "no split in two"),
    (lambda: flights().release(ab={"champion": 0.5, "challenger": 0.5}, canary=[0.5, 1]), "in one way"),
    (lambda: flights().release(strategy="blue_green", canary=[0.5, 1]), "in one way"),
    (lambda: flights().release(on_timeout="wait"), "not what can happen"),  # type: ignore[arg-type]
    (lambda: flights().release(canary=[1.0], quality_required=True), "never looked at"),
    (lambda: flights().release(max_disagreement=1), "not a share"),
    (lambda: flights().release(fallback=0.5), "kept.fall_back"),  # type: ignore[arg-type]
    (lambda: kept.fall_back(on=["weather"]), "no occasion"),
    (lambda: kept.fall_back(previous=False), "nothing to fall back to"),
    (lambda: kept.fall_back(on=["timeout"]), "belong together"),
    (lambda: kept.fall_back(rules=["x > 3"]), "is no rule"),  # type: ignore[list-item]
    (lambda: kept.when("x", "~", 3, answer=1), "compares nothing"),
    (lambda: kept.when("x", ">", "far", answer=1), "cannot be > 'far'"),
    (lambda: kept.when("x", ">", float("nan"), answer=1), "cannot be > nan"),
    (lambda: kept.when("x", "in", [], answer=1), "cannot be in"),
    (lambda: kept.when("x", "==", answer=1), "cannot be == None"),
    (lambda: kept.when("x", "missing", 3, answer=1), "cannot be missing 3"),
    (lambda: kept.when("x", ">", 3, answer=True), "not a constant"),
    (lambda: kept.fall_back(constant=float("nan")), "not a constant"),
    (lambda: flights().monitor(window="1d", false_alarm_every="1h"), "shorter than a window"),
    (lambda: flights().monitor(window="1h", season="month"), "'month' is not a season"),  # type: ignore[arg-type]
    (lambda: flights().monitor(window="1d", season="hour of day"), "does not lie within one season"),
    (lambda: flights().monitor(window="7h", season="day of week"), "does not lie within one season"),
    (
        lambda: flights().monitor(window="1h", season="day of week", time_zone="Mars/Base"),
        "'Mars/Base' is not a time zone",
    ),
    (lambda: flights().monitor(window="1h", season="day of week", time_zone="../etc"), "is not a time zone"),
    (lambda: flights().monitor(window="6h", season="day of week", time_zone="Asia/Tokyo"), "one season of Asia/Tokyo"),
    (lambda: flights().monitor(window="1h", time_zone="Asia/Tokyo"), "no season is declared"),
    (lambda: flights().monitor(reference="flights"), "'flights' is nothing to hold inputs against"),
    (lambda: flights().monitor(reference="flights@new"), "is nothing to hold inputs against"),
    (lambda: flights().dataset(label="late", max_bad_share=2)(lambda: None), "cannot be used|is not a share"),
    (lambda: flights().dataset(label="late", mode="append")(rows), "Declare key="),
    (lambda: flights().dataset(label="late", mode="upsert")(rows), "is not a mode"),  # type: ignore[arg-type]
    (lambda: flights().dataset(label="late", features=["wind", "late"])(rows), "'late' tells the label"),
    (lambda: flights().dataset(label="late", label_time="at", features=["at"])(rows), "'at' tells the label"),
    (lambda: flights().dataset(label="late", key="late")(rows), "'late' tells the label"),
    (lambda: flights().dataset(label="late", label_delay=timedelta(hours=-1))(rows), "below zero"),
    (lambda: flights().model(task="binary", trials=0)(rows), "is not a number of trials"),
    (lambda: flights().model(task="binary", tune_metric="rmse")(rows), "'rmse' does not fit the task binary"),
    (lambda: flights().model(task="binary", tune_metric="size_mb")(rows), "measured on the running service"),
    (lambda: flights().the_dataset, "Declare a function with @project.dataset"),
    (lambda: flights().the_model, "Declare a function with @project.model"),
]


@pytest.mark.parametrize(("declare", "says"), WRONG)
def test_a_wrong_declaration_fails_where_it_stands_and_says_what_to_write(
    declare: Callable[[], Any], says: str
) -> None:
    with pytest.raises(Invalid, match=says):
        declare()


def test_a_search_must_name_parameters_of_the_function() -> None:
    def trees(rate: float = 0.1) -> None:
        """Makes trees."""

    with pytest.raises(Invalid, match="search names 'depth', which the function does not take"):
        flights().model(task="binary", search={"depth": kept.ints(1, 5)})(trees)


def test_every_hyperparameter_needs_a_default() -> None:
    def trees(rate: float) -> None:
        """Makes trees."""

    with pytest.raises(Invalid, match="'rate' has no default"):
        flights().model(task="binary")(trees)


def test_an_objective_must_fit_the_task() -> None:
    def trees() -> None:
        """Makes trees."""

    with pytest.raises(Invalid, match="does not fit the task regression"):
        flights().model(task="regression")(trees)


PROJECT = """
import kept
from declared import bound

project = kept.Project("p", question="Which?", owner="me", objectives=[kept.at_least("accuracy", bound)])
"""


def test_a_project_file_may_be_split_into_several(tmp_path: Path) -> None:
    (tmp_path / "declared.py").write_text("bound = 0.5")
    (tmp_path / "split_project.py").write_text(PROJECT)
    assert load_project(tmp_path / "split_project.py").objectives[0].bound == 0.5


def test_two_projects_with_the_same_names_of_files_keep_apart(tmp_path: Path) -> None:
    for place, bound in (("one", 0.5), ("two", 0.75)):
        (tmp_path / place).mkdir()
        (tmp_path / place / "declared.py").write_text(f"bound = {bound}")
        (tmp_path / place / "project.py").write_text(PROJECT)
    for place, bound in (("one", 0.5), ("two", 0.75), ("one", 0.5)):
        assert load_project(tmp_path / place / "project.py").objectives[0].bound == bound


def test_a_project_file_never_takes_the_place_of_a_module_of_python(tmp_path: Path) -> None:
    (tmp_path / "declared.py").write_text("bound = 0.5")
    (tmp_path / "json.py").write_text(PROJECT)
    before = sys.modules.get("json")
    assert load_project(tmp_path / "json.py").name == "p"
    assert sys.modules.get("json") is before


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import kept", "declares 0 projects"),
        ("one = 1\n1 / 0", r"wrong_project.py, line 2: .*ZeroDivisionError"),
        ("def", "SyntaxError"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
    ],
)
def test_a_wrong_project_file_is_explained(tmp_path: Path, code: str, says: str) -> None:
    path = tmp_path / "wrong_project.py"
    path.write_text(code)
    with pytest.raises(Invalid, match=says):
        load_project(path)


def test_a_missing_project_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="kept init"):
        load_project(tmp_path / "project.py")


def test_a_project_is_registered_when_it_changes_and_only_then(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    source = tmp_path / "project.py"
    ensure_registered(workspace, me, flights(), source)
    ensure_registered(workspace, me, flights(), source)
    assert [entry.action for entry in list_audit(workspace, me, ListAudit())] == ["plan.register"]
    changed = flights(owner="others@example.org")
    ensure_registered(workspace, me, changed, source)
    assert len(list_audit(workspace, me, ListAudit())) == 2
    known = show_project(workspace, me, ShowProject(project="flight-delays"))
    assert known.plan == describe(changed)
    assert known.owner == "others@example.org"


def test_a_release_says_how_a_version_takes_over() -> None:
    project = flights()
    project.release(
        shadow="24h", max_disagreement=0.1, canary=[0.2, 1.0], on_timeout="hold", fallback=kept.fall_back(constant=1)
    )
    declared = project.releasing
    assert (declared.shadow, declared.shadow_rows, declared.on_timeout) == (timedelta(days=1), 200, "hold")
    assert declared.fallback is not None
    assert (declared.fallback.constant, declared.fallback.previous) == (1.0, True)
    project.release(shadow=5_000, ab={"champion": 0.7, "challenger": 0.3})
    assert (project.releasing.shadow, project.releasing.shadow_rows) == (timedelta(0), 5_000)
    assert project.releasing.challenger == 0.3
    assert describe(project)["release"]["challenger"] == 0.3
