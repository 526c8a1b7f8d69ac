"""Registering ONNX files that somebody hands over, as unjudged or as checked versions.

Where a project has labels to judge them by they are registered as unjudged versions, in the form in which MLflow logs such
models, and adopted like these. Where there are none, the answers that are declared beside them are what they are held to.
"""

import contextlib
import tempfile
from pathlib import Path

import onnx
import yaml

from kept.app.model_files import bundle_of
from kept.core.digests import digest_bytes
from kept.core.errors import Conflict, Invalid, NotFound
from kept.evaluation.gate import Check, Verdict
from kept.evaluation.report import unmeasured
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.packaging.bundle import read_bundle, store_bundle
from kept.packaging.manifest import Manifest
from kept.packaging.mlmodel import MLMODEL
from kept.packaging.onnx_apart import check_apart
from kept.packaging.tensor_build import DECLARED
from kept.plan.records import find_project
from kept.registry.card import Adoption, Lineage, write_card
from kept.registry.catalog import RegisterVersion, register_version
from kept.registry.registered import RegisteredVersion
from kept.registry.registered_models import create_model
from kept.registry.registered_versions import create_version
from kept.registry.requests import CreateModel, CreateVersion
from kept.registry.version import ModelVersion
from kept.tracking.artifacts import begin_artifact, end_artifact
from kept.tracking.location import ROOT
from kept.tracking.runs import create_run, finish, start

_GRAPH, _FOLDER = "model.onnx", "model"


def read_graph(path: Path) -> bytes:
    """The bytes of an ONNX file that may be read; `NotFound`, or what `check_apart` raises."""
    if not path.is_file():
        raise NotFound("there is no such file", where=str(path), fix="Name an .onnx file")
    data = path.read_bytes()
    check_apart(data, where=path.name)
    return data


def register_graph(workspace: Workspace, actor: Actor, name: str, path: Path) -> RegisteredVersion:
    """Registers an ONNX file as the model's next version, which is unjudged."""
    data = read_graph(path)
    flavour = {"code": None, "data": _GRAPH, "onnx_version": onnx.__version__}
    told = {"flavors": {"onnx": flavour}, "artifact_path": _FOLDER}
    run = create_run(workspace, project=name, kind="file", name=path.name, created_by=actor.name)
    start(workspace, run.id)
    folder = f"{run.artifact_location.removeprefix(ROOT)}/{_FOLDER}"
    for file, content in ((_GRAPH, data), (MLMODEL, yaml.safe_dump(told).encode())):
        with begin_artifact(workspace, actor, f"{folder}/{file}") as upload:
            upload.write(content)
            end_artifact(workspace, actor, f"{folder}/{file}", upload)
    finish(workspace, run.id)
    # There may be versions of it already.
    with contextlib.suppress(Conflict):
        create_model(workspace, actor, CreateModel(name=name))
    return create_version(workspace, actor, CreateVersion(name=name, source=f"runs:/{run.id}/{_FOLDER}", run_id=run.id))


def register_checked(workspace: Workspace, actor: Actor, name: str, path: Path, sample: Path) -> ModelVersion:
    """Registers an ONNX file as a judged version of a model without a project: it answers the sample's rows as these declare.

    Args:
        workspace: where.
        actor: who.
        name: the model's.
        path: the file.
        sample: rows with their answers, a `.npz` file with an array for each input and for some or all outputs.

    Raises:
        Conflict: the name is that of a project, which is to judge its models itself.
        Invalid: the sample declares no answers, or does not fit the graph.
    """
    with workspace.database.reading() as connection:
        if find_project(connection, name) is not None:
            fix = f"Give it another name, or have the project judge it: kept models adopt {name} --file {path.name}"
            raise Conflict(
                "there is a project of this name, which judges its models by its labels", where=name, fix=fix
            )
    with tempfile.TemporaryDirectory() as scratch:
        folder = bundle_of(path, sample, Path(scratch) / "bundle")
        manifest = read_bundle(folder).manifest
        declared = next((one for one in manifest.parity.groups if one.name == DECLARED), None)
        if declared is None:
            fix = "Put an array for an output into the sample, with the answers that are known to be right"
            raise Invalid(
                "the sample declares no answers, so there is nothing to hold it to", where=sample.name, fix=fix
            )
        bundle = store_bundle(folder, workspace.blobs)
    sentence = (
        f"Its answers to the {declared.rows:,} rows of {sample.name} are those declared there: they differ by"
        f" {declared.largest_difference or 0.0:.2g} at most, and {manifest.parity.tolerance:g} is allowed."
    )
    verdict = Verdict(
        accepted=True,
        objectives=(),
        checks=(Check(name="answers as declared", passed=True, sentence=sentence),),
        reasons=(),
    )
    measured = {
        "latency_p50_ms": manifest.latency.p50_ms,
        "latency_p99_ms": manifest.latency.p99_ms,
        "size_mb": manifest.size_mb,
    }
    card = write_card(_lineage(actor, name, path, bundle, manifest), unmeasured(declared.rows, measured))
    request = RegisterVersion(project=name, model=name, bundle=bundle, verdict=verdict, card=card)
    return register_version(workspace, actor, request)


def _lineage(actor: Actor, name: str, path: Path, bundle: str, manifest: Manifest) -> Lineage:
    return Lineage(
        question="",
        owner=actor.name,
        estimator=path.name,
        data=(),
        features=manifest.signature.names,
        training_rows=0,
        bundle=bundle,
        runtime=manifest.runtime,
        adopted=Adoption(
            model=name,
            number=0,
            version_id="",
            source=path.name,
            run_id=None,
            logged_model=None,
            flavour="onnx",
            made_with=manifest.estimator,
            files={path.name: digest_bytes(path.read_bytes())},
        ),
        notes=(
            "It answers tensors only: nothing is known of how well they serve, and nothing is watched but its service.",
        ),
    )
