from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.packaging.ubjson import read_ubjson


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"Z", None),
        (b"T", True),
        (b"i\xff", -1),
        (b"U\xff", 255),
        (b"I\x01\x00", 256),
        (b"l\xff\xff\xff\xff", -1),
        (b"d\x3f\x80\x00\x00", 1.0),
        (b"D\x3f\xf0\x00\x00\x00\x00\x00\x00", 1.0),
        (b"Si\x02\xc3\xa9", "é"),
        (b"[i\x01Si\x01a]", [1, "a"]),
        (b"[$U#i\x03\x01\x02\x03", [1, 2, 3]),
        (b"[#i\x01T", [True]),
        (b"{i\x01aTi\x01b[]}", {"a": True, "b": []}),
        (b"{$i#i\x01i\x01a\x07", {"a": 7}),
    ],
)
def test_values_are_read(data: bytes, value: Any) -> None:
    assert read_ubjson(data) == value


@pytest.mark.parametrize(
    "data",
    [
        b"", b"x", b"[", b"{i\x01a", b"SL\x7f\xff\xff\xff\xff\xff\xff\xff", b"[$Z#L\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"[" * 100, b"TT", b"Si\xff", b"[$U\x01", b"Si\x01\xff",
    ],
)  # fmt: skip
def test_what_is_no_value_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_ubjson(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(ValueError):
        read_ubjson(data)
