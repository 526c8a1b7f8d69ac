"""An estimate with the interval it may lie in."""

import msgspec


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate on some rows. The ends are None where the rows do not tell (too few, or only one class).

    `method` says how the interval was made: "Wilson", "logit", "skewness-corrected t", "DeLong", "percentile bootstrap", or "jackknife
    over windows".
    """

    estimate: float | None
    low: float | None
    high: float | None
    level: float
    method: str
    rows: int

    def excludes(self, value: float) -> bool:
        """Whether the interval is known and the value lies outside it."""
        return self.low is not None and self.high is not None and not self.low <= value <= self.high
