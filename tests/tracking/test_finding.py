import math
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kept.core.errors import Invalid
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.experiments import create_experiment
from kept.tracking.filtering import Kind, Term
from kept.tracking.finding import search_datasets, search_runs
from kept.tracking.points import Dataset, DatasetInput, Point
from kept.tracking.recording import create_logged_run, log_inputs, log_run, update_run
from kept.tracking.requests import (
    CreateExperiment,
    CreateRun,
    LogInputs,
    LogRun,
    SearchDatasets,
    SearchRuns,
    UpdateRun,
)
from kept.tracking.run import Run, RunStatus

pytestmark = pytest.mark.each_database

Make = Callable[..., Run]
Search = Callable[..., list[str]]


@pytest.fixture
def search(workspace: Workspace, me: Actor, experiment: str) -> Search:
    """Names of the runs that fit."""

    def find(filter_: str | list[Term] = "", **more: object) -> list[str]:
        request = SearchRuns(experiments=[experiment], filter=filter_, **more)  # type: ignore[arg-type]
        return [found.run.name for found in search_runs(workspace, me, request).runs]

    return find


@pytest.fixture
def four(logged: Make) -> list[Run]:
    """Four runs that differ in all that can be searched."""
    return [
        logged("a", {"auc": 0.9, "loss": math.nan}, {"lr": "0.1", "model": "Tree"}, {"team": "red", "my tag": "x"}),
        logged("b", {"auc": 0.8, "loss": 2.0}, {"lr": "0.2", "model": "tree"}, {"team": "blue"}),
        logged("c", {"auc": 0.7, "loss": -math.inf}, {"lr": "0.1"}, {"team": "red"}),
        logged("d", {"loss": math.inf}, {"model": "forest"}),
    ]


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "dcba"),
        ("metrics.auc > 0.75", "ba"),
        ("metrics.auc >= 0.8 and metric.auc != 0.9", "b"),
        ("metrics.loss != 2", "dca"),
        ("metrics.loss < 5 AND metrics.loss > -1e300", "b"),
        ("metrics.loss >= 0", "db"),
        ("params.lr = '0.1'", "ca"),
        ('param."lr" != "0.1"', "b"),
        ("parameters.model LIKE 'Tr%'", "a"),
        ("params.model ILIKE 't_ee'", "ba"),
        ("params.model IS NULL", "c"),
        ("params.model is not null and tags.team IS NULL", "d"),
        ("tags.`my tag` = 'x'", "a"),
        ("tag.team = 'red' AND params.model = 'Tree' AND metrics.auc > 0.1", "a"),
        ("attributes.run_name = 'c'", "c"),
        ("run_name LIKE '%' AND attr.`Run name` != 'c'", "dba"),
        ("tags.mlflow.runName = 'b'", "b"),
        ("status = 'failed'", "b"),
        ("attributes.status != 'running'", "b"),
        ("user_id = 'nobody'", ""),
        ("start_time > 0 AND created >= 1.5", "dcba"),
        ("end_time = 1364774400123", "b"),
        ("end_time > 1364774400122.5 AND end_time < 1364774400124", "b"),
        ("end_time > 1364774400123", ""),
        ("end_time <= 1364774400123", "b"),
        ("end_time != 1364774400123", ""),
        ("AND params.lr = '0.1' AND ", "ca"),
        ("tags.team = 'it''s'", ""),
    ],
)
def test_a_filter_finds_the_runs_that_fit(
    workspace: Workspace, me: Actor, search: Search, text: str, names: str
) -> None:
    ended = datetime(2013, 4, 1, 0, 0, 0, 123456, tzinfo=UTC)
    run = search_runs(workspace, me, SearchRuns(experiments=["1"], filter="run_name = 'b'")).runs[0].run
    update_run(workspace, me, UpdateRun(run=run.id, status=RunStatus.FAILED, ended_at=ended))
    assert "".join(search(text)) == names


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize(
    ("orders", "names"),
    [
        ("metrics.auc", "cbad"),
        ("metrics.auc DESC", "abcd"),
        ("metrics.loss ASC", "cbda"),
        ("metrics.loss desc", "dbca"),
        ("params.lr|metrics.auc desc", "acbd"),
        ("params.model DESC", "bdac"),
        ("tags.team|attributes.run_name", "bacd"),
        ("attributes.start_time ASC", "abcd"),
        ("start_time desc", "dcba"),
        ("metrics.nothing DESC", "dcba"),
        ("tags.`my tag`", "adcb"),
        ('"run_name" DESC', "dcba"),
    ],
)
def test_runs_come_in_the_order_asked_for(search: Search, orders: str, names: str) -> None:
    assert "".join(search(order_by=orders.split("|"))) == names


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize("order", ["metrics.loss DESC", "metrics.loss", "metrics.nothing", "params.lr", "run_name"])
def test_pages_join_without_a_gap(workspace: Workspace, me: Actor, search: Search, order: str) -> None:
    for size in (1, 2, 3):
        page, names = None, []
        for _ in range(5):
            request = SearchRuns(experiments=["1"], order_by=[order], limit=size, page=page)
            found = search_runs(workspace, me, request)
            names += [one.run.name for one in found.runs]
            page = found.next_page
            if page is None:
                break
        assert names == search(order_by=[order])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metrics.acc = 'LR'", "Expected numeric value type for metric"),
        ("metrics.acc = LR", "Expected numeric value type for metric"),
        ("params.acc = LR", "value is either not quoted or unidentified quote types"),
        ("params.acc = 5", "Expected a quoted string value for"),
        ('params.acc = "LR', "Invalid clause"),
        ("params.acc = LR'", "either not quoted|Invalid clause"),
        ("acc = 'LR'", "Invalid attribute key 'acc' specified"),
        ("p.acc = 'LR'", "Invalid entity type 'p'"),
        ("datasets.acc = 'LR'", "Invalid dataset key 'acc' specified"),
        ("params.acc > 'LR'", "Invalid comparator '>'"),
        ("metrics.acc LIKE 'x'", "Expected numeric value"),
        ("metrics.acc == 1", "Invalid comparator '=='"),
        ("tags.t <> 'a'", "Invalid comparator '<>'"),
        ("metrics.acc IS NULL", "only supported for tags and params"),
        ("attributes.run_name IN ('a')", "attributes support comparison with a list"),
        ("params.a = 'x' OR params.b = 'y'", "Invalid clause.*OR"),
        ("params.a = 'x'; DROP TABLE runs", "contained multiple expression"),
        ("params.a", "Invalid clause"),
        ("1 = 1", "Expected 'Identifier' found '1'"),
        ("(params.a = 'x')", "Invalid clause"),
        ("start_time > 'yesterday'", "Expected numeric value type for numeric attribute: start_time"),
        ("params.a = '" + "x" * 9_000 + "'", "9013 characters"),
        (" AND ".join(["params.a = 'x'"] * 51), "51 terms"),
    ],
)
def test_what_can_not_be_asked_is_said(search: Search, text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        search(text)


@pytest.mark.parametrize(
    "order", ["", "a b c", "metrics.a up", "acc", "datasets.name", "p.a", "metrics.`a", "metrics.a,metrics.b"]
)
def test_what_can_not_be_sorted_by_is_said(search: Search, order: str) -> None:
    with pytest.raises(Invalid):
        search(order_by=[order])
    with pytest.raises(Invalid, match="duplicate fields"):
        search(order_by=["metrics.a", "metric.a desc"])


def test_pages_have_limits(search: Search) -> None:
    for limit in (0, -1, 50_001):
        with pytest.raises(Invalid, match=f"Invalid value {limit} for parameter 'max_results'"):
            search(limit=limit)
    for page in ("?", "e30=", "eyJvZmZzZXQiOiAtMX0="):
        with pytest.raises(Invalid, match="Invalid page token"):
            search(page=page)


def test_lists_of_ids(search: Search, four: list[Run]) -> None:
    listed = ", ".join(f"'{run.id}'" for run in four[:2])
    assert search(f"attributes.run_id IN ({listed})") == ["b", "a"]
    assert search(f"run_id NOT IN ({listed})") == ["d", "c"]
    assert search([Term(kind=Kind.ATTRIBUTE, name="status", comparator="IN", value=["failed"])]) == []


def test_a_backslash_in_a_pattern_is_a_backslash(search: Search, logged: Make) -> None:
    for name, path in (("a", "c:\\rows"), ("b", "c:\\"), ("c", "c:%"), ("d", "|\\")):
        logged(name, params={"path": path})
    assert search("params.path LIKE 'c:\\%'") == ["b", "a"]
    assert search("params.path ILIKE 'C:\\ROWS'") == ["a"]
    assert search("params.path LIKE '%\\'") == ["d", "b"]
    assert search("params.path LIKE '|\\'") == ["d"]


def test_runs_are_found_by_the_datasets_that_they_read(
    workspace: Workspace, me: Actor, search: Search, four: list[Run]
) -> None:
    for run, context in zip(four, ("train", "test", "train", None), strict=True):
        dataset = Dataset(name=f"rows-{run.name}", digest="1", source_type="http", source="{}")
        tags = {"mlflow.data.context": context} if context else {}
        log_inputs(workspace, me, LogInputs(run=run.id, datasets=[DatasetInput(dataset=dataset, tags=tags)]))
    assert search("datasets.context = 'train'") == ["c", "a"]
    assert search("dataset.name LIKE 'rows-%' AND dataset.context != 'train'") == ["b"]
    assert search("dataset.name IN ('rows-a', 'rows-d') AND dataset.digest = '1'") == ["d", "a"]
    found = search_datasets(workspace, me, SearchDatasets(experiments=["1"]))
    assert [(one.name, one.context) for one in found] == [
        ("rows-a", "train"),
        ("rows-b", "test"),
        ("rows-c", "train"),
        ("rows-d", None),
    ]


def test_only_the_experiments_asked_for_are_searched(workspace: Workspace, me: Actor, logged: Make) -> None:
    here = logged("here", {"auc": 0.5})
    other = create_experiment(workspace, me, CreateExperiment(name="other")).id
    there = create_logged_run(workspace, me, CreateRun(experiment=other, name="there"))
    log_run(workspace, me, LogRun(run=there.id, metrics=[Point(name="auc", value=0.6, at=1)]))
    for experiments, wanted in (
        (["1"], [here.id]),
        ([other], [there.id]),
        (["1", other], [there.id, here.id]),
        ([], []),
    ):
        for order in ("metrics.auc DESC", "start_time DESC"):
            request = SearchRuns(experiments=experiments, filter="metrics.auc > 0", order_by=[order])
            assert [one.run.id for one in search_runs(workspace, me, request).runs] == wanted
    with pytest.raises(Invalid, match="Invalid experiment ID 'x'"):
        search_runs(workspace, me, SearchRuns(experiments=["x"]))


_VALUES = st.sampled_from([math.nan, -math.inf, -1.0, 0.0, 0.5, 1.0, math.inf])
_TEXTS = st.sampled_from(["", "a", "A", "ab", "b_", "b%", "b\\", "\\%", "|%\\"])
_RUNS = st.lists(st.tuples(st.none() | _VALUES, st.none() | _VALUES, st.none() | _TEXTS), min_size=1, max_size=7)
_TERMS = st.lists(
    st.one_of(
        st.builds(
            lambda name, comparator, value: Term(kind=Kind.METRIC, name=name, comparator=comparator, value=value),
            st.sampled_from(["x", "y"]),
            st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
            st.sampled_from([-1.0, 0.0, 0.5]),
        ),
        st.builds(
            lambda comparator, value: Term(kind=Kind.PARAM, name="p", comparator=comparator, value=value),
            st.sampled_from(["=", "!=", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL"]),
            _TEXTS,
        ),
    ),
    max_size=3,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=_RUNS, terms=_TERMS, key=st.sampled_from(["x", "y"]), ascending=st.booleans(), size=st.integers(1, 8))
def test_a_search_finds_what_looking_at_each_run_finds(
    workspace: Workspace,
    me: Actor,
    runs: list[tuple[float | None, float | None, str | None]],
    terms: list[Term],
    key: str,
    ascending: bool,
    size: int,
) -> None:
    experiment = create_experiment(workspace, me, CreateExperiment(name=str(datetime.now(UTC)))).id
    facts: dict[str, dict[str, float | str | None]] = {}
    for x, y, p in runs:
        run = create_logged_run(workspace, me, CreateRun(experiment=experiment))
        points = [Point(name=name, value=value, at=1) for name, value in (("x", x), ("y", y)) if value is not None]
        log_run(workspace, me, LogRun(run=run.id, metrics=points, params={} if p is None else {"p": p}))
        facts[run.id] = {"x": x, "y": y, "p": p}
    wanted = [run for run in reversed(facts) if all(_fits(facts[run][term.name], term) for term in terms)]
    wanted.sort(key=lambda run: _rank(facts[run][key], ascending=ascending))
    found: list[str] = []
    page = None
    for _ in range(20):
        request = SearchRuns(
            experiments=[experiment],
            filter=terms,
            order_by=[f"metrics.{key} {'ASC' if ascending else 'DESC'}"],
            limit=size,
            page=page,
        )
        answer = search_runs(workspace, me, request)
        found += [one.run.id for one in answer.runs]
        page = answer.next_page
        if page is None:
            break
    assert found == wanted


def _fits(held: float | str | None, term: Term) -> bool:
    if term.comparator in {"IS NULL", "IS NOT NULL"}:
        return (held is None) == (term.comparator == "IS NULL")
    if held is None:
        return False
    if term.comparator in {"LIKE", "ILIKE"}:
        pattern = re.escape(str(term.value)).replace("_", ".").replace("%", ".*")
        return re.fullmatch(pattern, str(held), re.IGNORECASE if term.comparator == "ILIKE" else 0) is not None
    wanted = term.value
    return {
        "=": held == wanted,
        "!=": held != wanted,
        "<": held < wanted,  # type: ignore[operator]
        "<=": held <= wanted,  # type: ignore[operator]
        ">": held > wanted,  # type: ignore[operator]
        ">=": held >= wanted,  # type: ignore[operator]
    }[term.comparator]


def _rank(held: float | str | None, *, ascending: bool) -> tuple[int, float]:
    if held is None:
        return (2, 0.0)
    number = float(held)
    if math.isnan(number):
        return (1, 0.0)
    return (0, number if ascending else -number)
