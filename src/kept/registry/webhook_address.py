"""Where webhooks may be sent: names and addresses that are refused, in the sentences that clients know."""

import ipaddress
import re
import socket
from urllib.parse import SplitResult, urlsplit

from kept.core.errors import Invalid

_NAME = re.compile(r"(?=.{1,63}\Z)[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\Z", re.IGNORECASE | re.ASCII)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LARGEST_IPV4 = 0xFFFFFFFF


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
        raise Invalid(f"Webhook URL cannot be empty or just whitespace: {url!r}")
    host = _parts(url, schemes).hostname
    if not host:
        raise Invalid(f"Webhook URL must include a hostname: {url!r}")
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
    if isinstance(ip, ipaddress.IPv6Address):
        # An IPv4 address in the clothes of IPv6 leads where the IPv4 address leads.
        within = ip.ipv4_mapped or ip.sixtofour
        if within is None and ip in _NAT64:
            within = ipaddress.IPv4Address(int(ip) & _LARGEST_IPV4)
        if within is not None:
            return within.is_global
    return ip.is_global


def _parts(url: str, schemes: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise Invalid(f"Invalid webhook URL {url!r}: {error!r}") from error
    allowed = [scheme.strip() for scheme in schemes.split(",")]
    if parts.scheme not in allowed:
        raise Invalid(f"Invalid webhook URL scheme: {parts.scheme!r}. Allowed schemes are: {', '.join(allowed)}.")
    return parts
