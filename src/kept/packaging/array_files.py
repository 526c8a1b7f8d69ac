"""Reading arrays from untrusted files: declared sizes are checked before memory is allocated."""

import math
import zlib
from io import BytesIO
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_LARGEST = 1 << 30
_UNREADABLE = (OSError, EOFError, BadZipFile, zlib.error, TypeError, RuntimeError, NotImplementedError, OverflowError)


def read_npz(data: bytes, *, largest: int = _LARGEST) -> dict[str, NDArray[Any]]:
    """The arrays in a `.npz` file, by name. No objects: these could run code.

    Args:
        data: the file.
        largest: bytes that all of them may have together.

    Raises:
        ValueError: it is none, or its arrays would be larger, or other than it says.
    """
    try:
        with ZipFile(BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > largest:
                raise ValueError(f"it unpacks to more than {largest:,} bytes")
            if len(set(archive.namelist())) < len(archive.namelist()):
                raise ValueError("it holds two arrays of one name")
            # A zip reads no more of an entry than it says that there is.
            return {name.removesuffix(".npy"): read_npy(archive.read(name)) for name in archive.namelist()}
    except _UNREADABLE as error:
        raise ValueError(str(error)) from error


def read_npy(data: bytes) -> NDArray[Any]:
    """The array in a `.npy` file. `ValueError` when it is none, or does not hold as many elements as it says."""
    file = BytesIO(data)
    try:
        shape, _, dtype = _header(file)
        if math.prod(shape) * dtype.itemsize > len(data):
            raise ValueError(f"it says that it holds {'x'.join(map(str, shape))} elements, and does not")
        array: NDArray[Any] = np.load(BytesIO(data), allow_pickle=False)
    except _UNREADABLE as error:
        raise ValueError(str(error)) from error
    return array


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"the version {version} of the format is not read")
    return read(file)
