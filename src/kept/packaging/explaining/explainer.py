"""Explains the answers of a packaged model in the terms of its inputs. It takes time: never on an event loop."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from kept.core.errors import Damaged, Invalid
from kept.packaging.bundle import read_bundle
from kept.packaging.explaining.explanation import Explanation
from kept.packaging.explaining.recipe import read_recipe
from kept.packaging.explaining.sampling import SamplingExplainer
from kept.packaging.rows import Row
from kept.packaging.runtime import load_runtime
from kept.packaging.tensor_runtime import TensorRuntime


class Explainer(Protocol):
    """Explains rows of one bundle. Its methods may be called from any thread."""

    exact: bool
    """Whether contributions are exact, and quick: not sampled."""
    features: tuple[str, ...]
    """The inputs, in their order."""
    most_rows: int
    """How many rows it should be asked about at once."""

    def explain(self, rows: Sequence[Row]) -> Explanation:
        """The rows, explained; `Invalid` when the model does not take one."""
        ...


def load_explainer(folder: Path, *, digest: str | None = None, trusted: frozenset[str] = frozenset()) -> Explainer:
    """Loads a bundle to explain its answers.

    Args:
        folder: the bundle.
        digest: what its digest must be; None takes what is there.
        trusted: digests of bundles that may run code when they load (pickle).

    Raises:
        Invalid: the bundle holds nothing to explain answers by, or what reads it is not installed.
        NotFound, Damaged, Forbidden: as `load_runtime` does.
    """
    bundle = read_bundle(folder, digest=digest)
    recipe, covers = read_recipe(bundle)
    runtime = load_runtime(folder, digest=bundle.digest, trusted=trusted)
    if isinstance(runtime, TensorRuntime):
        raise Damaged("a recipe lies beside a model of tensors", where=str(folder), fix="Package the model again")
    if recipe.method == "sampling":
        return SamplingExplainer(runtime, recipe)
    try:
        # It reads the model's graph, for which not every installation has the library.
        from kept.packaging.explaining.exact import ExactExplainer  # noqa: PLC0415
    except ModuleNotFoundError as error:
        what = f"this installation cannot explain its answers: it has no package {error.name!r}"
        raise Invalid(
            what, where=f"bundle {bundle.digest}", fix="Ask a whole installation of Kept: kept explain ID"
        ) from error
    return ExactExplainer(runtime, bundle.contents[bundle.manifest.model], recipe, covers)
