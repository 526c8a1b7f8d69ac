"""Artifact locations of registered models' versions after an import."""

from collections.abc import Iterable
from itertools import pairwise
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from kept.registry.imported import ImportedRegisteredModel, ImportedVersion


class Addresses:
    """Old and new addresses of the runs and logged models that versions name: of these only, they may be many."""

    def __init__(self) -> None:
        self._named: set[str] = set()
        self._old: dict[str, str] = {}
        self._new: dict[str, str] = {}

    def expect(self, models: Iterable[ImportedRegisteredModel]) -> None:
        """Remembers which runs and logged models versions name."""
        for model in models:
            for one in model.versions:
                self._named |= set(_owners(one))

    def put(self, owner: str, old: str, new: str) -> None:
        """Where the files of a run or logged model stood, and where they stand; '' when they were not brought."""
        if owner in self._named:
            self._old[owner] = _plain(old)
            self._new[owner] = new

    def followed(self, version: ImportedVersion) -> tuple[ImportedVersion, bool]:
        """The version with the addresses of its files here, and whether they are here."""
        owners = _owners(version)
        location = self._moved(version.location, owners) or self._moved(version.source, owners)
        is_symbol = _parts(version.source).scheme in {"runs", "models"}
        source = version.source if is_symbol else self._moved(version.source, owners) or version.source
        moved = msgspec.structs.replace(version, source=source, location=location or version.location or version.source)
        return moved, bool(location) or not (version.location or version.source)

    def _moved(self, address: str, owners: Iterable[str]) -> str:
        parts = _parts(address)
        if parts.scheme in {"runs", "models"}:
            owner, _, below = (parts.netloc + parts.path).strip("/").partition("/")
            new = self._new.get(owner, "")
            return f"{new}/{below}".rstrip("/") if new else ""
        plain = _plain(address)
        for owner in owners:
            old, new = self._old.get(owner, ""), self._new.get(owner, "")
            if old and new and (plain == old or plain.startswith(f"{old}/")):
                return new + plain[len(old) :]
        return ""


def _owners(version: ImportedVersion) -> list[str]:
    """The runs and logged models that a version may have its files of.

    A copy of a version names none, and neither does one that was registered by the address of files: there the address
    tells, in which the owner stands before `artifacts`.
    """
    named = [version.logged_model, _run_of(version.source), version.run_id]
    for address in (version.location, version.source):
        parts = _parts(address).path.split("/")
        named += [owner for owner, after in pairwise(parts) if after == "artifacts"]
    return list(dict.fromkeys(one for one in named if one))


def _run_of(source: str) -> str:
    parts = _parts(source)
    return (parts.netloc + parts.path).strip("/").partition("/")[0] if parts.scheme == "runs" else ""


def _parts(address: str) -> SplitResult:
    """The parts of an address; of what is none, none."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _plain(address: str) -> str:
    parts = _parts(address)
    return unquote(parts.path).rstrip("/") if parts.scheme == "file" else address.rstrip("/")
