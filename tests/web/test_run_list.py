"""The list of runs: what they measured stands beside them, and sorts them."""

import re
from html import unescape

import pytest
from filled import HOSTILE
from visiting import Open

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.experiments import create_experiment
from kept.tracking.points import Point
from kept.tracking.recording import create_logged_run, log_run
from kept.tracking.requests import CreateExperiment, CreateRun, LogRun
from kept.tracking.runs import create_run
from kept.web.rendering import metric

PAGE = {"Accept": "text/html"}
LOSSES = {"slow": 0.9, "quick": 0.1, "fair": 0.5}


@pytest.fixture
def experiment(workspace: Workspace, me: Actor) -> str:
    """Three logged runs of an experiment, with a run beside them that measured nothing and waits for a worker."""
    made = create_experiment(workspace, me, CreateExperiment(name="churn")).id
    for name, loss in LOSSES.items():
        run = create_logged_run(workspace, me, CreateRun(experiment=made, name=name)).id
        points = [Point(name=one, value=loss, at=1) for one in ("zeta", "alpha", "val/loss")]
        params = {"rate": str(loss), "rows": "100", "said": name + HOSTILE}
        log_run(workspace, me, LogRun(run=run, metrics=points, params=params))
    create_run(workspace, project="flights", kind="training", name="queued", created_by="ada")
    return made


def listed(page: str) -> list[str]:
    """The names of the runs in their order."""
    return re.findall(r'aria-label="Compare ([^"]*)"', page)


def headings(page: str) -> dict[str, str]:
    """Where each metric's heading leads."""
    found = re.findall(r'aria-sort="\w+"><a href="([^"]*)"[^>]*>([^<]*)</a>', page)
    return {name: unescape(address) for address, name in found}


def test_runs_stand_with_what_they_measured_the_newest_first(open_site: Open, experiment: str) -> None:
    assert experiment
    page = open_site().get("/runs", headers=PAGE).text
    assert listed(page) == ["queued", "fair", "quick", "slow"]
    assert next(iter(headings(page))) == "val/loss", "the one that tells most comes first"
    assert "0.9" in page


def test_a_heading_sorts_the_best_first_then_the_other_way_round(open_site: Open, experiment: str) -> None:
    site = open_site()
    first = headings(site.get("/runs", headers=PAGE).text)["val/loss"]
    best = site.get(first, headers=PAGE).text
    assert listed(best) == ["quick", "fair", "slow", "queued"]
    assert 'aria-sort="ascending"' in best
    worst = site.get(headings(best)[f"{metric('val/loss')} ↑"], headers=PAGE).text
    assert listed(worst) == ["slow", "fair", "quick", "queued"]
    filtered = site.get(f"/runs?experiment={experiment}&sort=alpha", headers=PAGE).text
    assert listed(filtered) == ["slow", "fair", "quick"], "of what no one knows the better of, the largest first"
    assert f"experiment={experiment}" in headings(filtered)["val/loss"]


def test_an_experiment_shows_the_parameters_that_differ(open_site: Open, experiment: str) -> None:
    site = open_site()
    page = site.get("/runs?experiment=churn", headers=PAGE).text
    assert "<th>rate</th>" in page
    assert "<th>rows</th>" not in page
    assert "<th>said</th>" in page
    assert HOSTILE not in page
    assert listed(page) == ["fair", "quick", "slow"]
    assert "<th>rate</th>" not in site.get("/runs", headers=PAGE).text
    assert f"/runs/compare?experiment={experiment}" in site.get(f"/runs?experiment={experiment}", headers=PAGE).text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("where=metrics.zeta+<+0.6", ["fair", "quick"]),
        ("status=queued", ["queued"]),
        ("project=flights", ["queued"]),
        ("status=queued&sort=zeta", ["queued"]),
        ("kind=logged&sort=zeta&way=up", ["quick", "fair", "slow"]),
        ("sort=nobody", ["fair", "quick", "slow", "queued"]),
    ],
)
def test_what_is_asked_for_goes_together(open_site: Open, experiment: str, query: str, names: list[str]) -> None:
    assert experiment
    assert sorted(listed(open_site().get(f"/runs?{query}", headers=PAGE).text)) == sorted(names)


@pytest.mark.parametrize("query", ["experiment=<b>none</b>", "where=metrics.<b>none</b>"])
def test_what_cannot_be_found_is_said_on_the_page(open_site: Open, experiment: str, query: str) -> None:
    assert experiment
    answer = open_site().get(f"/runs?{query}", headers=PAGE)
    assert answer.status_code == 200
    assert 'class="bad"' in answer.text
    assert "<b>none</b>" not in answer.text


def test_of_many_experiments_some_are_offered(open_site: Open, workspace: Workspace, me: Actor) -> None:
    for number in range(501):
        create_experiment(workspace, me, CreateExperiment(name=f"try-{number}"))
    page = open_site().get("/runs", headers=PAGE).text
    assert page.count('<option value="try-') <= 500, "the page is asked for anew every few seconds"
