"""The self-test of a bundle: rows, and what the original estimator answered to them."""

from typing import Any

import msgspec

SELF_TEST = "self_test.json"


class SelfTest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows and what the original estimator answered to them (None for what is not a finite number)."""

    rows: tuple[dict[str, Any], ...]
    answers: tuple[tuple[float | None, ...], ...]
    tolerance: float = 1e-9
