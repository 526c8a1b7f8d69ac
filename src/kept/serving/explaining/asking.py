"""Explanations beside the predictions: a process of their own computes them, one call after another, and delays nobody else."""

import asyncio
import contextlib
import importlib.util
import logging
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import deque

import msgspec

from kept.core.errors import Invalid, KeptError, Unavailable
from kept.packaging.explaining.recipe import not_explainable
from kept.serving.calls import Call, fault
from kept.serving.explaining.frames import LENGTH, Refused, Told, Wanted, decode_answer, framed
from kept.serving.explaining.writing import put_in, say_instead

_CHILD = "kept.serving.explaining.child"
# What it needs that the service itself does not.
_NEEDS = (_CHILD, "onnx")
_MOST_ROWS = 100
_MOST_WAITING = 64
_LONGEST = 30.0
_BUSY = Unavailable("more explanations are asked for than can be given", where="explain", fix="Wait a second")

_logger = logging.getLogger("kept.serving")


class Explaining:
    """Takes answered calls, adds what explains their answers, and delivers them. Used from the event loop alone."""

    def __init__(self) -> None:
        self._waiting: deque[Call] = deque()
        self._work: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._installed: bool | None = None

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
        elif len(self._waiting) >= _MOST_WAITING:
            call.fail(_BUSY, 429)

    def take(self, call: Call) -> None:
        """Takes a call that was answered; it is delivered when it is explained, or with the reason why it is not."""
        self._waiting.append(call)
        if self._work is None or self._work.done():
            self._work = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Ends, with the calls that still wait refused."""
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work
        while self._waiting:
            call = self._waiting.popleft()
            say_instead(call, Unavailable("the service ends", where="explain"), 503)
            call.deliver(call)
        await self._end_process()

    async def _run(self) -> None:
        while self._waiting:
            call = self._waiting[0]
            try:
                await self._explain(call)
            except Exception as error:  # noqa: BLE001 - one call must not keep the others waiting
                say_instead(call, fault(f"explaining raised {type(error).__name__}", "explain", error), 500)
            self._waiting.popleft()
            call.deliver(call)

    async def _explain(self, call: Call) -> None:
        """Puts the explanation into a call's answer, or says why there is none."""
        arm = call.arm
        if arm is None or arm.note.role in {"constant", "rule"}:
            refusal = Invalid("what is declared was answered, and no model's answer", where="explain")
            say_instead(call, refusal, 422)
            return
        model = arm.model
        wanted = Wanted(
            folder=str(model.folder),
            digest=model.digest,
            trusted=model.manifest.runtime == "pickle-trusted",
            rows=call.question.values,
        )
        passed = (time.perf_counter_ns() - call.started) / 1e9
        patience = min(_LONGEST, call.timeout_us / 1e6 - passed if call.timeout_us else _LONGEST)
        if patience <= 0:
            say_instead(call, _late("before its deadline"), 503)
            return
        try:
            found = await asyncio.wait_for(self._ask(wanted), patience)
        except TimeoutError:
            # It is still at work on what nobody wants any more.
            await self._end_process()
            say_instead(call, _late(f"within {patience:.3g} s"), 503)
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            _logger.error("the process that explains has ended: %r", error)  # noqa: TRY400 - where it ended says nothing
            await self._end_process()
            say_instead(call, Unavailable("the process that explains has ended", where="explain"), 503)
        else:
            if isinstance(found, Refused):
                said_by_it = KeptError(found.what, where=found.where, fix=found.fix)
                say_instead(call, said_by_it, found.status)
            else:
                put_in(call, found.explanation)

    async def _ask(self, wanted: Wanted) -> Told | Refused:
        process = self._process
        if process is None or process.returncode is not None:
            one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", _CHILD, stdin=PIPE, stdout=PIPE, env=os.environ | one_thread
            )
        if process.stdin is None or process.stdout is None:
            raise EOFError
        process.stdin.write(framed(wanted))
        await process.stdin.drain()
        head = await process.stdout.readexactly(LENGTH.size)
        return decode_answer.decode(await process.stdout.readexactly(LENGTH.unpack(head)[0]))

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _is_installed(self) -> bool:
        if self._installed is None:
            self._installed = all(importlib.util.find_spec(name) is not None for name in _NEEDS)
        return self._installed


def _late(when: str) -> Unavailable:
    what = f"the answer could not be explained {when}"
    return Unavailable(what, where="explain", fix="Ask about fewer rows, or with more time")
