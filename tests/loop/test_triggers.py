from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.loop.triggers import EstimatedWindow, Situation, choose, training_range
from kept.monitoring.alert import Alert
from kept.plan.policy import Retrain, broken, decay, drift, estimated, every, new_data

START = datetime(2013, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def alert(kind: Any, day: float, title: str = "the inputs have drifted") -> Alert:
    return Alert(
        id=f"{kind}-{day}",
        project="flights",
        endpoint="flights",
        kind=kind,
        severity="warning",
        title=title,
        evidence={},
        version_id="v1",
        event_time=START + DAY * day,
        at=START,
    )


def situation(day: float, *alerts: Alert, rows: int = 0) -> Situation:
    return Situation(now=START + DAY * day, last_training=START, alerts=alerts, labelled_rows=rows)


def test_nothing_raised_is_nothing_to_say() -> None:
    assert choose(Retrain(on=(drift(), decay())), situation(100)).action == "none"


def test_an_alert_counts_only_if_the_policy_names_it() -> None:
    assert choose(Retrain(on=(decay(),)), situation(20, alert("drift", 10))).action == "none"
    choice = choose(Retrain(on=(drift(),)), situation(20, alert("drift", 10)))
    assert (choice.action, choice.trigger, choice.reason) == ("retrain", "drift", "the inputs have drifted")
    assert choice.evidence["triggers"][0]["alerts"] == ["drift-10"]


def test_what_is_raised_in_the_cooldown_waits_and_is_not_lost() -> None:
    policy = Retrain(on=(drift(),), cooldown=7 * DAY)
    held = choose(policy, situation(3, alert("drift", 2)))
    assert held.action == "hold"
    assert "2013-03-08T00:00:00Z" in held.reason
    assert choose(policy, situation(7, alert("drift", 2))).action == "retrain"


def test_a_trigger_must_stay_raised_for_the_debounce() -> None:
    policy = Retrain(on=(decay(),), cooldown=DAY, debounce=2 * DAY)
    assert choose(policy, situation(11, alert("decay", 10))).action == "hold"
    assert choose(policy, situation(12, alert("decay", 10))).action == "retrain"


def test_schedule_and_data() -> None:
    policy = Retrain(on=(every("30d"), new_data(1000)), cooldown=DAY)
    assert choose(policy, situation(29.9, rows=999)).action == "none"
    assert choose(policy, situation(30)).trigger == "schedule"
    assert choose(policy, situation(10, rows=1000)).trigger == "data"


def test_what_hurts_comes_before_habit() -> None:
    policy = Retrain(on=(every("10d"), drift(), broken(), decay()), cooldown=DAY)
    both = (alert("drift", 5), alert("objective", 6), alert("decay", 7))
    choice = choose(policy, situation(20, *both))
    assert choice.trigger == "decay"
    assert [one["trigger"] for one in choice.evidence["triggers"]] == ["decay", "objective", "drift", "schedule"]


def test_the_reason_to_hold_does_not_change_while_it_holds() -> None:
    policy = Retrain(on=(drift(),), cooldown=7 * DAY)
    reasons = {choose(policy, situation(day, alert("drift", 2))).reason for day in (3, 4, 5.5)}
    assert len(reasons) == 1


@given(
    st.lists(st.tuples(st.sampled_from(["drift", "decay", "objective"]), st.floats(0, 40)), max_size=5),
    st.floats(0, 60),
    st.floats(0, 20),
    st.floats(0, 5),
)
def test_waiting_never_takes_a_retraining_back(
    raised: list[tuple[str, float]], day: float, cooldown: float, debounce: float
) -> None:
    policy = Retrain(on=(drift(), decay()), cooldown=DAY * cooldown, debounce=DAY * debounce)
    alerts = tuple(alert(kind, at) for kind, at in raised)
    now, later = (choose(policy, situation(day + more, *alerts)) for more in (0, 3))
    assert DAY * day >= DAY * cooldown or now.action != "retrain"
    if now.action == "retrain":
        assert later.action == "retrain"


def test_rows_to_train_on() -> None:
    until = START + 90 * DAY
    assert training_range(Retrain(), until) == (None, until)
    assert training_range(Retrain(window=60 * DAY), until) == (START + 30 * DAY, until)


@pytest.mark.parametrize(("followed", "due"), [(0, 7), (1, 21), (2, 49)])
def test_a_training_after_an_alarm_is_followed_when_what_has_come_since_has_doubled(followed: int, due: int) -> None:
    policy = Retrain(on=(decay(),), cooldown=7 * DAY, follow_up=3, debounce=DAY)

    def at(day: float) -> Situation:
        last = START + DAY * (due - 7) / 2
        return Situation(now=START + DAY * day, last_training=last, changed=START, followed=followed)

    assert choose(policy, at(due - 0.5)).action == "none"
    choice = choose(policy, at(due))
    assert (choice.action, choice.trigger) == ("retrain", "follow_up")
    assert choice.reason == "what has come since the training of 2013-03-01T00:00:00Z has doubled"
    assert choose(Retrain(on=(decay(),), cooldown=7 * DAY, follow_up=followed), at(due)).action == "none"
    never = Situation(now=START + DAY * due, last_training=START)
    assert choose(policy, never).action == "none"


def test_what_follows_waits_for_the_budget_and_gives_way_to_an_alarm() -> None:
    policy = Retrain(on=(decay(),), cooldown=7 * DAY, follow_up=2, at_most=1, per=30 * DAY)
    after = Situation(now=START + 8 * DAY, last_training=START, changed=START, trainings=(START,))
    assert choose(policy, after).action == "hold"
    assert choose(policy, msgspec.structs.replace(after, now=START + 30 * DAY)).trigger == "follow_up"
    alarmed = msgspec.structs.replace(after, now=START + 30 * DAY, alerts=(alert("decay", 20),))
    assert choose(policy, alarmed).trigger == "decay"


def test_an_estimate_counts_when_it_surely_fails_in_windows_in_a_row() -> None:
    policy = Retrain(on=(estimated(windows=3),), cooldown=DAY, debounce=DAY)

    def after(*failing: bool) -> Situation:
        windows = tuple(
            EstimatedWindow(end=START + DAY * (place + 1), failing=("roc_auc",) if one else ())
            for place, one in enumerate(failing)
        )
        return Situation(now=START + DAY * len(failing), last_training=START, estimates=windows)

    assert choose(policy, after(True, True, False, True, True)).action == "none"
    assert choose(policy, after(False, True, True, True)).action == "hold"
    choice = choose(policy, after(False, True, True, True, True))
    assert (choice.action, choice.trigger) == ("retrain", "estimate")
    assert choice.reason == "by estimate the objective does not hold for roc_auc, 3 windows in a row"
    assert choose(policy, after(True, True, True, True, False)).action == "none"


def test_a_window_without_an_estimate_neither_counts_nor_ends_the_row() -> None:
    policy = Retrain(on=(estimated(windows=3),), cooldown=DAY, debounce=2 * DAY)
    windows = tuple(EstimatedWindow(end=START + DAY * day, failing=("roc_auc",)) for day in (1, 2, 9))
    before = Situation(now=START + 8 * DAY, last_training=START, estimates=windows[:2])
    assert choose(policy, before).action == "none"
    after = msgspec.structs.replace(before, now=START + 10 * DAY, estimates=windows)
    assert choose(policy, after).action == "hold"
    # Raised on day 9; nothing was estimated since, which does not take it back.
    choice = choose(policy, msgspec.structs.replace(after, now=START + 12 * DAY))
    assert choice.action == "retrain"
    (told,) = choice.evidence["triggers"]
    assert (told["from"], told["until"]) == ("2013-03-02T00:00:00Z", "2013-03-10T00:00:00Z")
