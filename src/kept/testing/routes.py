"""The conformance kits of `kept.serving.local.RouteSource`. Need pytest."""

from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from kept.deployment.routing import Arm, Role, Route
from kept.serving.local import RouteSource


class RouteSourceKit(ABC):
    """What every source of routes does."""

    @abstractmethod
    def open(self, folder: Path, routes: tuple[Route, ...]) -> RouteSource:
        """A source of this folder, which is there, in which these routes are in force."""

    def test_it_gives_the_routes_in_force(self, tmp_path: Path) -> None:
        table = self.open(tmp_path, _ROUTES).current(None)
        assert table is not None
        assert {route.endpoint: route.arms for route in table.routes} == _arms(_ROUTES)

    def test_it_gives_nothing_when_they_are_known(self, tmp_path: Path) -> None:
        source = self.open(tmp_path, _ROUTES)
        table = source.current(None)
        assert table is not None
        for _ in range(3):
            assert source.current(table.revision) is None

    def test_it_gives_them_to_who_knows_none_or_others(self, tmp_path: Path) -> None:
        source = self.open(tmp_path, _ROUTES)
        table = source.current(None)
        assert table is not None
        for known in (None, table.revision - 1, table.revision + 1):
            assert source.current(known) == table
        assert source.current(table.revision) is None


class ChangingRouteSourceKit(RouteSourceKit):
    """What every source does whose routes change, and that can be out of reach."""

    @abstractmethod
    def change(self, folder: Path, routes: tuple[Route, ...]) -> None:
        """Puts these routes in force at their endpoints; others stay."""

    @abstractmethod
    def hide(self, folder: Path) -> None:
        """Makes that the routes cannot be read."""

    @abstractmethod
    def show(self, folder: Path) -> None:
        """Makes that the routes can be read again."""

    def test_a_change_is_seen_by_who_knows_the_routes_before(self, tmp_path: Path) -> None:
        source = self.open(tmp_path, _ROUTES)
        before = source.current(None)
        assert before is not None
        changed = (Route(endpoint="late", arms=(_arm(1, weight=0.75), _arm(3, "canary", 0.25))),)
        self.change(tmp_path, changed)
        after = source.current(before.revision)
        assert after is not None
        assert after.revision > before.revision
        assert {route.endpoint: route.arms for route in after.routes} == {**_arms(_ROUTES), **_arms(changed)}
        assert source.current(after.revision) is None

    def test_going_back_is_a_change_too(self, tmp_path: Path) -> None:
        source = self.open(tmp_path, _ROUTES)
        seen = set()
        for _ in range(2):
            for number in (3, 1):
                self.change(tmp_path, (Route(endpoint="late", arms=(_arm(number),)),))
                table = source.current(None)
                assert table is not None
                seen.add(table.revision)
        assert len(seen) == 4

    def test_out_of_reach_it_raises_and_says_never_that_there_are_no_routes(self, tmp_path: Path) -> None:
        source = self.open(tmp_path, _ROUTES)
        table = source.current(None)
        assert table is not None
        self.hide(tmp_path)
        for known in (None, table.revision):
            with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is, the service goes on with its own copy
                source.current(known)
        self.show(tmp_path)
        assert source.current(None) == table
        assert source.current(table.revision) is None


def _arm(number: int, role: Role = "champion", weight: float = 1.0) -> Arm:
    bundle = "sha256:" + f"{number:064}"
    return Arm(version_id=f"v{number}", number=number, model="m", bundle=bundle, role=role, weight=weight)


def _arms(routes: tuple[Route, ...]) -> dict[str, tuple[Arm, ...]]:
    return {route.endpoint: route.arms for route in routes}


_ROUTES = (
    Route(endpoint="late", arms=(_arm(1),)),
    Route(endpoint="early", arms=(_arm(1, weight=0.5), _arm(2, "canary", 0.5), _arm(3, "shadow", 0.0))),
)
