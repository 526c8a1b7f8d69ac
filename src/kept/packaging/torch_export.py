"""PyTorch modules as ONNX graphs, where they were trained: exported by PyTorch's own exporter, and held against the module.

A module on disk is a pickle, which Kept never loads; the module in the memory of the program that made it is what is exported.
PyTorch is only loaded when something is exported (`pip install 'kept[torch]'`); serving needs nothing of it.
"""

import contextlib
import importlib
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.compose

from kept.core.errors import CheckFailed, Invalid
from kept.packaging.manifest import Manifest
from kept.packaging.signature import Label, Scored, Signature, Task
from kept.packaging.tensor_build import TENSOR_TOLERANCE, Reference, graph_signature, package_tensors
from kept.packaging.tensors import Array

_WHERE = "PyTorch module"
# PyTorch calls values by the operations that they come from, which may be the very names that outputs are to have.
_PLACE, _INNER = "kept_output_", "inner/"


def export_module(
    module: Any,
    example: Mapping[str, Array],
    *,
    outputs: Sequence[str],
    lengths: Mapping[str, Mapping[int, str]] | None = None,
    tolerance: float = TENSOR_TOLERANCE,
) -> bytes:
    """The bytes of an `.onnx` file that answers like the module does in evaluation mode.

    Args:
        module: a `torch.nn.Module`, on the processor.
        example: rows that it takes, a batch of two or more for each argument of its `forward`, by name.
        outputs: names for what it answers: a tensor, or several in a tuple, list or dictionary, in this order.
        lengths: dimensions beside the first (the rows) that may have any length, by argument and number, each with a
            name: equal names stand for equal lengths.
        tolerance: how far the two may be apart on the example, on random rows and on zeros: absolute, relative beyond 1.

    Raises:
        Invalid: PyTorch is not installed, cannot export the module, or the example does not fit it.
        CheckFailed: the graph answers otherwise than the module, or rows otherwise together than alone.
        Forbidden: the graph needs operators that are not of ai.onnx.
    """
    data = _exported(module, example, outputs, lengths or {})
    with tempfile.TemporaryDirectory() as scratch:
        signature = graph_signature(data, where=_WHERE)
        _package(module, data, signature, example, Path(scratch) / "bundle", tolerance, latency_runs=1)
    return data


def package_module(
    module: Any,
    example: Mapping[str, Array],
    folder: Path,
    *,
    outputs: Sequence[str],
    lengths: Mapping[str, Mapping[int, str]] | None = None,
    task: Task = "tensors",
    classes: tuple[Label, ...] = (),
    scored: Scored | None = None,
    tolerance: float = TENSOR_TOLERANCE,
    latency_runs: int = 300,
) -> Manifest:
    """A bundle of a module, which `kept serve-model` serves; what is said of `export_module` holds here, too.

    Args:
        module: as there.
        example: as there.
        folder: where the bundle is to be; it must not exist, or be empty.
        outputs: as there.
        lengths: as there.
        task: what its scores are; without any it answers `tensors` only.
        classes: the labels, in the order of the scores.
        scored: where the scores come from.
        tolerance: as there.
        latency_runs: how many predictions of one row to time.
    """
    data = _exported(module, example, outputs, lengths or {})
    signature = graph_signature(data, where=_WHERE, task=task, classes=classes, scored=scored)
    return _package(module, data, signature, example, folder, tolerance, latency_runs=latency_runs)


def _package(
    module: Any,
    data: bytes,
    signature: Signature,
    example: Mapping[str, Array],
    folder: Path,
    tolerance: float,
    *,
    latency_runs: int,
) -> Manifest:
    torch = _torch()
    with _evaluating(module):
        return package_tensors(
            data,
            signature,
            folder,
            sample=example,
            reference=_asking(torch, module),
            origin=f"torch {torch.__version__}: {type(module).__module__}.{type(module).__qualname__}",
            tolerance=tolerance,
            latency_runs=latency_runs,
        )


def _exported(
    module: Any, example: Mapping[str, Array], outputs: Sequence[str], lengths: Mapping[str, Mapping[int, str]]
) -> bytes:
    torch = _torch()
    if not isinstance(module, torch.nn.Module):
        raise Invalid(f"expected a torch.nn.Module, found a {type(module).__name__}", where=_WHERE)
    rows = {len(batch) for batch in example.values() if np.ndim(batch)}
    if len(rows) != 1 or min(rows) < 2:
        # Of one row the exporter believes that there is never another number of them.
        raise Invalid("the example needs two rows or more, equally many for each argument", where="example")
    dimensions = {name: torch.export.Dim(name) for open_ in lengths.values() for name in open_.values()}
    rows_of = torch.export.Dim("rows")
    shapes = {
        name: {0: rows_of, **{place: dimensions[open_] for place, open_ in lengths.get(name, {}).items()}}
        for name in example
    }
    places = [f"{_PLACE}{number}" for number in range(len(outputs))]
    with _evaluating(module), _quiet():
        try:
            program = torch.onnx.export(
                module,
                (),
                kwargs={name: torch.from_numpy(np.array(batch)) for name, batch in example.items()},
                input_names=list(example),
                output_names=places,
                dynamic_shapes=shapes,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        except ModuleNotFoundError as error:
            raise _missing(error) from error
        except Exception as error:
            # Whatever the module does with tensors that stand for any values can go wrong in any way.
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            fix = "See what torch.onnx.export says of it; branches on values need torch.cond, lengths that vary need `lengths`"
            raise Invalid(f"PyTorch cannot export it: {lines[0]}", where=_WHERE, fix=fix) from error
    found = [one.name for one in program.model_proto.graph.output]
    if found != places:
        raise CheckFailed(f"it answers {len(found)} tensors, and {len(outputs)} were named", where=_WHERE)
    return _named(program.model_proto, outputs)


def _named(model: onnx.ModelProto, outputs: Sequence[str]) -> bytes:
    """The bytes of a graph with these names for its outputs, whatever its own values are called."""
    named = onnx.compose.add_prefix(model, _INNER, rename_inputs=False, rename_outputs=False, rename_functions=False)
    for output, name in zip(named.graph.output, outputs, strict=True):
        named.graph.node.append(onnx.helper.make_node("Identity", [output.name], [name]))
        output.name = name
    return bytes(named.SerializeToString())


def _asking(torch: Any, module: Any) -> Reference:
    def ask(batches: Mapping[str, Array]) -> list[Array]:
        with torch.no_grad():
            answered = module(**{name: torch.from_numpy(np.array(batch)) for name, batch in batches.items()})
        if isinstance(answered, Mapping):
            answered = list(answered.values())
        tensors = list(answered) if isinstance(answered, list | tuple) else [answered]
        return [np.asarray(one.numpy()) for one in tensors]

    return ask


@contextlib.contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """The module in evaluation mode, in which dropout and batch normalisation do what they do in service."""
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        # Parts that were frozen by hand stay in their own mode.
        for part, training in before:
            part.training = training


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch's exporter without its asides: of packages that are not there, and of its own deprecations."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        raise _missing(error) from error


def _missing(error: ModuleNotFoundError) -> Invalid:
    what = f"exporting a PyTorch module needs the package {error.name!r}"
    return Invalid(what, where=_WHERE, fix="Install it: pip install 'kept[torch]'")
