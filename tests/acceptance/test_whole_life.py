"""The whole life of one model, over HTTP and the command line, with real processes."""

from dataclasses import dataclass

import httpx
import polars as pl
import pytest
import trains
from living import ENDPOINT, PATIENCE, House, Load, load, moment, request_of, run_kept, until

from kept.deployment.catalog import ShowHistory, show_history
from kept.governance.journal import ListAudit, VerifyAudit, list_audit, verify_audit
from kept.loop.decisions import ListDecisions, list_decisions
from kept.loop.status import EndpointState, ShowLoop, show_loop
from kept.loop.trace import TracePrediction, trace_prediction
from kept.monitoring.alerts import ListAlerts, list_alerts

BATCH = 20


@dataclass
class Life:
    """What is left of the life when it has been lived."""

    house: House
    first: str
    """A prediction of the first day."""
    last: str
    """One of the last."""
    quiet: EndpointState
    """Where the loop stood before the world changed."""
    load: Load


def send(house: House, http: httpx.Client, number: int) -> list[str]:
    """A day: its trains in their order, then the truth, every other one by the prediction's id; then the loop has looked."""
    rows = trains.day(number)
    ids = [one for part in rows.iter_slices(BATCH) for one in house.predict(http, part)]
    known = rows.select(pl.col("at").dt.offset_by("1h")).to_series()
    labels = [
        {"value": late, "known_at": at.isoformat(), **({"prediction_id": ids[place]} if place % 2 else {"key": key})}
        for place, (key, late, at) in enumerate(zip(rows["id"], rows["late"], known, strict=True))
    ]
    house.label(http, labels)
    end = rows["at"][-1]

    def looked() -> bool:
        at = state(house).decided_until
        return at is not None and bool(at >= end)

    until(looked)
    return ids


def state(house: House) -> EndpointState:
    (found,) = house.connection.call(show_loop, ShowLoop(endpoint=ENDPOINT)).endpoints
    return found


def answering(house: House) -> int:
    """The number of the version that answers."""
    body = request_of(trains.day(trains.OPENING).head(1))
    return int(httpx.post(f"{house.predictions}/predict/{ENDPOINT}", json=body).json()["version"])


@pytest.fixture(scope="module")
def life(house: House) -> Life:
    # What is sent beside the days looks like the first of them, so that it moves nothing.
    beside = trains.day(trains.OPENING).sample(fraction=1.0, shuffle=True, seed=1)
    with load(house, beside, senders=1, pause=0.02) as sent, httpx.Client(timeout=PATIENCE) as http:
        first = send(house, http, trains.OPENING)
        for number in range(trains.OPENING + 1, trains.CHANGE):
            send(house, http, number)
        quiet = state(house)
        for number in range(trains.CHANGE, trains.DAYS):
            last = send(house, http, number)
            # Time stands still while it trains, as it nearly does in the real world.
            until(lambda: not state(house).training)
            if any(one.kind == "promote" for one in state(house).decisions):
                break
        # The prediction service hears of it a moment later.
        until(lambda: answering(house) == state(house).arms[0].number)
        last = send(house, http, number + 1)
        house.shipped(last)
    return Life(house=house, first=first[0], last=last[-1], quiet=quiet, load=sent)


def test_nothing_is_decided_while_the_world_stands_still(life: Life) -> None:
    assert [one.trigger for one in life.quiet.decisions] == ["person"]
    assert [arm.number for arm in life.quiet.arms] == [1]
    judged = {one.metric for one in life.quiet.windows if one.start >= moment(trains.OPENING)}
    assert {"drift", "decay", "roc_auc"} <= judged


def test_a_changed_world_is_alarmed_trained_for_and_a_successor_promoted(life: Life) -> None:
    decisions = life.house.connection.call(list_decisions, ListDecisions(project=ENDPOINT))[::-1]
    kinds = [one.kind for one in decisions if one.kind not in {"hold", "advance"}]
    assert [one.trigger for one in decisions[:2]] in (["person", "drift"], ["person", "decay"])
    assert kinds == ["train", "retrain", "release", "promote"]
    assert [(arm.role, arm.weight) for arm in state(life.house).arms] == [("champion", 1.0)]
    assert state(life.house).arms[0].number > 1
    assert {"drift", "decay"} <= {
        one.kind for one in life.house.connection.call(list_alerts, ListAlerts(endpoint=ENDPOINT))
    }


def test_no_prediction_fails_while_it_trains_and_changes_over(life: Life) -> None:
    assert life.load.failed == []
    assert len(life.load.answered) > 100


def test_the_successor_has_learnt_the_other_rule(life: Life) -> None:
    rows = trains.day(trains.DAYS - 1).head(2).with_columns(line=pl.lit("north"), people=pl.Series([20.0, 280.0]))
    answer = httpx.post(f"{life.house.predictions}/predict/{ENDPOINT}", json=request_of(rows)).json()
    empty, full = (one["probability"] for one in answer["predictions"])
    assert empty > 0.5 > full


def test_every_prediction_is_logged_once(life: Life) -> None:
    assert life.house.shipped(life.load.answered)["id"].is_unique().all()


def test_a_prediction_is_traced_to_its_data_its_run_and_who_let_it_serve(life: Life) -> None:
    first = life.house.connection.call(trace_prediction, TracePrediction(prediction=life.first))
    assert first.version.number == 1
    assert first.prediction["key"] == f"{trains.OPENING}-0"
    assert [one.value for one in first.labels] == [str(trains.day(trains.OPENING)["late"][0]).lower()]
    assert first.run is not None
    assert first.run.code is not None
    assert [one.dataset for one in first.data] == ["journeys"]
    assert "deployment.release" in {one.action for one in first.audit if one.actor == "ada"}
    last = life.house.connection.call(trace_prediction, TracePrediction(prediction=life.last))
    assert last.version.number == state(life.house).arms[0].number
    assert [one.kind for one in last.decisions if one.kind != "advance"][:2] == ["retrain", "release"]
    assert last.data[0].number > first.data[0].number


def test_the_command_line_traces_it_too(life: Life) -> None:
    said = run_kept(life.house.folder, "trace", life.first).stdout
    assert "version 1" in said
    assert "journeys" in said


def test_history_says_which_version_served_at_a_moment(life: Life) -> None:
    def at(number: int) -> list[int]:
        request = ShowHistory(endpoint=ENDPOINT, at=moment(number))
        route = life.house.connection.call(show_history, request).by_event_time
        return [] if route is None else [arm.number for arm in route.arms]

    routes = life.house.connection.call(show_history, ShowHistory(endpoint=ENDPOINT)).routes
    assert len(routes) >= 3
    promoted = state(life.house).arms[0].number
    assert at(trains.DAYS) == [promoted]
    assert promoted not in at(trains.CHANGE)
    said = run_kept(life.house.folder, "history", ENDPOINT, "--at", moment(trains.DAYS).isoformat()).stdout
    assert f"version {promoted} champion 100%" in said


def test_the_audit_chain_is_whole_and_tells_of_every_step(life: Life) -> None:
    assert life.house.connection.call(verify_audit, VerifyAudit()).entries > 5
    done = {one.action for one in life.house.connection.call(list_audit, ListAudit(limit=1000))}
    assert {"plan.register", "data.ingest", "registry.register", "deployment.release", "loop.decide"} <= done
    said = run_kept(life.house.folder, "audit", "verify").stdout
    assert "The chain is whole" in said
