"""A server that answers MLflow's API, brought over."""

from collections.abc import Iterable, Iterator
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest
from bringing import Bring, Serve
from mlflow_folder import MODEL, RUN, fill
from mlflow_wire import Wire, answering

from kept.app.importing import copying, server
from kept.app.importing.moving import Import
from kept.app.importing.opening import Options, authorization, open_source
from kept.app.importing.report import Findings, ImportReport
from kept.app.workspace import embedded_actor, open_workspace
from kept.core.errors import Forbidden, Invalid, Unavailable
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.registry.registered_models import find_model
from kept.registry.registered_versions import show_registered
from kept.registry.requests import ShowRegisteredVersion
from kept.settings.settings import Settings
from kept.tracking.artifacts import files_of
from kept.tracking.experiment import Lifecycle
from kept.tracking.finding import metric_history
from kept.tracking.importing import model_here, runs_here
from kept.tracking.logged_model import ModelStatus
from kept.tracking.requests import MetricHistory


@pytest.fixture(autouse=True)
def no_naps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_NAP_SECONDS", 0)
    monkeypatch.setattr(copying, "_NAP_SECONDS", 0)


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A server with one experiment, one run, one metric in two pages, one file."""
    wire = Wire()
    info: dict[str, Any] = {
        "run_id": RUN,
        "run_name": "first",
        "experiment_id": "7",
        "status": "FINISHED",
        "user_id": "grace",
    }
    info |= {
        "start_time": 1_700_000_000_000,
        "end_time": "1700000009000",
        "artifact_uri": f"s3://store/7/{RUN}/artifacts",
    }
    run = {"info": info, "data": {"metrics": [{"key": "loss", "value": 1.0, "timestamp": 2, "step": 1}]}}
    pages = {
        None: {"metrics": [{"key": "loss", "value": "NaN", "timestamp": "1"}], "next_page_token": "more"},
        "more": {"metrics": [{"key": "loss", "value": 1.0, "timestamp": 2, "step": "1"}]},
    }
    read = {"model_inputs": [{"model_id": MODEL}]}
    wire.routes = {
        "runs/get": lambda _: {"run": {**run, "inputs": read}},
        "experiments/search": lambda _: {"experiments": [{"experiment_id": "7", "name": "churn"}]},
        "runs/search": lambda _: {"runs": [run]},
        "metrics/get-history": lambda asked: pages[asked.get("page_token")],
        "artifacts/list": lambda _: {"files": [{"path": "notes.txt", "is_dir": False, "file_size": 4}]},
        "/get-artifact": lambda _: b"seen",
        "registered-models/search": lambda _: {},
        "traces/search": lambda _: {"traces": [{}, {}]},
        "mlflow/webhooks": lambda _: {"webhooks": [{"name": "told"}]},
    }
    with answering(wire):
        yield wire


def test_pages_are_read_to_their_end(bring: Bring, wire: Wire, workspace: Workspace, me: Actor) -> None:
    report = bring(wire.address)
    assert report.complete, report
    assert (report.tallies["points"].verified, report.tallies["files"].verified) == (2, 1)
    assert [(one.what, one.count) for one in report.out_of_scope] == [("traces", 2), ("webhooks", 1)]
    assert len(metric_history(workspace, me, MetricHistory(run=RUN, name="loss")).points) == 2
    assert runs_here(workspace, [RUN])[RUN].model_inputs == [MODEL]
    assert wire.asked[0][2]["Authorization"] == "Bearer secret"
    before = len(wire.asked)
    again = bring(wire.address)
    assert all((one.new, one.changed) == (0, 0) for one in again.tallies.values())
    assert not [path for path, _, _ in wire.asked[before:] if "get-history" in path or "get-artifact" in path]


def test_a_run_that_goes_on_is_read_again(bring: Bring, wire: Wire) -> None:
    running = wire.routes["runs/search"]({})["runs"][0]
    running["info"]["status"] = "RUNNING"
    bring(wire.address)
    history = {"metrics": [{"key": "loss", "value": 0.5, "timestamp": 0, "step": -3}]}
    wire.routes["metrics/get-history"] = lambda _: history
    report = bring(wire.address)
    assert report.complete, report
    assert (report.tallies["runs"].already, report.tallies["runs"].changed, report.tallies["points"].new) == (1, 0, 1)


def test_a_server_that_stumbles_is_asked_again(bring: Bring, wire: Wire) -> None:
    wire.failing = [503, 502, 429]
    assert bring(wire.address).complete


def test_a_server_that_is_away_ends_the_import_and_the_next_goes_on(bring: Bring, wire: Wire) -> None:
    good = wire.routes["runs/search"]

    def breaking(asked: dict[str, Any]) -> Any:
        wire.failing.extend([500] * 5)
        return good(asked)

    wire.routes["runs/search"] = breaking
    with pytest.raises(Unavailable, match="goes on where it stopped"):
        bring(wire.address)
    wire.failing.clear()
    wire.routes["runs/search"] = good
    wire.routes["metrics/get-history"] = lambda _: {
        "metrics": [{"key": "loss", "value": 1.0, "timestamp": 2, "step": 1}]
    }
    assert bring(wire.address).complete


def test_a_server_that_refuses_says_what_to_set(bring: Bring, wire: Wire) -> None:
    wire.failing = [401]
    with pytest.raises(Forbidden, match="MLFLOW_TRACKING_TOKEN"):
        bring(wire.address)


def test_names_that_lead_elsewhere_are_refused(bring: Bring, wire: Wire, workspace: Workspace) -> None:
    names = ["../../../escape", "/etc/passwd", "a/../../b", "a\\b", "", "x" * 300, "nul\0"]
    wire.routes["artifacts/list"] = lambda _: {"files": [{"path": name} for name in [*names, "good.txt"]]}
    report = bring(wire.address)
    assert [(one.what, one.count) for one in report.left_out] == [("files", len(names))]
    assert report.tallies["files"].verified == 1
    kept = [path.name for path in (workspace.root / "artifacts" / "files").rglob("*") if path.is_file()]
    assert kept == ["good.txt"]


def test_a_folder_that_is_in_itself_ends(bring: Bring, wire: Wire) -> None:
    wire.routes["artifacts/list"] = lambda asked: {
        "files": [
            {"path": "/".join(filter(None, [asked.get("path"), "deep"])), "is_dir": True},
            {"path": "same", "is_dir": True},
        ]
    }
    report = bring(wire.address)
    assert not report.complete


def test_a_file_that_is_shorter_than_told_is_not_taken_for_whole(bring: Bring, wire: Wire) -> None:
    wire.routes["/get-artifact"] = lambda _: b"se"
    report = bring(wire.address)
    assert [one.what for one in report.differing] == ["files"]
    wire.routes["/get-artifact"] = lambda _: b"seen"
    assert bring(wire.address).complete


def test_answers_of_another_form_leave_one_thing_out(bring: Bring, wire: Wire) -> None:
    good = wire.routes["runs/search"]({})["runs"][0]
    strange = [{"info": {"run_id": "1" * 32, "status": "DANCING"}}, {"info": {"run_id": "../up"}}, {"info": {}}, {}]
    wire.routes["runs/search"] = lambda _: {"runs": [*strange, good]}
    report = bring(wire.address)
    assert sum(one.count for one in report.left_out) == len(strange)
    assert report.tallies["runs"].verified == 1


@pytest.mark.parametrize(
    ("url", "environment", "header"),
    [
        ("http://h", {}, ""),
        ("http://h", {"MLFLOW_TRACKING_TOKEN": "t"}, "Bearer t"),
        (
            "http://h",
            {"MLFLOW_TRACKING_TOKEN": "t", "MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p"},
            "Basic dTpw",
        ),
        ("http://u:p%40@h", {}, "Basic dTpwQA=="),
    ],
)
def test_secrets_are_sent_as_clients_send_them(url: str, environment: dict[str, str], header: str) -> None:
    assert authorization(url, environment) == header


def test_secrets_are_not_kept(bring: Bring, wire: Wire) -> None:
    report: ImportReport = bring(wire.address.replace("http://", "http://user:hidden@"))
    assert "hidden" not in report.source


def test_another_kept_is_a_source_too(
    bring: Bring, tmp_path: Path, serve: Serve, workspace: Workspace, me: Actor
) -> None:
    """What Kept serves to MLflow's clients can be brought over as MLflow's own server can."""
    fill(tmp_path / "mlruns")
    settings = Settings(workspace=str(tmp_path / "first"))
    first = open_workspace(settings)
    findings = Findings()
    source = open_source(str(tmp_path / "mlruns"), Options(), findings)
    assert Import(source, first, embedded_actor(settings, "cli"), findings).run().complete
    with serve(tmp_path / "first") as address:
        report = bring(address)
        assert report.complete, report
        again = bring(address)
    assert all((one.new, one.changed) == (0, 0) for one in again.tallies.values()), again.tallies
    assert report.tallies["points"].verified == 255
    assert report.tallies["files"].verified == 3
    here, there = runs_here(workspace, [RUN])[RUN], runs_here(first, [RUN])[RUN]
    assert (here.tags, here.params, here.datasets, here.outputs) == (
        there.tags,
        there.params,
        there.datasets,
        there.outputs,
    )
    model = model_here(workspace, MODEL)
    assert model is not None
    assert model.metrics[0].point.dataset_name == "my rows"
    assert find_model(workspace, "churn-model").aliases == {"champion": 2}


def test_the_files_of_a_deleted_model_come_with_the_versions_that_have_them(
    bring: Bring, wire: Wire, workspace: Workspace, me: Actor
) -> None:
    gone = f"m-{'0' * 32}"
    home = f"mlflow-artifacts:/7/models/{gone}/artifacts"
    listed: dict[str, Any] = {
        f"7/models/{gone}/artifacts": {"files": [{"path": "MLmodel"}, {"path": "d", "is_dir": True}]},
        f"7/models/{gone}/artifacts/d": {"files": [{"path": "w.bin", "file_size": 1}]},
    }
    times = {"creation_timestamp": 1_700_000_000_000, "last_updated_timestamp": 1_700_000_000_000}
    version = {"name": "net", "version": "1", "source": f"models:/{gone}", "run_id": RUN, **times}
    copy = {"name": "net", "version": "2", "source": "models:/net/1", **times}
    wire.routes |= {
        "registered-models/search": lambda asked: (
            {} if "filter" in asked else {"registered_models": [{"name": "net", **times}]}
        ),
        "model-versions/search": lambda _: {"model_versions": [version, copy]},
        "get-download-uri": lambda _: {"artifact_uri": home},
        "logged-models/search": lambda _: {},
        "mlflow-artifacts/artifacts": lambda asked: listed[asked["path"]],
        f"{gone}/artifacts/MLmodel": lambda _: b"flavors: {}\n",
        f"{gone}/artifacts/d/w.bin": lambda _: b"w",
    }
    report = bring(wire.address)
    assert report.complete, report
    assert report.tallies["files"].verified == 3
    model = model_here(workspace, gone)
    assert model is not None
    assert model.lifecycle is Lifecycle.DELETED
    for number in ("1", "2"):
        here = show_registered(workspace, me, ShowRegisteredVersion(name="net", version=number))
        assert here.location == model.artifact_location
    place = model.artifact_location.removeprefix("mlflow-artifacts:/")
    assert files_of(workspace).locate(f"{place}/d/w.bin").read_bytes() == b"w"
    again = bring(wire.address)
    assert all((one.new, one.changed) == (0, 0) for one in again.tallies.values()), again.tallies


def test_a_model_that_is_deleted_after_it_was_brought_keeps_what_is_known_of_it(
    bring: Bring, wire: Wire, workspace: Workspace
) -> None:
    gone = f"m-{'0' * 32}"
    home = f"mlflow-artifacts:/7/models/{gone}/artifacts"
    times = {"creation_timestamp": 1_700_000_000_000, "last_updated_timestamp": 1_700_000_000_000}
    info = {"model_id": gone, "name": "forest", "status": "LOGGED_MODEL_UPLOAD_FAILED", "artifact_uri": home} | {
        f"{name}_ms": at for name, at in times.items()
    }
    said: list[dict[str, Any]] = [{"info": info, "data": {"params": [{"key": "depth", "value": "8"}]}}]
    version = {"name": "net", "version": "1", "source": f"models:/{gone}", **times}
    wire.routes |= {
        "registered-models/search": lambda asked: (
            {} if "filter" in asked else {"registered_models": [{"name": "net", **times}]}
        ),
        "model-versions/search": lambda _: {"model_versions": [version]},
        "get-download-uri": lambda _: {"artifact_uri": home},
        "logged-models/search": lambda _: {"models": said},
        "artifacts/directories": lambda _: {},
        "mlflow-artifacts/artifacts": lambda _: {},
    }
    assert bring(wire.address).complete
    said.clear()
    for _ in range(2):
        report = bring(wire.address)
        assert report.complete, report
    assert report.tallies["logged models"].changed == 0
    model = model_here(workspace, gone)
    assert model is not None
    assert (model.name, model.status, model.lifecycle) == ("forest", ModelStatus.FAILED, Lifecycle.DELETED)
    assert model.params == {"depth": "8"}


@pytest.mark.parametrize("size", [4, None])
def test_a_file_without_an_end_is_left_out_before_it_fills_the_disk(
    bring: Bring, wire: Wire, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, size: int | None
) -> None:
    if size is None:
        monkeypatch.setattr(copying, "_SPARE", 1 << 60)
    wire.routes["artifacts/list"] = lambda _: {"files": [{"path": "notes.txt", "file_size": size}]}
    wire.routes["/get-artifact"] = lambda _: bytes(5 << 20)
    report = bring(wire.address)
    assert [(one.what, one.count) for one in report.left_out] == [("files", 1)]
    assert "larger than the" in report.left_out[0].why
    assert not [path for path in (workspace.root / "artifacts").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("experiments/search", {"experiments": {"a": 1}}),
        ("runs/search", {"runs": [{"info": [1]}]}),
        ("runs/search", {"runs": 5}),
        ("metrics/get-history", {"metrics": 7}),
        ("metrics/get-history", {"metrics": []}),
        ("metrics/get-history", {"metrics": [{"timestamp": "y"}]}),
        ("artifacts/list", {"files": [3, {"path": "notes.txt", "file_size": "abc"}]}),
        ("artifacts/list", {"files": [{"path": "notes.txt", "file_size": []}]}),
        ("registered-models/search", {"registered_models": [{"name": "a", "tags": 5}, {"name": "b", "aliases": 5}]}),
        ("registered-models/search", {"registered_models": [{"name": {}, "tags": ["x"]}]}),
        ("traces/search", {"traces": 5}),
    ],
    ids=str,
)
def test_answers_of_another_form_end_no_import(bring: Bring, wire: Wire, path: str, said: Any) -> None:
    wire.routes[path] = lambda _: said
    assert bring(wire.address).tallies


@pytest.mark.parametrize(
    "said",
    [b"[" * 200_000, b'{"experiments":' + b"[" * 200_000, b"<p>Log in</p>", b"[]"],
    ids=["deep", "deep within", "a page", "a list"],
)
def test_what_is_no_answer_is_not_taken_for_an_empty_one(bring: Bring, wire: Wire, said: bytes) -> None:
    wire.routes["artifacts/list"] = lambda _: said
    assert not bring(wire.address).complete
    wire.routes["experiments/search"] = lambda _: said
    with pytest.raises(Invalid, match="Name a server of MLflow's API"):
        bring(wire.address)


@pytest.mark.parametrize("tokens", [["again"], ["a", "b", "c"], count()], ids=["the same", "a round", "ever new"])
def test_pages_without_an_end_are_left(bring: Bring, wire: Wire, tokens: Iterable[object]) -> None:
    following = cycle(tokens)
    wire.routes["metrics/get-history"] = lambda _: {"metrics": [], "next_page_token": str(next(following))}
    report = bring(wire.address)
    assert [(one.what, one.why) for one in report.left_out] == [("points", "the server's pages have no end")]
    wire.routes["experiments/search"] = lambda _: {"next_page_token": str(next(following))}
    with pytest.raises(Invalid, match="pages have no end"):
        bring(wire.address)
    assert len(wire.asked) < 500


def test_folders_without_an_end_are_left(bring: Bring, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_MOST_FOLDERS", 100)
    wire.routes["artifacts/list"] = lambda asked: {
        "files": [{"path": "/".join(filter(None, [asked.get("path"), name])), "is_dir": True} for name in "ab"]
    }
    report = bring(wire.address)
    assert "in more than 100 folders" in {one.why for one in report.left_out}
    assert len(wire.asked) < 300
