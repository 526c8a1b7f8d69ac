"""The files of a run, and those of the models that it logged, stand on its page and can be fetched from it."""

import re
from html import unescape

import pytest
from filled import HOSTILE
from visiting import Open

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.artifacts import begin_artifact, end_artifact
from kept.tracking.experiments import create_experiment
from kept.tracking.location import place_of
from kept.tracking.logged_models import create_logged_model, delete_logged_model
from kept.tracking.points import ModelOutput
from kept.tracking.recording import create_logged_run, log_outputs
from kept.tracking.requests import CreateExperiment, CreateLoggedModel, CreateRun, DeleteLoggedModel, LogOutputs

PAGE = {"Accept": "text/html"}
NAME = HOSTILE.replace("/", "")


def keep(workspace: Workspace, me: Actor, location: str, name: str, data: bytes) -> None:
    path = f"{place_of(location)}/{name}"
    with begin_artifact(workspace, me, path) as upload:
        upload.write(data)
        end_artifact(workspace, me, path, upload)


def test_files_are_listed_fetched_and_pictures_shown(open_site: Open, workspace: Workspace, me: Actor) -> None:
    experiment = create_experiment(workspace, me, CreateExperiment(name="churn")).id
    run = create_logged_run(workspace, me, CreateRun(experiment=experiment))
    asked = CreateLoggedModel(experiment=experiment, name="forest", run=run.id)
    model, gone = create_logged_model(workspace, me, asked), create_logged_model(workspace, me, asked)
    outputs = [ModelOutput(model=model.id), ModelOutput(model=gone.id)]
    log_outputs(workspace, me, LogOutputs(run=run.id, models=outputs))
    delete_logged_model(workspace, me, DeleteLoggedModel(model=gone.id))
    keep(workspace, me, run.artifact_location, "plots/learning curve.png", b"picture")
    keep(workspace, me, run.artifact_location, NAME, b"other")
    keep(workspace, me, model.artifact_location, "MLmodel", b"flavors: {}")
    site = open_site()
    page = site.get(f"/runs/{run.id}", headers=PAGE).text
    found = re.findall(r'<a href="([^"]*)" download>([^<]*)</a>', page)
    addresses = {unescape(name): unescape(address) for address, name in found}
    assert addresses.keys() == {"plots/learning curve.png", NAME, "forest/MLmodel"}
    assert site.get(addresses["forest/MLmodel"]).content == b"flavors: {}"
    assert site.get(addresses["plots/learning curve.png"]).content == b"picture"
    assert re.findall(r'<img[^>]* src="([^"]*)"[^>]*loading', page) == [addresses["plots/learning curve.png"]]
    assert NAME not in page


@pytest.mark.parametrize(
    "location",
    ["s3://far/away", "mlflow-artifacts:/a/../b", "mlflow-artifacts:/a//b", f"mlflow-artifacts:/{'x' * 300}"],
)
def test_a_run_without_files_shows_no_list_of_them(
    open_site: Open, workspace: Workspace, me: Actor, location: str
) -> None:
    experiment = create_experiment(workspace, me, CreateExperiment(name="away", artifact_location=location)).id
    run = create_logged_run(workspace, me, CreateRun(experiment=experiment)).id
    page = open_site().get(f"/runs/{run}", headers=PAGE)
    assert page.status_code == 200
    assert "<h2>Files" not in page.text
