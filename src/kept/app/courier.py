"""The courier: delivers outboxes (webhooks, notices of alerts, lineage) beside whatever else a process does."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from kept.governance.workspace import Workspace
from kept.monitoring.notify import deliver_notice, give_up_removed, places_owed
from kept.registry.lineage_telling import lineage_owed, tell_next
from kept.registry.webhook_delivery import deliver_next, forget_old, webhooks_owed

_AT_ONCE = 8
_FORGETS_EVERY_SECONDS = 3_600.0
_PAUSE_SECONDS = 5.0
_FAREWELL_SECONDS = 2.0

_logger = logging.getLogger("kept.courier")


class Courier:
    """Looks for what is due, and carries it in a thread for each receiver: one that hangs holds up no other.

    Any number of processes may carry for a workspace: what one has taken no other tries. What a process had taken when
    it was killed is tried by the next one, when the time of its attempt is over.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._busy: dict[str, threading.Thread] = {}
        self._looking = threading.Thread(target=self._look, name="courier", daemon=True)

    def start(self) -> None:
        """Begins to carry."""
        self._looking.start()

    def stop(self) -> None:
        """Ends what it does; what is under way may have two seconds, and is tried again by the next one otherwise."""
        self._stopping.set()
        until = time.monotonic() + _FAREWELL_SECONDS
        self._looking.join(_FAREWELL_SECONDS)
        with self._lock:
            under_way = list(self._busy.values())
        for thread in under_way:
            thread.join(max(0.0, until - time.monotonic()))

    def _look(self) -> None:
        pause, forgets_in = 0.0, 0.0
        while not self._stopping.wait(pause):
            pause = self._workspace.settings.poll_seconds
            try:
                if forgets_in <= 0:
                    forget_old(self._workspace)
                    give_up_removed(self._workspace)
                    forgets_in = _FORGETS_EVERY_SECONDS
                self._send_out()
            except Exception:
                _logger.exception("cannot see what is owed; trying again")
                pause = _PAUSE_SECONDS
            forgets_in -= pause

    def _send_out(self) -> None:
        with self._lock:
            busy = set(self._busy)
        if len(busy) >= _AT_ONCE:
            return
        # Alerts first: they are few, and somebody waits for them.
        for place in places_owed(self._workspace, but=busy, limit=_AT_ONCE - len(busy)):
            self._begin(place, partial(self._notice, place))
        for place in lineage_owed(self._workspace, but=busy):
            self._begin(place, partial(self._lineage, place))
        with self._lock:
            busy = set(self._busy)
        if len(busy) >= _AT_ONCE:
            return
        for webhook in webhooks_owed(self._workspace, but=busy, limit=_AT_ONCE - len(busy)):
            self._begin(webhook, partial(self._delivery, webhook))

    def _begin(self, receiver: str, carry: Callable[[], bool]) -> None:
        thread = threading.Thread(target=self._carry, args=[receiver, carry], name="courier-carrying", daemon=True)
        with self._lock:
            self._busy[receiver] = thread
        thread.start()

    def _carry(self, receiver: str, carry: Callable[[], bool]) -> None:
        try:
            while not self._stopping.is_set() and carry():
                pass
        except Exception:
            _logger.exception("failed at %s; trying again", receiver)
            self._stopping.wait(_PAUSE_SECONDS)
        finally:
            with self._lock:
                self._busy.pop(receiver, None)

    def _delivery(self, webhook: str) -> bool:
        """Tries one delivery of a webhook; whether there was one."""
        tried = deliver_next(self._workspace, webhook)
        if tried is not None and tried.state == "failed":
            _logger.warning("gave up delivery %s of webhook %s: %s", tried.id, webhook, tried.error)
        return tried is not None

    def _lineage(self, place: str) -> bool:
        """Tries one event of a run; whether there was one."""
        tried = tell_next(self._workspace, place)
        if tried is not None and tried.error is not None:
            _logger.warning("%s did not take run %s: %s", place, tried.run_id, tried.error)
        return tried is not None

    def _notice(self, place: str) -> bool:
        """Tries one notice of an alert; whether there was one."""
        tried = deliver_notice(self._workspace, place)
        if tried is not None and tried.error is not None:
            _logger.warning("%s did not take alert %s: %s", place, tried.alert_id, tried.error)
        return tried is not None


@contextmanager
def carrying(workspace: Workspace) -> Iterator[None]:
    """A courier for as long as the block runs."""
    courier = Courier(workspace)
    courier.start()
    try:
        yield
    finally:
        courier.stop()
