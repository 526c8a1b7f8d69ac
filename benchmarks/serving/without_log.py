"""Kept's prediction service with the log left out, to see what the log costs. Arguments as of `python -m kept.serving`."""

import sys
from typing import Any

from kept.serving import __main__ as door
from kept.serving.log import Spool


def _drop(spool: Spool, *entries: Any) -> None:
    del spool, entries


if __name__ == "__main__":
    Spool.write = _drop  # type: ignore[assignment, method-assign]  # nothing but this figure is for it
    sys.exit(door.main())
