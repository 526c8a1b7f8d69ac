"""Rows of tensors in a file, and what a model should answer to them."""

from pathlib import Path

import msgspec

from kept.core.errors import Invalid, NotFound
from kept.packaging.array_files import read_npz
from kept.packaging.signature import Signature
from kept.packaging.tensors import Array

_LARGEST = 1 << 30


class TensorSample(msgspec.Struct, frozen=True, kw_only=True):
    """Batches by name, rows first."""

    inputs: dict[str, Array]
    expected: dict[str, Array]
    """The answers, for outputs that were named; of equally many rows."""


def read_sample(path: Path, signature: Signature) -> TensorSample:
    """The rows in a `.npz` file: an array for each input, and one for each output whose answers are to be held to.

    Raises:
        NotFound: there is no such file.
        Invalid: it is none, holds objects, or an array that the model neither takes nor answers.
    """
    where = str(path)
    if not path.is_file():
        raise NotFound("there is no such file", where=where)
    if path.stat().st_size > _LARGEST:
        raise Invalid(f"it is larger than {_LARGEST:,} bytes", where=where)
    try:
        found = read_npz(path.read_bytes())
    except ValueError as error:
        fix = "Write it with numpy.savez(file, **{input: array})"
        raise Invalid(f"it holds no arrays ({error})", where=where, fix=fix) from error
    outputs = [one.name for one in signature.outputs]
    if strange := [name for name in found if name not in (*signature.names, *outputs)]:
        fix = f"The model takes {', '.join(signature.names)} and answers {', '.join(outputs)}"
        raise Invalid(f"{strange[0]!r} is neither an input nor an output", where=where, fix=fix)
    expected = {name: found[name] for name in outputs if name in found and name not in signature.names}
    inputs = {name: found[name] for name in signature.names if name in found}
    rows = {len(array) if array.ndim else -1 for array in found.values()}
    if len(rows) != 1 or rows & {-1, 0}:
        raise Invalid(
            "its arrays do not have equally many rows", where=where, fix="The first dimension is that of rows"
        )
    return TensorSample(inputs=inputs, expected=expected)
