"""Validation of webhook addresses, against requests into this network; messages that clients know."""

import ipaddress
import re
import socket
from urllib.parse import SplitResult, urlsplit

from kept.core.errors import Invalid

_NAME = re.compile(r"(?=.{1,63}\Z)[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\Z", re.IGNORECASE | re.ASCII)
HIDDEN = "(hidden)"
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LARGEST_IPV4 = 0xFFFFFFFF
_UNHEARD = re.compile(r"[\x00-\x20\x7f]")
# Python takes these for public: obsolete forms of IPv4 addresses and of private ones, and a translator's own.
_NEVER = [ipaddress.IPv6Network(one) for one in ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fec0::/10")]


def check_webhook_name(name: str) -> None:
    """Refuses what can not be the name of a webhook."""
    if not _NAME.match(name):
        raise Invalid(
            f"Webhook name {name!r} is invalid. It must start and end with a letter or digit, be less than 63 characters "
            "long, and contain only letters, digits, dots (.), underscores (_), and hyphens (-)."
        )


def check_webhook_url(url: str, schemes: str, *, private: bool) -> None:
    """Refuses an address with another scheme than these, and, unless private ones are allowed, one that is not public.

    A name that can not be looked up now passes: what counts is the address that is connected to, and that is looked at
    at every delivery.
    """
    if not url.strip():
        raise Invalid(f"Webhook URL cannot be empty or just whitespace: {without_user(url)!r}")
    parts = _parts(url, schemes)
    host = parts.hostname
    if not host:
        raise Invalid(f"Webhook URL must include a hostname: {without_user(url)!r}")
    if _UNHEARD.search(parts.netloc):
        raise Invalid("Invalid webhook URL: a space or a control character stands in it")
    if private:
        return
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError, ValueError):
        return
    for _, _, _, _, address in found:
        if not is_public(str(address[0])):
            rule = "Webhook URL must not resolve to a non-public IP address."
            raise Invalid(f"{rule} {host!r} resolves to {address[0]}.")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet, and not of this machine or a private network."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if ip.is_multicast:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        # An IPv4 address in the clothes of IPv6 leads where the IPv4 address leads.
        within = ip.ipv4_mapped or ip.sixtofour
        if within is None and ip in _NAT64:
            within = ipaddress.IPv4Address(int(ip) & _LARGEST_IPV4)
        if within is not None:
            return within.is_global and not within.is_multicast
        if any(ip in one for one in _NEVER):
            return False
    return ip.is_global


def _parts(url: str, schemes: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise Invalid(f"Invalid webhook URL {without_user(url)!r}: {error!r}") from error
    allowed = [scheme.strip() for scheme in schemes.split(",")]
    if parts.scheme not in allowed:
        raise Invalid(f"Invalid webhook URL scheme: {parts.scheme!r}. Allowed schemes are: {', '.join(allowed)}.")
    return parts


def without_user(url: str) -> str:
    """The address without the user and password that may stand in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN if "@" in url else url
    _, at, host = parts.netloc.rpartition("@")
    if not at:
        # Where no host is understood, an @ may still stand behind a password.
        return url if parts.netloc or "@" not in url else HIDDEN
    return parts._replace(netloc=f"{HIDDEN}@{host}").geturl()
