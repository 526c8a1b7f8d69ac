"""Probe rows for models of tensors: sample rows, and such as can be made up from the signature."""

from collections.abc import Mapping

import numpy as np

from kept.core.errors import Invalid
from kept.packaging.signature import Element, Signature
from kept.packaging.tensors import Array, batch_of, tensor_of

DATA = "sample"
_MOST_SAMPLE = 256
_ROWS = 3
# Where a length is open; tensors that belong together (tokens and their mask) then have one.
_OPEN = 8


def probes(signature: Signature, sample: Mapping[str, Array] | None) -> dict[str, dict[str, Array]]:
    """Groups of rows by name, each a batch for each input. Deterministic.

    sample: the rows given, at most 256. random: normal numbers, small whole ones. zeros: nothing but zeros.

    Raises:
        Invalid: the sample does not fit the signature.
    """
    groups = {}
    if sample is not None:
        groups[DATA] = _fitting(signature, sample)
    random = np.random.default_rng(0)
    shapes = {
        one.name: (_ROWS, *(_OPEN if size == -1 else size for size in tensor_of(one).shape)) for one in signature.inputs
    }
    groups["random"] = {one.name: _drawn(random, tensor_of(one).element, shapes[one.name]) for one in signature.inputs}
    groups["zeros"] = {one.name: np.zeros(shapes[one.name], dtype=tensor_of(one).element) for one in signature.inputs}
    return groups


def _fitting(signature: Signature, sample: Mapping[str, Array]) -> dict[str, Array]:
    found = {}
    for field in signature.inputs:
        if field.name not in sample:
            fix = f"It takes {', '.join(signature.names)}"
            raise Invalid(f"there are no rows for the input {field.name!r}", where="sample", fix=fix)
        found[field.name] = batch_of(sample[field.name], field, f"sample: {field.name!r}")
    if len({len(batch) for batch in found.values()}) > 1:
        raise Invalid("its inputs do not have equally many rows", where="sample")
    return {name: batch[:_MOST_SAMPLE] for name, batch in found.items()}


def _drawn(random: np.random.Generator, element: Element, shape: tuple[int, ...]) -> Array:
    if element == "bool":
        return random.random(shape) < 0.5
    if element == "uint8":
        return random.integers(0, 256, shape, dtype=np.uint8)
    if element.startswith("float"):
        return random.normal(size=shape).astype(element)
    # Whole numbers are mostly places in a table, of which every one has two.
    return random.integers(0, 2, shape).astype(element)
