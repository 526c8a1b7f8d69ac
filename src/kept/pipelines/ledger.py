"""The ledger of a run's finished steps, and how a run is interrupted."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol


class Interrupted(BaseException):
    """Raised in `drive` when the engine stops: what was interrupted goes on at the next start.

    It is no `Exception`, and no `CancelledError` either: DBOS would write both into the ledger as the run's end.
    """


class Entry(Protocol):
    """A place in a run's ledger."""

    async def once(self, action: Callable[[], Awaitable[Any]]) -> Any:
        """What the action gives (plain values), from the ledger when it is written there already.

        An action that is interrupted between its end and the writing is done again.
        """
        ...


class Ledger(Protocol):
    """What a run has done. Places are reserved in the same order each time the run is gone through."""

    def reserve(self) -> Entry:
        """The next place."""
        ...
