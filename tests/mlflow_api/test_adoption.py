"""A model that a client of MLflow logged, judged, released and served by Kept like one that Kept trained."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest
from running import kept, predicting, run_script, serving

from kept.app.connection import Embedded
from kept.app.projects import Projects
from kept.app.running import make_runner
from kept.app.workspace import embedded_actor, open_workspace
from kept.core.errors import Conflict, NotFound
from kept.deployment.release import ReleaseVersion, release
from kept.governance.journal import ListAudit, VerifyAudit, list_audit, verify_audit
from kept.packaging.bundle import fetch_bundle
from kept.packaging.runtime import load_runtime
from kept.pipelines.catalog import failure_of
from kept.plan.loading import load_project
from kept.registry.adoption import Adopt, adopt
from kept.registry.catalog import ShowVersion, show_version
from kept.registry.markdown import render_markdown
from kept.settings.settings import Settings
from kept.tracking.run import RunStatus

EXCHANGING = Path(__file__).parent / "exchanging"


REFUSED = {
    "pickled": 'serialization_format="skops"',
    "nameless": "neither the model nor its signature names the columns",
    "answering": "it gives no probabilities",
    "stranger": "'wagons', which is no feature of the project",
}


@pytest.mark.timeout(300)
def test_what_a_client_logged_is_judged_released_served_and_loaded_again(client_python: Path, tmp_path: Path) -> None:
    shutil.copy(EXCHANGING / "project.py", tmp_path)
    journeys: pl.DataFrame = load_project(tmp_path / "project.py").the_dataset.function()
    rows = journeys.select("line", "people", "coaches")
    rows.with_columns(journeys["late"]).write_csv(tmp_path / "journeys.csv")
    with serving(tmp_path) as (server, _):
        run_script(client_python, EXCHANGING / "logging_for_adoption.py", server, tmp_path)
        expected: dict[str, list[float]] = json.loads((tmp_path / "expected.json").read_text())
        shown = kept(tmp_path, "models", "adopt", "numbers", "--workspace", "workspace", "--json")
        assert json.loads(shown)["status"] == "accepted"
        settings = Settings(workspace=str(tmp_path / "workspace"))
        connection = Embedded(open_workspace(settings), embedded_actor(settings, "python"))
        adopt_the_others(connection, [name for name in expected if name != "numbers"])
        tell_where_they_come_from(connection)
        adopt_boosters(connection, tmp_path, rows)
        connection.call(release, ReleaseVersion(endpoint="trains", version="1"))
        with predicting(tmp_path) as address:
            answer = httpx.post(f"{address}/predict/trains", json={"rows": rows.head(100).to_dicts()}).json()
        answered = [one["probability"] for one in answer["predictions"]]
        assert np.allclose(answered, expected["numbers"][:100], rtol=0, atol=1e-9)
        run_script(client_python, EXCHANGING / "loading_adopted.py", server, tmp_path)


def adopt_the_others(connection: Embedded, names: list[str]) -> None:
    """Takes over those that can be, one after another, and sees the others refused."""
    with make_runner(connection.workspace, Projects(connection.workspace)) as runner:
        for name in names + list(REFUSED):
            run = connection.call(adopt, Adopt(model=name, project="trains"))
            with pytest.raises(Conflict, match="is being adopted"):
                connection.call(adopt, Adopt(model=name, version="1", project="trains"))
            runner.submit(run)
            ended = runner.wait(run.id, 60)
            failure = failure_of(connection.workspace, run.id)
            assert (ended.status is RunStatus.FINISHED) == (name not in REFUSED), (name, failure)
            assert REFUSED.get(name, "") in str(failure)
    with pytest.raises(NotFound, match="there is no model"):
        connection.call(adopt, Adopt(model="nobody", project="trains"))
    with pytest.raises(NotFound, match="there is no project"):
        connection.call(adopt, Adopt(model="numbers", project="nobody"))
    with pytest.raises(Conflict, match="was judged already"):
        connection.call(adopt, Adopt(model="trains", version="1", project="trains"))
    with pytest.raises(Conflict, match="kept models adopt numbers 1"):
        connection.call(release, ReleaseVersion(endpoint="trains", model="numbers", version="1"))


def adopt_boosters(connection: Embedded, folder: Path, rows: pl.DataFrame) -> None:
    """Takes over boosters where there is the library to hold them against, and sees them refused elsewhere."""
    answers = json.loads((folder / "boosters.json").read_text())
    with make_runner(connection.workspace, Projects(connection.workspace)) as runner:
        for name, library in (("light", "lightgbm"), ("extreme", "xgboost")):
            run = connection.call(adopt, Adopt(model=name, project="trains"))
            runner.submit(run)
            runner.wait(run.id, 60)
            failure = failure_of(connection.workspace, run.id)
            if find_spec(library) is None:
                assert "is not installed here" in str(failure)
                continue
            assert failure is None
            version = connection.call(show_version, ShowVersion(model="trains")).judged
            assert version.card.lineage.runtime == "onnx"
            bundle = fetch_bundle(version.bundle, connection.workspace.blobs, folder / name)
            found = load_runtime(bundle).predict_rows(rows.to_dicts())
            assert np.allclose(found, answers[name], rtol=0, atol=1e-6)


def tell_where_they_come_from(connection: Embedded) -> None:
    """Cards, lineage and the audit chain say it."""
    workspace, me = connection.workspace, connection.actor
    forms = {"numbers": ("onnx", ("people", "coaches")), "names": ("onnx", ("line", "people", "coaches"))}
    for number, (name, (runtime, features)) in enumerate(forms.items(), 1):
        version = connection.call(show_version, ShowVersion(model="trains", version=str(number))).judged
        lineage = version.card.lineage
        assert (version.status, lineage.runtime, lineage.features) == ("accepted", runtime, features)
        assert lineage.adopted is not None
        assert (lineage.adopted.model, lineage.adopted.number, lineage.adopted.flavour) == (name, 1, "sklearn")
        assert set(lineage.adopted.files) >= {"MLmodel", "model.skops", "requirements.txt"}
        assert lineage.parameters == {"made": "by hand", "rows": "1500"}
        assert lineage.adopted.run_id
        assert "outside of Kept" in version.card.limits[0]
        assert version.card.baseline is not None
        assert f"{name}, version 1" in render_markdown(version)
    actions = [entry.action for entry in list_audit(workspace, me, ListAudit(limit=500))]
    assert actions.count("registry.adopt") >= len(forms)
    assert actions.count("registry.register") >= len(forms)
    assert verify_audit(workspace, me, VerifyAudit()).entries > len(forms)
