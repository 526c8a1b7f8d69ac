"""What the tests of importing share."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from kept.app.importing.report import ImportReport

Bring = Callable[..., ImportReport]
"""Imports: `bring(address, artifacts=[...], part="", rehearse=False, thorough=False)`."""
Serve = Callable[[Path], AbstractContextManager[str]]
"""`kept web` on a workspace: a context with its address."""
