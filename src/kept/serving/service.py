"""The prediction service as a process: it listens, follows the routing table, logs, and ends without dropping a request."""

import asyncio
import contextlib
import functools
import importlib
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import uvicorn

from kept.core.errors import Invalid
from kept.core.listening import listen, most_connections
from kept.deployment.routing import Arm, Route, RoutingTable
from kept.packaging.bundle import read_bundle
from kept.serving.app import Application
from kept.serving.children.pool import Declared
from kept.serving.counters import Counters, MemoryCounts
from kept.serving.door import Door
from kept.serving.explaining.asking import Explaining
from kept.serving.http import PredictionProtocol
from kept.serving.local import FixedRoutes, LocalCopy, RouteSource
from kept.serving.log import Spool
from kept.serving.logrules import log_rules
from kept.serving.memory import Memory, Remains, keep_little
from kept.serving.on_demand import TurnsOnDemand
from kept.serving.router import Follower, Router
from kept.serving.turns import Turns
from kept.settings.exposure import check_exposure, own_names
from kept.settings.settings import Settings
from kept.settings.tracing import traces_of
from kept.store.blobs import Blobs

_BACKLOG = 2048
# Seconds that requests which have come may take when the service ends.
_GRACE = 10
# Of these, what is to be explained may take so many.
_LAST_EXPLANATIONS = 1.0
# And what could not be answered is told so in the last one.
_LAST_WORDS = 1.0


def serve(
    root: Path,
    settings: Settings,
    source: RouteSource,
    blobs: Blobs,
    *,
    port: int | None = None,
    share_port: bool = False,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serves a workspace's endpoints until SIGTERM or SIGINT, then answers what has come and returns.

    Args:
        root: the workspace's folder; the spool is `spool/`, the local copy `serving/`.
        settings: `host`, `port` (predictions answer on the next one), `token`, `callers`, `poll_seconds`, `longest_wait`, `model_megabytes`,
            those of models that need processes of their own, `python_...`, `explain_megabytes`, and those of the
            prediction log, `log_...`.
        source: gives the routing table.
        blobs: give the bundles that are not here yet.
        port: another port; 0 for any that is free.
        share_port: whether other processes may listen on the port too.
        started: called with the address when the service answers.

    Raises:
        Invalid: the address is not of this machine only and there is no token.
        Unavailable: the port cannot be had.
    """
    keeper = LocalCopy(root / "serving", blobs)
    port = settings.port + 1 if port is None else port
    spool = Spool(root / "spool", rules=log_rules(settings))
    _run(settings, source, keeper, spool, port=port, share_port=share_port, started=started)


def serve_bundle(
    folder: Path,
    name: str,
    settings: Settings,
    *,
    port: int | None = None,
    spool: Path,
    trusted: bool = False,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serves one bundle's folder as the endpoint `name`, without a workspace; the log goes to the folder `spool`."""
    digest = read_bundle(folder).digest
    arm = Arm(version_id=digest, number=1, model=name, bundle=digest)
    fixed = FixedRoutes(
        RoutingTable(revision=1, routes=(Route(endpoint=name, arms=(arm,), revision=1),)), {digest: folder}
    )
    port = settings.port + 1 if port is None else port
    allowed = frozenset({digest}) if trusted else frozenset()
    _run(settings, fixed, fixed, Spool(spool, rules=log_rules(settings)), port=port, trusted=allowed, started=started)


def _run(
    settings: Settings,
    source: RouteSource,
    keeper: LocalCopy | FixedRoutes,
    spool: Spool,
    *,
    port: int,
    share_port: bool = False,
    trusted: frozenset[str] = frozenset(),
    started: Callable[[str], None] | None = None,
) -> None:
    callers = callers_in(settings)
    check_exposure(settings.host, secret=bool(callers))
    keep_little()
    listener = listen(settings.host, port, share=share_port)
    counters = Counters(spool.counts)
    memory = None
    if settings.model_megabytes:
        counters.memory = MemoryCounts()
        memory = Memory(settings.model_megabytes * 1_000_000, counters.memory)
    declared = Declared(
        processes=settings.python_processes, seconds=settings.python_seconds, megabytes=settings.python_megabytes
    )
    router = Router(keeper, counters, trusted, memory, declared)
    follower = Follower(router, source, counters, settings.poll_seconds)
    follower.start()
    explaining, traces, wait = (
        Explaining(settings.explain_megabytes),
        traces_of(settings, "kept-serve"),
        settings.longest_wait,
    )
    door = Door(
        Turns(router, spool, counters, longest_wait=wait, explaining=explaining, traces=traces)
        if memory is None
        else TurnsOnDemand(router, spool, counters, memory, longest_wait=wait, explaining=explaining, traces=traces),
        callers=callers,
        names=own_names(settings),
        most_connections=most_connections(),
        traces=traces,
    )
    config = uvicorn.Config(
        Application(door, router, counters),
        http=functools.partial(PredictionProtocol, door),  # type: ignore[arg-type]
        loop="uvloop",
        ws="none",
        lifespan="off",
        log_config=None,
        # What is less is what clients did wrong, which they are told.
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE,
    )
    address = f"http://{_shown(settings.host)}:{listener.getsockname()[1]}"
    beside = _grpc_service(settings, door, router, share=share_port) if settings.grpc_port else None
    try:
        tell = functools.partial(started, address) if started else None
        _Server(config, door.turns, explaining, tell, beside).run([listener])
    finally:
        if traces is not None:
            traces.close()
        follower.stop()
        router.close()
        spool.close()
        listener.close()


class _Beside(Protocol):
    """Another way in, which lives as long as the server does."""

    async def start(self) -> None:
        """Begins to listen."""
        ...

    async def stop(self, grace: float) -> None:
        """Answers what has come, for at most so many seconds."""
        ...


def _grpc_service(settings: Settings, door: Door, router: Router, *, share: bool) -> _Beside:
    """The way in over gRPC. What it needs is heavy, and only loaded where it is wanted."""
    try:
        module = importlib.import_module("kept.serving.rpc.service")
    except ModuleNotFoundError as error:
        raise Invalid(
            f"predictions over gRPC need the package {error.name!r}",
            where="grpc_port",
            fix="Install kept[grpc], or set grpc_port to 0",
        ) from error
    address = f"{_shown(settings.host)}:{settings.grpc_port}"
    made: _Beside = module.GrpcService(address, door, router, share=share, at_once=settings.grpc_at_once)
    return made


class _Server(uvicorn.Server):
    """uvicorn's server, which also lets slow clients go, gives memory back, and ends well on a signal."""

    def __init__(
        self,
        config: uvicorn.Config,
        turns: Turns,
        explaining: Explaining,
        started: Callable[[], None] | None,
        beside: _Beside | None = None,
    ) -> None:
        super().__init__(config)
        self._turns = turns
        self._remains = Remains()
        self._explaining = explaining
        self._tell = started
        self._beside = beside

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens, then says so."""
        await super().startup(sockets)
        if self._beside is not None:
            await self._beside.start()
        if self._tell is not None:
            self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answers what has come, if need be that it could not be answered, then ends."""
        last = asyncio.get_running_loop().call_later(_GRACE - _LAST_WORDS, self._give_up)
        ending = [self._explaining.stop(_LAST_EXPLANATIONS)]
        if self._beside is not None:
            ending.append(self._beside.stop(_GRACE))
        await asyncio.gather(super().shutdown(sockets), *ending)
        last.cancel()

    def _give_up(self) -> None:
        for connection in self._connections():
            connection.give_up()

    def _connections(self) -> list[PredictionProtocol]:
        return [one for one in self.server_state.connections if isinstance(one, PredictionProtocol)]

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if self._turns.idle:
            self._remains.look()
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in self._connections():
                connection.sweep(now)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the service; it is not killed by them afterwards, as uvicorn's own way would."""
        before: dict[int, Any] = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def callers_in(settings: Settings) -> dict[str, str]:
    """The secrets that predictions are asked with, and whose they are."""
    found = {settings.token: "token"} if settings.token else {}
    for number, entry in enumerate(settings.callers.split()):
        name, _, secret = entry.partition(":")
        if not name or not secret or name == "token" or name in found.values() or secret in found:
            fix = "Write name:secret, with a space between callers; each with a name and a secret of its own, none called token"
            raise Invalid("it is not a name and a secret, or stands there twice", where=f"callers[{number}]", fix=fix)
        found[secret] = name
    return found


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
