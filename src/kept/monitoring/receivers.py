"""Escalation: which receivers are told of an alert at once, and which later until somebody acknowledges it."""

from datetime import timedelta
from typing import Literal

import msgspec

from kept.core.durations import duration
from kept.settings.settings import Settings

OWNER = "owner"


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """Where a notice goes. What a notice remembers is its place in the settings: the address there now is used."""

    place: str
    """`webhook`, `email:1`, `chat:1`, `escalation:1`, ...: no address, since addresses hold secrets."""
    kind: Literal["webhook", "email", "chat"]
    address: str


def groups(settings: Settings) -> list[list[Receiver]]:
    """Who is told first, then who is told next when nobody acknowledges, and so on."""
    first = [Receiver(place="webhook", kind="webhook", address=settings.webhook_url)] if settings.webhook_url else []
    for place, address in enumerate(settings.alert_email.replace(",", " ").split(), start=1):
        first.append(Receiver(place=f"email:{place}", kind="email", address=address))
    for place, address in enumerate(settings.alert_chat.split(), start=1):
        first.append(Receiver(place=f"chat:{place}", kind="chat", address=address))
    later = [
        [_escalation(f"escalation:{place}", address)]
        for place, address in enumerate(settings.alert_escalation.split(), start=1)
    ]
    return [first, *later]


def escalates_after(settings: Settings) -> timedelta:
    """How long a group has to acknowledge before the next is told."""
    return duration(settings.alert_escalation_after, where="alert_escalation_after")


def receiver_at(settings: Settings, place: str) -> Receiver | None:
    """The receiver that is configured in a place now; None when there is none."""
    return next((one for group in groups(settings) for one in group if one.place == place), None)


def place_of(target: str) -> str:
    """The place that a notice's target names; notices of old named the webhook by its address."""
    return "webhook" if "://" in target else target


def _escalation(place: str, address: str) -> Receiver:
    if address.startswith("mailto:") and not address.startswith("mailto://"):
        return Receiver(place=place, kind="email", address=address.removeprefix("mailto:"))
    if address.startswith(("https://", "http://")):
        return Receiver(place=place, kind="webhook", address=address)
    return Receiver(place=place, kind="chat", address=address)
