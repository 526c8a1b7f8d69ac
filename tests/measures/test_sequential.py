import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.core.errors import Invalid
from kept.measures.sequential import Arm, Comparison, compare_arms, compare_pairs, half_width

outcomes = st.lists(st.integers(0, 1), max_size=40)


@given(one=outcomes, two=outcomes)
def test_arms_of_parts_add_up_to_the_arm_of_the_whole(one: list[int], two: list[int]) -> None:
    assert Arm.of(np.array(one)) + Arm.of(np.array(two)) == Arm.of(np.array(one + two))


def test_half_width_by_hand() -> None:
    variance, q = 0.0004, 0.01
    expected = math.sqrt(variance * (variance + q) / q * (2 * math.log(20) + math.log((variance + q) / variance)))
    assert half_width(variance, tau=0.1, alpha=0.05) == pytest.approx(expected)


def looked_at_every_ten(
    random: np.random.Generator, champion: float, challenger: float, looks: int = 300, **options: Any
) -> Any:
    one, two = random.random(looks * 10) < champion, random.random(looks * 10) < challenger
    a = b = Arm()
    for look in range(looks):
        part = slice(10 * look, 10 * look + 10)
        a, b = a + Arm.of(one[part]), b + Arm.of(two[part])
        found = compare_arms(a, b, **options)
        if found.verdict != "continue":
            return found
    return found


def test_equal_arms_are_rarely_decided_however_often_one_looks() -> None:
    random = np.random.default_rng(6)
    decided = sum(looked_at_every_ten(random, 0.1, 0.1, looks=200, tau=0.02).verdict != "continue" for _ in range(200))
    assert decided <= 14


def test_rare_failures_on_little_traffic_do_not_make_an_arm_sure_of_itself() -> None:
    random, decided, looks = np.random.default_rng(8), 0, 2_000
    for _ in range(300):
        few, many = random.random(looks) < 0.95, random.binomial(20, 0.95, looks)
        lucky = np.cumsum(few), np.cumsum(many)
        for look in range(99, looks, 10):
            champion, challenger = (
                Arm(outcomes=n, total=float(total[look]), squares=float(total[look]))
                for n, total in ((20 * (look + 1), lucky[1]), (look + 1, lucky[0]))
            )
            if compare_arms(champion, challenger, tau=0.02).verdict != "continue":
                decided += 1
                break
    # At 5%, 15 are allowed; with one pseudo-outcome in place of five it is 21.
    assert decided <= 15


def test_a_worse_challenger_is_rolled_back_and_a_better_one_promoted() -> None:
    random = np.random.default_rng(7)
    for _ in range(10):
        assert looked_at_every_ten(random, 0.9, 0.7, tau=0.05).verdict == "roll back"
        assert looked_at_every_ten(random, 0.7, 0.9, tau=0.05).verdict == "promote"


def test_a_margin_promotes_an_equal_challenger() -> None:
    random = np.random.default_rng(9)
    verdicts = [looked_at_every_ten(random, 0.9, 0.9, tau=0.05, margin=0.05).verdict for _ in range(10)]
    assert verdicts.count("promote") >= 9


def test_nothing_is_decided_before_enough_outcomes() -> None:
    found = compare_arms(Arm.of(np.ones(5_000)), Arm.of(np.zeros(99)), tau=0.1)
    assert (found.verdict, found.low, found.high, found.difference) == ("continue", None, None, -1.0)
    assert compare_arms(Arm(), Arm(), tau=0.1).difference is None
    assert msgspec.json.decode(msgspec.json.encode(found), type=Comparison) == found


def test_arms_without_any_variation_are_not_certain() -> None:
    found = compare_arms(Arm.of(np.zeros(100)), Arm.of(np.zeros(100)), tau=0.1)
    assert found.verdict == "continue"
    assert found.high is not None
    assert found.high > 0.02


def test_pairs_decide_sooner_than_arms() -> None:
    random = np.random.default_rng(2)
    difficulty = random.random(2_000)
    champion, challenger = difficulty < 0.7, difficulty < 0.72
    paired = compare_pairs(Arm.of(challenger.astype(float) - champion), tau=0.02)
    apart = compare_arms(Arm.of(champion), Arm.of(challenger), tau=0.02)
    assert paired.verdict == "promote"
    assert apart.verdict == "continue"


def test_good_and_bad_days_of_a_pair_are_rarely_taken_for_a_better_model_however_often_one_looks() -> None:
    random, runs = np.random.default_rng(3), 200
    by_rows = by_days = 0
    for _ in range(runs):
        outcomes = 0.2 * random.normal(size=(20, 100)) + 0.05 * random.normal(size=(20, 1))
        days = [Arm.of(each) for each in outcomes]
        looks = [(sum(days[:seen], start=Arm()), days[:seen]) for seen in range(2, 21)]
        by_rows += any(compare_pairs(arm, tau=0.02).verdict != "continue" for arm, _ in looks)
        by_days += any(compare_pairs(arm, tau=0.02, windows=seen).verdict != "continue" for arm, seen in looks)
    # 5% is declared; three standard errors of so many runs lie above it.
    assert by_days <= (0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)) * runs
    assert by_rows > 0.3 * runs


def test_the_first_days_of_a_pair_are_rarely_taken_for_a_worse_model_before_they_are_over() -> None:
    random, runs = np.random.default_rng(3), 120
    worse = 0
    for _ in range(runs):
        outcomes = 0.3 * random.normal(size=(3, 5_000)) + 0.04 * random.normal(size=(3, 1))
        looks = [(day, part) for day in range(3) for part in range(1_000, 5_001, 1_000)]
        for day, part in looks:
            seen = [*(Arm.of(each) for each in outcomes[:day]), Arm.of(outcomes[day][:part])]
            if compare_pairs(sum(seen, start=Arm()), tau=0.01, windows=seen).verdict == "roll back":
                worse += 1
                break
    # By rows alone it was more than a third of them.
    assert worse <= (0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)) * runs


def test_days_that_do_not_hang_together_decide_as_rows_do_and_a_single_one_less_surely() -> None:
    outcomes = np.random.default_rng(4).normal(0.05, 0.2, size=(40, 100))
    whole = Arm.of(outcomes.ravel())
    by_days = compare_pairs(whole, tau=0.02, windows=[Arm.of(each) for each in outcomes])
    assert by_days.verdict == compare_pairs(whole, tau=0.02).verdict == "promote"
    by_rows, single = compare_pairs(whole, tau=0.02), compare_pairs(whole, tau=0.02, windows=[whole])
    assert single.low is not None
    assert by_rows.low is not None
    assert 0 < single.low < by_rows.low


@pytest.mark.parametrize(
    "options", [{"tau": 0.0}, {"tau": 0.1, "alpha": 1.0}, {"tau": 0.1, "margin": -1.0}, {"tau": 0.1, "spread": 0.0}]
)
def test_numbers_out_of_range_are_refused(options: Any) -> None:
    arm = Arm.of(np.append(np.ones(100), np.zeros(100)))
    with pytest.raises(Invalid):
        compare_arms(arm, arm, **options)
