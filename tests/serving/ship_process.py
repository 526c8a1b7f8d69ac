"""A shipper in a process of its own, to be killed."""

from multiprocessing.synchronize import Event
from pathlib import Path

from kept.core.clock import SystemClock
from kept.serving.shipping import Shipper
from kept.store.tables import DeltaTables


def ship_for_ever(spool: Path, tables: Path, begun: Event) -> None:
    """Ships again and again until it is killed."""
    shipper = Shipper(spool, DeltaTables(tables), SystemClock())
    begun.set()
    while True:
        shipper.ship()
