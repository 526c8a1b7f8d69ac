"""What a model folder in MLflow's form says of itself: the file `MLmodel`, read as data and nothing else."""

import re
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec

from kept.core.errors import Forbidden, Invalid
from kept.core.plain_yaml import read_yaml

MLMODEL = "MLmodel"
LARGEST_MLMODEL = 4 * 1024 * 1024
_PICKLES = {"cloudpickle", "pickle"}
_TORCH = (
    "Export it where it was trained, with kept.packaging.torch_export.export_module or torch.onnx.export, and log that:"
    " mlflow.onnx.log_model(..., save_as_external_data=False)"
)

Flavour = Literal["sklearn", "lightgbm", "xgboost", "onnx"]
Form = Literal["skops", "lightgbm text", "xgboost json", "xgboost ubj", "onnx"]


class ModelFolder(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a model folder, as far as it can be read without running anything of it."""

    flavour: Flavour
    file: str
    """The model's file, below the folder."""
    form: Form
    model_class: str = ""
    """The class that wrote it, where the flavour tells."""
    made_with: str
    """The release of the framework that wrote it; empty when it does not say."""
    inputs: tuple[str, ...]
    """Names of the columns that its signature tells, in order; none when it names none."""


def read_mlmodel(data: bytes, *, where: str) -> ModelFolder:
    """What an `MLmodel` file says.

    Raises:
        Invalid: it is none, or of no flavour that is read here.
        Forbidden: the model is a pickle.
    """
    told = _loaded(data, where)
    flavours = told.get("flavors")
    if not isinstance(flavours, dict):
        raise Invalid("it names no flavours", where=where, fix="Log the model again with mlflow.sklearn.log_model")
    for flavour, read in _READERS.items():
        if isinstance(flavours.get(flavour), dict):
            file, form, made_with = read(flavours[flavour], where)
            return ModelFolder(
                flavour=flavour,
                file=_inside(file, where),
                form=form,
                model_class=_text(flavours[flavour].get("model_class")),
                made_with=made_with,
                inputs=_inputs(told, where),
            )
    if isinstance(flavours.get("pytorch"), dict):
        raise Forbidden(
            "a PyTorch module is a pickle, which can run any code when it is loaded", where=where, fix=_TORCH
        )
    known = ", ".join(sorted(str(name) for name in flavours)) or "none"
    fix = "Log it with mlflow.sklearn, mlflow.lightgbm, mlflow.xgboost or mlflow.onnx: of others the answers could not be checked"
    raise Invalid(f"its flavours are {known}", where=where, fix=fix)


def _loaded(data: bytes, where: str) -> dict[str, Any]:
    if len(data) > LARGEST_MLMODEL:
        raise Invalid("it is too large to be an MLmodel file", where=where)
    told = read_yaml(data, where=where, fix="Log the model again")
    if not isinstance(told, dict):
        raise Invalid("it describes no model", where=where, fix="Log the model again")
    return told


def _sklearn(flavour: dict[str, Any], where: str) -> tuple[Any, Form, str]:
    # Without a word it is the format that was MLflow's only one.
    form = flavour.get("serialization_format", "pickle")
    _refuse_pickle(form, where, "mlflow.sklearn")
    return flavour.get("pickled_model"), "skops", _text(flavour.get("sklearn_version"))


def _lightgbm(flavour: dict[str, Any], where: str) -> tuple[Any, Form, str]:
    made_with = _text(flavour.get("lgb_version"))
    if flavour.get("model_class", "lightgbm.basic.Booster") != "lightgbm.basic.Booster":
        form = flavour.get("serialization_format", "cloudpickle")
        _refuse_pickle(form, where, "mlflow.lightgbm")
        return flavour.get("data"), "skops", made_with
    return flavour.get("data"), "lightgbm text", made_with


def _xgboost(flavour: dict[str, Any], where: str) -> tuple[Any, Form, str]:
    del where
    forms: dict[str, Form] = {"json": "xgboost json"}
    file = flavour.get("data")
    ending = PurePosixPath(_text(file)).suffix.removeprefix(".")
    return file, forms.get(ending, "xgboost ubj"), _text(flavour.get("xgb_version"))


def _onnx(flavour: dict[str, Any], where: str) -> tuple[Any, Form, str]:
    del where
    return flavour.get("data"), "onnx", _text(flavour.get("onnx_version"))


_READERS: dict[Flavour, Any] = {"sklearn": _sklearn, "lightgbm": _lightgbm, "xgboost": _xgboost, "onnx": _onnx}


def _refuse_pickle(form: Any, where: str, module: str) -> None:
    if form in _PICKLES:
        fix = (
            f'Log it again with serialization_format="skops", which {module}.log_model and mlflow.sklearn.autolog take'
        )
        raise Forbidden(f"the model is a {form}, which can run any code when it is loaded", where=where, fix=fix)
    if form != "skops":
        raise Invalid(f"{form!r} is no form of a model that is known here", where=where)


def _inputs(told: dict[str, Any], where: str) -> tuple[str, ...]:
    signature = told.get("signature")
    text = signature.get("inputs") if isinstance(signature, dict) else None
    if not isinstance(text, str):
        return ()
    try:
        columns = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise Invalid(f"its signature is no JSON: {error}", where=where, fix="Log the model again") from error
    if not isinstance(columns, list) or not all(isinstance(one, dict) and one.get("name") for one in columns):
        return ()
    return tuple(str(one["name"]) for one in columns)


def _inside(file: Any, where: str) -> str:
    if not isinstance(file, str) or not file or ".." in file.split("/") or re.search(r"^/|[\\\0]|//", file):
        raise Invalid(f"{file!r} names no file of the model", where=where, fix="Log the model again")
    return file.removeprefix("./")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
