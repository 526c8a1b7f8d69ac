"""Runs a packaged model that takes tensors and answers tensors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Damaged, Invalid, KeptError
from kept.packaging.array_files import read_npz
from kept.packaging.manifest import Manifest
from kept.packaging.onnx_tensors import OnnxTensors
from kept.packaging.rows import Matrix, Row
from kept.packaging.signature import Signature
from kept.packaging.tensors import Array, batch_of, check_shape, row_of

TENSOR_TEST = "self_test.npz"
"""Batches (`i0`, `i1`, ...: the inputs in their order), their answers (`o0`, ...) and the `tolerance`."""
# Rows that are answered together at most: what a model makes of them on its way may be far larger than they are.
_AT_ONCE = 64


class TensorRuntime:
    """A model that answers tensors. It can be used from many threads.

    Scores are float64, as of all models: binary `(rows,)`, multiclass `(rows, classes)`, regression `(rows,)`.
    """

    def __init__(self, manifest: Manifest, digest: str, model: OnnxTensors) -> None:
        self.manifest = manifest
        self.digest = digest
        self._signature = manifest.signature
        self._model = model
        self._score = _scoring(manifest.signature)
        scored = manifest.signature.scored
        names = [output.name for output in manifest.signature.outputs]
        self._place = -1 if scored is None else names.index(scored.output)

    def answer(self, batches: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name for batches of the declared elements and shapes, which must hold equally many rows."""
        rows = len(next(iter(batches.values())))
        try:
            found = self._model.run(batches)
        except Exception as error:
            # ONNX Runtime's own errors share no class but Exception; what it says of a bad value is what helps.
            raise Invalid(f"the model does not take these tensors: {_short(error)}", where="inputs") from error
        for output, array in zip(self._signature.outputs, found, strict=True):
            if array.ndim != len(output.tensor.shape) + 1 or len(array) != rows:
                what = f"it answered {list(array.shape)} to {rows} rows"
                raise KeptError(what, where=f"output {output.name!r}", fix="Export the model so that rows come first")
        return {output.name: array for output, array in zip(self._signature.outputs, found, strict=True)}

    def answer_rows(self, rows: Sequence[Sequence[Array]]) -> list[tuple[Array, ...]]:
        """The outputs of each row, in the signature's order; those whose tensors have one shape together, 64 at most."""
        names = self._signature.names
        groups: dict[tuple[tuple[int, ...], ...], list[int]] = {}
        for place, row in enumerate(rows):
            groups.setdefault(tuple(array.shape for array in row), []).append(place)
        answers: list[tuple[Array, ...]] = [()] * len(rows)
        pieces = (
            places[start : start + _AT_ONCE] for places in groups.values() for start in range(0, len(places), _AT_ONCE)
        )
        for places in pieces:
            stacked = [_stacked([rows[place][number] for place in places]) for number in range(len(names))]
            found = self.answer(dict(zip(names, stacked, strict=True))).values()
            for number, place in enumerate(places):
                answers[place] = tuple(array[number, ...] for array in found)
        return answers

    def row_scores(self, answers: Sequence[tuple[Array, ...]]) -> list[Any]:
        """The score of each row that was answered: a number, a list of probabilities, or None for a model without scores."""
        scored = self._signature.scored
        if scored is None:
            return [None] * len(answers)
        found = self.scores({scored.output: np.stack([one[self._place] for one in answers])})
        return list(found.tolist())

    def scores(self, outputs: Mapping[str, Array]) -> NDArray[np.float64]:
        """The scores in a batch's outputs. `Invalid` for a model that has none."""
        if self._score is None:
            raise Invalid("this model answers tensors only", where="task", fix="Take its outputs")
        scored = self._signature.scored
        assert scored is not None  # noqa: S101 - there are scores
        return self._score(outputs[scored.output])

    def predict(self, matrix: Matrix) -> NDArray[np.float64]:
        """Refuses a matrix."""
        del matrix
        raise Invalid("this model takes named tensors, not a matrix", where="features", fix="Send rows")

    def predict_rows(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """The scores of rows by field name; for a model without scores an array `(rows, 0)`."""
        scores: list[Any] = []
        for start in range(0, len(rows), _AT_ONCE):
            piece = [self._read(row, start + place) for place, row in enumerate(rows[start : start + _AT_ONCE])]
            scores += self.row_scores(self.answer_rows(piece))
        return np.empty((len(rows), 0)) if self._score is None else np.array(scores, dtype=np.float64)

    def predict_columns(self, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> NDArray[np.float64]:
        """The same for columns of equal length by field name."""
        for name in self._signature.names:
            if name not in columns:
                raise Invalid(f"the column {name!r} is missing", where="columns", fix="Send every input of the model")
        names = self._signature.names
        return self.predict_rows(
            [dict(zip(names, row, strict=True)) for row in zip(*(columns[name] for name in names), strict=True)]
        )

    def _read(self, row: Row, number: int) -> tuple[Array, ...]:
        for field in self._signature.inputs:
            if field.name not in row:
                raise Invalid(f"the field {field.name!r} is missing", where=f"row {number}", fix="Send it")
        return tuple(
            row_of(row[field.name], field, f"row {number}: {field.name!r}") for field in self._signature.inputs
        )

    def check(self, test: bytes, *, where: str) -> None:
        """Answers the bundle's self-test. `Damaged` when it answers otherwise here than where it was packaged."""
        signature = self._signature
        try:
            arrays = read_npz(test)
            batches = {
                field.name: batch_of(arrays[f"i{place}"], field, where) for place, field in enumerate(signature.inputs)
            }
            expected = [arrays[f"o{place}"] for place in range(len(signature.outputs))]
            tolerance = float(arrays["tolerance"])
        except (ValueError, KeyError, TypeError, Invalid) as error:
            raise Damaged("the self-test cannot be read", where=where, fix="Package the model again") from error
        for output, wanted, found in zip(signature.outputs, expected, self.answer(batches).values(), strict=True):
            check_shape(found.shape, output.tensor, where, rows=True)
            apart = difference(wanted, found)
            if apart is None or apart > tolerance:
                by = "values that are no numbers" if apart is None else f"up to {apart:g}"
                raise Damaged(
                    f"the model answers {output.name!r} here by {by} otherwise than where it was packaged",
                    where=where,
                    fix="Install the package versions of its manifest, or package the model again here",
                )


def difference(expected: Array, found: Array) -> float | None:
    """The largest difference of two tensors: absolute, relative for values beyond 1. None when only one has a number, or
    their shapes differ.
    """
    if expected.shape != found.shape:
        return None
    left, right = expected.astype(np.float64), found.astype(np.float64)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    left, right = left[~same], right[~same]
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return None
    return float((np.abs(left - right) / np.maximum(1.0, np.abs(left))).max(initial=0.0))


def _stacked(arrays: list[Array]) -> Array:
    batch = arrays[0][None] if len(arrays) == 1 else np.stack(arrays)
    # Bytes of a request may begin at any address; ONNX Runtime reads elements where these belong.
    return batch if batch.flags.aligned and batch.flags.c_contiguous else np.array(batch)


def _scoring(signature: Signature) -> Callable[[Array], NDArray[np.float64]] | None:
    """What makes scores of the output that they are read from; None where there are none."""
    scored, task = signature.scored, signature.task
    if scored is None:
        return None
    wanted = {"binary": {1, 2}, "multiclass": {len(signature.classes)}}.get(task, {1})

    def score(output: Array) -> NDArray[np.float64]:
        values = output.reshape(len(output), -1).astype(np.float64)
        found = values.shape[1]
        if scored.form == "logits":
            values = _logistic(values) if found == 1 else _softmax(values)
        if found not in wanted:
            said = " or ".join(map(str, sorted(wanted)))
            raise KeptError(f"expected {said} scores for a row, found {found}", where=f"output {scored.output!r}")
        if task == "multiclass":
            return np.ascontiguousarray(values)
        return np.ascontiguousarray(values[:, 0 if found == 1 else 1])

    return score


def _logistic(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # The positive and the negative side each in the form that cannot overflow.
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1.0, small) / (1.0 + small)


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:297]}..."
