"""Questions that name or want more than anybody looks at are refused before they are asked of the database."""

from collections.abc import Callable

import msgspec
import pytest

from kept.core.errors import Invalid
from kept.governance.actor import Actor
from kept.governance.operation import Operation
from kept.governance.workspace import Workspace
from kept.tracking.comparing import compare_runs
from kept.tracking.comparison import CompareRuns
from kept.tracking.finding import metric_history_bulk, search_datasets, search_runs
from kept.tracking.logged_models import search_logged_models
from kept.tracking.requests import DatasetFilter, MetricHistoryBulk, SearchDatasets, SearchLoggedModels, SearchRuns

pytestmark = pytest.mark.each_database
MOST = 10_000
Asked = tuple[Operation[msgspec.Struct, msgspec.Struct], Callable[[list[str]], msgspec.Struct]]
ASKED = [
    (search_runs, lambda ids: SearchRuns(experiments=ids)),
    (search_datasets, lambda ids: SearchDatasets(experiments=ids)),
    (search_logged_models, lambda ids: SearchLoggedModels(experiments=ids)),
    (metric_history_bulk, lambda ids: MetricHistoryBulk(runs=ids, name="loss")),
]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked[0].name)
def test_ten_thousand_are_taken_and_no_more(workspace: Workspace, me: Actor, asked: Asked) -> None:
    operation, request = asked
    ids = [str(number) for number in range(MOST + 1)]
    operation(workspace, me, request(ids[:MOST]))
    with pytest.raises(Invalid, match="10,001 are named at once. Name at most 10,000"):
        operation(workspace, me, request(ids))


@pytest.mark.parametrize("field", ["runs", "experiments"])
def test_no_more_are_compared(workspace: Workspace, me: Actor, field: str) -> None:
    with pytest.raises(Invalid, match=f"{field}: 200,000 are named at once"):
        compare_runs(workspace, me, msgspec.convert({field: ["a"] * 200_000}, CompareRuns))


def test_points_of_runs_are_bounded_in_all(workspace: Workspace, me: Actor) -> None:
    """Naming one run again and again would give its points again and again."""
    asked = MetricHistoryBulk(runs=["a"] * MOST, name="loss", sample=100)
    assert metric_history_bulk(workspace, me, asked) == []
    with pytest.raises(Invalid, match="101 points of each of 10,000 runs"):
        metric_history_bulk(workspace, me, msgspec.structs.replace(asked, sample=101))


@pytest.mark.parametrize("limit", [0, -1, 2**63])
def test_a_page_of_datasets_has_a_size(workspace: Workspace, me: Actor, limit: int) -> None:
    with pytest.raises(Invalid, match="max_results"):
        search_datasets(workspace, me, SearchDatasets(experiments=["0"], limit=limit))


def test_models_are_searched_on_so_many_datasets(workspace: Workspace, me: Actor) -> None:
    """SQLite took fewer than a thousand, and the fault was called ours."""
    filter_ = " AND ".join(f"metrics.a{one} > 1" for one in range(50))
    many = [DatasetFilter(name=f"d{one}", digest="1") for one in range(101)]
    asked = SearchLoggedModels(experiments=[str(one) for one in range(MOST)], filter=filter_, datasets=many[:100])
    for fits in (asked, msgspec.structs.replace(asked, filter="")):
        assert search_logged_models(workspace, me, fits).models == []
    with pytest.raises(Invalid, match="datasets: 101 are named at once. Name at most 100"):
        search_logged_models(workspace, me, SearchLoggedModels(experiments=["0"], datasets=many))
