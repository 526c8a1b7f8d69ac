"""Answers in both forms, as bytes. Labels are encoded once; each answer is put together from ready pieces.

Plain form: `{"predictions": [{"id", "prediction", "probability" | "probabilities"}], "model", "version"}`; a regression's
`prediction` is its value. Tensors: `probability` FP64 [n] (binary, of `classes[1]`) or `probabilities` FP64 [n, classes]
(multiclass), `prediction` [n] (the label; for a regression the value, FP64), `prediction_id` BYTES [n].
A number that is not finite is sent as null in JSON. MLflow's form: `{"predictions": [...]}`, the labels or values, with the
probabilities and ids beside them.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.core.errors import KeptError
from kept.packaging.signature import Label, Signature
from kept.serving.protocol.datatypes import pack
from kept.serving.protocol.tensor_columns import described
from kept.serving.protocol.values import Question

_encode = msgspec.json.Encoder().encode


class Answerer:
    """Writes the answers of one arm.

    Args:
        endpoint: what requests call the model.
        model: the registered model.
        number: its version's number.
        signature: says what the scores mean.
    """

    def __init__(self, endpoint: str, model: str, number: int, signature: Signature) -> None:
        self.endpoint = endpoint
        self.number = number
        self._task = signature.task
        self._classes = signature.classes
        self._labels = [_encode(label) for label in signature.classes]
        self._names = [_encode(label_text(label)) for label in signature.classes]
        self._datatype = _datatype(signature.classes)
        self._tail = b'],"model":' + _encode(model) + b',"version":' + str(number).encode() + b"}"
        self._head = b'{"model_name":' + _encode(endpoint) + b',"model_version":"' + str(number).encode() + b'"'
        self.outputs: tuple[str, ...] = output_names(signature)

    def rows(self, ids: Sequence[str], scores: Sequence[Any]) -> bytes:
        """The answer in the plain form."""
        return b'{"predictions":[' + b",".join(self._predictions(ids, scores)) + self._tail

    def lines(self, ids: Sequence[str], scores: Sequence[Any]) -> list[bytes]:
        """Answers that go each its own way: `{"id", "prediction", "probability" | "probabilities", "model", "version"}`."""
        return [part[:-1] + self._tail[1:] for part in self._predictions(ids, scores)]

    def tensors(self, question: Question, ids: Sequence[str], scores: Sequence[Any]) -> bytes:
        """The answer in the protocol's form."""
        head = self._head if question.name is None else self._head + b',"id":' + _encode(question.name)
        wanted = question.wanted or self.outputs
        parts = [self._tensor(name, ids, scores) for name in wanted]
        return head + b',"outputs":[' + b",".join(parts) + b"]}"

    def binary(self, question: Question, ids: Sequence[str], scores: Sequence[Any]) -> tuple[bytes, int]:
        """The answer in the protocol's form with some outputs as bytes behind the JSON, and how many bytes the JSON has."""
        head = self._head if question.name is None else self._head + b',"id":' + _encode(question.name)
        parts, tail = [], []
        for name in question.wanted or self.outputs:
            if name not in question.binary:
                parts.append(self._tensor(name, ids, scores))
                continue
            datatype, shape, data = self.elements(name, ids, scores)
            described = {"name": name, "shape": shape, "datatype": datatype}
            parts.append(_encode({**described, "parameters": {"binary_data_size": len(data)}}))
            tail.append(data)
        body = head + b',"outputs":[' + b",".join(parts) + b"]}"
        return b"".join([body, *tail]), len(body)

    def elements(self, name: str, ids: Sequence[str], scores: Sequence[Any]) -> tuple[str, list[int], bytes]:
        """An output's datatype, shape and bytes."""
        n = len(ids)
        if name == "prediction_id":
            return "BYTES", [n], pack("BYTES", [one.encode() for one in ids])
        if name == "probabilities":
            return "FP64", [n, len(self._labels)], pack("FP64", [value for row in scores for value in row])
        if name == "probability" or self._task == "regression":
            return "FP64", [n], pack("FP64", scores)
        chosen = [self._classes[place] for place in self._places(scores)]
        datatype = self._datatype.decode()
        texts = [label_text(label).encode() for label in chosen] if datatype == "BYTES" else chosen
        return datatype, [n], pack(datatype, texts)

    def invocations(self, ids: Sequence[str], scores: Sequence[Any]) -> bytes:
        """The answer in MLflow's form."""
        if self._task == "regression":
            return b'{"predictions":%b,"ids":["%b"]%b' % (_encode(scores), '","'.join(ids).encode(), self._tail[1:])
        chosen = b",".join([self._labels[place] for place in self._places(scores)])
        return b'{"predictions":[%b],"%b":%b,"ids":["%b"]%b' % (
            chosen,
            self.outputs[0].encode(),
            _encode(scores),
            '","'.join(ids).encode(),
            self._tail[1:],
        )

    def _predictions(self, ids: Sequence[str], scores: Sequence[Any]) -> list[bytes]:
        if self._task == "binary":
            no, yes = self._labels
            return [
                b'{"id":"%b","prediction":%b,"probability":%b}'
                % (name.encode(), yes if score > 0.5 else no, _encode(score))
                for name, score in zip(ids, scores, strict=True)
            ]
        if self._task == "multiclass":
            return [
                b'{"id":"%b","prediction":%b,"probabilities":{%b}}'
                % (
                    name.encode(),
                    self._labels[best_class(score)],
                    b",".join(b"%b:%b" % (label, _encode(p)) for label, p in zip(self._names, score, strict=True)),
                )
                for name, score in zip(ids, scores, strict=True)
            ]
        return [
            b'{"id":"%b","prediction":%b}' % (name.encode(), _encode(score))
            for name, score in zip(ids, scores, strict=True)
        ]

    def _places(self, scores: Sequence[Any]) -> list[int]:
        """The places of the chosen classes."""
        if self._task == "binary":
            return [int(score > 0.5) for score in scores]
        return [best_class(score) for score in scores]

    def _tensor(self, name: str, ids: Sequence[str], scores: Sequence[Any]) -> bytes:
        n = len(ids)
        if name == "prediction_id":
            return b'{"name":"prediction_id","shape":[%d],"datatype":"BYTES","data":["%b"]}' % (
                n,
                '","'.join(ids).encode(),
            )
        if name == "probabilities":
            flat = [value for row in scores for value in row]
            shape = (n, len(self._labels))
            return b'{"name":"probabilities","shape":[%d,%d],"datatype":"FP64","data":%b}' % (*shape, _encode(flat))
        if name == "probability" or self._task == "regression":
            return b'{"name":"%b","shape":[%d],"datatype":"FP64","data":%b}' % (name.encode(), n, _encode(scores))
        labels = self._labels
        chosen = (
            [labels[score > 0.5] for score in scores]
            if self._task == "binary"
            else [labels[best_class(s)] for s in scores]
        )
        if self._datatype == b"BYTES":
            chosen = [label if label[:1] == b'"' else b'"' + label + b'"' for label in chosen]
        return b'{"name":"prediction","shape":[%d],"datatype":"%b","data":[%b]}' % (
            n,
            self._datatype,
            b",".join(chosen),
        )


def output_names(signature: Signature) -> tuple[str, ...]:
    """The protocol's outputs, in their order."""
    labelled = (*scores_of(signature), "prediction") if signature.task != "tensors" else ()
    own = tuple(output.name for output in signature.outputs if output.name not in labelled)
    return (*labelled, *own, "prediction_id")


def scores_of(signature: Signature) -> tuple[str, ...]:
    """The output that holds the scores, where a model gives probabilities."""
    scores: dict[str, tuple[str, ...]] = {"binary": ("probability",), "multiclass": ("probabilities",)}
    return scores.get(signature.task, ())


def output_tensors(signature: Signature) -> list[dict[str, Any]]:
    """The protocol's description of the outputs; a dimension of -1 is the number of rows."""
    tensors = {one.name: described(one.name, one.tensor) for one in signature.outputs}
    label = _datatype(signature.classes).decode() if signature.classes else "FP64"
    types = {"probability": "FP64", "probabilities": "FP64", "prediction": label, "prediction_id": "BYTES"}
    shapes = {"probabilities": [-1, len(signature.classes)]}
    return [
        {"name": name, "datatype": types[name], "shape": shapes.get(name, [-1])} if name in types else tensors[name]
        for name in output_names(signature)
    ]


def as_scores(answers: NDArray[np.float64] | list[Any]) -> list[Any]:
    """A number per row, or a list of them; of a model that answers tensors, what it answered."""
    return answers if isinstance(answers, list) else answers.tolist()


def label_text(label: Label) -> str:
    """A label as text, as it stands in tables: `true` and `false` for booleans."""
    if isinstance(label, bool):
        return "true" if label else "false"
    return str(label)


def best_class(probabilities: Sequence[float]) -> int:
    """The place of the largest probability, the first of equal ones."""
    return max(range(len(probabilities)), key=probabilities.__getitem__)


def error_body(error: KeptError) -> bytes:
    """What is said in both forms when there is no answer. The protocol asks for `error` as text; the parts stand beside it."""
    parts = in_short(error)
    return _encode({"error": str(parts), "what": parts.what, "where": parts.where, "fix": parts.fix})


def in_short(error: KeptError, most: int = 1_000) -> KeptError:
    """The error with at most so many characters of each of its parts: senders may have made up names of any length."""
    what, where, fix = (
        part if part is None or len(part) <= most else f"{part[:most]}..."
        for part in (error.what, error.where, error.fix)
    )
    return KeptError(what or "", where=where, fix=fix)


def _datatype(classes: Sequence[Label]) -> bytes:
    kinds = {type(label) for label in classes}
    return {bool: b"BOOL", int: b"INT64", float: b"FP64"}.get(kinds.pop(), b"BYTES") if len(kinds) == 1 else b"BYTES"
