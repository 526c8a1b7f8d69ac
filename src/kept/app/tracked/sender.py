"""The thread that delivers a run's spool, and retries while its destination is away."""

import logging
import random
import threading
import time
from collections.abc import Callable

from kept.app.tracked.delivery import Delivery, told

_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 5.0

_logger = logging.getLogger("kept.tracking")


class Sender:
    """Delivers whenever there is news, at most a few times a second.

    Args:
        open_delivery: makes the delivery; called in the thread, again when it fails.
        acknowledged: told how far the destination has acknowledged.
        afterwards: called once, after the first delivery.
    """

    def __init__(
        self,
        open_delivery: Callable[[], Delivery],
        acknowledged: Callable[[int], None],
        afterwards: Callable[[], None],
    ) -> None:
        self._open = open_delivery
        self._acknowledged = acknowledged
        self._afterwards = afterwards
        self._delivery: Delivery | None = None
        self._news = threading.Event()
        self._hurry = threading.Event()
        self._heard = threading.Condition()
        self._position = 0
        self._closing = threading.Event()
        self.trouble = ""
        """Why the destination does not take it now; '' when it does."""
        self._thread = threading.Thread(target=self._run, name="kept-send", daemon=True)
        self._thread.start()

    @property
    def delivery(self) -> Delivery | None:
        """What it delivers with, once there is one."""
        return self._delivery

    def news(self) -> None:
        """Says that there is more in the spool."""
        self._news.set()

    def wait(self, position: int, timeout: float | None) -> bool:
        """Waits until the destination has acknowledged all before a position; whether it did in time (seconds)."""
        self._hurry.set()
        self._news.set()
        try:
            with self._heard:
                return self._heard.wait_for(lambda: self._position >= position, timeout)
        finally:
            self._hurry.clear()

    def close(self) -> None:
        """Ends the thread; a request that is on its way may be acknowledged or not."""
        self._closing.set()
        self._hurry.set()
        self._news.set()
        self._thread.join(5)

    def _run(self) -> None:
        pause = 0.0
        while not self._closing.is_set():
            self._news.wait()
            self._news.clear()
            if self._closing.is_set():
                return
            try:
                if self._delivery is None:
                    self._delivery = self._open()
                self._deliver(self._delivery)
            except Exception as error:  # noqa: BLE001 - whatever it is: it is told, and tried again
                pause = min(_LONGEST_PAUSE_SECONDS, pause * 2 or 0.1)
                self._tell(told(error))
                self._rest(pause * random.uniform(0.7, 1.3))
                self._news.set()
            else:
                pause = 0.0
                self.trouble = ""
                self._afterwards()
                self._afterwards = _nothing
                self._rest(_PAUSE_SECONDS)

    def _deliver(self, delivery: Delivery) -> None:
        try:
            delivery.deliver()
        finally:
            with self._heard:
                self._position = delivery.position
                self._heard.notify_all()
            self._acknowledged(delivery.position)

    def _rest(self, seconds: float) -> None:
        # Who waits for an answer wants it at once; but what is away is not asked without a pause.
        end = time.monotonic() + seconds
        if not self._hurry.wait(seconds) or not self.trouble:
            return
        time.sleep(max(0.0, min(0.1, end - time.monotonic())))

    def _tell(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            _logger.warning("what is logged waits in the spool: %s", trouble)


def _nothing() -> None:
    return None
