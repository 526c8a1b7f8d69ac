"""Who can reach a server: this machine alone, unless there is a secret; and by which names it is known there."""

import ipaddress
import re

from kept.core.errors import Invalid
from kept.settings.settings import Settings

# An address of IPv6 has a port only behind its brackets.
_HOST = re.compile(r"(?:\[([^][]*)\]|([^][:]*))(?::[0-9]*)?")


def check_exposure(host: str, *, secret: bool) -> None:
    """Refuses to listen beyond this machine where no secret is asked for."""
    if not secret and not is_loopback(host):
        fix = "Set KEPT_TOKEN to a long random text, or listen on 127.0.0.1"
        raise Invalid("it is reached from other machines, and no token is set", where=f"host {host}", fix=fix)


def is_loopback(name: str) -> bool:
    """Whether a name or an address leads to this machine whoever asks for it: localhost, 127.0.0.0/8, or ::1."""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class OwnNames:
    """The names that a server is known by which answers this machine without a secret.

    Another name that leads there is how a page of another site reaches it: its browser asks for the page's own name, whose address
    has become that of the machine it runs on (DNS rebinding).

    Args:
        more: names beside those that always lead to this machine.
    """

    def __init__(self, *more: str) -> None:
        self._more = frozenset(name.lower() for name in more)

    def has(self, host: str) -> bool:
        """Whether a request's Host, with its port or without, is one of them."""
        name = _without_port(host.lower())
        return name in self._more or is_loopback(name)


def own_names(settings: Settings) -> OwnNames:
    """Those of the servers of a workspace."""
    return OwnNames(settings.host, *settings.known_as.split())


def _without_port(host: str) -> str:
    found = _HOST.fullmatch(host)
    return host if found is None else found[1] or found[2] or ""
