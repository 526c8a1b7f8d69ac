"""Files of arrays that say more than they hold cost no memory."""

import tracemalloc
import warnings
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
from numpy.lib import format as npy

from kept.packaging.array_files import read_npy, read_npz


def zipped(**entries: bytes) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def header(*shape: int) -> bytes:
    file = BytesIO()
    npy.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return file.getvalue()


def test_arrays_are_read() -> None:
    file = BytesIO()
    np.savez_compressed(file, one=np.arange(6.0).reshape(2, 3), none=np.zeros((0, 5)), word=np.array("a"))
    found = read_npz(file.getvalue())
    assert {name: array.shape for name, array in found.items()} == {"one": (2, 3), "none": (0, 5), "word": ()}
    assert np.array_equal(found["one"], np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (zipped(a=header(1 << 27) + bytes(8)), "says that it holds"),
        (zipped(a=header(1 << 40, 1 << 20)), "says that it holds"),
        (zipped(a=header(-1) + bytes(8)), None),
        (zipped(a=header(4) + bytes(2 << 20)), "unpacks to more than"),
        (zipped(a=b"\x93NUMPY\x03\x00"), "version"),
        (zipped(a=b"text"), None),
        (b"PK\x03\x04", None),
        (b"", None),
    ],
)
def test_what_says_more_than_it_holds_is_refused_at_no_cost(data: bytes, reason: str | None) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=reason):
            read_npz(data, largest=1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_an_entry_is_not_read_again_for_each_that_has_its_name() -> None:
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive, warnings.catch_warnings():
        # It says so when it is written, and no more.
        warnings.simplefilter("ignore")
        for _ in range(3_000):
            archive.writestr("a.npy", header(0))
        archive.writestr("a.npy", header(1 << 17) + bytes(8 << 17))
    with pytest.raises(ValueError, match="two arrays of one name"):
        read_npz(file.getvalue(), largest=2 << 20)


def test_objects_are_not_loaded() -> None:
    file = BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="Object arrays"):
        read_npy(file.getvalue())
