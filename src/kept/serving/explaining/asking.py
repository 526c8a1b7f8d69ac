"""Explanations beside the predictions: a process of their own computes them, one call after another, and delays nobody else."""

import asyncio
import contextlib
import importlib.util
import time
from collections.abc import Callable
from typing import NamedTuple

from kept.core.errors import Invalid, KeptError, Unavailable
from kept.packaging.explaining.recipe import not_explainable
from kept.serving.calls import TOO_MANY, Call, fault
from kept.serving.explaining.frames import Refused, Wanted
from kept.serving.explaining.process import CHILD, Process

_MOST_ROWS = 100
# Calls that may wait, shared among the callers that wait.
_MOST_WAITING = 64
# Bytes of calls that may wait.
_MOST_HELD = 32 << 20
# Seconds from a request's last byte, whatever it waits for.
_LONGEST = 30.0
_BUSY = Unavailable("more explanations are asked for than can be given", where="explain", fix="Wait a second")
_ENDS = Unavailable("the service ends", where="explain", fix="Try again in a moment")

# Told of a call when it has its explanation, or has failed.
Back = Callable[[Call], None]


class _Place(NamedTuple):
    back: Back
    until: float
    timer: asyncio.TimerHandle


class Explaining:
    """Takes calls whose predictions are there, and gives them back explained, those of all callers in turn.

    Used from the event loop alone.

    Args:
        megabytes: of memory that the process may have; 0 for no limit.
    """

    def __init__(self, megabytes: int = 0) -> None:
        # Of each caller; first the one whose turn is next.
        self._lines: dict[str, dict[Call, _Place]] = {}
        self._held = 0
        self._work: asyncio.Task[None] | None = None
        self._process = Process(megabytes)
        self._installed: bool | None = None
        self._ends = False

    def admit(self, call: Call) -> None:
        """Fails a call that cannot be explained, before anything is predicted."""
        if call.arm is None:
            return
        manifest, digest = call.arm.model.manifest, call.arm.model.digest
        if (refusal := not_explainable(manifest, digest)) is not None:
            call.fail(refusal, 422)
        elif not self._is_installed():
            what = "this installation answers predictions only: it cannot explain them"
            call.fail(Invalid(what, where="explain", fix="Ask a whole installation of Kept: kept explain ID"), 422)
        elif len(call.question.values) > _MOST_ROWS:
            what = f"{len(call.question.values)} rows are more than are explained at once"
            call.fail(Invalid(what, where="rows", fix=f"Send at most {_MOST_ROWS}"), 422)
        else:
            self._make_sure_of_room(call)

    def take(self, call: Call, back: Back) -> None:
        """Takes a call in, and gives it back later; one that it does not take has failed when this returns."""
        if call.arm is None or call.arm.note.role in {"constant", "rule"}:
            what = "what is declared was answered, and no model's answer"
            call.fail(Invalid(what, where="explain"), 422)
            return
        self._make_sure_of_room(call)
        left = _patience(call) - (time.perf_counter_ns() - call.started) / 1e9
        if call.error is None and left <= 0:
            call.fail(_late(call))
        if call.error is not None:
            return
        loop = asyncio.get_running_loop()
        place = _Place(back, loop.time() + left, loop.call_later(left, self._give_up, call))
        self._lines.setdefault(call.request.caller, {})[call] = place
        self._held += call.size
        if self._work is None or self._work.done():
            self._work = loop.create_task(self._run())

    async def stop(self, seconds: float) -> None:
        """Ends: takes nothing more, and after at most so many seconds refuses what still waits."""
        self._ends = True
        if self._work is not None:
            await asyncio.wait([self._work], timeout=seconds)
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work
        for call in [call for line in self._lines.values() for call in line]:
            call.fail(_ENDS)
            self._give_back(call)
        await self._process.end()

    def _make_sure_of_room(self, call: Call) -> None:
        if self._ends:
            call.fail(_ENDS)
            return
        own = self._lines.get(call.request.caller, ())
        callers = len(self._lines) + (not own)
        if len(own) >= _MOST_WAITING // callers or self._held + call.size > _MOST_HELD:
            call.fail(_BUSY, TOO_MANY)

    async def _run(self) -> None:
        while self._lines:
            caller = next(iter(self._lines))
            line = self._lines[caller] = self._lines.pop(caller)
            call = next(iter(line))
            try:
                await self._explain(call)
            except Exception as error:  # noqa: BLE001 - one call must not keep the others waiting
                call.fail(fault(f"explaining raised {type(error).__name__}", "explain", error), 500)
            self._give_back(call)

    async def _explain(self, call: Call) -> None:
        """Finds what explains a call's answer, or why nothing does."""
        place, arm = self._lines[call.request.caller][call], call.arm
        place.timer.cancel()
        assert arm is not None  # noqa: S101 - it was taken
        model = arm.model
        wanted = Wanted(
            folder=str(model.folder),
            digest=model.digest,
            trusted=model.manifest.runtime == "pickle-trusted",
            rows=list(call.question.values),
        )
        try:
            async with asyncio.timeout_at(place.until):
                found = await self._process.ask(wanted)
        except TimeoutError:
            call.fail(_late(call))
        except Unavailable as error:
            call.fail(error)
        else:
            if isinstance(found, Refused):
                call.fail(KeptError(found.what, where=found.where, fix=found.fix), found.status)
            else:
                call.explanation = found.explanation

    def _give_up(self, call: Call) -> None:
        call.fail(_late(call))
        self._give_back(call)

    def _give_back(self, call: Call) -> None:
        line = self._lines[call.request.caller]
        place = line.pop(call)
        if not line:
            del self._lines[call.request.caller]
        place.timer.cancel()
        self._held -= call.size
        place.back(call)

    def _is_installed(self) -> bool:
        if self._installed is None:
            self._installed = importlib.util.find_spec(CHILD) is not None
        return self._installed


def _patience(call: Call) -> float:
    """Seconds that a call may take in all."""
    return min(_LONGEST, call.timeout_us / 1e6) if call.timeout_us else _LONGEST


def _late(call: Call) -> Unavailable:
    what = f"the answer could not be explained within {_patience(call):.3g} s"
    return Unavailable(what, where="explain", fix="Ask about fewer rows, or with more time")
