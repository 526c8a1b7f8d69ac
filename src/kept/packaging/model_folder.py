"""A bundle as a model folder in MLflow's form, which any client of MLflow can load, and nothing of Kept is needed there.

The folder holds the bundle as it is, byte by byte, beside what such clients look for: the file `MLmodel`, what has to
be installed, rows to try it with. The flavour `python_function` answers what Kept answers, from rows with named
columns, by one file of code that goes along; a model of tensors answers what its graph answers, by MLflow's own code. The flavours `onnx` and `sklearn` give the bare model, which takes the encoder's matrix.
"""

import hashlib
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

from kept.core.clock import as_utc
from kept.core.errors import Invalid
from kept.packaging import portable
from kept.packaging.bundle import Bundle, read_bundle
from kept.packaging.manifest import Manifest
from kept.packaging.mlmodel import MLMODEL
from kept.packaging.portable import TRUSTED_TYPES
from kept.packaging.self_test import SELF_TEST, SelfTest
from kept.packaging.signature import Field, Tensor
from kept.packaging.tensors import tensor_of

FORMAT = 2
"""Number of this form; folders that were written in an earlier one are written again."""
_MLFLOW = "3.17.2"
_BUNDLE, _CODE, _EXAMPLE = "bundle", "code", "input_example.json"
_EXAMPLE_ROWS = 5


class FolderFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a model folder says of the version that it is made of."""

    id: str
    """A UUID."""
    model: str
    number: int
    run_id: str | None
    created_at: datetime


def write_model_folder(bundle: Path, to: Path, facts: FolderFacts) -> None:
    """Makes a model folder of a bundle's folder, whole or not at all. A folder that is there is left as it is.

    Raises:
        Invalid: the bundle holds a pickle, which nobody should load for its name's sake.
        Damaged: the bundle is not whole.
    """
    read = read_bundle(bundle)
    if read.manifest.runtime == "pickle-trusted":
        fix = "Build the model from scikit-learn's own parts, so that it is packaged in a safe form"
        raise Invalid("its bundle holds a pickle, and is not given to clients", where=facts.model, fix=fix)
    to.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=to.parent, prefix=".new-"))
    try:
        shutil.copytree(bundle, fresh / _BUNDLE)
        loader = _loader(read.manifest, fresh)
        for name, text in _environment(read.manifest).items():
            (fresh / name).write_text(text)
        example = _example(read)
        if example is not None:
            (fresh / _EXAMPLE).write_bytes(msgspec.json.encode(example))
        described = _described(read, facts, loader, with_example=example is not None)
        (fresh / MLMODEL).write_text(yaml.safe_dump(described, sort_keys=True, allow_unicode=True))
        fresh.chmod(0o755)
        try:
            fresh.rename(to)
        except OSError:
            # Another process may have written it meanwhile.
            if not (to / MLMODEL).is_file():
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _loader(manifest: Manifest, folder: Path) -> dict[str, Any]:
    """What loads the model as a function, put into the folder: MLflow itself for tensors, else a file of code that goes along."""
    if manifest.input == "tensors":
        # MLflow looks for its own file beside the graph.
        shutil.copy(folder / _BUNDLE / manifest.model, folder / manifest.model)
        return {"data": manifest.model, "loader_module": "mlflow.onnx"}
    code = Path(portable.__file__).read_bytes()
    # Two models in one process may bring two releases of the code: each finds its own by its name.
    module = f"kept_bundle_{hashlib.sha256(code).hexdigest()[:12]}"
    (folder / _CODE).mkdir()
    (folder / _CODE / f"{module}.py").write_bytes(code)
    return {"code": _CODE, "data": _BUNDLE, "loader_module": module}


def _described(bundle: Bundle, facts: FolderFacts, loader: dict[str, Any], *, with_example: bool) -> dict[str, Any]:
    manifest = bundle.manifest
    told: dict[str, Any] = {
        "artifact_path": "model",
        "flavors": {
            "python_function": {
                **loader,
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "python_version": manifest.environment.python,
            },
            **_native(manifest),
        },
        "metadata": {
            "kept": {
                "model": facts.model,
                "version": facts.number,
                "bundle": bundle.digest,
                "task": manifest.signature.task,
                "classes": list(manifest.signature.classes),
            }
        },
        "mlflow_version": _MLFLOW,
        "model_size_bytes": manifest.size_bytes,
        "model_uuid": facts.id.replace("-", ""),
        "run_id": facts.run_id,
        "signature": _signature(manifest),
        "utc_time_created": as_utc(facts.created_at, where="model").replace(tzinfo=None).isoformat(" "),
    }
    if with_example:
        told["saved_input_example_info"] = {
            "artifact_path": _EXAMPLE,
            "pandas_orient": "split",
            "type": "dataframe",
        }
    return told


def _native(manifest: Manifest) -> dict[str, Any]:
    """The flavour of the model's own framework."""
    packages = manifest.environment.packages
    file = manifest.model if manifest.input == "tensors" else f"{_BUNDLE}/{manifest.model}"
    if manifest.runtime == "onnx":
        flavour = {"code": None, "data": file, "onnx_version": packages.get("onnx", "")}
        return {"onnx": {**flavour, "onnx_session_options": None, "providers": ["CPUExecutionProvider"]}}
    return {
        "sklearn": {
            "code": None,
            "pickled_model": file,
            "serialization_format": "skops",
            "skops_trusted_types": list(TRUSTED_TYPES),
            "sklearn_version": packages.get("scikit-learn", ""),
        }
    }


def _signature(manifest: Manifest) -> dict[str, Any]:
    if manifest.input == "tensors":
        return _tensor_signature(manifest)
    width = len(manifest.signature.classes)
    shape = [-1, width] if manifest.signature.task == "multiclass" else [-1]
    outputs = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": shape}}]
    inputs = [{"type": _type(one), "name": one.name, "required": True} for one in manifest.signature.inputs]
    return {
        "inputs": msgspec.json.encode(inputs).decode(),
        "outputs": msgspec.json.encode(outputs).decode(),
        "params": None,
    }


def _tensor_signature(manifest: Manifest) -> dict[str, Any]:
    """What the graph itself takes and answers: scores are made of its outputs by Kept."""
    inputs = [_tensor(one.name, tensor_of(one)) for one in manifest.signature.inputs]
    outputs = [_tensor(one.name, one.tensor) for one in manifest.signature.outputs]
    encode = msgspec.json.encode
    return {"inputs": encode(inputs).decode(), "outputs": encode(outputs).decode(), "params": None}


def _tensor(name: str, tensor: Tensor) -> dict[str, Any]:
    return {"name": name, "type": "tensor", "tensor-spec": {"dtype": tensor.element, "shape": [-1, *tensor.shape]}}


def _type(field: Field) -> str:
    # MLflow's clients take whole numbers neither for `double` nor, where one is missing, for `long`, and truths of which one is
    # missing not for `boolean`: our models take all of them.
    text = field.kind == "category" and bool(field.categories) and isinstance(field.categories[0], str)
    return "string" if text else "any"


def _example(bundle: Bundle) -> dict[str, Any] | None:
    """Some rows of the self-test, as a pandas frame is written."""
    if SELF_TEST not in bundle.contents:
        return None
    rows = msgspec.json.decode(bundle.contents[SELF_TEST], type=SelfTest).rows[:_EXAMPLE_ROWS]
    names = bundle.manifest.signature.names
    return {"columns": list(names), "data": [[row[name] for name in names] for row in rows]} if rows else None


def _environment(manifest: Manifest) -> dict[str, str]:
    """What has to be installed to load the model."""
    packages, python = manifest.environment.packages, manifest.environment.python
    needed = ["mlflow", "numpy", "onnxruntime>=1.19", "pandas"]
    if manifest.runtime != "onnx":
        # Estimators are read back exactly by the release that wrote them.
        pinned = [
            f"{name}=={packages[name]}" for name in ("numpy", "scikit-learn", "scipy", "skops") if name in packages
        ]
        needed = ["mlflow", "pandas", *pinned]
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": needed}],
    }
    return {
        "requirements.txt": "".join(f"{one}\n" for one in needed),
        "conda.yaml": yaml.safe_dump(conda, sort_keys=False),
        "python_env.yaml": yaml.safe_dump({"python": python, "dependencies": ["-r requirements.txt"]}, sort_keys=False),
    }
