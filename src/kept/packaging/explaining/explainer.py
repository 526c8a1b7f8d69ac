"""Explains the answers of a packaged model in the terms of its inputs. It takes time: never on an event loop."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Damaged, Invalid
from kept.measures.sampled_shapley import Sampled, sampled_shapley
from kept.measures.tree_shap import TreeShap
from kept.packaging.bundle import read_bundle
from kept.packaging.explaining.explanation import ExplainedRow, Explanation, Scale
from kept.packaging.explaining.reading import Graph, Link, Sums, answers
from kept.packaging.explaining.recipe import Recipe, read_recipe
from kept.packaging.onnx_model import OnnxModel
from kept.packaging.rows import Matrix, MatrixEncoder, Row, RowReader
from kept.packaging.runtime import Runtime, load_runtime
from kept.packaging.signature import Label, Signature
from kept.packaging.tensor_runtime import TensorRuntime

ORDERS = 200
SEED = 0
# Sums of numbers in another order are the same to rounding.
_ROUNDING = 1e-6
_SCALES: dict[Link, Scale] = {"sigmoid": "log_odds", "softmax": "logits", "exp": "log_value"}


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


class _Parts(Protocol):
    """What answers are sums of: trees, or weighted columns."""

    base: NDArray[np.float64]
    cost: int

    def contributions(self, columns: Matrix) -> NDArray[np.float64]:
        """Of each column to each sum, shape `(rows, targets, columns)`."""
        ...


class ExactExplainer:
    """Explains what was exported, by its own trees or weights.

    Contributions of columns that were made of one input (as one per category) are added up: Shapley values are
    additive. What is explained is held against the model's own answer.

    Raises:
        Damaged: recipe and model do not fit each other.
    """

    exact = True

    def __init__(self, runtime: Runtime, model: bytes, recipe: Recipe, covers: NDArray[np.float64] | None) -> None:
        graph = Graph(model)
        sums = graph.sums()
        width, encoder = len(recipe.inputs), runtime.manifest.encoder
        names = runtime.manifest.signature.names
        if sums is None or encoder is None or not all(0 <= place < len(names) for place in recipe.inputs):
            raise _unfit(runtime)
        part = graph.up_to(sums.tensor, width)
        self._runtime = runtime
        self.features = names
        self._encoder = MatrixEncoder(runtime.manifest.signature, encoder)
        self._columns = None if part is None else OnnxModel(part, width=len(names))
        self._sums = sums
        self._made_of = np.zeros((width, len(names)))
        self._made_of[np.arange(width), recipe.inputs] = 1.0
        self._parts = _parts(runtime, sums, recipe, covers)
        self.most_rows = max(1, min(1_000, _MOST_WORK // max(self._parts.cost, 1)))

    def contributions(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """Of each input to each output, shape `(rows, outputs, inputs)`."""
        return self._explained(rows)[2]

    def columns(self, matrix: Matrix) -> Matrix:
        """What the trees or weights are given for a matrix of inputs."""
        return matrix if self._columns is None else self._columns.run(matrix)

    def explain(self, rows: Sequence[Row]) -> Explanation:
        """The rows, explained."""
        answered, sums, contributions = self._explained(rows)
        signature = self._runtime.manifest.signature
        return Explanation(
            method="linear" if self._sums.splits is None else "tree_shap",
            scale=_SCALES.get(self._sums.link) or _plain_scale(signature),
            features=signature.names,
            outputs=outputs_of(signature),
            base=tuple((self._sums.factor * self._parts.base).tolist()),
            rows=tuple(
                ExplainedRow(answers=tuple(said.tolist()), sums=tuple(total.tolist()), contributions=_nested(parts))
                for said, total, parts in zip(answered, sums, contributions, strict=True)
            ),
        )

    def _explained(self, rows: Sequence[Row]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """The model's answers, and the sums and contributions behind them."""
        matrix = self._encoder.encode(rows)
        answered = self._runtime.predict(matrix).reshape(len(rows), -1)
        columns = self.columns(matrix)
        if columns.shape[1] != len(self._made_of):
            raise _unfit(self._runtime)
        whole = self._sums.factor * self._parts.contributions(columns) @ self._made_of
        sums = self._sums.factor * self._parts.base + whole.sum(axis=2)
        if not np.allclose(answers(sums, self._sums.link), answered, rtol=_ROUNDING, atol=_ROUNDING, equal_nan=True):
            raise _unfit(self._runtime)
        return answered, sums, whole


class SamplingExplainer:
    """Explains any model by asking it, against background rows."""

    exact = False
    most_rows = 10

    def __init__(self, runtime: Runtime, recipe: Recipe) -> None:
        if not recipe.background:
            raise _unfit(runtime)
        manifest = runtime.manifest
        self._runtime = runtime
        self.features = manifest.signature.names
        self._reader = RowReader(manifest.signature)
        self._encoder = None if manifest.encoder is None else MatrixEncoder(manifest.signature, manifest.encoder)
        self._background = self._values(recipe.background)

    def explain(self, rows: Sequence[Row]) -> Explanation:
        """The rows, explained. The same row has the same explanation whenever it is asked for."""
        values = self._values(rows)
        answered = self._ask(values).reshape(len(values), -1)
        found = [self._sampled(row) for row in values]
        signature = self._runtime.manifest.signature
        return Explanation(
            method="sampling",
            scale=_plain_scale(signature),
            features=signature.names,
            outputs=outputs_of(signature),
            base=tuple(found[0].base.tolist()) if found else (),
            rows=tuple(
                ExplainedRow(
                    answers=tuple(said.tolist()),
                    sums=tuple((one.base + one.contributions.sum(axis=1)).tolist()),
                    contributions=_nested(one.contributions),
                    half_widths=_nested(one.half_width),
                )
                for said, one in zip(answered, found, strict=True)
            ),
            orders=found[0].orders if found else ORDERS,
            seed=SEED,
        )

    def _sampled(self, row: NDArray[np.float64]) -> Sampled:
        def ask(known: NDArray[np.bool_], fills: NDArray[np.int64]) -> NDArray[np.float64]:
            mixed = np.where(known, row, self._background[fills])
            return self._ask(mixed).reshape(len(mixed), -1)

        return sampled_shapley(ask, len(row), len(self._background), orders=ORDERS, seed=SEED)

    def _ask(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._encoder is not None:
            return self._runtime.predict(values)
        names = self._runtime.manifest.signature.names
        return self._runtime.predict_columns({name: values[:, place].tolist() for place, name in enumerate(names)})

    def _values(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """Rows as a matrix; for a model that takes a table, of values as they are."""
        if self._encoder is not None:
            return self._encoder.encode(rows)
        table = np.empty((len(rows), len(self._runtime.manifest.signature.names)), dtype=object)
        for number, values in enumerate(self._reader.read(rows)):
            table[number] = values
        return table


# Some seconds of one processor.
_MOST_WORK = 2_000_000_000


def load_explainer(folder: Path, *, digest: str | None = None, trusted: frozenset[str] = frozenset()) -> Explainer:
    """Loads a bundle to explain its answers.

    Args:
        folder: the bundle.
        digest: what its digest must be; None takes what is there.
        trusted: digests of bundles that may run code when they load (pickle).

    Raises:
        Invalid: the bundle holds nothing to explain answers by.
        NotFound, Damaged, Forbidden: as `load_runtime` does.
    """
    bundle = read_bundle(folder, digest=digest)
    recipe, covers = read_recipe(bundle)
    runtime = load_runtime(folder, digest=bundle.digest, trusted=trusted)
    if isinstance(runtime, TensorRuntime):
        raise Damaged("a recipe lies beside a model of tensors", where=str(folder), fix="Package the model again")
    if recipe.method == "sampling":
        return SamplingExplainer(runtime, recipe)
    return ExactExplainer(runtime, bundle.contents[bundle.manifest.model], recipe, covers)


def outputs_of(signature: Signature) -> tuple[Label, ...]:
    """The class that each explained output is of: the second of two, each of several, none for a regression."""
    return signature.classes[1:] if signature.task == "binary" else signature.classes


class _Trees:
    def __init__(self, sums: Sums, covers: NDArray[np.float64], width: int) -> None:
        assert sums.splits is not None  # noqa: S101 - whoever made it has looked
        self._splits = sums.splits
        self._shap = TreeShap(sums.splits.forest(covers, width))
        self.base, self.cost = self._shap.base, self._shap.cost

    def contributions(self, columns: Matrix) -> NDArray[np.float64]:
        return self._shap.explain(self._splits.goes_left(columns))


class _Weights:
    """Of independent columns: weight times distance from the mean (Lundberg and Lee 2017, corollary 1)."""

    def __init__(self, weights: NDArray[np.float64], bias: NDArray[np.float64], means: NDArray[np.float64]) -> None:
        self._weights, self._means = weights.T, means
        self.base = means @ weights + np.broadcast_to(bias, weights.shape[1])
        self.cost = weights.size

    def contributions(self, columns: Matrix) -> NDArray[np.float64]:
        return np.asarray((columns - self._means)[:, None, :] * self._weights)


def _parts(runtime: Runtime, sums: Sums, recipe: Recipe, covers: NDArray[np.float64] | None) -> _Parts:
    width = len(recipe.inputs)
    try:
        if recipe.method == "tree_shap" and sums.splits is not None and covers is not None:
            return _Trees(sums, covers, width)
        if recipe.method == "linear" and sums.weights is not None and sums.bias is not None:
            means = np.array(recipe.means)
            if sums.weights.shape[0] == width == len(means):
                return _Weights(sums.weights, sums.bias, means)
    except Invalid as error:
        raise Damaged(str(error), where=f"bundle {runtime.digest}") from error
    raise _unfit(runtime)


def _plain_scale(signature: Signature) -> Scale:
    return "value" if signature.task == "regression" else "probability"


def _nested(values: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    return msgspec.convert(values.tolist(), tuple[tuple[float, ...], ...])


def _unfit(runtime: Runtime) -> Damaged:
    what = "what explains the model's answers does not fit the model"
    return Damaged(what, where=f"bundle {runtime.digest}", fix="Package the model again")
