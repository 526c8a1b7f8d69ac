"""What the prediction log holds of a tensor: small ones whole, of larger ones what tells them apart.

A tensor becomes `[shape, norm, digest, values]`: its Euclidean norm; `sha256:...` of its elements' bytes (little endian, row by
row), null where it is whole; its values, row by row, null where it is not.
"""

from typing import Any

import msgspec
import numpy as np

from kept.core.digests import digest_bytes
from kept.packaging.tensors import Array
from kept.serving.entries import Answered
from kept.serving.protocol.number_rows import NumberRows
from kept.serving.protocol.tensor_answers import TensorScore


class LoggedTensors:
    """Makes of a tensor, or of an answer that holds some, what is logged of it; and of rows in a matrix the rows.

    Args:
        whole: how many values a tensor may have to be logged whole.
    """

    def __init__(self, whole: int) -> None:
        self._whole = whole

    def __call__(self, value: Any) -> Any:
        """What an encoder asks of values that it does not know."""
        if isinstance(value, NumberRows):
            return msgspec.Raw(value.packed())
        if isinstance(value, TensorScore):
            return [value.score, value.tensors]
        if isinstance(value, np.ndarray):
            return self._logged(value)
        raise NotImplementedError(f"nothing is known of a {type(value).__name__} in the log")

    def entry(self, entry: Answered) -> Answered:
        """Predictions of an arm that answers tensors as the log holds them, for whoever writes no spool."""
        return msgspec.structs.replace(
            entry,
            features=[
                [self(value) if isinstance(value, np.ndarray) else value for value in row] for row in entry.features
            ],
            scores=[[one.score, [self(tensor) for tensor in one.tensors]] for one in entry.scores],
        )

    def _logged(self, array: Array) -> list[Any]:
        flat = array.ravel()
        norm = float(np.linalg.norm(flat.astype(np.float64)))
        if flat.size <= self._whole:
            return [array.shape, norm, None, flat.tolist()]
        return [array.shape, norm, digest_bytes(flat.astype(array.dtype.newbyteorder("<"), copy=False).data), None]
