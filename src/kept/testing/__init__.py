"""Conformance kits: who writes a keeper for a seam runs the tests that ours pass.

A kit is a class of tests. Derive from it, say how your keeper is opened, and let pytest run it. Kits need pytest, which
Kept itself does not depend on; `ManualClock` does not need it.
"""

from contextlib import suppress

_KITS = ("blobs", "clock", "database", "executor", "jobs", "routes", "tables")

with suppress(ImportError):
    import pytest

    # So that what fails in a kit is shown as in a test of one's own.
    pytest.register_assert_rewrite(*(f"{__name__}.{kit}" for kit in _KITS))
