"""The manifest: what stands in a bundle, by digest, and what is known about it. Format number 1."""

import re
from datetime import datetime
from typing import Literal

import msgspec

from kept.core.digests import canonical_json, digest_bytes
from kept.core.errors import Damaged, Invalid
from kept.packaging.encoding import TableEncoder
from kept.packaging.signature import Label, Signature

FORMAT: Literal[1] = 1
MANIFEST = "manifest.json"
# A manifest holds dictionaries of categories, never data: one that is larger is not one of ours.
LARGEST_MANIFEST = 64 * 1024 * 1024

# A bundle is flat: a name with no separator cannot lead out of its folder on any system.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")

Kind = Literal["onnx", "skops", "pickle-trusted"]


class BundleFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the bundle."""

    name: str
    size: int
    digest: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > 128 or self.name == MANIFEST:
            raise Invalid(
                f"{self.name!r} is not a file name", where="manifest", fix="Use letters, digits, -, _ and dots"
            )
        if self.size < 0 or not re.fullmatch(r"sha256:[0-9a-f]{64}", self.digest):
            raise Invalid(f"{self.name!r} has no proper size and digest", where="manifest")


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the estimator takes, per matrix column, found by asking it. What it refuses, the bundle refuses too.

    Args:
        missing: whether the column may be missing.
        largest: the largest absolute value that the column may have; None when there is no bound (infinities are fine).
    """

    missing: tuple[bool, ...]
    largest: tuple[float | None, ...]


class ParityGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of rows on which the bundle's runtime was held against the original estimator.

    `largest_difference` is absolute for probabilities and relative to the value for values beyond 1;
    None when one of the two gave no number where the other did.
    """

    name: str
    rows: int
    largest_difference: float | None


class ParityReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcome of the parity check."""

    holds: bool
    tolerance: float
    groups: tuple[ParityGroup, ...]
    reason: str = ""


class Environment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the bundle was made: the interpreter, the machine and every installed package with its version."""

    python: str
    platform: str
    packages: dict[str, str]


class Latency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Time for one row through `Runtime.predict_rows`, in milliseconds, in one warm thread."""

    p50_ms: float
    p99_ms: float
    runs: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle is. Its digest is the digest of the bytes of `manifest.json`.

    Args:
        format: the number of this format.
        signature: what the model takes and answers.
        input: what the model takes: the encoder's matrix, a table with named columns, or tensors.
        encoder: how rows become the matrix; None for a table and for tensors.
        dtypes: for a table, the polars type of each column.
        runtime: what runs the model.
        model: the name of the model's file.
        own_classes: the estimator's own names of the signature's classes, in the same order; none where they are the same.
        estimator: the class that was packaged.
        files: every file but the manifest.
        limits: what the estimator takes, None where that was not found out.
        parity: the check of the packaged model against the original.
        not_exported: why the model is not ONNX, empty when it is.
        converted: the classes of its parts that skl2onnx converted, and no exact exporter.
        environment: where it was made.
        latency: measured on the machine that made it.
        size_bytes: all files but the manifest together.
        created_at: when it was made, UTC.
    """

    format: Literal[1] = FORMAT
    signature: Signature
    input: Literal["matrix", "table", "tensors"]
    encoder: TableEncoder | None = None
    dtypes: dict[str, str] = msgspec.field(default_factory=dict)
    runtime: Kind
    model: str
    own_classes: tuple[Label, ...] = ()
    estimator: str
    files: tuple[BundleFile, ...]
    limits: Limits | None = None
    parity: ParityReport
    not_exported: str = ""
    converted: tuple[str, ...] = ()
    environment: Environment
    latency: Latency
    size_bytes: int
    created_at: datetime

    def __post_init__(self) -> None:
        names = [file.name.lower() for file in self.files]
        if len(set(names)) != len(names):
            raise Invalid("a file is listed twice", where="manifest")
        if self.model not in {file.name for file in self.files}:
            raise Invalid(f"its model {self.model!r} is not among its files", where="manifest")
        if self.own_classes and len(set(self.own_classes)) != len(self.signature.classes):
            raise Invalid("the estimator does not have as many classes as it answers", where="manifest")
        if (self.input == "matrix") != (self.encoder is not None):
            raise Invalid("a matrix needs an encoder, a table has none", where="manifest")
        if self.signature.takes_tensors != (self.input == "tensors") or (
            self.input == "tensors" and self.runtime != "onnx"
        ):
            raise Invalid("tensors are taken by ONNX models with a signature of tensors", where="manifest")

    @property
    def size_mb(self) -> float:
        """The size in megabytes (10^6 bytes)."""
        return self.size_bytes / 1e6


def encode_manifest(manifest: Manifest) -> bytes:
    """The bytes of `manifest.json`: equal manifests give equal bytes."""
    plain = msgspec.to_builtins(manifest)
    if not manifest.converted:
        # Services of before there was a conversion, which may still run, read no manifest that names it.
        del plain["converted"]
    return canonical_json(plain)


def decode_manifest(data: bytes, *, where: str) -> Manifest:
    """The manifest in bytes that may come from anywhere. `Damaged` when they are not one."""
    if len(data) > LARGEST_MANIFEST:
        raise Damaged("the manifest is too large to be one", where=where)
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, Invalid, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(
            f"this is not a manifest of format {FORMAT}: {error}", where=where, fix="Package it again"
        ) from error


def bundle_digest(manifest: bytes) -> str:
    """The digest by which a bundle is judged, signed and served."""
    return digest_bytes(manifest)


_decoder = msgspec.json.Decoder(Manifest)
