"""Packaging models that take tensors: an ONNX graph of any origin, proved, measured, written."""

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np

from kept.core.clock import Clock, SystemClock
from kept.core.digests import canonical_json
from kept.core.errors import CheckFailed, Damaged, Invalid, KeptError
from kept.packaging.bundle import describe_files
from kept.packaging.environment import bill_of_materials, this_environment
from kept.packaging.manifest import Latency, Manifest, ParityGroup, ParityReport
from kept.packaging.measuring import measure_latency
from kept.packaging.onnx_apart import check_apart
from kept.packaging.onnx_model import open_session
from kept.packaging.onnx_tensors import OnnxTensors, declared
from kept.packaging.signature import Label, Scored, Signature, Task
from kept.packaging.tensor_probes import DATA, probes
from kept.packaging.tensor_runtime import TENSOR_TEST, TensorRuntime, difference
from kept.packaging.tensors import Array
from kept.packaging.writing import MATERIALS, expect_room, write_bundle

TENSOR_TOLERANCE = 1e-4
"""How far answers in float32 may be from those they are held against: absolute, relative for values beyond 1."""
DECLARED = "declared answers"
_MODEL = "model.onnx"
_TEST_ROWS = 4
_MOST_TEST_BYTES = 8 << 20

Reference = Callable[[Mapping[str, Array]], list[Array]]


def graph_signature(
    data: bytes,
    *,
    where: str,
    task: Task = "tensors",
    classes: tuple[Label, ...] = (),
    scored: Scored | None = None,
) -> Signature:
    """The signature that an ONNX graph declares itself, once it was found to be harmless.

    Args:
        data: the file's bytes.
        where: what they are of, for messages.
        task: what its scores are; without any it answers `tensors` only.
        classes: the labels, in the order of the scores.
        scored: where the scores come from; with one output it may be left out, and scores are then taken as they are.

    Raises:
        Invalid, Forbidden: as `check_apart` does; or an input, an output or the task is not what can be served.
    """
    check_apart(data, where=where)
    try:
        inputs, outputs = declared(open_session(data))
    except Damaged as error:
        raise Invalid(error.what, where=error.where, fix=error.fix) from error
    if scored is None and task != "tensors" and len(outputs) == 1:
        scored = Scored(output=outputs[0].name, form="value" if task == "regression" else "probabilities")
    return Signature(inputs=inputs, task=task, classes=classes, outputs=outputs, scored=scored)


def package_tensors(
    data: bytes,
    signature: Signature,
    folder: Path,
    *,
    sample: Mapping[str, Array] | None = None,
    expected: Mapping[str, Array] | None = None,
    reference: Reference | None = None,
    origin: str = "onnx",
    tolerance: float = TENSOR_TOLERANCE,
    latency_runs: int = 300,
    clock: Clock | None = None,
) -> Manifest:
    """Makes a bundle of an ONNX graph, which answers as it is: nothing is converted.

    It is held against what is known of it: rows must be answered alone as they are among others (requests are answered
    together), and like `expected` and `reference` where they are given.

    Args:
        data: the file's bytes; they were checked by `graph_signature`.
        signature: what the graph takes and answers.
        folder: where the bundle is to be; it must not exist, or be empty.
        sample: rows that it takes, a batch for each input; without them rows are made up.
        expected: what it answers to the sample, for some or all outputs.
        reference: the model that it was exported from, in the order of the outputs.
        origin: what made it.
        tolerance: how far answers may be apart.
        latency_runs: how many predictions of one row to time.
        clock: tells when it was made.

    Raises:
        Invalid: it answers none of the rows, or the sample does not fit it.
        CheckFailed: it answers otherwise than it should.
        Conflict: the folder is taken.
    """
    expect_room(folder)
    draft = _draft(data, signature, origin, clock or SystemClock())
    try:
        runtime = TensorRuntime(draft, "", OnnxTensors(data, signature))
    except Damaged as error:
        raise Invalid(error.what, where=error.where, fix=error.fix) from error
    groups = _answerable(runtime, probes(signature, sample))
    parity = _prove(runtime, groups, expected or {}, reference, tolerance)
    if not parity.holds:
        fix = "Export it again, in evaluation mode (module.eval()) and with a dynamic first dimension"
        raise CheckFailed(parity.reason, where=origin, fix=fix)
    rows = next(iter(groups.values()))
    contents = {
        _MODEL: data,
        TENSOR_TEST: _self_test(runtime, rows, tolerance),
        MATERIALS: canonical_json(bill_of_materials(draft.environment, origin)),
    }
    manifest = msgspec.structs.replace(
        draft,
        parity=parity,
        files=describe_files(contents),
        size_bytes=sum(map(len, contents.values())),
        latency=measure_latency(runtime, [_row(rows, 0)], runs=latency_runs),
    )
    write_bundle(folder, contents, manifest)
    return manifest


def _draft(data: bytes, signature: Signature, origin: str, clock: Clock) -> Manifest:
    """The manifest of a graph that was neither checked nor measured yet."""
    return Manifest(
        signature=signature,
        input="tensors",
        runtime="onnx",
        model=_MODEL,
        estimator=origin,
        files=describe_files({_MODEL: data}),
        parity=ParityReport(holds=False, tolerance=0.0, groups=(), reason="not checked yet"),
        environment=this_environment(),
        latency=Latency(p50_ms=0.0, p99_ms=0.0, runs=0),
        size_bytes=0,
        created_at=clock.now(),
    )


def _answerable(runtime: TensorRuntime, groups: dict[str, dict[str, Array]]) -> dict[str, dict[str, Array]]:
    """The groups that the model answers; rows of its own data it must answer. Made-up ones it may refuse, not all of them."""
    found, trouble = {}, None
    for name, batches in groups.items():
        try:
            runtime.answer(batches)
        except Invalid as error:
            if name == DATA:
                raise
            trouble = error
            continue
        found[name] = batches
    if not found:
        what = f"it answers none of the rows that were made up: {trouble.what if trouble else ''}"
        raise Invalid(what, where="sample", fix="Give rows that it takes")
    return found


def _prove(
    runtime: TensorRuntime,
    groups: dict[str, dict[str, Array]],
    expected: Mapping[str, Array],
    reference: Reference | None,
    tolerance: float,
) -> ParityReport:
    results: list[ParityGroup] = []
    reasons: list[str] = []

    def hold(name: str, wanted: Mapping[str, Array], found: Mapping[str, Array]) -> None:
        worst: float | None = 0.0
        for output, array in wanted.items():
            apart = difference(array[: len(found[output])], found[output])
            if apart is None or apart > tolerance:
                by = "a number against none" if apart is None else f"{apart:.3g}"
                reasons.append(f"{name}: the answers of {output!r} differ by {by}")
            worst = None if apart is None or worst is None else max(worst, apart)
        results.append(ParityGroup(name=name, rows=len(next(iter(found.values()))), largest_difference=worst))

    for name, batches in groups.items():
        together = runtime.answer(batches)
        hold(f"{name}, rows alone and together", _alone(runtime, batches), together)
        if reference is not None:
            theirs = reference(batches)
            hold(f"{name}, the model it was exported from", dict(zip(together, theirs, strict=True)), together)
        if runtime.manifest.signature.scored is not None:
            _check_scores(runtime, together)
    if expected:
        if strange := sorted(set(expected) - {one.name for one in runtime.manifest.signature.outputs}):
            raise Invalid(f"there is no output {strange[0]!r}", where="expected answers")
        hold(DECLARED, expected, runtime.answer(groups[DATA]))
    return ParityReport(holds=not reasons, tolerance=tolerance, groups=tuple(results), reason="; ".join(reasons))


def _alone(runtime: TensorRuntime, batches: dict[str, Array]) -> dict[str, Array]:
    rows = len(next(iter(batches.values())))
    parts = [runtime.answer({name: batch[row : row + 1] for name, batch in batches.items()}) for row in range(rows)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _check_scores(runtime: TensorRuntime, outputs: Mapping[str, Array]) -> None:
    signature = runtime.manifest.signature
    try:
        scores = runtime.scores(outputs)
    except KeptError as error:
        raise Invalid(error.what, where=error.where, fix="Name the classes, and the output that scores them") from error
    if signature.task != "regression" and not ((scores >= 0) & (scores <= 1)).all():
        fix = "Say that they are logits"
        raise Invalid("its scores are no probabilities", where=f"task {signature.task}", fix=fix)


def _self_test(runtime: TensorRuntime, batches: dict[str, Array], tolerance: float) -> bytes:
    """Rows with what the model answers, for the machine that will load the bundle."""
    size = sum(batch.nbytes for batch in batches.values()) // len(next(iter(batches.values())))
    count = max(1, min(_TEST_ROWS, _MOST_TEST_BYTES // max(size, 1)))
    rows = {name: batch[:count] for name, batch in batches.items()}
    arrays: dict[str, Array] = {f"i{place}": batch for place, batch in enumerate(rows.values())}
    arrays |= {f"o{place}": array for place, array in enumerate(runtime.answer(rows).values())}
    arrays["tolerance"] = np.array(tolerance)
    file = BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _row(batches: Mapping[str, Array], number: int) -> dict[str, Array]:
    return {name: batch[number] for name, batch in batches.items()}
