"""Exact explanations of what was exported: by the model's own trees or weights, read from its graph."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Damaged, Invalid
from kept.measures.tree_shap import TreeShap
from kept.packaging.explaining.explanation import ExplainedRow, Explanation, Scale, nested, outputs_of, plain_scale
from kept.packaging.explaining.reading import Graph, Link, Sums, answers
from kept.packaging.explaining.recipe import Recipe, unfit
from kept.packaging.onnx_model import OnnxModel
from kept.packaging.rows import Matrix, MatrixEncoder, Row
from kept.packaging.runtime import Runtime

# Sums of numbers in another order are the same to rounding.
_ROUNDING = 1e-6
# Some seconds of one processor.
_MOST_WORK = 2_000_000_000
_SCALES: dict[Link, Scale] = {"sigmoid": "log_odds", "softmax": "logits", "exp": "log_value"}


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
            raise unfit(runtime.digest)
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
            scale=_SCALES.get(self._sums.link) or plain_scale(signature),
            features=signature.names,
            outputs=outputs_of(signature),
            base=tuple((self._sums.factor * self._parts.base).tolist()),
            rows=tuple(
                ExplainedRow(answers=tuple(said.tolist()), sums=tuple(total.tolist()), contributions=nested(parts))
                for said, total, parts in zip(answered, sums, contributions, strict=True)
            ),
        )

    def _explained(self, rows: Sequence[Row]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """The model's answers, and the sums and contributions behind them."""
        matrix = self._encoder.encode(rows)
        answered = self._runtime.predict(matrix).reshape(len(rows), -1)
        columns = self.columns(matrix)
        if columns.shape[1] != len(self._made_of):
            raise unfit(self._runtime.digest)
        whole = self._sums.factor * self._parts.contributions(columns) @ self._made_of
        sums = self._sums.factor * self._parts.base + whole.sum(axis=2)
        if not np.allclose(answers(sums, self._sums.link), answered, rtol=_ROUNDING, atol=_ROUNDING, equal_nan=True):
            raise unfit(self._runtime.digest)
        return answered, sums, whole


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
    raise unfit(runtime.digest)
