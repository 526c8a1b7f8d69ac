"""The protocol's tensors for models whose inputs are tensors: as arrays, which are views of the bytes that came."""

import math
from typing import Any

import msgspec
import numpy as np

from kept.core.errors import Invalid
from kept.packaging.signature import Element, Field, Tensor
from kept.packaging.tensors import Array, array_of, check_shape, tensor_of
from kept.serving.protocol.values import explain, nested_type

DATATYPES: dict[Element, str] = {
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "bool": "BOOL",
}
_SPACE = b" \t\r\n"


def described(name: str, tensor: Tensor) -> dict[str, Any]:
    """What the protocol tells of a tensor; a dimension of -1 has any length, the first is that of the rows."""
    return {"name": name, "datatype": DATATYPES[tensor.element], "shape": [-1, *tensor.shape]}


class TensorColumn:
    """The tensor of one field, for all rows of a request."""

    def __init__(self, field: Field) -> None:
        self.name = field.name
        self._tensor = tensor_of(field)
        self.usual = DATATYPES[self._tensor.element]
        self._decoders: dict[int, msgspec.json.Decoder[Any]] = {}

    def read(self, tensor: Any) -> list[Array]:
        """An array for each row."""
        where = f"inputs {self.name!r}"
        if tensor.datatype != self.usual:
            raise Invalid(f"expected the datatype {self.usual}, found {tensor.datatype!r}", where=where)
        check_shape(tensor.shape, self._tensor, where, rows=True)
        batch = self._batch(tensor.data, tensor.shape, where)
        # An ellipsis, so that a row of single values is an array, too.
        return [batch[row, ...] for row in range(len(batch))]

    def _batch(self, data: Any, shape: list[int], where: str) -> Array:
        count = math.prod(shape)
        if isinstance(data, bytes | memoryview) and not isinstance(data, msgspec.Raw):
            return self._view(data, shape, count, where)
        values = self._decoded(data, len(shape), where) if isinstance(data, msgspec.Raw) else data
        array = array_of(values, self._tensor, where)
        if array.ndim > 1 and array.shape != tuple(shape):
            raise Invalid(f"its lists are not as long as the shape {shape} says", where=where)
        if array.size != count:
            raise Invalid(f"the shape {shape} holds {count} values, found {array.size}", where=where)
        return array.reshape(shape)

    def _view(self, data: bytes | memoryview, shape: list[int], count: int, where: str) -> Array:
        dtype = np.dtype(self._tensor.element).newbyteorder("<")
        if len(data) != count * dtype.itemsize:
            raise Invalid(
                f"expected {count * dtype.itemsize} bytes ({count} elements of {self.usual}), found {len(data)}",
                where=where,
                fix="Let shape, datatype and binary data agree",
            )
        if dtype.kind == "b" and np.frombuffer(data, np.uint8).max() > 1:
            raise Invalid("expected bytes of 0 and 1, found others", where=where)
        return np.frombuffer(data, dtype).reshape(shape)

    def _decoded(self, data: msgspec.Raw, dimensions: int, where: str) -> Any:
        if not data:
            fix = "Send the values as a list in `data`, or as bytes with binary_data_size and Inference-Header-Content-Length"
            raise Invalid("it has no data", where=where, fix=fix)
        flat = not bytes(memoryview(data)[:64]).translate(None, _SPACE).startswith(b"[[")
        depth = 1 if flat else dimensions
        if depth not in self._decoders:
            self._decoders[depth] = msgspec.json.Decoder(nested_type(self._tensor, depth))
        try:
            return self._decoders[depth].decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise explain(error, inside=f"{where}: data") from error
