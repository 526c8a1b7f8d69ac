"""The process that explains, as the service sees it: started when it is first asked, and anew when it has gone."""

import asyncio
import contextlib
import logging
import os
import sys
from asyncio import subprocess

import msgspec

from kept.core.errors import Unavailable
from kept.serving.children.bounds import end_group
from kept.serving.explaining.frames import LENGTH, Refused, Told, Wanted, decode_answer, framed

CHILD = "kept.serving.explaining.child"
# Of one that takes longer nobody knows whether it ever comes up.
_LONGEST_START = 120.0
_LOOK_SECONDS = 0.5
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

_logger = logging.getLogger("kept.serving")


class Process:
    """Asked one question after another. Used from the event loop alone.

    Args:
        megabytes: of memory that it may have; 0 for no limit.
    """

    def __init__(self, megabytes: int) -> None:
        self._megabytes = megabytes
        self._started: asyncio.Task[subprocess.Process] | None = None
        # A pipe that closes when the service is gone, in whatever way.
        self._life: tuple[int, int] | None = None
        self._watching: set[asyncio.Task[None]] = set()

    async def ask(self, wanted: Wanted) -> Told | Refused:
        """The answer; `Unavailable` when there is none. Who gives up while it is at work ends it, but not while it starts."""
        try:
            process = await asyncio.shield(self._running())
        except (OSError, EOFError, TimeoutError) as error:
            _logger.error("the process that explains did not come up: %r", error)  # noqa: TRY400 - where says nothing
            raise _gone("did not come up") from error
        try:
            found = await _ask(process, wanted)
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            _logger.error("the process that explains has ended: %r", error)  # noqa: TRY400 - where it ended says nothing
            await self.end()
            raise _gone("has ended") from error
        except asyncio.CancelledError:
            # It is still at work on what nobody wants any more.
            await self.end()
            raise
        if isinstance(found, Refused) and found.spent:
            await self.end()
        return found

    async def end(self) -> None:
        """Ends it, if there is one."""
        started, self._started = self._started, None
        if started is None:
            return
        started.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError, EOFError):
            await _end(await started)

    def _running(self) -> "asyncio.Task[subprocess.Process]":
        started = self._started
        if started is None or (started.done() and (started.exception() or started.result().returncode is not None)):
            started = self._started = asyncio.get_running_loop().create_task(self._start())
        return started

    async def _start(self) -> subprocess.Process:
        if self._life is None:
            self._life = os.pipe()
        reading = self._life[0]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", CHILD, str(reading), str(self._megabytes),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[reading], env=os.environ | _ONE_THREAD,
        )  # fmt: skip
        watching = asyncio.create_task(_clear_up(process))
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)
        try:
            async with asyncio.timeout(_LONGEST_START):
                assert process.stdout is not None  # noqa: S101 - it is piped
                await process.stdout.readexactly(LENGTH.size)
        except BaseException:
            await _end(process)
            raise
        return process


async def _ask(process: subprocess.Process, wanted: Wanted) -> Told | Refused:
    assert process.stdin is not None  # noqa: S101 - both are piped
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(framed(wanted))
    await process.stdin.drain()
    head = await process.stdout.readexactly(LENGTH.size)
    return decode_answer.decode(await process.stdout.readexactly(LENGTH.unpack(head)[0]))


async def _end(process: subprocess.Process) -> None:
    # What has ended is cleared up behind at once: later another process may have its number.
    if process.returncode is None:
        end_group(process.pid)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await process.wait()


async def _clear_up(process: subprocess.Process) -> None:
    """Ends what it has started soon after it has ended by itself. Waiting for it would last for as long as they hold its output."""
    while process.returncode is None:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(_LOOK_SECONDS)
    end_group(process.pid)


def _gone(how: str) -> Unavailable:
    fix = "Try again: it is started anew. The service's own log may say more"
    return Unavailable(f"the process that explains {how}", where="explain", fix=fix)
