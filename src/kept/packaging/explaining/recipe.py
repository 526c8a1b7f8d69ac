"""What a bundle holds so that its answers can be explained: `explanation.json`, and `covers.npy` beside trees."""

from io import BytesIO
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Damaged, Invalid, KeptError
from kept.packaging.array_files import read_npy
from kept.packaging.bundle import Bundle
from kept.packaging.manifest import Manifest

RECIPE = "explanation.json"
COVERS = "covers.npy"

Method = Literal["tree_shap", "linear", "sampling"]


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How answers are explained.

    Args:
        method: exactly by the model's trees or weights, or by sampling.
        inputs: the model's input that each column is made of which its trees or weights are given.
        means: for weights, the mean of each such column over training rows.
        background: for sampling, training rows that stand for what is not known. What must not stand in a log has the
            same usual value in all of them.
    """

    method: Method
    inputs: tuple[int, ...] = ()
    means: tuple[float, ...] = ()
    background: tuple[dict[str, Any], ...] = ()


def not_explainable(manifest: Manifest, digest: str) -> KeptError | None:
    """Why the answers of a bundle cannot be explained, if they cannot."""
    if any(file.name == RECIPE for file in manifest.files):
        return None
    if manifest.signature.takes_tensors:
        what = "answers about tensors are not explained: their elements are no columns"
        return Invalid(what, where=f"bundle {digest}")
    what = (
        "the bundle holds neither the covers of its trees nor background rows: it is from before answers were explained"
    )
    return Invalid(what, where=f"bundle {digest}", fix="Package the model again, or train it again")


def read_recipe(bundle: Bundle) -> tuple[Recipe, NDArray[np.float64] | None]:
    """A bundle's recipe, and the covers of its trees' leaves.

    Raises:
        Invalid: it has none.
        Damaged: what it has cannot be read.
    """
    refusal = not_explainable(bundle.manifest, bundle.digest)
    if refusal is not None:
        raise refusal
    where = f"bundle {bundle.digest}"
    try:
        recipe = msgspec.json.decode(bundle.contents[RECIPE], type=Recipe)
        data = bundle.contents.get(COVERS)
        covers = None if data is None else read_npy(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Damaged(f"what explains its answers cannot be read: {error}", where=where) from error
    if covers is not None and (covers.dtype != np.float64 or covers.ndim != 1):
        raise Damaged("the covers are no row of numbers", where=where, fix="Package the model again")
    return recipe, covers


def encode_covers(covers: NDArray[np.float64]) -> bytes:
    """The bytes of `covers.npy`: a number for each leaf, in the order of the model's leaves."""
    stream = BytesIO()
    np.save(stream, covers, allow_pickle=False)
    return stream.getvalue()


def unfit(digest: str) -> Damaged:
    """What is said of a bundle whose recipe and model belong to different models."""
    what = "what explains the model's answers does not fit the model"
    return Damaged(what, where=f"bundle {digest}", fix="Package the model again")
