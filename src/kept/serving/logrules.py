"""The rules of the prediction log: how much of it is kept, what it must not hold, and what gives way when it is full."""

from typing import Literal

import msgspec
import xxhash

from kept.settings.settings import Settings, names_in

_PLACES = 2.0**64


class LogRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one process's log.

    Args:
        share: share of the answered requests that are logged, above 0.
        drop: features that are left out.
        hash: features of which a hash is logged.
        key: key of these hashes.
        overflow: `shed` answers nothing that is not logged; `drop` answers, and counts what the log lacks.
        most_bytes: how much may wait to be shipped, over all processes; 0 for no limit.
        flush: whether each write waits for the disk.
        tensor_values: how many values a tensor may have to be logged whole.
    """

    share: float = 1.0
    drop: frozenset[str] = frozenset()
    hash: frozenset[str] = frozenset()
    key: bytes = b""
    overflow: Literal["shed", "drop"] = "shed"
    most_bytes: int = 0
    flush: bool = False
    tensor_values: int = 64

    @property
    def redacted(self) -> frozenset[str]:
        """The features that the log does not hold as they were sent."""
        return self.drop | self.hash

    def takes(self, answer_id: str) -> bool:
        """Whether the request whose first answer has this id is logged: by a hash of the id, so that shadows agree."""
        return self.share >= 1.0 or xxhash.xxh3_64_intdigest(answer_id.encode()) < self.share * _PLACES


def log_rules(settings: Settings) -> LogRules:
    """The rules that the settings declare."""
    return LogRules(
        share=settings.log_share,
        drop=names_in(settings.log_drop),
        hash=names_in(settings.log_hash) - names_in(settings.log_drop),
        key=settings.log_key.encode(),
        overflow=settings.log_overflow,
        most_bytes=settings.log_megabytes << 20,
        flush=settings.log_flush,
        tensor_values=settings.log_tensor_values,
    )
