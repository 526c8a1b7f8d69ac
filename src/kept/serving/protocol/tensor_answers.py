"""Answers of models whose outputs are tensors: these stand beside the labels and scores, where the model has such.

Plain form: each prediction has `outputs`, lists within lists by name. Tensors: the outputs by their own names, of the declared
datatype and the shape [n, ...]. MLflow's form: `outputs` likewise, or as `predictions` where there are no labels and values.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from kept.packaging.signature import Signature
from kept.packaging.tensors import Array
from kept.serving.protocol.answers import Answerer, scores_of
from kept.serving.protocol.tensor_columns import DATATYPES

_encode = msgspec.json.Encoder().encode


class TensorScore:
    """What a model of tensors answered for one row: its score (None where it has none), and its outputs in their order."""

    __slots__ = ("score", "tensors")

    def __init__(self, score: Any, tensors: tuple[Array, ...]) -> None:
        self.score = score
        self.tensors = tensors


class TensorAnswerer(Answerer):
    """Writes the answers of one arm. Scores are `TensorScore`s."""

    def __init__(self, endpoint: str, model: str, number: int, signature: Signature) -> None:
        super().__init__(endpoint, model, number, signature)
        self._at = {output.name: place for place, output in enumerate(signature.outputs)}
        self._datatypes = {output.name: DATATYPES[output.tensor.element] for output in signature.outputs}
        self._own = [name for name in self.outputs if name in self._at and name not in scores_of(signature)]
        self._has_scores = signature.scored is not None

    def invocations(self, ids: Sequence[str], scores: Sequence[TensorScore]) -> bytes:
        """The answer in MLflow's form."""
        listed = [self._listed(one) for one in scores]
        outputs = _encode({name: [one[name] for one in listed] for name in self._own})
        if self._has_scores:
            return b'%b,"outputs":%b}' % (super().invocations(ids, _plain(scores))[:-1], outputs)
        return b'{"predictions":%b,"ids":["%b"]%b' % (outputs, '","'.join(ids).encode(), self._tail[1:])

    def elements(self, name: str, ids: Sequence[str], scores: Sequence[TensorScore]) -> tuple[str, list[int], bytes]:
        """An output's datatype, shape and bytes."""
        if name not in self._own:
            return super().elements(name, ids, _plain(scores))
        batch = self._batch(name, scores)
        return self._datatypes[name], list(batch.shape), batch.tobytes()

    def _predictions(self, ids: Sequence[str], scores: Sequence[TensorScore]) -> list[bytes]:
        plain = [b'{"id":"%b"}' % name.encode() for name in ids]
        parts = super()._predictions(ids, _plain(scores)) if self._has_scores else plain
        return [
            b'%b,"outputs":%b}' % (part[:-1], _encode(self._listed(one)))
            for part, one in zip(parts, scores, strict=True)
        ]

    def _tensor(self, name: str, ids: Sequence[str], scores: Sequence[TensorScore]) -> bytes:
        if name not in self._own:
            return super()._tensor(name, ids, _plain(scores))
        batch = self._batch(name, scores)
        described = {
            "name": name,
            "shape": batch.shape,
            "datatype": self._datatypes[name],
            "data": batch.ravel().tolist(),
        }
        return _encode(described)

    def _batch(self, name: str, scores: Sequence[TensorScore]) -> Array:
        place = self._at[name]
        return np.stack([one.tensors[place] for one in scores])

    def _listed(self, one: TensorScore) -> dict[str, Any]:
        return {name: one.tensors[self._at[name]].tolist() for name in self._own}


def answerer_for(endpoint: str, model: str, number: int, signature: Signature) -> Answerer:
    """What writes the answers of a model with this signature."""
    kind = TensorAnswerer if signature.takes_tensors else Answerer
    return kind(endpoint, model, number, signature)


def _plain(scores: Sequence[TensorScore]) -> list[Any]:
    return [one.score for one in scores]
