"""What the tests of the MLflow door share."""

from collections.abc import Callable
from typing import Any

ADDRESS = "http://127.0.0.1:8700"
Ask = Callable[..., Any]
"""Asks an endpoint: `ask(method, path, body, fails=(status, code), root=..., **query)`."""
