"""Orphaned spools: what a dead process left is delivered by the next one that comes."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from kept.app.tracked.delivery import REFUSED, Delivery, told
from kept.app.tracked.destination import Destination
from kept.app.tracked.spool import SpoolFacts, read_facts
from kept.core.errors import Damaged
from kept.store.spool import segments

_KILLED = "the process that logged it ended without a word"


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one spool."""

    run: str
    writer: str
    host: str
    frames: int
    """How many were acknowledged now."""
    waiting: bool
    """Whether some still wait, or lie aside."""
    trouble: str = ""


def deliver_waiting(destination: Destination, *, own: str = "") -> list[Delivered]:
    """Delivers every spool for the destination whose process is dead. Several may be at it; each takes other ones.

    Args:
        destination: where to.
        own: the name of a spool to leave alone.
    """
    if not destination.spools.is_dir():
        return []
    found = sorted(path for path in destination.spools.iterdir() if path.is_dir() and not path.name.startswith("."))
    done = []
    for spool in found:
        if spool.name == own:
            continue
        with _mine(spool) as mine:
            if mine and (one := _deliver(spool, destination)) is not None:
                done.append(one)
    return done


def _deliver(spool: Path, destination: Destination) -> Delivered | None:
    if not segments(spool):
        return _lying(spool)
    try:
        facts = read_facts(spool)
    except Damaged as error:
        return Delivered(run="", writer=spool.name, host="", frames=0, waiting=True, trouble=str(error))
    delivery = Delivery(spool, facts.run, destination)
    try:
        delivery.deliver()
        if facts.begun:
            delivery.end_for(_KILLED)
        gone = delivery.clear()
    except Exception as error:  # noqa: BLE001 - whatever it is: it is told, and the spool stays
        return _delivered(facts, spool, delivery, waiting=True, trouble=told(error))
    trouble = "; ".join(one.reason for one in delivery.refused)
    return _delivered(facts, spool, delivery, waiting=not gone, trouble=trouble)


def _lying(spool: Path) -> Delivered | None:
    """A spool without segments: what lies aside is told, and the rest of a removal is done."""
    if (spool / REFUSED).exists() or any(spool.glob("*.torn")):
        trouble = f"what was refused or torn lies in {spool}"
        return Delivered(run="", writer=spool.name, host="", frames=0, waiting=True, trouble=trouble)
    for path in sorted(spool.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    spool.rmdir()
    return None


def _delivered(facts: SpoolFacts, spool: Path, delivery: Delivery, *, waiting: bool, trouble: str) -> Delivered:
    return Delivered(
        run=facts.run, writer=spool.name, host=facts.host, frames=delivery.sent, waiting=waiting, trouble=trouble
    )


@contextmanager
def _mine(spool: Path) -> Iterator[bool]:
    """Holds a spool's lock while it lasts, and says whether it was free and the spool still there."""
    try:
        folder = os.open(spool, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield spool.is_dir()
    finally:
        os.close(folder)
