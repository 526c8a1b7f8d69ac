"""Redaction before anything reaches the spool: named features are left out, or a keyed hash stands for them."""

import hashlib
import logging
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from kept.serving.entries import Answered, ArmNote, Failed
from kept.serving.logrules import LogRules

_HASH_BYTES = 16
_logger = logging.getLogger("kept.serving")

Part = tuple[int, Callable[[Any], Any] | None]


class Redaction:
    """Takes the named features out of entries.

    A hash is BLAKE2b (RFC 7693) of name and value under the key, 16 bytes in hexadecimal; so equal values of one feature
    have equal hashes, and those of two features tell nothing of each other. A missing value stays missing.
    """

    def __init__(self, rules: LogRules) -> None:
        self._rules = rules
        self._key = hashlib.blake2b(rules.key).digest()
        self._parts: dict[str, tuple[ArmNote, list[Part]]] = {}

    def of(self, note: ArmNote, batch: Answered) -> tuple[ArmNote, Answered]:
        """An arm's note and predictions as they may be logged; the given ones stay as they are."""
        known = self._parts.get(note.key)
        if known is None:
            known = self._parts[note.key] = self._plan(note)
        changed, parts = known
        rows = [[row[place] if hide is None else hide(row[place]) for place, hide in parts] for row in batch.features]
        return changed, msgspec.structs.replace(batch, features=rows)

    def of_failure(self, failed: Failed) -> Failed:
        """A failure as it may be logged: its reason may tell the value that was refused."""
        named = sorted(name for name in self._rules.redacted if name in failed.reason)
        if not named:
            return failed
        return msgspec.structs.replace(failed, reason=f"refused; what it says of {', '.join(named)} is not logged")

    def _plan(self, note: ArmNote) -> tuple[ArmNote, list[Part]]:
        if strange := sorted(self._rules.redacted - set(note.names)):
            # It may have been renamed, and is logged under its new name then.
            _logger.warning("%s takes no %s, which the log is declared not to hold", note.key, ", ".join(strange))
        places = [place for place, name in enumerate(note.names) if name not in self._rules.drop]
        hashed = {place for place in places if note.names[place] in self._rules.hash}
        parts: list[Part] = [
            (place, self._hasher(note.names[place], note.kinds[place]) if place in hashed else None) for place in places
        ]
        changed = msgspec.structs.replace(
            note,
            names=tuple(note.names[place] for place in places),
            kinds=tuple("text" if place in hashed else note.kinds[place] for place in places),
        )
        return changed, parts

    def _hasher(self, name: str, kind: str) -> Callable[[Any], Any]:
        def hashed(value: Any) -> str | None:
            if value is None:
                return None
            if isinstance(value, np.ndarray):
                told = f"{name}\0{value.dtype.name}{value.shape}\0".encode() + value.tobytes()
                return hashlib.blake2b(told, key=self._key, digest_size=_HASH_BYTES).hexdigest()
            # JSON may say 3 and 3.0 for the same number.
            plain = float(value) if kind == "number" else int(value) if kind == "integer" else value
            return hashlib.blake2b(f"{name}\0{plain!r}".encode(), key=self._key, digest_size=_HASH_BYTES).hexdigest()

        return hashed


def redaction_for(rules: LogRules) -> Redaction | None:
    """What takes the named features out, or None when none is named."""
    return Redaction(rules) if rules.redacted else None
