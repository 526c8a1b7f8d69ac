"""Encryption of webhooks' secrets at rest, under the key of the settings; plain text where there is none."""

from typing import TYPE_CHECKING

from kept.core.errors import Invalid

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

_PLAIN = "plain:"
_SEALED = "sealed:"


def sealed(secret: str | None, key: str) -> str | None:
    """The secret as it is stored; None when there is none."""
    if not secret:
        return None
    if not key:
        return f"{_PLAIN}{secret}"
    return f"{_SEALED}{_cipher(key).encrypt(secret.encode()).decode()}"


def unsealed(stored: str | None, key: str) -> str | None:
    """The secret of what is stored; `Invalid` when it is sealed under another key."""
    if stored is None or not stored.startswith(_SEALED):
        return stored.removeprefix(_PLAIN) if stored else None
    from cryptography.fernet import InvalidToken  # noqa: PLC0415 - only where secrets are sealed

    fix = "Set webhook_encryption_key to the key that it was sealed under, or give the webhook its secret again"
    if not key:
        raise Invalid("the webhook's secret is sealed, and there is no key", fix=fix)
    try:
        return _cipher(key).decrypt(stored.removeprefix(_SEALED)).decode()
    except InvalidToken as error:
        raise Invalid("the webhook's secret is sealed under another key", fix=fix) from error


def _cipher(key: str) -> "Fernet":
    from cryptography.fernet import Fernet  # noqa: PLC0415 - only where secrets are sealed

    try:
        return Fernet(key)
    except ValueError as error:
        fix = "Make one with: openssl rand -base64 32 | tr '+/' '-_'"
        raise Invalid(f"it is no key ({error})", where="webhook_encryption_key", fix=fix) from error
