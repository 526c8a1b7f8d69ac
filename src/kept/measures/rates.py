"""An e-value for a rate above its limit, from counts alone: it may be looked at as often as one likes."""

import math

from kept.core.errors import Invalid
from kept.measures.special import betaincc, betaln

# Where the prior expects the rate of a broken service: a few times the limit. It decides how fast the
# test is, never how often it is wrong.
_EXPECTED_MULTIPLE = 5.0

# Stands for beyond all doubt, and is still a number that JSON can carry.
_LARGEST = 1e300


def rate_evidence(events: float, trials: float, limit: float) -> float:
    """How many times likelier the counts are under a rate above the limit than under the limit itself.

    A mixture of likelihood ratios over rates above the limit (Robbins 1970, "Statistical methods related to the law of
    the iterated logarithm"): with weight w, e = integral over p > limit of w(p) p^k (1-p)^(n-k) / limit^k (1-limit)^(n-k).
    While the rate is at most the limit, the chance that it ever reaches 1 / alpha, at any of all looks, is at most
    alpha (Ville), whatever the number of trials. The weight is a Beta(1, b) cut off at the limit. Counts that were divided by
    their design effect need not be whole.
    """
    if not 0 <= limit < 1 or not 0 <= events <= trials:
        raise Invalid(
            f"{events} of {trials} against a limit of {limit}",
            where="rate",
            fix="0 <= events <= trials, 0 <= limit < 1",
        )
    if trials == 0:
        return 1.0
    if limit == 0:
        return _LARGEST if events else 1.0
    b = max(1.0 / (_EXPECTED_MULTIPLE * limit) - 1.0, 1.0)
    failures = trials - events
    tail = float(betaincc(1.0 + events, b + failures, limit))
    if tail == 0.0:
        return 0.0
    log_e = (
        float(betaln(1.0 + events, b + failures) - betaln(1.0, b))
        + math.log(tail)
        - b * math.log1p(-limit)
        - events * math.log(limit)
        - failures * math.log1p(-limit)
    )
    return min(math.exp(min(log_e, 700.0)), _LARGEST)
