"""Fitted estimators as safe files: scikit-learn's own by skops, boosters at their end in their library's own form."""

import tempfile
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from kept.core.errors import Damaged
from kept.packaging.exporters.booster import Booster
from kept.packaging.exporters.catboost_booster import CatBoostModel
from kept.packaging.exporters.lightgbm_booster import LightGbmModel
from kept.packaging.exporters.xgboost_booster import XgBoostModel
from kept.packaging.signature import Label
from kept.packaging.sklearn_model import load_skops, save_skops

Library = Literal["catboost", "lightgbm", "xgboost"]

_BEGIN = b"kept.boosted.1\n"
_LIBRARIES: dict[tuple[str, str], Library] = {
    ("catboost.core", "CatBoostClassifier"): "catboost",
    ("catboost.core", "CatBoostRegressor"): "catboost",
    ("lightgbm.sklearn", "LGBMClassifier"): "lightgbm",
    ("lightgbm.sklearn", "LGBMRegressor"): "lightgbm",
    ("xgboost.sklearn", "XGBClassifier"): "xgboost",
    ("xgboost.sklearn", "XGBRegressor"): "xgboost",
}


class _Boosted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    library: Library
    booster: bytes
    classes: tuple[Label, ...]
    before: bytes
    """The steps of the pipeline that it ends, as a skops file; empty where there are none."""


def boosting_library(estimator: Any) -> Library | None:
    """The library whose booster an estimator is, or ends in; None for all others, classes made of these too."""
    last = type(last_step(estimator))
    return _LIBRARIES.get((last.__module__, last.__name__))


def save_fitted(estimator: Any, labels: NDArray[Any]) -> bytes:
    """A fitted estimator as a file that `load_fitted` reads.

    Args:
        estimator: fitted; a booster of XGBoost on the places of the labels among their sorted kinds.
        labels: those it was fitted on.

    Raises:
        Invalid: it holds something that could not be loaded again safely.
    """
    library = boosting_library(estimator)
    if library is None:
        return save_skops(estimator)
    last = last_step(estimator)
    steps = estimator.steps[:-1] if isinstance(estimator, Pipeline) else []
    made = _Boosted(
        library=library,
        booster=_own_form(last, library),
        classes=tuple(np.unique(labels).tolist()) if hasattr(last, "predict_proba") else (),
        before=save_skops(Pipeline(steps)) if steps else b"",
    )
    return _BEGIN + msgspec.msgpack.encode(made)


def load_fitted(data: bytes) -> Any:
    """The estimator in a file of `save_fitted`; a booster behind the face of one.

    Raises:
        Forbidden, Damaged: as `load_skops` does, and the boosters.
        Invalid: the booster's library is not installed here, or there is no exporter for its kind.
    """
    if not data.startswith(_BEGIN):
        return load_skops(data)
    try:
        made = msgspec.msgpack.decode(data[len(_BEGIN) :], type=_Boosted)
    except msgspec.DecodeError as error:
        raise Damaged(f"this is not a fitted estimator: {error}", where="estimator") from error
    booster: Booster
    if made.library == "catboost":
        booster = CatBoostModel(made.booster, classes=made.classes)
    elif made.library == "lightgbm":
        booster = LightGbmModel(made.booster.decode(errors="replace"), classes=made.classes)
    else:
        booster = XgBoostModel(made.booster, classes=made.classes, best=True)
    return Pipeline([*load_skops(made.before).steps, ("booster", booster)]) if made.before else booster


def _own_form(booster: Any, library: Library) -> bytes:
    if library == "lightgbm":
        return str(booster.booster_.model_to_string()).encode()
    if library == "xgboost":
        return bytes(booster.get_booster().save_raw("json"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        booster.save_model(str(path), format="json")
        return path.read_bytes()


def last_step(estimator: Any) -> Any:
    """The last step of a pipeline; any other estimator itself."""
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
