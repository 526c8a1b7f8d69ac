"""Actors and their permissions."""

from enum import StrEnum

import msgspec

from kept.core.errors import Forbidden


class Permission(StrEnum):
    """What an operation asks of its actor."""

    VIEW = "view"
    CONTRIBUTE = "contribute"
    RELEASE = "release"
    ADMINISTER = "administer"


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """A person or a process of Kept that acts on a workspace."""

    name: str
    origin: str
    """The door it came through: cli, python, api, worker."""
    permissions: frozenset[Permission]

    @property
    def is_automation(self) -> bool:
        """Whether it is a process of Kept and not a person: its word is no approval."""
        return self.origin == "worker"

    def require(self, permission: Permission, action: str) -> None:
        """Raises `Forbidden` when the actor may not do this."""
        if permission not in self.permissions:
            raise Forbidden(
                f"{self.name} may not do {action}: it needs the permission {permission!r}",
                fix="Ask an administrator of the workspace for it",
            )


def owner(name: str, origin: str) -> Actor:
    """The owner of an embedded workspace, who may do everything."""
    return Actor(name=name, origin=origin, permissions=frozenset(Permission))


def automation(name: str) -> Actor:
    """A process of Kept that acts by declared policy; it may not administer."""
    return Actor(name=name, origin="worker", permissions=frozenset(Permission) - {Permission.ADMINISTER})
