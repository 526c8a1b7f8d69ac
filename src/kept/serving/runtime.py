"""Models in memory: a bundle that is loaded and warm, and the arms and routes that use it."""

import struct
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kept.core.errors import KeptError, NotFound, Unavailable
from kept.core.ids import new_id
from kept.deployment.routing import Arm, Route, choose
from kept.packaging.bundle import read_bundle
from kept.packaging.runtime import AnyRuntime, load_runtime, runtime_of
from kept.packaging.signature import Field, Signature, Tensor
from kept.packaging.tensor_runtime import TensorRuntime
from kept.serving.children.messages import Ask, packed
from kept.serving.children.pool import Declared, Pool, ProcessCounts
from kept.serving.entries import ArmNote
from kept.serving.protocol.answers import label_text, output_names
from kept.serving.protocol.envelope import routing_key_in
from kept.serving.protocol.forms import Form
from kept.serving.protocol.invocations import InvocationsReader
from kept.serving.protocol.number_rows import NumberRows
from kept.serving.protocol.rows import RowsReader
from kept.serving.protocol.tensor_answers import TensorScore, answerer_for
from kept.serving.protocol.tensor_rows import TensorInvocationsReader, TensorRowsReader
from kept.serving.protocol.tensors import Sent, TensorsReader
from kept.serving.protocol.values import Question, kind_of
from kept.serving.warming import warm

_encode = msgspec.msgpack.Encoder().encode


class LoadedModel:
    """A bundle in memory, checked and warm. Arms of the same bundle share it.

    An ONNX model answers here. Any other is in processes of its own, its `pool`: this one loads no library for it, unless it
    is to answer `here` whatever it is.

    Args:
        folder: the bundle.
        digest: what its digest must be; None takes what is there.
        trusted: digests of bundles that may run code when they load.
        declared: of the processes, where it needs them.
        quiet: whether these give way to others.
        counts: where they are counted.
        here: whether it has no processes of its own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        digest: str | None = None,
        trusted: frozenset[str] = frozenset(),
        here: bool = False,
        declared: Declared | None = None,
        quiet: bool = False,
        counts: ProcessCounts | None = None,
    ) -> None:
        bundle = read_bundle(folder, digest=digest)
        self.folder = folder
        self.digest = bundle.digest
        self.quiet = quiet
        self.manifest = bundle.manifest
        self.signature: Signature = bundle.manifest.signature
        self._runtime: AnyRuntime | None = None
        self.pool: Pool | None = None
        if here or bundle.manifest.runtime == "onnx":
            self._runtime = runtime_of(bundle, trusted=trusted, where=str(folder))
        else:
            self.pool = Pool(
                folder,
                bundle.digest,
                trusted=bundle.digest in trusted,
                declared=declared or Declared(),
                quiet=quiet,
                width=max(len(self.signature.classes), 1),
                counts=counts or ProcessCounts(),
            )
        encoder = bundle.manifest.encoder
        self._codes = None if encoder is None else [(p, encoder.columns[p].codes) for p in encoder.categorical]
        tensors = self.signature.takes_tensors
        self._rows = TensorRowsReader(self.signature) if tensors else RowsReader(self.signature)
        self._tensors = TensorsReader(self.signature, output_names(self.signature))
        self._invocations: InvocationsReader | TensorInvocationsReader | None = None
        if self.pool is None:
            warm(self.signature, self.predict)

    def read(self, form: Form, body: bytes | Sent, json_size: int | None = None) -> Question:
        """What a body asks of this model; `json_size` is how much of it is JSON when tensors follow as bytes."""
        if isinstance(body, Sent):
            return self._tensors.read_sent(body)
        if form == "rows":
            return self._rows.read(body)
        if form == "tensors":
            return self._tensors.read(body, json_size)
        if self._invocations is None:
            tensors = self.signature.takes_tensors
            self._invocations = (
                TensorInvocationsReader(self.signature) if tensors else InvocationsReader(self.signature, self._rows)
            )
        return self._invocations.read(body) if form == "invocations" else self._invocations.read_csv(body)

    def read_row(self, body: bytes) -> Any:
        """The values of a JSON object that is one row, or `Invalid` naming the field."""
        return self._rows.row(body)

    def predict(self, values: Sequence[Sequence[Any]]) -> NDArray[np.float64] | list[Any]:
        """Scores for rows that were read: (rows,), or (rows, classes) for multiclass. Of a model without a pool."""
        runtime = self._runtime
        if runtime is None:
            raise Unavailable("it is out of memory", where=f"bundle {self.digest}", fix="Try again in a moment")
        if isinstance(runtime, TensorRuntime):
            answers = runtime.answer_rows(values)
            return list(map(TensorScore, runtime.row_scores(answers), answers))
        if self._codes is None:
            columns = zip(*values, strict=True)
            return runtime.predict_columns(dict(zip(self.signature.names, map(list, columns), strict=True)))
        return runtime.predict(self._matrix(values))

    def message(self, sizes: list[int], values: Sequence[Sequence[Any]]) -> bytes:
        """What a process of the model is sent for rows of requests of these sizes."""
        if self._codes is None:
            return packed(Ask(sizes, 0), _encode(values))
        return packed(Ask(sizes, len(self.signature.inputs)), self._matrix(values).tobytes())

    def put_out(self) -> None:
        """Lets go of what it needs to answer; reading goes on. Not of a model with a pool."""
        self._runtime = None

    def load_again(self, folder: Path, *, trusted: frozenset[str] = frozenset()) -> None:
        """Takes up again what was put out, checked and warm."""
        self._runtime = load_runtime(folder, digest=self.digest, trusted=trusted)
        warm(self.signature, self.predict)

    def close(self) -> None:
        """Ends its processes, when they have answered what they were asked. From any thread."""
        if self.pool is not None:
            self.pool.close()

    def end(self) -> None:
        """Ends its processes at once. Not while the event loop runs."""
        if self.pool is not None:
            self.pool.end()

    def _matrix(self, values: Sequence[Sequence[Any]]) -> NDArray[np.float64]:
        if isinstance(values, NumberRows):
            # Some estimators write into what they are given, and it is logged yet.
            return values.matrix if self.manifest.runtime == "onnx" else values.matrix.copy()
        codes = self._codes
        if codes:
            coded = [list(row) for row in values]
            for place, known in codes:
                for row in coded:
                    row[place] = known[row[place]]
            values = coded
        return as_matrix(values, len(self.signature.inputs))


def as_matrix(rows: Sequence[Sequence[Any]], width: int) -> NDArray[np.float64]:
    """Numbers and None as float64 of shape (rows, width)."""
    matrix = np.empty((len(rows), width))
    try:
        # A third of the time that NumPy takes to look at each value.
        struct.pack_into(f"{matrix.size}d", matrix.data, 0, *chain.from_iterable(rows))
    except struct.error:
        return np.array(rows, dtype=np.float64)
    return matrix


class LoadedArm:
    """An arm and its model, with all that an answer needs made ready."""

    def __init__(self, endpoint: str, arm: Arm, model: LoadedModel) -> None:
        self.arm = arm
        self.model = model
        self.answerer = answerer_for(endpoint, arm.model, arm.number, model.signature)
        self.note = ArmNote(
            key=f"{endpoint}/{arm.version_id}/{arm.role}",
            endpoint=endpoint,
            version_id=arm.version_id,
            number=arm.number,
            model=arm.model,
            bundle=model.digest,
            role=arm.role,
            task=model.signature.task,
            classes=tuple(label_text(label) for label in model.signature.classes),
            names=model.signature.names,
            kinds=tuple(kind_of(field) for field in model.signature.inputs),
            outputs=tuple(output.name for output in model.signature.outputs),
        )


class LoadedRoute:
    """An endpoint whose arms are all in memory."""

    def __init__(self, route: Route, arms: Sequence[LoadedArm]) -> None:
        self.route = route
        self.arms = tuple(arms)
        self._by_arm = {loaded.arm: loaded for loaded in arms}
        self.champion = self._by_arm[route.champion]
        standby = route.standby
        self.standby = None if standby is None else self._by_arm[standby]
        self.shadows = tuple(self._by_arm[arm] for arm in route.shadows)
        answering = [loaded for loaded in arms if loaded.arm.weight]
        self._only = self.champion if len(answering) == 1 else None
        self._alike = all(same_inputs(self.champion, loaded) for loaded in answering)

    def read(
        self, form: Form, body: bytes | Sent, json_size: int | None = None
    ) -> tuple[LoadedArm, Question | KeptError]:
        """The arm that a request goes to, and what it asks of it, or what is wrong with it.

        The arm is chosen by the routing key, else by the first row's key, else by chance. Arms may take different inputs.
        """
        if self._only is not None:
            return self._only, _read(self._only, form, body, json_size)
        if not self._alike:
            arm = self.choose(routing_key_in(form, body, json_size))
            return arm, _read(arm, form, body, json_size)
        asked = _read(self.champion, form, body, json_size)
        if isinstance(asked, KeptError):
            return self.choose(routing_key_in(form, body, json_size)), asked
        key = asked.routing_key
        if key is None and asked.keys:
            key = asked.keys[0]
        return self.choose(key), asked

    def choose(self, key: str | None) -> LoadedArm:
        """The arm for a key; without one, an arm by chance."""
        return self._by_arm[choose(self.route, new_id() if key is None else key)]

    def needed(self, number: str | None) -> tuple[LoadedModel, ...]:
        """The models that a request may ask, of all versions or of one: of arms that answer, or stand in for one that does.

        Without those that are in processes of their own, whose memory is not this one's.
        """
        asked = [self.version(number)] if number is not None else [one for one in self.arms if one.arm.weight]
        if any(one.arm.fallback is not None for one in asked):
            asked = [one for one in self.arms if one not in self.shadows]
        return tuple(dict.fromkeys(one.model for one in asked if one.model.pool is None))

    def version(self, number: str) -> LoadedArm:
        """The arm of a version by its number, in whatever role."""
        for loaded in self.arms:
            if str(loaded.arm.number) == number:
                return loaded
        numbers = ", ".join(str(loaded.arm.number) for loaded in self.arms)
        where = f"model {self.route.endpoint!r}"
        raise NotFound(f"version {number} is not served", where=where, fix=f"Ask for {numbers}, or name no version")


def _read(arm: LoadedArm, form: Form, body: bytes | Sent, json_size: int | None) -> Question | KeptError:
    try:
        return arm.model.read(form, body, json_size)
    except KeptError as error:
        return error


def same_inputs(one: LoadedArm, other: LoadedArm) -> bool:
    """Whether two arms read every request alike."""
    return [_shape(field) for field in one.model.signature.inputs] == [
        _shape(field) for field in other.model.signature.inputs
    ] and one.answerer.outputs == other.answerer.outputs


def _shape(field: Field) -> tuple[str, str, bool, Tensor | None]:
    return field.name, kind_of(field), field.nullable, field.tensor
