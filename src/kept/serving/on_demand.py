"""Turns where models may be out of memory: a call waits for what it asks, which a thread loads, and then takes its turn."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable

from kept.core.errors import KeptError, Unavailable
from kept.core.spans import Traces
from kept.serving.calls import Call
from kept.serving.counters import Counters
from kept.serving.explaining.asking import Explaining
from kept.serving.faults import raised
from kept.serving.log import Spool
from kept.serving.memory import Memory, give_to_the_system
from kept.serving.router import Router
from kept.serving.runtime import LoadedModel
from kept.serving.turns import Turns

# How long a call waits that names no deadline.
_PATIENCE = 10.0
_LONGEST = 3_600.0
# Bytes of calls that may wait for models; beyond them they are refused.
_MOST_WAITING = 64 << 20
_CALL = 2_000


class TurnsOnDemand(Turns):
    """Takes calls as `Turns` does, and sees to it that what they ask is in memory.

    Args:
        router: finds who answers, and loads.
        spool: the prediction log.
        counters: what is counted.
        memory: knows what is in memory.
        longest_wait: seconds that a call may have to wait for its turn.
        explaining: explains the answers that are to be.
        traces: who is told of requests.
    """

    def __init__(
        self,
        router: Router,
        spool: Spool,
        counters: Counters,
        memory: Memory,
        *,
        longest_wait: float = 0.2,
        explaining: Explaining | None = None,
        traces: Traces | None = None,
    ) -> None:
        super().__init__(router, spool, counters, longest_wait=longest_wait, explaining=explaining, traces=traces)
        self._routes = router
        self._memory = memory
        self._missing: dict[LoadedModel, dict[Call, asyncio.TimerHandle]] = {}
        self._held = 0
        self._wanted: queue.SimpleQueue[LoadedModel] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def ask(self, call: Call) -> None:
        """Puts a call into its line when all that it may ask is in memory, else when it is. Called from the event loop."""
        try:
            needed = self._routes.find(call.endpoint).needed(call.request.version)
            missing = self._memory.take(needed)
        except KeptError:
            # Its turn says why.
            super().ask(call)
            return
        except Exception as error:  # noqa: BLE001 - its turn answers it
            call.fail(raised(self.counters, "loading", f"model {call.endpoint!r}", error))
            super().ask(call)
            return
        held = needed if missing is None else needed[: needed.index(missing)]
        if held:
            call.deliver = self._giving_back(held, call.deliver)
        if missing is None:
            super().ask(call)
            return
        try:
            self._wait(call, missing)
        except Exception as error:  # noqa: BLE001 - its turn answers it
            call.fail(raised(self.counters, "loading", f"model {call.endpoint!r}", error))
            super().ask(call)

    def _giving_back(self, held: tuple[LoadedModel, ...], deliver: Callable[[Call], None]) -> Callable[[Call], None]:
        def answered(call: Call) -> None:
            # Once, whatever becomes of its delivery.
            call.deliver = deliver
            self._memory.give_back(held)
            deliver(call)

        return answered

    def _wait(self, call: Call, model: LoadedModel) -> None:
        if self._held + call.size > _MOST_WAITING:
            self._refuse(call, "too many wait for models to be loaded")
            return
        loop = asyncio.get_running_loop()
        if self._thread is None:
            thread = threading.Thread(target=self._work, args=(loop,), name="models", daemon=True)
            thread.start()
            self._thread = thread
        self._held += call.size + _CALL
        if model not in self._missing:
            self._missing[model] = {}
            self._wanted.put(model)
        # It may be the second model that it waits for.
        left = self._patience(call) - (time.perf_counter_ns() - call.started) / 1e9
        self._missing[model][call] = loop.call_later(left, self._give_up, call, model)

    def _patience(self, call: Call) -> float:
        """Seconds from its last byte for which a call waits, as its head says or else its body."""
        if not call.timeout_us:
            with contextlib.suppress(Exception):
                # What is wrong with it is said when its turn comes.
                route, number = self._routes.find(call.endpoint), call.request.version
                arm = route.champion if number is None else route.version(number)
                call.timeout_us = arm.model.read(call.form, call.body, call.request.json_size).timeout_us
        return min(call.timeout_us / 1e6, _LONGEST) if call.timeout_us else _PATIENCE

    def _give_up(self, call: Call, model: LoadedModel) -> None:
        del self._missing[model][call]
        self._held -= call.size + _CALL
        self._refuse(call, "its model was out of memory, and could not be loaded in time")

    def _refuse(self, call: Call, what: str) -> None:
        # Its turn, in which it is logged and answered, is not to find that it is late.
        call.timeout_us = 0
        call.fail(Unavailable(what, where=f"model {call.endpoint!r}", fix="Try again in a moment"))
        super().ask(call)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            model = self._wanted.get()
            trouble = ""
            try:
                self._routes.load_again(model)
            except Exception as error:  # noqa: BLE001 - whatever a model does when it is loaded must not stop the others
                trouble = str(error) if isinstance(error, KeptError) else repr(error)
            give_to_the_system()
            try:
                loop.call_soon_threadsafe(self._loaded, model, trouble)
            except RuntimeError:
                # The service has ended.
                return

    def _loaded(self, model: LoadedModel, trouble: str) -> None:
        for call, timer in self._missing.pop(model).items():
            timer.cancel()
            self._held -= call.size + _CALL
            if trouble:
                self._refuse(call, f"its version could not be loaded: {trouble}")
            else:
                self.ask(call)
