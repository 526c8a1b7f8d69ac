"""What a reference says of one season, where it has some."""

import msgspec

from kept.measures.arrays import Floats
from kept.measures.drift.counts import WindowCounts
from kept.measures.drift.statistics import Yardstick


class Season(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a reference of this season's windows alone would say.

    How much windows vary is not told apart by season: that takes more windows than a season has.
    """

    counts: WindowCounts
    yard: Yardstick
    precision: Floats
    moment: Floats
