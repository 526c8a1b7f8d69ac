"""Values of rows as arrays of the elements and shapes that a signature declares. Serving's hot path, so no table library."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Invalid
from kept.packaging.signature import Field, Tensor

Array = NDArray[Any]


def tensor_of(field: Field) -> Tensor:
    """The tensor of a field that is one."""
    assert field.tensor is not None  # noqa: S101 - asked of models that take tensors, whose fields all are
    return field.tensor


def array_of(values: Any, tensor: Tensor, where: str) -> Array:
    """Lists within lists of numbers as an array of a tensor's elements, of whatever shape the lists have.

    Raises:
        Invalid: the lists are not all of one length, or a value is none of that type or beyond it.
    """
    if _holds_text(values):
        raise Invalid(f"expected elements of {tensor.element}, found {_OTHERS}", where=where)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise Invalid("its lists are not all of one length", where=where, fix="Send a full tensor") from error
    if array.size and array.dtype.kind not in _FITTING[np.dtype(tensor.element).kind]:
        raise Invalid(f"expected elements of {tensor.element}, found {_said(array)}", where=where)
    return cast(array, tensor, where)


def cast(array: Array, tensor: Tensor, where: str) -> Array:
    """An array as one of a tensor's elements; `Invalid` where a value is beyond what these can hold."""
    dtype = np.dtype(tensor.element)
    if array.dtype == dtype:
        return array
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        if array.size and (array.min() < bounds.min or array.max() > bounds.max):
            raise Invalid(f"a value is beyond {tensor.element}", where=where, fix=f"Send {bounds.min} to {bounds.max}")
        return array.astype(dtype)
    with np.errstate(over="ignore"):
        made = array.astype(dtype)
    if dtype.kind == "f" and np.isinf(made).sum() > (np.isinf(array).sum() if array.dtype.kind == "f" else 0):
        raise Invalid(f"a value is beyond {tensor.element}", where=where, fix=f"Send at most {np.finfo(dtype).max:g}")
    return made


def check_shape(found: Sequence[int], tensor: Tensor, where: str, *, rows: bool) -> None:
    """Refuses another shape than the declared one; with `rows`, both begin with the number of rows."""
    wanted = (-1, *tensor.shape) if rows else tensor.shape
    fits = len(found) == len(wanted) and all(
        size == length > -1 or (length == -1 and size > 0) for size, length in zip(found, wanted, strict=True)
    )
    if not fits:
        fix = "-1 stands for any number; send at least one row" if rows else "-1 stands for any number"
        raise Invalid(f"expected the shape {list(wanted)}, found {list(found)}", where=where, fix=fix)


def row_of(value: Any, field: Field, where: str) -> Array:
    """What one row has in a field, checked against the signature."""
    tensor = tensor_of(field)
    array = array_of(value, tensor, where)
    check_shape(array.shape, tensor, where, rows=False)
    return array


def batch_of(values: Any, field: Field, where: str) -> Array:
    """What several rows have in a field: lists, or an array whose first dimension is that of the rows."""
    tensor = tensor_of(field)
    array = array_of(values, tensor, where)
    check_shape(array.shape, tensor, where, rows=True)
    return array


# Kinds of what was sent, by the kind of what is wanted: whole numbers are numbers, and truths are nothing but themselves.
_FITTING = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}
_OTHERS = "text, null or objects"


def _holds_text(values: Any) -> bool:
    """Whether there is text in lists within lists. NumPy would give each element the room of the longest one."""
    level: list[Any] = [] if isinstance(values, np.ndarray) else [values]
    while level:
        kinds = set(map(type, level))
        if str in kinds:
            return True
        level = list(chain.from_iterable(one for one in level if type(one) is list)) if list in kinds else []
    return False


def _said(array: Array) -> str:
    return {"f": "numbers with a fraction", "i": "whole numbers", "u": "whole numbers", "b": "true and false"}.get(
        array.dtype.kind, _OTHERS
    )
