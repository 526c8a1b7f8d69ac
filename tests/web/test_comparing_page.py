"""The pages of a run's curves and of runs that are compared."""

import re
from html import unescape
from urllib.parse import quote

import msgspec
import pytest
from filled import HOSTILE
from visiting import Open

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.comparison import RunComparison
from kept.tracking.experiments import create_experiment
from kept.tracking.points import Point
from kept.tracking.recording import create_logged_run, log_run
from kept.tracking.requests import CreateExperiment, CreateRun, LogRun
from kept.web.pages.comparing import Curve

PAGE = {"Accept": "text/html"}


@pytest.fixture
def runs(workspace: Workspace, me: Actor) -> list[str]:
    """Three seeds of two models; in the names is what should not run."""
    experiment = create_experiment(workspace, me, CreateExperiment(name="churn")).id
    made = []
    for model, level in (("linear", 0.6), (HOSTILE, 0.7)):
        for seed in range(3):
            run = create_logged_run(workspace, me, CreateRun(experiment=experiment, name=HOSTILE)).id
            points = [Point(name="loss", value=1 / (step + 1), at=step, step=step) for step in range(30)]
            points += [Point(name="accuracy", value=level + 0.1 * seed, at=1)]
            points += [Point(name="odd", value=float("nan"), at=step, step=step) for step in range(2)]
            log_run(workspace, me, LogRun(run=run, metrics=points, params={"model": model, "seed": str(seed)}))
            made.append(run)
    return made


def test_a_run_shows_the_curves_of_its_metrics(open_site: Open, runs: list[str]) -> None:
    site = open_site()
    assert f'data-curves="/runs/{runs[0]}/curves.json"' in site.get(f"/runs/{runs[0]}", headers=PAGE).text
    found = msgspec.json.decode(site.get(f"/runs/{runs[0]}/curves.json").content, type=list[Curve])
    assert [curve.name for curve in found] == ["loss", "odd"]
    assert (found[0].steps, found[0].values[1]) == (list(range(30)), 0.5)
    assert found[1].values == [None, None]


def test_logged_runs_are_listed_with_their_experiment(open_site: Open, runs: list[str]) -> None:
    site = open_site()
    assert len(re.findall(r'<a href="/runs\?experiment=\d+">churn</a>', site.get("/runs", headers=PAGE).text)) == len(
        runs
    )
    link = r'<a href="/runs/compare\?experiment=\d+">churn</a>'
    assert re.search(link, site.get(f"/runs/{runs[0]}", headers=PAGE).text)


def test_curves_of_runs_that_are_compared_are_drawn_together(open_site: Open, runs: list[str]) -> None:
    site = open_site()
    chosen = "&".join(f"run={run}" for run in runs[:2])
    page = site.get(f"/runs/compare?{chosen}", headers=PAGE).text
    address = re.search(r'data-curves="(/runs/curves.json[^"]+)"', page)
    assert address is not None
    found = msgspec.json.decode(site.get(unescape(address[1])).content, type=list[Curve])
    assert [curve.name for curve in found] == ["loss", "loss", "odd", "odd"]
    assert len({curve.run for curve in found}) == 2, "runs of one name are told apart"
    assert found[0].steps == list(range(30))
    assert "data-curves" not in site.get(f"/runs/compare?{chosen}&metric=accuracy", headers=PAGE).text


def test_runs_are_compared_on_a_page(open_site: Open, runs: list[str]) -> None:
    site = open_site()
    page = site.get("/runs/compare?experiment=churn&metric=accuracy&baseline=model=linear", headers=PAGE).text
    assert "Against model=linear" in page
    assert "better" in page
    assert "paired t" in page
    assert HOSTILE not in page
    found = msgspec.json.decode(
        site.get("/runs/compare.json?experiment=churn&metric=accuracy").content, type=RunComparison
    )
    assert [len(group.runs) for group in found.groups] == [3, 3]
    chosen = "&".join(f"run={run}" for run in runs[:2])
    assert "n=1, no interval" in site.get(f"/runs/compare?{chosen}&by=run&metric=accuracy", headers=PAGE).text


def test_what_cannot_be_compared_is_said_on_the_page(open_site: Open, runs: list[str]) -> None:
    site = open_site()
    answer = site.get(f"/runs/compare?experiment={quote('<b>none</b>')}", headers=PAGE)
    assert answer.status_code == 200
    assert "There is no experiment" in answer.text or "there is no experiment" in answer.text
    assert "<b>none</b>" not in answer.text
    assert len(runs) == 6
