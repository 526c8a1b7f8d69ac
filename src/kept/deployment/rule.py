"""The decision rule of a rollout: advance, promote, roll back or wait. Pure: no state, no clock, no store."""

from collections.abc import Sequence
from typing import Literal

from kept.core.durations import format_duration, tell_duration
from kept.core.errors import Invalid
from kept.deployment.rollout import Action, Decision, Evidence, Phase, Quality, Rule
from kept.deployment.statistics import StepStatistics
from kept.measures.rates import rate_evidence
from kept.measures.sequential import LEAST_OUTCOMES, Arm, Comparison, compare_pairs, half_width

LEAST_LATENCIES = 100
_NAMES: dict[Phase, str] = {"shadow": "shadow", "canary": "step", "ab": "A/B test"}
_Count = Literal["rows", "errors", "slow", "latencies"]
_SLOW_SHARE = 0.01
_SMALLEST_EFFECT = 0.01
# Beside a candidate that has nine requests of ten, hundreds of its failures are needed to tell them from those that both would have:
# a rate of so many times the limit, and of one in twenty, is then enough, where the champion shows none above it.
_MOST_OF_ALL = 9
_BROKEN, _BROKEN_AT_LEAST = 5, 0.05
_ON_RATE_ALONE = 0.1
# A median latency that is longer by less than this is nobody's trouble, whatever its ratio: small models answer in 0.1 ms.
_NOTICEABLE_MS = 1.0


def decide(rule: Rule, steps: tuple[StepStatistics, ...], phase: Phase = "canary") -> Decision:
    """What the statistics of a version on trial ask for. May be looked at as often as one likes.

    Args:
        rule: what the rollout is held to.
        steps: one entry for each step of a canary so far, the last is the present one; one alone for a shadow and an A/B test.
        phase: how it is on trial.

    In this order: rolled back when failures are above their limit (sequential test on counts), when the median latency is
    more than `max_latency_ratio` times the champion's and 1 ms above it (sequential test on the count of slower answers),
    or the latency objective fails, and
    when the loss is worse (asymptotic confidence sequence on the difference of mean losses, steps weighted by
    their information, upper end below 0). Otherwise it goes a step on when the step's time and rows are reached and the
    failures and the median latency seen are within their limits; when neither has happened by the timeout, it is rolled
    back, or held where that is declared. For failures and slow answers a candidate is rolled back only when it has more of
    them than the champion has, too; where it has nine of ten requests or more, also when it fails five times as often as it may,
    and one time in twenty, and the champion does not.

    Quality does not hold a step up, because labels may come late: the reason says whether it was judged. With
    `quality_required` it holds the last one: until labels show that the candidate is no worse, and when they have not
    by the timeout, a person decides, since nothing speaks against the version either.

    A shadow is rolled back, too, when it answers otherwise than the champion more often than `max_disagreement` (the same
    sequential test), and its loss is compared with the champion's row by row, where rows of one monitoring window hang
    together. An A/B test ends when its labels
    tell the versions apart: the challenger is promoted only when its loss is lower.
    """
    most = max(len(rule.canary) - 1, 1) if phase == "canary" else 1
    if not 0 < len(steps) <= most:
        fix = f"Give the steps so far: 1 to {most}"
        raise Invalid(f"{len(steps)} steps do not fit the {_NAMES[phase]}", where="rollout", fix=fix)
    evidence = _evidence(rule, steps, phase)
    if (reason := _wrong(rule, steps, evidence)) is not None:
        return Decision(action="roll_back", reason=reason, evidence=evidence)
    now = steps[-1]
    last = phase == "ab" or (len(steps) >= len(rule.canary) - 1 and (phase == "canary" or len(rule.canary) == 1))
    unknown = _not_shown(rule, evidence) if last and phase != "ab" else ""
    missing = ", and ".join(filter(None, (_missing(rule, now, evidence, phase), unknown)))
    if not missing:
        action: Action = "promote" if last else "advance"
        reason = f"{_well(rule, evidence, phase)} {_quality(rule, evidence)}"
        return Decision(action=action, reason=f"{reason}{_unshown(evidence) if last else ''}", evidence=evidence)
    if now.elapsed >= rule.timeout:
        end: Action = "hold" if missing == unknown else rule.on_timeout
        held = " It is held as it is until a person decides." if end == "hold" else ""
        reason = f"After {tell_duration(now.elapsed)} of the {_NAMES[phase]} there is no decision: {missing}.{held}"
        return Decision(action=end, reason=reason, evidence=evidence)
    return Decision(action="go_on", reason=f"The {_NAMES[phase]} goes on: {missing}.", evidence=evidence)


def _evidence(rule: Rule, steps: tuple[StepStatistics, ...], phase: Phase) -> Evidence:
    now = steps[-1]
    theirs = sum(one.champion.errors for one in steps) / max(sum(one.champion.rows for one in steps), 1)
    champion, candidate = now.champion.latency_p50_ms, now.candidate.latency_p50_ms
    enough = min(now.champion.latencies, now.candidate.latencies) >= LEAST_LATENCIES
    ratio = candidate / champion if enough and champion and candidate is not None else None
    difference, low, high = _paired(rule, now) if phase == "shadow" else _improvement(rule, steps)
    shares = {"shadow": 0.0, "canary": rule.canary[len(steps) - 1], "ab": rule.challenger or 0.0}
    pairs = now.pairs
    return Evidence(
        step=len(steps) - 1,
        share=shares[phase],
        rows=now.candidate.rows,
        errors=now.candidate.errors,
        error_rate=now.candidate.error_rate,
        error_evidence=_excess(rule.max_error_rate, steps, "errors", "rows"),
        champion_error_rate=theirs,
        latency_ratio=ratio,
        latency_p99_ms=now.candidate.latency_p99_ms,
        slow_evidence=rate_evidence(now.candidate.slower, now.candidate.latencies, 0.5) if ratio is not None else 1.0,
        elapsed=now.elapsed,
        champion_outcomes=sum(one.champion.losses.outcomes for one in steps),
        candidate_outcomes=sum(one.candidate.losses.outcomes for one in steps) + (pairs.gains.outcomes if pairs else 0),
        improvement=difference,
        low=low,
        high=high,
        quality=_verdict(rule, low, high),
        pairs=pairs.rows if pairs else 0,
        disagreements=pairs.disagreements if pairs else 0,
    )


def compare_losses(rule: Rule, gains: Arm, windows: Sequence[Arm] = ()) -> Comparison:
    """Two versions on the same rows, by the champion's loss minus the other's, each in [-1, 1]; undecided below 100.

    `windows` are the same gains by monitoring window, whose rows hang together.
    """
    tau = max(rule.margin, _SMALLEST_EFFECT)
    return compare_pairs(gains, tau=tau, margin=rule.margin, alpha=rule.alpha, windows=windows)


def _paired(rule: Rule, now: StepStatistics) -> tuple[float | None, float | None, float | None]:
    """The mean difference of losses on the same rows, and its confidence sequence; None below 100 labelled rows."""
    if now.pairs is None or not now.pairs.gains.outcomes:
        return None, None, None
    found = compare_losses(rule, now.pairs.gains, now.pairs.windows)
    return found.difference, found.low, found.high


def _improvement(rule: Rule, steps: tuple[StepStatistics, ...]) -> tuple[float | None, float | None, float | None]:
    """The difference of mean losses, and its confidence sequence; None below 100 outcomes an arm.

    Arms are compared within each step, where the shares are fixed: sums over all steps would confuse the candidate's
    loss with the days on which it had more traffic. Steps are weighted by n_A n_B / (n_A + n_B), which does not
    look at the outcomes.
    """
    pairs = [(one.champion.losses, one.candidate.losses) for one in steps]
    pairs = [(champion, candidate) for champion, candidate in pairs if min(champion.outcomes, candidate.outcomes) > 0]
    champions, candidates = sum(one.outcomes for one, _ in pairs), sum(one.outcomes for _, one in pairs)
    if not pairs:
        return None, None, None
    weights = [a.outcomes * b.outcomes / (a.outcomes + b.outcomes) for a, b in pairs]
    shares = [weight / sum(weights) for weight in weights]
    difference = sum(share * (a.mean - b.mean) for share, (a, b) in zip(shares, pairs, strict=True))
    if min(champions, candidates) < LEAST_OUTCOMES:
        return difference, None, None
    variance = sum(
        share**2 * sum(arm.variance(1.0) / arm.outcomes for arm in pair)
        for share, pair in zip(shares, pairs, strict=True)
    )
    width = half_width(variance, tau=max(rule.margin, _SMALLEST_EFFECT), alpha=rule.alpha)
    return difference, difference - width, difference + width


def _verdict(rule: Rule, low: float | None, high: float | None) -> Quality:
    if low is None or high is None:
        return "not judged"
    if high < 0:
        return "worse"
    if low > 0:
        return "better"
    return "not worse" if low > -rule.margin else "undecided"


def _wrong(rule: Rule, steps: tuple[StepStatistics, ...], evidence: Evidence) -> str | None:
    """The sentence that says why it must be rolled back at once, or None."""
    if evidence.error_evidence >= 1 / rule.alpha:
        errors, rows, too = _total(steps, "errors"), _total(steps, "rows"), _of_the_champion(rule, evidence)
        return f"{errors:,} of {rows:,} requests to the candidate failed; at most {rule.max_error_rate:.2%} may{too}."
    if (reason := _too_slow(rule, steps[-1], evidence)) is not None:
        return reason
    champion = steps[-1].champion
    if rule.latency_p99_ms is not None and champion.latencies >= LEAST_LATENCIES:
        slow, rows = _total(steps, "slow"), _total(steps, "latencies")
        if _excess(_SLOW_SHARE, steps, "slow", "latencies") >= 1 / rule.alpha:
            return (
                f"{slow:,} of {rows:,} answers of the candidate took more than {rule.latency_p99_ms:g} ms, "
                f"which at most 1% may; of the champion's {champion.slow_rate:.2%} did."
            )
    most = rule.max_disagreement
    if most is not None and rate_evidence(evidence.disagreements, evidence.pairs, most) >= 1 / rule.alpha:
        return f"It {_otherwise(evidence)}; at most {most:.2%} may be."
    return _quality(rule, evidence) if evidence.quality == "worse" else None


def _otherwise(evidence: Evidence) -> str:
    return f"answered {evidence.disagreements:,} of {evidence.pairs:,} rows otherwise than the champion"


def _too_slow(rule: Rule, now: StepStatistics, evidence: Evidence) -> str | None:
    champion, candidate = now.champion.latency_p50_ms, now.candidate.latency_p50_ms
    sure = evidence.slow_evidence >= 1 / rule.alpha
    if not sure or evidence.latency_ratio is None or champion is None or candidate is None:
        return None
    return (
        f"The candidate's median latency is {evidence.latency_ratio:.1f} times the champion's "
        f"({candidate:.3g} ms against {champion:.3g} ms); at most {rule.max_latency_ratio:g} times is allowed."
    )


def slowest_median(rule: Rule, champion_ms: float) -> float:
    """The longest median latency that is allowed beside a champion's, in milliseconds."""
    return max(rule.max_latency_ratio * champion_ms, champion_ms + _NOTICEABLE_MS)


def _excess(limit: float, steps: tuple[StepStatistics, ...], events: _Count, trials: _Count) -> float:
    """How much likelier a rate of the candidate is above both its limit and, in the present step, the champion's.

    What both are asked, or what they share, fails for both: no reason to go back from one to the other. While the
    candidate's rate is not above the champion's, each event of the two is the candidate's with the probability of its
    share of the requests, or less. The smaller of two such ratios is at most 1 in the mean where either of the limits holds.
    Where nearly all requests are the candidate's, a rate that is far above the limit needs no such comparison: a part of the
    evidence rests on that alone, so that both are one test (a mixture of the ratios), which errs no more often than declared
    where the candidate keeps its limit. Where both break it alike, the champion's few requests may happen not to show it: it
    goes back needlessly then, rather than late.
    """
    own, theirs = steps[-1].candidate, steps[-1].champion
    own_events, own_trials = getattr(own, events), getattr(own, trials)
    their_events, their_trials = getattr(theirs, events), getattr(theirs, trials)
    above = rate_evidence(_total(steps, events), _total(steps, trials), limit)
    # Where the champion was asked nothing yet, nothing tells whose the failures are.
    beside = 1.0
    if their_trials:
        share = own_trials / (own_trials + their_trials)
        beside = rate_evidence(own_events, own_events + their_events, share)
    evidence = (1 - _ON_RATE_ALONE) * min(above, beside)
    if own_trials >= _MOST_OF_ALL * their_trials and their_events <= limit * their_trials:
        far = min(max(_BROKEN * limit, _BROKEN_AT_LEAST), 0.5)
        evidence += _ON_RATE_ALONE * rate_evidence(own_events, own_trials, far)
    return evidence


def _total(steps: tuple[StepStatistics, ...], name: _Count) -> int:
    return sum(int(getattr(one.candidate, name)) for one in steps)


def _missing(rule: Rule, now: StepStatistics, evidence: Evidence, phase: Phase) -> str:
    """What the step still lacks, as the rest of a sentence; empty when nothing."""
    lacks = []
    least, length = (rule.shadow_rows, rule.shadow) if phase == "shadow" else (rule.step_rows, rule.step)
    if now.candidate.rows < least:
        lacks.append(f"the candidate answered {now.candidate.rows:,} of {least:,} requests")
    if length is not None and now.elapsed < length:
        lacks.append(f"{tell_duration(now.elapsed)} of {format_duration(length)} have passed")
    if now.candidate.error_rate > rule.max_error_rate:
        share = f"{now.candidate.errors:,} of {now.candidate.rows:,} requests failed"
        lacks.append(f"{share}, and at most {rule.max_error_rate:.2%} may{_of_the_champion(rule, evidence)}")
    if (ratio := evidence.latency_ratio) is not None and _slower(rule, now):
        most = f"at most {rule.max_latency_ratio:g} times is allowed"
        lacks.append(f"its median latency is {ratio:.3g} times the champion's, and {most}")
    if rule.max_disagreement is not None and evidence.disagreements > rule.max_disagreement * evidence.pairs:
        lacks.append(f"it {_otherwise(evidence)}, and at most {rule.max_disagreement:.2%} may be")
    if phase == "ab" and evidence.quality != "better":
        lacks.append(f"the labels do not tell the versions apart ({_within(rule, evidence)})")
    return ", and ".join(lacks)


def _slower(rule: Rule, now: StepStatistics) -> bool:
    champion, candidate = now.champion.latency_p50_ms, now.candidate.latency_p50_ms
    return champion is not None and candidate is not None and candidate > slowest_median(rule, champion)


def _of_the_champion(rule: Rule, evidence: Evidence) -> str:
    """What is added where the champion fails too often as well."""
    theirs = evidence.champion_error_rate
    return f" ({theirs:.2%} of the champion's did)" if theirs > rule.max_error_rate else ""


def _is_no_worse(evidence: Evidence) -> bool:
    return evidence.quality in {"better", "not worse"}


def _not_shown(rule: Rule, evidence: Evidence) -> str:
    """What labels have not shown, where it is required; empty when nothing."""
    if not rule.quality_required or _is_no_worse(evidence):
        return ""
    return f"labels have not shown that it is no worse, which is required ({_within(rule, evidence)})"


def _unshown(evidence: Evidence) -> str:
    """Said where a version takes all traffic without that."""
    if _is_no_worse(evidence):
        return ""
    return " It takes over on errors and latency: a decision on quality is not required."


def _well(rule: Rule, evidence: Evidence, phase: Phase) -> str:
    latency = f", latency not judged (of fewer than {LEAST_LATENCIES} answers)"
    if evidence.latency_ratio is not None:
        latency = f", median latency {evidence.latency_ratio:.2g} times the champion's"
    failed = f"{evidence.errors:,} failed" + (f" (at most {rule.max_error_rate:.2%} may)" if evidence.errors else "")
    agreed = (
        f", {evidence.pairs - evidence.disagreements:,} of {evidence.pairs:,} rows as the champion"
        if evidence.pairs
        else ""
    )
    what = "requests answered as a shadow" if phase == "shadow" else "requests answered"
    return f"{evidence.rows:,} {what} in {tell_duration(evidence.elapsed)}: {failed}{latency}{agreed}."


def _within(rule: Rule, evidence: Evidence) -> str:
    """What the labels say, as a part of a sentence."""
    said = _quality(rule, evidence).rstrip(".")
    return f"{said[:1].lower()}{said[1:]}"


def _quality(rule: Rule, evidence: Evidence) -> str:
    """What the labels say of the candidate, as a sentence that is true whatever was done on it."""
    labels = f"{evidence.candidate_outcomes:,} labels"
    if evidence.low is None or evidence.high is None or evidence.improvement is None:
        return f"Quality not judged: {labels} of the candidate, {LEAST_OUTCOMES} an arm are needed."
    higher, low, high = (0.0 - one for one in (evidence.improvement, evidence.high, evidence.low))
    numbers = f"{higher:+.4f}, {1 - rule.alpha:.0%} confidence sequence {low:+.4f} to {high:+.4f}, {labels}"
    said = {
        "better": "Its loss is lower than the champion's",
        "not worse": f"Its loss is not higher than the champion's by {rule.margin:g} or more",
        "worse": "Its loss is higher than the champion's",
        "undecided": "No worse loss is shown by the labels so far",
        "not judged": "Quality not judged",
    }[evidence.quality]
    return f"{said} ({numbers})."
