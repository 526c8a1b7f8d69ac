from pathlib import Path

from kept.store.tables import DeltaTables
from kept.testing.tables import TablesKit


class TestDeltaTables(TablesKit):
    def open(self, folder: Path) -> DeltaTables:
        return DeltaTables(folder)
