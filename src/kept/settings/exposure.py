"""Who can reach a server: this machine alone, unless there is a token."""

from kept.core.errors import Invalid
from kept.settings.settings import Settings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})


def check_exposure(settings: Settings) -> None:
    """Refuses to listen beyond loopback without a token."""
    if settings.host not in LOOPBACK and not settings.token:
        fix = "Set KEPT_TOKEN to a long random text, or listen on 127.0.0.1"
        raise Invalid(f"{settings.host} is open to others and no token is set", where="settings", fix=fix)
