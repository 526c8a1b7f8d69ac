"""Deleted rows as other writers of Delta mark them, without writing the file anew: the form is that of Delta's protocol."""

import json
import struct
from pathlib import Path

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_FEATURES = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}


def delete_row(table: Path, place: int) -> None:
    """Marks one row of a table of one file and one version as deleted."""
    log = table / "_delta_log"
    actions = map(json.loads, (log / f"{0:020}.json").read_text().splitlines())
    (add,) = (one["add"] for one in actions if "add" in one)
    # A bitmap array of one bitmap (key 0), which is one container of one value.
    vector = struct.pack("<IQI", 1681511377, 1, 0) + struct.pack("<IIHHIH", 12346, 1, 0, 0, 16, place)
    marked = {"storageType": "i", "pathOrInlineDv": _z85(vector), "sizeInBytes": len(vector), "cardinality": 1}
    made = [
        {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **_FEATURES}},
        {"remove": {"path": add["path"], "deletionTimestamp": 1, "dataChange": True}},
        {"add": {**add, "deletionVector": marked}},
    ]
    (log / f"{1:020}.json").write_text("\n".join(map(json.dumps, made)))


def _z85(data: bytes) -> str:
    data += bytes(-len(data) % 4)
    numbers = [int.from_bytes(data[start : start + 4], "big") for start in range(0, len(data), 4)]
    return "".join(_DIGITS[number // 85**place % 85] for number in numbers for place in (4, 3, 2, 1, 0))
