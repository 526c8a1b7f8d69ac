import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import polars as pl
import pytest
import yaml
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neighbors import NearestCentroid

from kept.app.targets.export import Exported, Target, export
from kept.app.targets.manifests import Deployed
from kept.app.targets.serving_part import modules_of
from kept.core.errors import Conflict, Invalid
from kept.packaging.build import package
from kept.packaging.bundle import read_bundle
from kept.packaging.explaining.recipe import COVERS, RECIPE
from kept.packaging.frames import encode_frame, fit_encoder, signature_of
from kept.packaging.manifest import MANIFEST, decode_manifest, encode_manifest
from kept.packaging.runtime import load_runtime

ROOT = Path(__file__).resolve().parent.parent.parent
ALONE = ROOT / ".venv-serving" / "bin" / "python"
ASKED = Deployed(name="churn", image="registry.example.org/churn:3", bundle="")


@pytest.fixture(scope="session")
def rows() -> pl.DataFrame:
    random = np.random.default_rng(5)
    return pl.DataFrame({"number": random.normal(size=200), "kind": random.choice(["a", "b"], 200)})


@pytest.fixture(scope="session")
def made(rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Path]:
    """Packages an estimator after fitting it."""

    def make(estimator: Any) -> Path:
        encoder = fit_encoder(rows)
        target = (rows.get_column("number") > 0).cast(pl.Int64).to_numpy()
        estimator.fit(encode_frame(rows, encoder), target)
        folder = tmp_path_factory.mktemp("made") / "bundle"
        package(estimator, encoder, signature_of(rows, encoder, task="binary", classes=(0, 1)), rows, folder)
        return folder

    return make


@pytest.fixture(scope="session")
def bundle(made: Callable[[Any], Path]) -> Path:
    return made(HistGradientBoostingClassifier(max_iter=5))


def written(folder: Path, name: str) -> Any:
    return yaml.safe_load((folder / name).read_text())


def test_the_serving_part_is_what_serving_loads() -> None:
    code = "import sys, kept.serving.__main__; print(*sorted(m for m in sys.modules if m.split('.')[0] == 'kept'))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    found = modules_of(["kept.serving.__main__"])
    assert set(loaded) <= set(found)
    parts = {name.split(".")[1] for name in found if "." in name}
    assert not parts & {"app", "cli", "web", "plan", "pipelines", "training", "tracking", "governance", "monitoring"}


def test_imports_that_only_types_need_are_left_out() -> None:
    assert "kept.plan.project" not in modules_of(["kept"])


def without_recipe(bundle: Path, to: Path) -> Path:
    """The bundle as an older Kept made it."""
    manifest = decode_manifest((bundle / MANIFEST).read_bytes(), where="test")
    kept = tuple(file for file in manifest.files if file.name not in {RECIPE, COVERS})
    to.mkdir()
    for file in kept:
        shutil.copyfile(bundle / file.name, to / file.name)
    (to / MANIFEST).write_bytes(encode_manifest(msgspec.structs.replace(manifest, files=kept)))
    return to


def test_what_explains_is_there_where_the_bundle_has_a_recipe(bundle: Path, tmp_path: Path) -> None:
    export(bundle, tmp_path / "whole", "docker", ASKED)
    export(without_recipe(bundle, tmp_path / "older"), tmp_path / "slim", "docker", ASKED)
    for name, expected in (("whole", True), ("slim", False)):
        pins = (tmp_path / name / "requirements.txt").read_text()
        parts = {path.name for path in (tmp_path / name / "app" / "kept").iterdir()}
        child = tmp_path / name / "app" / "kept" / "serving" / "explaining" / "child.py"
        assert ("\nonnx==" in pins, "measures" in parts, child.is_file()) == (expected,) * 3


@pytest.mark.parametrize("target", ["docker", "kubernetes", "kserve"])
def test_a_folder_holds_the_bundle_and_nothing_of_training(bundle: Path, tmp_path: Path, target: Target) -> None:
    found = export(bundle, tmp_path / "out", target, ASKED)
    assert read_bundle(tmp_path / "out" / "bundle").digest == read_bundle(bundle).digest == found.bundle
    assert {path.name for path in (tmp_path / "out" / "app" / "kept").iterdir()} == {
        "__init__.py", "core", "deployment", "measures", "packaging", "serving", "settings", "store",
    }  # fmt: skip
    assert not list((tmp_path / "out").rglob("*.pyc"))


def test_every_requirement_is_pinned_with_a_hash(bundle: Path, tmp_path: Path) -> None:
    export(bundle, tmp_path / "out", "docker", ASKED)
    pins = (tmp_path / "out" / "requirements.txt").read_text().replace("\\\n", " ")
    entries = [line for line in pins.splitlines() if line.strip() and not line.startswith("#")]
    assert entries
    assert all(re.match(r"[a-z0-9-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert not re.search(r"https?://|index-url|find-links", pins)
    named = {entry.partition("==")[0] for entry in entries}
    assert not named & {"scikit-learn", "pandas", "polars", "litestar", "sqlalchemy", "dbos"}


def test_what_the_serving_part_imports_is_required(bundle: Path, tmp_path: Path) -> None:
    export(bundle, tmp_path / "out", "docker", ASKED)
    imported = set()
    for source in (tmp_path / "out" / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import):
                imported |= {one.name.partition(".")[0] for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    # Names that only annotations need stand in blocks that never run.
    foreign = imported - set(sys.stdlib_module_names) - {"kept"}
    pins = (tmp_path / "out" / "requirements.txt").read_text()
    for name in foreign:
        assert re.search(rf"^{name.replace('_', '-')}==", pins, re.MULTILINE), name


def test_the_image_runs_the_serving_part_as_nobody_special(bundle: Path, tmp_path: Path) -> None:
    found = export(bundle, tmp_path / "out", "docker", ASKED, base="python:3.12-slim")
    lines = (tmp_path / "out" / "Dockerfile").read_text()
    assert lines.count("FROM python:3.12-slim") == 2
    assert "--require-hashes" in lines
    assert "USER 10001" in lines
    assert found.bundle in lines
    copied = re.findall(r"^COPY (?:--from=\S+ )?(\S+)", lines, re.MULTILINE)
    assert copied == ["requirements.txt", "/venv", "app", "bundle"]


def test_kubernetes_objects_belong_together(bundle: Path, tmp_path: Path) -> None:
    found = export(bundle, tmp_path / "out", "kubernetes", ASKED)
    deployment, service, scaler, budget = (
        written(tmp_path / "out", name)
        for name in ("deployment.yaml", "service.yaml", "autoscaler.yaml", "disruption.yaml")
    )
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"]):
        assert selector.items() <= labels.items()
    assert budget["spec"]["selector"] == deployment["spec"]["selector"]
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"] == "churn"
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 10)
    assert "replicas" not in deployment["spec"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == ASKED.image
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert service["spec"]["ports"][0]["targetPort"] in ports
    assert {
        container[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    } <= set(ports)
    mounted = {one["name"] for one in container["volumeMounts"]}
    assert mounted == {one["name"] for one in deployment["spec"]["template"]["spec"]["volumes"]}
    assert container["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "churn-token"
    assert deployment["metadata"]["annotations"]["kept/bundle"] == found.bundle
    # It goes on while others still send to it, and has time to answer what has come then.
    assert "time.sleep(5)" in container["lifecycle"]["preStop"]["exec"]["command"][-1]
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= 5 + 10


@pytest.mark.parametrize(
    ("memory", "megabytes"), [("512Mi", "268"), ("1Gi", "536"), ("900M", "450"), ("1.5G", "750"), ("lots", None)]
)
def test_what_explains_may_take_half_of_a_pod(bundle: Path, tmp_path: Path, memory: str, megabytes: str | None) -> None:
    export(bundle, tmp_path / "out", "kserve", msgspec.structs.replace(ASKED, memory=memory))
    (container,) = written(tmp_path / "out", "inference-service.yaml")["spec"]["predictor"]["containers"]
    told = {one["name"]: one.get("value") for one in container["env"]}
    assert told.get("KEPT_EXPLAIN_MEGABYTES") == megabytes
    assert container["resources"]["limits"]["memory"] == memory


def test_kserve_is_told_of_one_service(bundle: Path, tmp_path: Path) -> None:
    export(bundle, tmp_path / "out", "kserve", ASKED)
    service = written(tmp_path / "out", "inference-service.yaml")
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    (container,) = service["spec"]["predictor"]["containers"]
    assert container["name"] == "kserve-container"
    assert container["ports"] == [{"name": "http1", "containerPort": 8701}]


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be a name"):
        export(bundle, tmp_path / "out", "docker", Deployed(name="Churn_1", image="x", bundle=""))
    with pytest.raises(Invalid, match="3 to 2 pods"):
        export(bundle, tmp_path / "out", "docker", Deployed(name="a", image="x", bundle="", smallest=3, largest=2))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(Conflict, match="something is there"):
        export(bundle, tmp_path / "full", "docker", ASKED)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def answers_alone(
    python: Path, folder: Path, found: Exported, rows: pl.DataFrame, tmp_path: Path
) -> tuple[str, list[float]]:
    """What the serving part says when it runs by itself: no module of this checkout, no package but those listed.

    And how it explains what it says.
    """
    command = [str(python), "-m", "kept.serving", str(folder / "bundle"), "--name", "churn", "--port", "0"]
    environment = {"PATH": os.environ["PATH"], "KEPT_TOKEN": "secret", "OMP_WAIT_POLICY": "PASSIVE"}
    spool = ["--spool", str(tmp_path / "spool")]
    with subprocess.Popen(
        [*command, *spool], cwd=folder / "app", env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            with httpx.Client(base_url=address, headers={"Authorization": "Bearer secret"}) as http:
                assert http.get("/v2/health/ready", headers={"Authorization": ""}).status_code == 200
                assert http.post("/predict/churn", json={"rows": []}, headers={"Authorization": "x"}).status_code == 401
                answer = http.post("/predict/churn", json={"rows": rows.to_dicts()}).raise_for_status().json()
                explained = http.post("/predict/churn?explain=true", json={"rows": rows[:3].to_dicts()}, timeout=60)
                said = explained.raise_for_status().json()["explanations"]
        finally:
            process.terminate()
    assert process.returncode == 0
    for row in said["rows"]:
        assert row["base"] + sum(row["contributions"].values()) == pytest.approx(row["sum"], abs=1e-9)
    return said["method"], [one["probability"] for one in answer["predictions"]]


@pytest.mark.skipif(not ALONE.is_file(), reason="make could not install what the serving part needs")
def test_the_serving_part_runs_alone_from_the_folder(bundle: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    found = export(bundle, tmp_path / "out", "docker", ASKED)
    method, told = answers_alone(ALONE, tmp_path / "out", found, rows, tmp_path)
    assert method == "tree_shap"
    np.testing.assert_allclose(told, load_runtime(bundle).predict_rows(rows.to_dicts()), atol=1e-12)
    assert any((tmp_path / "spool").iterdir())


def test_a_model_that_is_not_onnx_brings_what_it_needs(
    made: Callable[[Any], Path], rows: pl.DataFrame, tmp_path: Path
) -> None:
    complete = made(NearestCentroid())
    assert load_runtime(complete).manifest.runtime == "skops"
    found = export(complete, tmp_path / "out", "docker", ASKED)
    assert "scikit-learn==" in (tmp_path / "out" / "requirements.txt").read_text()
    assert (tmp_path / "out" / "app" / "kept" / "packaging" / "sklearn_model.py").is_file()
    # This environment has more than is listed, but the modules of Kept are those of the folder.
    method, told = answers_alone(Path(sys.executable), tmp_path / "out", found, rows.drop_nulls(), tmp_path)
    assert method == "sampling"
    np.testing.assert_allclose(told, load_runtime(complete).predict_rows(rows.to_dicts()), atol=1e-12)
