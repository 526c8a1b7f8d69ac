from datetime import timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.core.errors import Invalid
from kept.deployment.rollout import Decision, Rule
from kept.deployment.rule import decide
from kept.deployment.statistics import ArmStatistics, PairStatistics, StepStatistics
from kept.measures.sequential import Arm as Outcomes

HOUR = timedelta(hours=1)
RULE = Rule(canary=(0.1, 0.5, 1.0), step=HOUR, step_rows=200, timeout=timedelta(days=7))


def arm(
    rows: int = 500,
    errors: int = 0,
    p50: float | None = 1.0,
    slow: int = 0,
    loss: float | None = None,
    n: int = 0,
    slower: int = 0,
) -> ArmStatistics:
    values = np.full(n, loss if loss is not None else 0.0)
    return ArmStatistics(
        rows=rows, errors=errors, latency_p50_ms=p50, slow=slow, slower=slower, losses=Outcomes.of(values)
    )


def step(
    candidate: ArmStatistics, champion: ArmStatistics | None = None, elapsed: timedelta = 2 * HOUR
) -> StepStatistics:
    return StepStatistics(candidate=candidate, champion=champion or arm(rows=5_000), elapsed=elapsed)


def test_a_step_with_time_and_traffic_goes_on_and_says_that_quality_is_open() -> None:
    decision = decide(RULE, (step(arm()),))
    assert decision.action == "advance"
    assert decision.evidence.quality == "not judged"
    assert decision.reason == (
        "500 requests answered in 2h: 0 failed, median latency 1 times the champion's. "
        "Quality not judged: 0 labels of the candidate, 100 an arm are needed."
    )


def test_the_last_step_promotes() -> None:
    assert decide(RULE, (step(arm()), step(arm()))).action == "promote"


@pytest.mark.parametrize(
    ("candidate", "elapsed", "reason"),
    [
        (arm(rows=120), 2 * HOUR, "The step goes on: the candidate answered 120 of 200 requests."),
        (arm(), HOUR / 2, "The step goes on: 30m of 1h have passed."),
        (arm(rows=200, errors=3), 2 * HOUR, "The step goes on: 3 of 200 requests failed, and at most 1.00% may."),
    ],
)
def test_a_step_goes_on_until_it_has_what_it_needs(candidate: ArmStatistics, elapsed: timedelta, reason: str) -> None:
    decision = decide(RULE, (step(candidate, elapsed=elapsed),))
    assert (decision.action, decision.reason) == ("go_on", reason)


def test_want_of_traffic_rolls_back_in_the_end() -> None:
    decision = decide(RULE, (step(arm(rows=12), elapsed=timedelta(days=8)),))
    assert decision.action == "roll_back"
    assert "12 of 200 requests" in decision.reason


def test_failures_roll_back_before_the_step_is_over() -> None:
    decision = decide(RULE, (step(arm(rows=10, errors=5), elapsed=timedelta(seconds=10)),))
    assert decision.action == "roll_back"
    assert decision.reason == "5 of 10 requests to the candidate failed; at most 1.00% may."


def test_latency_rolls_back() -> None:
    decision = decide(RULE, (step(arm(p50=4.0, slower=300)),))
    assert decision.action == "roll_back"
    assert "4.0 times the champion's" in decision.reason
    assert decide(RULE, (step(arm(rows=20, p50=4.0, slower=20)),)).action == "go_on"


def test_a_median_that_may_be_chance_holds_the_step_and_rolls_nothing_back() -> None:
    # Of 200 answers 104 were slower than three times the champion's median: so may be half of them in the long run.
    decision = decide(RULE, (step(arm(rows=200, p50=3.05, slower=104)),))
    assert decision.action == "go_on"
    assert decision.reason == (
        "The step goes on: its median latency is 3.05 times the champion's, and at most 3 times is allowed."
    )
    assert decide(RULE, (step(arm(rows=2_000, p50=3.2, slower=1_150)),)).action == "roll_back"


def test_a_latency_of_few_answers_is_said_to_be_unjudged() -> None:
    rule = msgspec.structs.replace(RULE, step_rows=50)
    decision = decide(rule, (step(arm(rows=60)),))
    assert decision.action == "advance"
    assert "latency not judged (of fewer than 100 answers)" in decision.reason


def test_failures_that_the_champion_shares_do_not_roll_back_and_do_not_go_on() -> None:
    shared = decide(RULE, (step(arm(rows=500, errors=28), arm(rows=4_500, errors=225)),))
    assert shared.action == "go_on"
    assert shared.evidence.champion_error_rate == pytest.approx(0.05)
    assert "28 of 500 requests failed, and at most 1.00% may (5.00% of the champion's did)" in shared.reason
    own = decide(RULE, (step(arm(rows=500, errors=100), arm(rows=4_500, errors=225)),))
    assert own.action == "roll_back"
    assert own.reason == "100 of 500 requests to the candidate failed; at most 1.00% may (5.00% of the champion's did)."
    outage = decide(RULE, (step(arm(rows=50, errors=50), arm(rows=450, errors=450)),))
    assert outage.action == "go_on"


@pytest.mark.parametrize(("share", "rate"), [(0.9, 0.2), (0.95, 0.2), (0.95, 0.5), (0.99, 0.2), (0.999, 0.1)])
def test_a_candidate_with_nearly_all_requests_goes_back_after_a_few_dozen_failures(share: float, rate: float) -> None:
    rule = msgspec.structs.replace(RULE, canary=(share, 1.0))
    for asked in range(20, 20_000, 20):
        tried = arm(rows=asked, errors=round(asked * rate))
        beside = arm(rows=max(round(asked * (1 - share) / share), 1))
        if decide(rule, (step(tried, beside),)).action == "roll_back":
            break
    assert tried.errors <= 45
    shared = msgspec.structs.replace(beside, errors=1)
    assert decide(rule, (step(tried, shared),)).action == "go_on"


@pytest.mark.parametrize(("limit", "errors"), [(0.0, 1), (0.0001, 2), (0.001, 3)])
def test_single_failures_that_both_would_have_had_roll_nothing_back(limit: float, errors: int) -> None:
    rule = msgspec.structs.replace(RULE, canary=(0.95, 1.0), max_error_rate=limit)
    decision = decide(rule, (step(arm(rows=57, errors=errors), arm(rows=3)),))
    assert decision.action == "go_on"


@pytest.mark.parametrize(
    ("candidate", "champion", "share"),
    [(0.05, 0.05, 0.5), (0.3, 0.3, 0.5), (0.05, 0.08, 0.1), (0.04, 0.04, 0.95), (0.049, 0.049, 0.99)],
)
def test_a_candidate_that_fails_as_often_as_the_champion_is_hardly_ever_rolled_back(
    candidate: float, champion: float, share: float
) -> None:
    random, rolled_back = np.random.default_rng(5), 0
    for _ in range(60):
        on_trial = random.random(2_000) < share
        fails = random.random(2_000) < np.where(on_trial, candidate, champion)
        for looked in range(40, 2_000, 40):
            own, failed = on_trial[:looked], fails[:looked]
            tried = arm(rows=int(own.sum()), errors=int((failed & own).sum()))
            other = arm(rows=int((~own).sum()), errors=int((failed & ~own).sum()))
            if decide(RULE, (step(tried, other),)).action == "roll_back":
                rolled_back += 1
                break
    # At most 5% of them: more than 8 of 60 would be a chance of 1 in 300.
    assert rolled_back <= 8


def test_latencies_that_nobody_notices_do_not_roll_back() -> None:
    assert decide(RULE, (step(arm(p50=0.5), arm(rows=5_000, p50=0.1)),)).action == "advance"
    assert decide(RULE, (step(arm(p50=1.5, slower=400), arm(rows=5_000, p50=0.1)),)).action == "roll_back"


def test_the_latency_objective_counts_where_the_champion_keeps_it_better() -> None:
    rule = msgspec.structs.replace(RULE, latency_p99_ms=20.0)
    slow = arm(slow=60)
    assert decide(rule, (step(slow),)).action == "roll_back"
    assert decide(rule, (step(slow, arm(rows=5_000, slow=600)),)).action == "advance"
    assert decide(rule, (step(slow, arm(rows=5_000, slow=100)),)).action == "roll_back"


def test_a_worse_loss_rolls_back_and_a_better_one_is_said() -> None:
    worse = decide(RULE, (step(arm(loss=0.3, n=500), arm(rows=5_000, loss=0.1, n=5_000)),))
    assert worse.action == "roll_back"
    assert worse.reason.startswith("Its loss is higher than the champion's (+0.2000, 95%")
    better = decide(RULE, (step(arm(loss=0.1, n=500), arm(rows=5_000, loss=0.3, n=5_000)),))
    assert (better.action, better.evidence.quality) == ("advance", "better")
    assert "Its loss is lower than the champion's (-0.2000, 95%" in better.reason


def test_labels_that_say_nothing_yet_are_called_so() -> None:
    both = Outcomes.of(np.tile([0.0, 1.0], 60))
    candidate, champion = ArmStatistics(rows=500, losses=both), ArmStatistics(rows=5_000, losses=both)
    decision = decide(RULE, (step(candidate, champion),))
    assert (decision.action, decision.evidence.quality) == ("advance", "undecided")
    assert "No worse loss is shown by the labels so far (+0.0000" in decision.reason


def test_without_labels_it_takes_over_on_errors_and_latency_and_says_so() -> None:
    decision = decide(RULE, (step(arm()), step(arm())))
    assert decision.action == "promote"
    assert decision.reason.endswith("It takes over on errors and latency: a decision on quality is not required.")
    judged = (step(arm(loss=0.1, n=500), arm(rows=5_000, loss=0.3, n=5_000)),) * 2
    assert "errors and latency:" not in decide(RULE, judged).reason


def test_where_quality_is_required_the_last_step_waits_for_the_labels_and_then_for_a_person() -> None:
    rule = msgspec.structs.replace(RULE, quality_required=True)
    assert decide(rule, (step(arm()),)).action == "advance"
    waits = decide(rule, (step(arm()), step(arm())))
    assert waits.action == "go_on"
    assert waits.reason == (
        "The step goes on: labels have not shown that it is no worse, which is required "
        "(quality not judged: 0 labels of the candidate, 100 an arm are needed)."
    )
    late = decide(rule, (step(arm()), step(arm(), elapsed=timedelta(days=8))))
    assert late.action == "hold"
    assert late.reason.endswith("It is held as it is until a person decides.")
    thin = decide(rule, (step(arm()), step(arm(rows=12), elapsed=timedelta(days=8))))
    assert thin.action == "roll_back"
    both = step(arm(loss=0.1, n=500), arm(rows=5_000, loss=0.3, n=5_000))
    assert decide(rule, (both, both)).action == "promote"


def test_where_quality_is_required_a_shadow_is_judged_only_when_nothing_comes_after_it() -> None:
    rule = msgspec.structs.replace(RULE, quality_required=True, shadow=HOUR, shadow_rows=100)
    assert decide(rule, (step(arm()),), "shadow").action == "advance"
    swift = msgspec.structs.replace(rule, canary=(1.0,))
    assert decide(swift, (step(arm()),), "shadow").action == "go_on"


def test_traffic_that_shifts_between_steps_is_not_mistaken_for_quality() -> None:
    # Both arms lose 0.05 on the first day and 0.45 on the second, when the candidate has most of its traffic.
    steps = (
        step(arm(loss=0.05, n=300), arm(loss=0.05, n=2_700)),
        step(arm(loss=0.45, n=1_500), arm(loss=0.45, n=1_500)),
    )
    evidence = decide(RULE, steps).evidence
    assert evidence.improvement == pytest.approx(0.0)
    assert evidence.quality == "not worse"


def test_a_decision_is_plain_data() -> None:
    decision = decide(RULE, (step(arm(rows=10, errors=10), elapsed=timedelta(0)),))
    assert msgspec.json.decode(msgspec.json.encode(decision), type=Decision) == decision


def test_statistics_must_fit_the_canary() -> None:
    with pytest.raises(Invalid, match="3 steps do not fit"):
        decide(RULE, (step(arm()),) * 3)


counts = st.integers(0, 20_000)


@st.composite
def arms(draw: st.DrawFn) -> ArmStatistics:
    rows = draw(counts)
    losses = draw(st.lists(st.floats(0, 1), max_size=30))
    return ArmStatistics(
        rows=rows,
        errors=draw(st.integers(0, rows)),
        latency_p50_ms=draw(st.none() | st.floats(0.001, 1e4)),
        slow=draw(st.integers(0, rows)),
        losses=Outcomes.of(np.repeat(losses, draw(st.integers(0, 50)))),
    )


@given(champion=arms(), candidate=arms(), elapsed=st.timedeltas(timedelta(0), timedelta(days=30)))
@settings(deadline=None, max_examples=150)
def test_it_never_goes_on_to_more_traffic_against_the_rule(
    champion: ArmStatistics, candidate: ArmStatistics, elapsed: timedelta
) -> None:
    rule = msgspec.structs.replace(RULE, latency_p99_ms=20.0)
    decision = decide(rule, (StepStatistics(champion=champion, candidate=candidate, elapsed=elapsed),))
    assert decision.reason.endswith(".")
    if decision.action in {"advance", "promote"}:
        assert candidate.rows >= rule.step_rows
        assert elapsed >= rule.step
        assert candidate.error_rate <= rule.max_error_rate
        assert decision.evidence.quality != "worse"
        ratio, medians = decision.evidence.latency_ratio, (candidate.latency_p50_ms or 0, champion.latency_p50_ms or 0)
        assert ratio is None or ratio <= rule.max_latency_ratio or medians[0] - medians[1] < 1
    shared = champion.error_rate > rule.max_error_rate
    if candidate.rows >= 100 and candidate.error_rate > 0.2 and not shared:
        assert decision.action == "roll_back"
    if elapsed >= rule.timeout:
        assert decision.action != "go_on"


def test_two_equal_models_are_seldom_told_apart() -> None:
    """A/A: 200 rollouts of two steps, looked at every 20 outcomes of the candidate; alpha is 5%."""
    random = np.random.default_rng(11)
    wrong = 0
    for _ in range(200):
        steps: list[StepStatistics] = []
        rolled_back = False
        for share, base in ((0.1, 0.10), (0.5, 0.20)):
            champion, candidate = Outcomes(), Outcomes()
            steps.append(step(arm()))
            for _look in range(25):
                candidate += Outcomes.of((random.random(20) < base).astype(float))
                champion += Outcomes.of((random.random(round(20 * (1 - share) / share)) < base).astype(float))
                steps[-1] = StepStatistics(
                    champion=ArmStatistics(rows=5_000, losses=champion),
                    candidate=ArmStatistics(rows=500, losses=candidate),
                    elapsed=2 * HOUR,
                )
                rolled_back |= decide(RULE, tuple(steps)).action == "roll_back"
        wrong += rolled_back
    assert wrong / 200 <= RULE.alpha


SHADOW = msgspec.structs.replace(RULE, shadow=HOUR, shadow_rows=100, max_disagreement=0.05)


def shadow(pairs: PairStatistics, candidate: ArmStatistics | None = None, elapsed: timedelta = 2 * HOUR) -> Decision:
    seen = StepStatistics(candidate=candidate or arm(), champion=arm(), elapsed=elapsed, pairs=pairs)
    return decide(SHADOW, (seen,), "shadow")


def test_a_shadow_goes_on_when_it_has_run_long_enough_and_agrees() -> None:
    decision = shadow(PairStatistics(rows=500, disagreements=4))
    assert (decision.action, decision.evidence.share) == ("advance", 0.0)
    assert decision.reason.startswith("500 requests answered as a shadow in 2h: 0 failed")
    assert "496 of 500 rows as the champion" in decision.reason
    assert shadow(PairStatistics(rows=500), elapsed=HOUR / 2).reason == "The shadow goes on: 30m of 1h have passed."


def test_a_shadow_that_disagrees_too_often_goes_back_and_a_little_too_often_stays() -> None:
    often = shadow(PairStatistics(rows=500, disagreements=100))
    assert often.action == "roll_back"
    assert often.reason == "It answered 100 of 500 rows otherwise than the champion; at most 5.00% may be."
    assert shadow(PairStatistics(rows=500, disagreements=27)).action == "go_on"


def test_a_shadow_is_judged_row_by_row() -> None:
    worse = Outcomes.of(np.full(400, -0.05))
    decision = shadow(PairStatistics(rows=500, gains=worse))
    assert (decision.action, decision.evidence.quality) == ("roll_back", "worse")


def test_windows_whose_rows_hang_together_tell_a_shadow_no_worse_than_they_are() -> None:
    """On one bad day it lost more on every row, on three it was as good: rows alone would call it worse."""
    random = np.random.default_rng(0)
    days = [Outcomes.of(random.normal(mean, 0.05, 200)) for mean in (0.0, -0.3, 0.0, 0.01)]
    whole = sum(days, start=Outcomes())
    by_rows = shadow(PairStatistics(rows=800, gains=whole))
    assert by_rows.evidence.quality == "worse"
    by_days = shadow(PairStatistics(rows=800, gains=whole, windows=tuple(days)))
    assert by_days.evidence.quality == "undecided"
    assert "800 labels" in by_days.reason


def test_after_its_time_it_goes_back_or_is_held_as_declared() -> None:
    late = (step(arm(rows=12), elapsed=timedelta(days=8)),)
    assert decide(RULE, late).action == "roll_back"
    held = decide(msgspec.structs.replace(RULE, on_timeout="hold"), late)
    assert held.action == "hold"
    assert held.reason.endswith("It is held as it is until a person decides.")


def test_an_ab_test_ends_with_a_better_challenger_alone() -> None:
    rule = msgspec.structs.replace(RULE, challenger=0.5)
    assert decide(rule, (step(arm(loss=0.1, n=500), arm(loss=0.3, n=500)),), "ab").action == "promote"
    assert decide(rule, (step(arm(loss=0.3, n=500), arm(loss=0.1, n=500)),), "ab").action == "roll_back"
    alike = decide(rule, (step(arm(loss=0.2, n=500), arm(loss=0.2, n=500)),), "ab")
    assert (alike.action, alike.evidence.share) == ("go_on", 0.5)
    assert alike.reason.startswith(
        "The A/B test goes on: the labels do not tell the versions apart (its loss is not higher"
    )
