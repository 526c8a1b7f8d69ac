"""What is remembered of an endpoint's labelled predictions between two looks."""

from datetime import datetime
from functools import reduce

import msgspec

from kept.governance.workspace import Workspace
from kept.measures.arrays import decode
from kept.measures.betting import LabelDetector, after_part
from kept.monitoring.decay import FedWindow
from kept.monitoring.estimate import Memory
from kept.monitoring.judged import Judged, JudgedWindow
from kept.monitoring.records import find_state
from kept.monitoring.result import MonitorState

STATE = "labelled"


class VersionWatch(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What is remembered of the champion's labelled predictions."""

    version_id: str
    acted_at: datetime | None
    """Event time of the training for which the detector was started."""
    detector: LabelDetector | None = None
    """The detector of decay as it stood before the windows in `fed`."""
    fed: tuple[FedWindow, ...] = ()
    """What the last windows that it was fed do to it, by time."""
    observed: str = "labels"
    """What the detector counts: labels, or windows where the labels of one hang together."""
    alarmed: bool = False
    alarmed_at: datetime | None = None
    """The start of the first window that shows it."""
    alarmed_above: float | None = None
    """The budget of false alarms at which it was raised."""
    labels: tuple[int, ...] = ()
    """How many labels the last windows had."""
    judged: Judged = Judged()
    """What the last windows said of the objectives."""
    standing: dict[str, int] = {}
    """Broken objectives that last, as people were told of them, and for how many windows each has been away."""
    streaks: dict[str, int] = {}
    """Of states from before windows were remembered: how many windows in a row each objective had failed."""
    unfed: tuple[datetime, ...] = ()
    """Of such states: windows that had no label when they were judged."""
    memory: Memory
    baseline: Memory = msgspec.field(default_factory=Memory.empty)
    """Its first labelled predictions, as many as are remembered: what later ones are held against to find causes."""
    baseline_since: datetime | None = None
    """The start of the first window that it is taken from."""

    @property
    def now(self) -> LabelDetector | None:
        """The detector of decay as it stands."""
        return None if self.detector is None else reduce(after_part, (one.part for one in self.fed), self.detector)

    def remembering(self) -> "VersionWatch":
        """What a state from before windows were remembered knows of them, where they are remembered now."""
        if self.judged != Judged():
            return self
        windows = tuple(JudgedWindow(start=start) for start in sorted(self.unfed))
        judged = Judged(streaks=self.streaks, standing=self.standing, windows=windows)
        return msgspec.structs.replace(self, judged=judged, streaks={}, unfed=())


class LabelledState(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What is remembered of an endpoint's labels."""

    sequence: int
    """The last label that was looked at."""
    champion: VersionWatch


class LedgerState(msgspec.Struct, frozen=True, kw_only=True):
    """How far the ledger was looked through, apart from the rest: what was remembered is not read to see that nothing came."""

    sequence: int
    """The last label that was looked at."""
    looked_at: datetime | None = None
    """When predictions were looked through for such as came late, in processing time."""


def read_state(workspace: Workspace, endpoint: str) -> tuple[MonitorState | None, LabelledState | None]:
    """What is remembered of an endpoint's labels."""
    with workspace.database.reading() as connection:
        known = find_state(connection, endpoint, STATE, "")
    return known, decode(known.state, LabelledState) if known else None
