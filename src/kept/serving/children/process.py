"""One process of a model, as the service sees it: started with exec, asked over a socket, ended at any moment without harm."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol, cast

import msgspec

from kept.core.errors import Damaged, KeptError, Unavailable
from kept.serving.children.bounds import end_group
from kept.serving.children.messages import Answers, Duty, Inbox, Ready

# It finds the modules that the service finds, where the service finds them.
_CODE = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from kept.serving.children.child import main
main(sys.argv[2])
"""
_LARGEST_HELLO = 0
_READ = 1 << 16
# A service has many processes, so one model's threads would only wait for each other.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
_WHERE = "process of the model"

_decode_ready = msgspec.msgpack.Decoder(Ready).decode
_decode_answers = msgspec.msgpack.Decoder(Answers).decode

# What the model answered with its numbers, or why it did not; and how many seconds that took.
Answered = Callable[[tuple[Answers, bytes] | KeptError, float], None]


class Owner(Protocol):
    """Who is told of a process, in the event loop."""

    def freed(self, process: "Process") -> None:
        """It can be asked."""
        ...

    def ended(self, process: "Process") -> None:
        """It is gone."""
        ...


class Process(asyncio.Protocol):
    """A process that was started. It is made and waited for in any thread, and asked in the event loop."""

    def __init__(self, duty: Duty) -> None:
        """Starts it, with what `duty` says and descriptors of its own. `Unavailable` when the system does not let it be started."""
        self._process, self._socket, self._life = _started(duty)
        self.pid = self._process.pid
        self.answered_any = False
        self._inbox = Inbox(_LARGEST_HELLO)
        self._owner: Owner | None = None
        self._transport: asyncio.Transport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answered: Answered | None = None
        self._asked_at = 0.0
        self._took = 0.0
        self._why = ""

    # --- before it is asked ------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Returns when it is ready. Raises what kept it from that, after it was ended."""
        end = time.monotonic() + seconds
        try:
            while True:
                self._socket.settimeout(max(end - time.monotonic(), 0.001))
                data = self._socket.recv(_READ)
                if not data:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(1)
                    raise self._gone("before it was ready")
                for head, _ in self._inbox.take(data):
                    failure = _decode_ready(head).failure
                    if failure is not None:
                        raise failure.error()
                    self._socket.setblocking(False)
                    return
        except TimeoutError as error:
            self.end()
            fix = "Package a smaller model, or give the machine more time"
            raise Unavailable(f"it was not ready within {seconds:g} s", where=_WHERE, fix=fix) from error
        except (KeptError, OSError, msgspec.MsgspecError):
            self.end()
            raise

    async def join(self, owner: Owner) -> None:
        """Is asked in this event loop from now on, and tells its owner when it can be."""
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        await self._loop.create_unix_connection(lambda: self, sock=self._socket)

    # --- in the event loop -------------------------------------------------------------------------------------

    def ask(self, message: bytes, largest: int, answered: Answered, seconds: float) -> None:
        """Asks it; once at a time. When it has not answered after so many seconds, or with more bytes, it is ended."""
        assert self._transport is not None  # noqa: S101 - it is asked when it has said that it can be
        assert self._loop is not None  # noqa: S101
        self._inbox.largest_body = largest
        self._answered = answered
        self._asked_at = time.perf_counter()
        self._timer = self._loop.call_later(seconds, self._too_long, seconds)
        self._transport.write(message)

    @property
    def asked_for(self) -> float:
        """Seconds for which it has been at its question."""
        return time.perf_counter() - self._asked_at if self._answered is not None else 0.0

    def let_go(self) -> None:
        """Closes its socket, at which it ends by itself."""
        if self._transport is not None:
            self._transport.close()
        else:
            self.end()

    def end(self) -> None:
        """Ends it, and what holds it."""
        self._kill()
        self._bury()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It can be asked."""
        self._transport = cast("asyncio.Transport", transport)
        if self._owner is not None:
            self._owner.freed(self)

    def data_received(self, data: bytes) -> None:
        """A piece of its answer. One that makes no sense is its end."""
        try:
            for head, body in self._inbox.take(data):
                self._take(_decode_answers(head), body)
        except (KeptError, msgspec.MsgspecError) as error:
            self._give_up(f"answered what is no answer ({error})")

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, or is about to."""
        del exc
        self._kill()
        error = self._gone("in the middle of a prediction")
        self._bury()
        answered = self._settled()
        if self._owner is not None:
            self._owner.ended(self)
        if answered is not None:
            answered(error, self._took)

    def _take(self, answers: Answers, body: bytes) -> None:
        answered = self._settled()
        if answered is None:
            raise Damaged("nothing was asked", where=_WHERE)
        self.answered_any = True
        answered((answers, body), self._took)
        if self._owner is not None:
            self._owner.freed(self)

    def _settled(self) -> Answered | None:
        """Who waits for what it was asked, if anybody does; nobody does from now on."""
        answered, self._answered = self._answered, None
        self._took = time.perf_counter() - self._asked_at
        if self._timer is not None:
            self._timer.cancel()
        return answered

    def _too_long(self, seconds: float) -> None:
        self._give_up(f"took longer than {seconds:g} s for a prediction")

    def _give_up(self, why: str) -> None:
        """Ends it. Its socket is not waited for: what it started may hold that open."""
        self._why = why
        self._kill()
        if self._transport is not None:
            self._transport.abort()

    def _kill(self) -> None:
        """Ends it and what it has started; once, as another process may have its number when it is buried."""
        if self._life < 0:
            return
        end_group(self.pid)
        with contextlib.suppress(OSError):
            self._process.kill()

    def _gone(self, when: str) -> Unavailable:
        """What is said of its end."""
        code = self._process.returncode
        by = f"was ended by {signal.Signals(-code).name}" if code is not None and code < 0 else "ended"
        why = self._why or f"{by} {when}"
        fix = "Try again: it is started anew. The service's own log may say more"
        return Unavailable(f"the process of the model {why}", where=f"process {self.pid}", fix=fix)

    def _bury(self) -> None:
        """Gives back what it held; the kernel may need a moment for it."""
        if self._life >= 0:
            os.close(self._life)
            self._life = -1
        if self._transport is None:
            self._socket.close()
        if self._process.poll() is None:
            threading.Thread(target=self._process.wait, name="reaper", daemon=True).start()


def _started(duty: Duty) -> tuple[subprocess.Popen[bytes], socket.socket, int]:
    """A process, the socket on which it is asked, and the end of a pipe that it lives by. Raises as `Process` does."""
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
        try:
            asking, asked = socket.socketpair()
            ours.callback(asking.close)
            theirs.callback(asked.close)
            reading, life = os.pipe()
            ours.callback(os.close, life)
            theirs.callback(os.close, reading)
            duty = msgspec.structs.replace(duty, socket=asked.fileno(), life=reading)
            arguments = (msgspec.json.encode(one).decode() for one in (sys.path, duty))
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _CODE, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[duty.socket, reading],
                env={**_ONE_THREAD, "OMP_WAIT_POLICY": "PASSIVE", **os.environ},
            )
        except OSError as error:
            raise Unavailable(f"it cannot be started ({error.strerror})", where=_WHERE) from error
        ours.pop_all()
        return process, asking, life
