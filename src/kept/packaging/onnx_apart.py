"""Checking foreign ONNX files in a process of their own: shape inference may take any time and memory."""

import json
import resource
import subprocess
import sys

import msgspec

from kept.core.errors import Forbidden, Invalid, KeptError
from kept.packaging.onnx_check import check_onnx

# What the libraries take, and what is left for small graphs; beyond that a file may need so many times its size.
_MOST_MEMORY = 1 << 30
_TIMES_ITS_SIZE = 8
_LONGEST = 300
# It finds the modules that this process finds, where this process finds them.
_CODE = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from kept.packaging.onnx_apart import main
main(int(sys.argv[2]), sys.argv[3])
"""
_KINDS: dict[str, type[KeptError]] = {one.__name__: one for one in (Invalid, Forbidden)}
_FIX = "Export it with fixed sizes"


class _Refusal(msgspec.Struct):
    kind: str
    what: str
    fix: str | None


def check_apart(data: bytes, *, where: str, most_memory: int = _MOST_MEMORY) -> None:
    """Raises what `check_onnx` raises; `Invalid`, too, when the look takes more memory or time than it may."""
    most = most_memory + _TIMES_ITS_SIZE * len(data)
    command = [sys.executable, "-P", "-c", _CODE, json.dumps(sys.path), str(most), where]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=_LONGEST, check=False)
    except subprocess.TimeoutExpired as error:
        raise Invalid(f"to look at it takes longer than {_LONGEST} s", where=where, fix=_FIX) from error
    if done.returncode:
        raise Invalid(f"to look at it takes more than {most >> 20} MB", where=where, fix=_FIX)
    refusal = msgspec.json.decode(done.stdout, type=_Refusal | None)
    if refusal is not None:
        raise _KINDS[refusal.kind](refusal.what, where=where, fix=refusal.fix)


def main(most: int, where: str) -> None:
    """Looks at what comes in, with so many bytes of memory, and writes why it is refused, or null."""
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    refusal = None
    try:
        check_onnx(sys.stdin.buffer.read(), where=where)
    except (Invalid, Forbidden) as error:
        refusal = _Refusal(type(error).__name__, error.what, error.fix)
    sys.stdout.buffer.write(msgspec.json.encode(refusal))
