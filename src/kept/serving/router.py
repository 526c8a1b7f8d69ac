"""The routes in force. A new table is fetched, checked, loaded and warmed beside the old one, then takes its place at once.

Requests hold on to the arm they were given, so those in flight are finished by the version they began with.
"""

import gc
import logging
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import msgspec

from kept.core.errors import Damaged, KeptError, NotFound, Unavailable
from kept.deployment.routing import Arm, Route, RoutingTable
from kept.packaging.manifest import MANIFEST, decode_manifest
from kept.serving.children.pool import Declared
from kept.serving.counters import Counters
from kept.serving.local import FixedRoutes, LocalCopy, RouteSource
from kept.serving.memory import Memory, give_to_the_system
from kept.serving.runtime import LoadedArm, LoadedModel, LoadedRoute

T = TypeVar("T")

_RETRY_SECONDS = 5.0
# How long the first look at the source may take before the service starts with its own copy, or with nothing.
_PATIENCE_WITH_COPY = 1.0
_PATIENCE = 10.0

# A bundle, and whether it gives way to others.
Use = tuple[str, bool]

_logger = logging.getLogger("kept.serving")


class _InForce(NamedTuple):
    """What is known of each endpoint at one moment. Read one after the other, an endpoint could be in none of these."""

    routes: Mapping[str, LoadedRoute] = MappingProxyType({})
    troubles: Mapping[str, str] = MappingProxyType({})
    # Endpoints of a table of which a part is in force already.
    loading: frozenset[str] = frozenset()
    # Whether there has been a table.
    known: bool = False


class Router:
    """Finds the route of a request; `apply` changes what it finds."""

    def __init__(
        self,
        keeper: LocalCopy | FixedRoutes,
        counters: Counters,
        trusted: frozenset[str] = frozenset(),
        memory: Memory | None = None,
        declared: Declared | None = None,
    ) -> None:
        self._keeper = keeper
        self._counters = counters
        self._trusted = trusted
        self._memory = memory
        self._declared = declared
        self._models: dict[Use, LoadedModel] = {}
        # Replaced as a whole, never changed, so that the event loop reads it without a lock.
        self._now = _InForce()
        self._whole = False

    @property
    def routes(self) -> Mapping[str, LoadedRoute]:
        """The routes in force, by endpoint."""
        return self._now.routes

    @property
    def troubles(self) -> Mapping[str, str]:
        """What is wrong with routes that could not be loaded as they should be, by endpoint."""
        return self._now.troubles

    @property
    def ready(self) -> bool:
        """Whether a whole table has been loaded, and at least one of its routes if it has any."""
        now = self._now
        return self._whole and (bool(now.routes) or not now.troubles)

    @property
    def loading(self) -> Collection[str]:
        """Endpoints that are being loaded, while others of their table answer."""
        return self._now.loading

    def find(self, endpoint: str) -> LoadedRoute:
        """The route of an endpoint. `NotFound` when there is no such endpoint, `Unavailable` when it has nothing loaded."""
        now = self._now
        route = now.routes.get(endpoint)
        if route is not None:
            return route
        where = f"model {endpoint!r}"
        if endpoint in now.troubles:
            raise Unavailable(f"its version could not be loaded: {now.troubles[endpoint]}", where=where)
        if endpoint in now.loading:
            raise Unavailable("its version is being loaded", where=where, fix="Try again in a moment")
        if not now.known:
            raise Unavailable("the routing table has not been read yet", where=where, fix="Try again in a moment")
        names = ", ".join(sorted(now.routes)) or "none"
        raise NotFound("there is no such endpoint", where=where, fix=f"Endpoints served: {names}")

    def load_kept(self, in_force: Callable[[], None]) -> None:
        """Puts the last table that was served in force, if one is kept here, as `apply` does."""
        table = self._keeper.load()
        if table is not None:
            self.apply(table, in_force, save=False)

    def apply(self, table: RoutingTable, in_force: Callable[[], None] | None = None, *, save: bool = True) -> bool:
        """Puts a table in force and says whether all of it is. A route that cannot be loaded stays as it was.

        Those of models that load within milliseconds wait for no others: `in_force` is called when they answer, and when all do.
        """
        models = dict(self._models)
        routes: dict[str, LoadedRoute] = {}
        troubles: dict[str, str] = {}
        quick, slow = self._changed(table, routes)
        for place, route in enumerate([*quick, *slow]):
            if slow and place >= len(quick) and (routes or self._now.routes):
                self._put_in_force(routes, troubles, slow[place - len(quick) :])
                if in_force is not None:
                    in_force()
            loaded, trouble = self._load_route(route, models, fallback=self._now.routes.get(route.endpoint))
            if loaded is not None:
                routes[route.endpoint] = loaded
            if trouble:
                troubles[route.endpoint] = trouble
                _logger.error("route %s: %s", route.endpoint, trouble)
        self._put_in_force(routes, troubles, ())
        self._whole = True
        self._counters.revision, self._counters.troubles = table.revision, len(troubles)
        used = {loaded.model for found in routes.values() for loaded in found.arms}
        self._models = {use: model for use, model in models.items() if model in used}
        for model in set(models.values()) - used:
            model.close()
        if save:
            self._save(table)
        if in_force is not None:
            in_force()
        # What is loaded stays: no later collection needs to look at it.
        gc.collect()
        gc.freeze()
        return not troubles

    def _changed(self, table: RoutingTable, routes: dict[str, LoadedRoute]) -> tuple[list[Route], list[Route]]:
        """The routes of a table that are to be loaded, those first that are quick; the others are put into `routes`."""
        changed = []
        for route in table.routes:
            before = self._now.routes.get(route.endpoint)
            if before is not None and before.route.arms == route.arms:
                routes[route.endpoint] = before
            else:
                changed.append(route)
        # One alone keeps nobody waiting.
        slow = [route for route in changed if len(table.routes) > 1 and any(map(self._takes_long, route.arms))]
        return [route for route in changed if route not in slow], slow

    def _takes_long(self, arm: Arm) -> bool:
        """Whether a process has to be started for an arm, which takes seconds."""
        if (arm.bundle, arm.role == "shadow") in self._models:
            return False
        try:
            manifest = (self._keeper.folder(arm.bundle) / MANIFEST).read_bytes()
            return decode_manifest(manifest, where=arm.bundle).runtime != "onnx"
        except Exception:  # noqa: BLE001 - whatever it is, it is said when the arm is loaded
            return False

    def _put_in_force(
        self, routes: Mapping[str, LoadedRoute], troubles: Mapping[str, str], loading: Collection[Route]
    ) -> None:
        """Has these routes answer; those that are still being loaded go on as they were."""
        behind = {route.endpoint for route in loading}
        now = {**{name: route for name, route in self._now.routes.items() if name in behind}, **routes}
        if self._memory is not None:
            for model in self._memory.settle([*self._now.routes.values(), *now.values()]):
                self._load_pinned(model)
        self._now = _InForce(now, dict(troubles), frozenset(behind - set(now)), known=True)
        if self._memory is not None:
            self._memory.settle(now.values())
            give_to_the_system()

    def _save(self, table: RoutingTable) -> None:
        in_force = tuple(found.route for found in self._now.routes.values())
        try:
            self._keeper.save(RoutingTable(revision=table.revision, routes=in_force))
        except OSError as error:
            _logger.warning("the routing table could not be kept here: %s", error)
            return
        self._keeper.tidy({arm.bundle for route in (*in_force, *table.routes) for arm in route.arms})

    def _load_route(
        self, route: Route, models: dict[Use, LoadedModel], *, fallback: LoadedRoute | None
    ) -> tuple[LoadedRoute | None, str]:
        arms: list[LoadedArm] = []
        trouble = ""
        for arm in route.arms:
            try:
                use = arm.bundle, arm.role == "shadow"
                if use not in models:
                    model = models[use] = self._load_model(arm)
                    if model.pool is None:
                        # What runs here runs in any role.
                        models[arm.bundle, not use[1]] = model
                arms.append(LoadedArm(route.endpoint, arm, models[use]))
            except Exception as error:  # noqa: BLE001 - whatever a model does when it is loaded must not stop the others
                trouble = f"version {arm.number}: {error if isinstance(error, KeptError) else repr(error)}"
        if not trouble:
            return LoadedRoute(route, arms), ""
        if fallback is not None:
            return fallback, trouble
        champion = next((loaded for loaded in arms if loaded.arm.role == "champion"), None)
        if champion is None:
            return None, trouble
        # From cold, a champion that answers alone is better than nobody.
        alone = msgspec.structs.replace(champion.arm, weight=1.0)
        part = msgspec.structs.replace(route, arms=(alone,))
        return LoadedRoute(part, [LoadedArm(route.endpoint, alone, champion.model)]), trouble

    def close(self) -> None:
        """Ends what runs for its models. When nothing is asked any more."""
        for model in set(self._models.values()):
            model.end()

    def _load_pinned(self, model: LoadedModel) -> None:
        try:
            self.load_again(model)
        except Exception:
            # It was loaded a moment ago. Requests will try again, and say what is wrong.
            _logger.exception("bundle %s could not be loaded again", model.digest)

    def load_again(self, model: LoadedModel) -> None:
        """Loads what was put out of memory. From any thread but the event loop's."""
        self._from_folder(model.digest, lambda folder: model.load_again(folder, trusted=self._trusted))
        if self._memory is not None:
            self._memory.put_in(model)

    def _load_model(self, arm: Arm) -> LoadedModel:
        model = self._from_folder(arm.bundle, lambda folder: self._load(folder, arm))
        if self._memory is not None and model.pool is None:
            self._memory.put_in(model)
        return model

    def _load(self, folder: Path, arm: Arm) -> LoadedModel:
        return LoadedModel(
            folder,
            digest=arm.bundle,
            trusted=self._trusted,
            declared=self._declared,
            quiet=arm.role == "shadow",
            counts=self._counters.processes,
        )

    def _from_folder(self, bundle: str, load: Callable[[Path], T]) -> T:
        try:
            return load(self._keeper.folder(bundle))
        except Damaged as error:
            _logger.warning("the local copy of %s is damaged and is brought again: %s", bundle, error)
        return load(self._keeper.folder(bundle, again=True))


class Follower:
    """Keeps a router at the source's table, from a thread of its own."""

    def __init__(self, router: Router, source: RouteSource, counters: Counters, seconds: float) -> None:
        self._router = router
        self._source = source
        self._counters = counters
        self._seconds = seconds
        self._stop = threading.Event()
        # Something answers, be it by the table that was kept here; the source was asked.
        self._serving = threading.Event()
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="routes", daemon=True)

    def start(self) -> None:
        """Begins, and waits until something answers, and a little for the source, but not for long."""
        self._thread.start()
        if self._serving.wait(_PATIENCE):
            self._looked.wait(_PATIENCE_WITH_COPY)

    def stop(self) -> None:
        """Ends; a look that hangs is left behind."""
        self._stop.set()
        self._thread.join(1.0)

    def _follow(self) -> None:
        try:
            self._router.load_kept(self._serving.set)
        except Exception:
            _logger.exception("the table that was kept here cannot be put in force")
        known: int | None = None
        while not self._stop.is_set():
            wait = self._seconds
            try:
                table = self._source.current(known)
                if not self._counters.source_up:
                    _logger.info("the routing table can be read")
                self._counters.source_up = True
                if table is not None:
                    complete = self._router.apply(table, self._have_looked)
                    known = table.revision if complete else None
                    wait = self._seconds if complete else max(self._seconds, _RETRY_SECONDS)
            except Exception as error:  # noqa: BLE001 - a source may fail in any way; the service goes on with what it has
                if self._counters.source_up or not self._looked.is_set():
                    _logger.warning("the routing table cannot be read, going on with the last one: %s", error)
                self._counters.source_up = False
            self._have_looked()
            self._stop.wait(wait)

    def _have_looked(self) -> None:
        self._serving.set()
        self._looked.set()
