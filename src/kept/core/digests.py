"""Content digests: `sha256:` and 64 hexadecimal digits."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from kept.core.errors import Damaged

_encoder = msgspec.json.Encoder(order="deterministic")


def digest_bytes(data: bytes | memoryview) -> str:
    """The digest of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def digest_file(path: Path) -> str:
    """The digest of a file's bytes, read in pieces."""
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no white space: equal values give equal bytes."""
    return _encoder.encode(value)


def digest_json(value: Any) -> str:
    """The digest of a value's canonical JSON."""
    return digest_bytes(canonical_json(value))


def verify(data: bytes, digest: str, *, where: str) -> bytes:
    """The same bytes, or `Damaged` when they are not what the digest says."""
    if (found := digest_bytes(data)) != digest:
        raise Damaged(f"expected {digest}, found {found}", where=where, fix="Restore it from a backup")
    return data
