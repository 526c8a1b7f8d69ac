"""The pace of the replay: event time must not run ahead of what a real day would give the loop."""

import time
from collections.abc import Callable
from datetime import datetime

from kept.app.connection import Connection
from kept.core.errors import Unavailable
from kept.loop.status import EndpointState, ShowLoop, show_loop

_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 120.0
# While a model is trained a day takes about as long as the training: requests go on, at this distance.
_DISTANCE_SECONDS = 0.004


class Pace:
    """Holds the replay where a real day would have held the loop.

    A training of some seconds is minutes of a real day, but a replay at full speed passes months in it. So requests go
    on slowly while a model is trained, at most to the end of the next day; then the day waits for the training.
    """

    def __init__(self, connection: Connection, endpoint: str, said: Callable[[str], None]) -> None:
        self._connection = connection
        self._endpoint = endpoint
        self._said = said
        self.training = False

    def breathe(self) -> None:
        """Between two requests."""
        if self.training:
            time.sleep(_DISTANCE_SECONDS)

    def settle(self, sent_until: datetime) -> EndpointState:
        """The state when all that was sent up to a moment was shipped, watched and decided upon.

        A training that began before this day waits to its end here; one that begins now has the next day for it.
        """
        began = self.training
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            state = self.state()
            settled = state.decided_until is not None and state.decided_until >= sent_until
            if settled and not (began and state.training):
                self.training = state.training
                return state
            if state.training:
                self._said("a model is being trained")
                deadline = time.monotonic() + _PATIENCE_SECONDS
            if time.monotonic() > deadline:
                fix = "See the logs of the demo's workspace"
                raise Unavailable(f"the loop has stood still at {state.decided_until}", where="worker", fix=fix)
            time.sleep(_LOOK_SECONDS)

    def state(self) -> EndpointState:
        """The endpoint as the loop sees it."""
        found = self._connection.call(show_loop, ShowLoop(endpoint=self._endpoint))
        return found.endpoints[0]
