from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from kept.core.errors import CheckFailed, Conflict, Invalid, KeptError, NotFound
from kept.deployment.catalog import (
    ListRollouts,
    ShowHistory,
    ShowRoutes,
    ShowStatus,
    list_rollouts,
    show_history,
    show_routes,
    show_status,
)
from kept.deployment.endpoint import EndpointStatus
from kept.deployment.release import Advance, ReleaseVersion, advance, release
from kept.deployment.rollback import RollBack, roll_back
from kept.deployment.rollout import Rollout
from kept.deployment.statistics import ArmStatistics, StepStatistics
from kept.governance.actor import Actor, automation, owner
from kept.governance.journal import ListAudit, VerifyAudit, list_audit, verify_audit
from kept.governance.workspace import Workspace
from kept.measures.sequential import Arm as Outcomes
from kept.plan.policy import Fallback, Release, fall_back, when
from kept.registry.catalog import ListVersions, ShowVersion, list_versions, show_version
from kept.registry.consent import Approve, Waive, approve, waive
from kept.registry.version import ModelVersion

pytestmark = pytest.mark.each_database

pytest_plugins = ["releasing"]

Register = Callable[..., ModelVersion]
Declare = Callable[[Release], None]
LOOP = automation("loop")


def went_well(**changes: int) -> StepStatistics:
    champion = ArmStatistics(rows=5_000, latency_p50_ms=1.0)
    candidate = ArmStatistics(rows=500, latency_p50_ms=1.1, errors=changes.get("errors", 0))
    return StepStatistics(champion=champion, candidate=candidate, elapsed=timedelta(hours=2))


def start(workspace: Workspace, me: Actor, version: str = "latest", **more: object) -> EndpointStatus:
    return release(workspace, me, ReleaseVersion(endpoint="flights", version=version, **more))  # type: ignore[arg-type]


def status(workspace: Workspace, me: Actor) -> EndpointStatus:
    (found,) = show_status(workspace, me, ShowStatus(endpoint="flights"))
    return found


def the_rollout(found: EndpointStatus) -> Rollout:
    assert found.rollout is not None
    return found.rollout


def step_on(workspace: Workspace, actor: Actor, found: EndpointStatus, *steps: StepStatistics) -> EndpointStatus:
    rollout = the_rollout(found)
    request = Advance(
        endpoint="flights",
        rollout=rollout.id,
        step=rollout.step,
        statistics=steps,
        reason="" if steps else "it looks good",
    )
    return advance(workspace, actor, request)


def shares(found: EndpointStatus) -> list[tuple[int, str, float]]:
    assert found.route is not None
    return [(arm.number, arm.role, arm.weight) for arm in found.route.arms]


def aliases(workspace: Workspace, me: Actor) -> dict[int, tuple[str, ...]]:
    return {one.number: one.aliases for one in list_versions(workspace, me, ListVersions()) if one.aliases}


def test_the_first_version_takes_all_traffic_at_once(workspace: Workspace, me: Actor, register: Register) -> None:
    register()
    found = start(workspace, me)
    assert shares(found) == [(1, "champion", 1.0)]
    assert the_rollout(found).state == "promoted"
    assert aliases(workspace, me) == {1: ("champion",)}
    assert found.previous is None


def test_a_successor_goes_by_steps_to_all_traffic(workspace: Workspace, me: Actor, register: Register) -> None:
    first = register()
    start(workspace, me)
    register()
    found = start(workspace, me)
    assert shares(found) == [(1, "champion", 0.9), (2, "canary", 0.1)]
    assert aliases(workspace, me) == {1: ("champion",), 2: ("challenger",)}
    found = step_on(workspace, LOOP, found, went_well())
    assert shares(found) == [(1, "champion", 0.5), (2, "canary", 0.5)]
    found = step_on(workspace, LOOP, found, went_well(), went_well())
    assert shares(found) == [(2, "champion", 1.0)]
    assert aliases(workspace, me) == {2: ("champion",)}
    assert found.previous == first.id
    rollout = the_rollout(found)
    assert (rollout.state, rollout.share) == ("promoted", 1.0)
    assert [(one.share, one.evidence is None) for one in rollout.evidence] == [(0.1, True), (0.5, False), (1.0, False)]
    assert rollout.reason.startswith("500 requests answered in 2h")
    entries = list_audit(workspace, me, ListAudit(action="deployment.advance"))
    assert [len(one.details["request"]["statistics"]) for one in entries] == [2, 1]
    verify_audit(workspace, me, VerifyAudit())


def test_automation_goes_on_only_by_the_rule(workspace: Workspace, me: Actor, register: Register) -> None:
    register()
    start(workspace, me)
    register()
    found = start(workspace, me)
    rollout = the_rollout(found)
    early = StepStatistics(champion=ArmStatistics(), candidate=ArmStatistics(rows=5), elapsed=timedelta(minutes=5))
    with pytest.raises(CheckFailed, match="5 of 200 requests.* Wait, or roll it back"):
        step_on(workspace, LOOP, found, early)
    with pytest.raises(CheckFailed, match=r"300 of 500 requests to the candidate failed.* Roll it back"):
        step_on(workspace, LOOP, found, went_well(errors=300))
    with pytest.raises(Invalid, match="nothing that says it may go on"):
        step_on(workspace, LOOP, found)
    with pytest.raises(Invalid, match="statistics of 2 steps, and it is at step 1"):
        step_on(workspace, LOOP, found, went_well(), went_well())
    with pytest.raises(CheckFailed, match="Let it go on"):
        roll_back(workspace, LOOP, RollBack(endpoint="flights", rollout=rollout.id, statistics=(early,)))
    with pytest.raises(Invalid, match="nothing that says it must go back"):
        roll_back(workspace, LOOP, RollBack(endpoint="flights", reason="a feeling"))
    assert status(workspace, me) == found
    assert shares(step_on(workspace, me, found)) == [(1, "champion", 0.5), (2, "canary", 0.5)]


def test_a_step_is_left_once_by_whoever_looks_first(workspace: Workspace, me: Actor, register: Register) -> None:
    register()
    start(workspace, me)
    register()
    found = start(workspace, me)
    with ThreadPoolExecutor(4) as pool:
        outcomes = [pool.submit(step_on, workspace, LOOP, found, went_well()) for _ in range(4)]
    failed = [one.exception() for one in outcomes if one.exception() is not None]
    assert len(failed) == 3
    assert all(isinstance(one, Conflict) and "moved on" in str(one) for one in failed)
    assert the_rollout(status(workspace, me)).step == 1


def test_a_canary_that_fails_goes_back_with_its_evidence(workspace: Workspace, me: Actor, register: Register) -> None:
    register()
    start(workspace, me)
    register()
    rollout = the_rollout(start(workspace, me))
    worse = StepStatistics(
        champion=ArmStatistics(rows=5_000, losses=Outcomes.of(np.full(3_000, 0.1))),
        candidate=ArmStatistics(rows=500, losses=Outcomes.of(np.full(400, 0.3))),
        elapsed=timedelta(hours=2),
    )
    found = roll_back(workspace, LOOP, RollBack(endpoint="flights", rollout=rollout.id, statistics=(worse,)))
    assert shares(found) == [(1, "champion", 1.0)]
    assert aliases(workspace, me) == {1: ("champion",)}
    ended = the_rollout(found)
    assert ended.state == "rolled_back"
    assert ended.reason.startswith("Its loss is higher than the champion's (+0.2000")
    assert ended.evidence[-1].evidence is not None
    assert ended.evidence[-1].evidence.quality == "worse"
    with pytest.raises(Conflict, match="moved on"):
        roll_back(workspace, LOOP, RollBack(endpoint="flights", rollout=rollout.id, statistics=(worse,)))


def test_a_rejected_version_needs_a_waiver(workspace: Workspace, me: Actor, register: Register) -> None:
    register(auc=0.5)
    with pytest.raises(CheckFailed) as caught:
        start(workspace, me)
    message = str(caught.value)
    assert "it failed roc_auc at least 0.65. roc_auc is 0.5; promised is at least 0.65." in message
    assert "waive" in message
    with pytest.raises(NotFound):
        status(workspace, me)
    waive(workspace, me, Waive(model="flights", version="1", reason="nobody relies on it yet"))
    assert shares(start(workspace, me)) == [(1, "champion", 1.0)]


def test_no_traffic_before_enough_people_approve(
    workspace: Workspace, me: Actor, register: Register, declare: Declare
) -> None:
    declare(Release(approvals=2))
    register()
    found = start(workspace, LOOP)
    assert found.route is None
    assert the_rollout(found).reason == "It waits for approvals: 0 of 2 people have approved."
    approve(workspace, me, Approve(model="flights", version="1"))
    approve(workspace, me, Approve(model="flights", version="1"))
    with pytest.raises(Conflict, match="1 of 2 people have approved"):
        step_on(workspace, LOOP, found)
    assert status(workspace, me).approvals_missing == 1
    approve(workspace, owner("ben", "api"), Approve(model="flights", version="1"))
    assert status(workspace, me).approvals_missing == 0
    found = step_on(workspace, LOOP, found)
    assert shares(found) == [(1, "champion", 1.0)]


def test_asking_again_begins_a_rollout_whose_approvals_have_come(
    workspace: Workspace, me: Actor, register: Register, declare: Declare
) -> None:
    declare(Release(approvals=1))
    register()
    first = start(workspace, me)
    assert the_rollout(start(workspace, me)) == the_rollout(first)
    approve(workspace, me, Approve(model="flights", version="1"))
    assert the_rollout(start(workspace, me)).id == the_rollout(first).id
    assert shares(status(workspace, me)) == [(1, "champion", 1.0)]


def test_the_rule_is_what_the_project_declared_when_it_began(
    workspace: Workspace, me: Actor, register: Register, declare: Declare
) -> None:
    declare(Release(canary=(0.2, 1.0), step=timedelta(minutes=5), alpha=0.01))
    register()
    start(workspace, me)
    register()
    found = start(workspace, me)
    declare(Release(canary=(0.7, 0.8, 1.0)))
    rule = the_rollout(status(workspace, me)).rule
    assert (rule.canary, rule.step, rule.alpha) == ((0.2, 1.0), timedelta(minutes=5), 0.01)
    assert rule.latency_p99_ms == 20
    assert shares(step_on(workspace, LOOP, found, went_well())) == [(2, "champion", 1.0)]


def test_a_policy_without_a_canary_promotes_at_once(
    workspace: Workspace, me: Actor, register: Register, declare: Declare
) -> None:
    declare(Release(canary=(1.0,)))
    register()
    start(workspace, me)
    register()
    assert shares(start(workspace, me)) == [(2, "champion", 1.0)]


def test_a_running_rollout_is_not_pushed_aside_unless_asked(
    workspace: Workspace, me: Actor, register: Register
) -> None:
    register()
    start(workspace, me)
    register()
    second = start(workspace, me)
    assert start(workspace, me) == second
    register()
    with pytest.raises(Conflict, match="another rollout is running"):
        start(workspace, me)
    third = start(workspace, me, replace=True)
    assert shares(third) == [(1, "champion", 0.9), (3, "canary", 0.1)]
    states = {one.id: one.state for one in list_rollouts(workspace, me, ListRollouts(endpoint="flights"))}
    assert states[the_rollout(second).id] == "replaced"
    assert aliases(workspace, me) == {1: ("champion",), 3: ("challenger",)}
    with pytest.raises(Conflict, match="serves it already"):
        start(workspace, me, version="1")


def test_two_releases_at_once_leave_one_rollout(workspace: Workspace, me: Actor, register: Register) -> None:
    register()
    start(workspace, me)
    for _ in range(6):
        register()
    with ThreadPoolExecutor(6) as pool:
        outcomes = [pool.submit(start, workspace, me, str(number)) for number in range(2, 8)]
    errors = [one.exception() for one in outcomes]
    assert sum(error is None for error in errors) == 1
    assert all(isinstance(error, Conflict) for error in errors if error is not None)
    assert len(list_rollouts(workspace, me, ListRollouts(endpoint="flights"))) == 2
    verify_audit(workspace, me, VerifyAudit())


def test_going_back_leads_through_the_versions_that_served_before(
    workspace: Workspace, me: Actor, register: Register, declare: Declare
) -> None:
    declare(Release(canary=(1.0,)))
    versions = []
    for _ in range(3):
        versions.append(register())
        start(workspace, me)
    found = roll_back(workspace, me, RollBack(endpoint="flights", reason="complaints"))
    assert shares(found) == [(2, "champion", 1.0)]
    assert found.previous == versions[0].id
    found = roll_back(
        workspace, LOOP, RollBack(endpoint="flights", reason="The loss rose.", evidence={"loss": 0.4, "rows": 900})
    )
    assert shares(found) == [(1, "champion", 1.0)]
    assert aliases(workspace, me) == {1: ("champion",)}
    with pytest.raises(Conflict, match="no version before this one"):
        roll_back(workspace, me, RollBack(endpoint="flights"))
    found = roll_back(workspace, me, RollBack(endpoint="flights", to="3", reason="it was not the model"))
    assert shares(found) == [(3, "champion", 1.0)]
    assert found.previous == versions[0].id
    register()
    with pytest.raises(Conflict, match="has never been its champion"):
        roll_back(workspace, me, RollBack(endpoint="flights", to="4"))
    with pytest.raises(Conflict, match="version 3 serves it already"):
        roll_back(workspace, me, RollBack(endpoint="flights", to="champion"))


def test_a_person_can_end_a_canary_and_go_further_back_at_once(
    workspace: Workspace, me: Actor, register: Register, declare: Declare
) -> None:
    register()
    start(workspace, me)
    declare(Release(canary=(1.0,)))
    register()
    start(workspace, me)
    declare(Release())
    register()
    start(workspace, me)
    found = roll_back(workspace, me, RollBack(endpoint="flights", to="1", reason="the feed is broken since version 2"))
    assert shares(found) == [(1, "champion", 1.0)]
    assert [one.state for one in list_rollouts(workspace, me, ListRollouts(endpoint="flights"))] == [
        "rolled_back",
        "rolled_back",
        "promoted",
    ]


def test_an_endpoint_belongs_to_one_project(workspace: Workspace, me: Actor, register: Register) -> None:
    register()
    start(workspace, me)
    register(model="trains", project="trains")
    with pytest.raises(Conflict, match="belongs to the project flights"):
        release(workspace, me, ReleaseVersion(endpoint="flights", model="trains"))
    release(workspace, me, ReleaseVersion(endpoint="trains"))
    assert [one.endpoint for one in show_routes(workspace, me, ShowRoutes()).routes] == ["flights", "trains"]
    assert [one.endpoint.name for one in show_status(workspace, me, ShowStatus())] == ["flights", "trains"]


def test_revisions_count_every_route_once(workspace: Workspace, me: Actor, register: Register) -> None:
    assert show_routes(workspace, me, ShowRoutes()).revision == 0
    seen = []
    for _ in range(3):
        register()
        found = start(workspace, me, replace=True)
        while the_rollout(found).running:
            found = step_on(workspace, me, found)
            seen.append(show_routes(workspace, me, ShowRoutes()).revision)
    assert seen == sorted(set(seen))
    history = show_history(workspace, me, ShowHistory(endpoint="flights"))
    assert [one.revision for one in history.routes] == list(range(len(history.routes), 0, -1))


def test_what_served_at_a_moment_by_the_clock_and_by_the_events(
    workspace: Workspace, me: Actor, register: Register, declare: Declare
) -> None:
    declare(Release(canary=(1.0,)))
    april, june = datetime(2013, 4, 1, tzinfo=UTC), datetime(2013, 6, 1, tzinfo=UTC)
    before = datetime.now(UTC)
    for event_time in (None, april, june):
        register()
        start(workspace, me, event_time=event_time)
    asked = {
        datetime(2013, 3, 1, tzinfo=UTC): 1,
        april: 2,
        datetime(2013, 5, 31, tzinfo=UTC): 2,
        june: 3,
    }
    for moment, number in asked.items():
        history = show_history(workspace, me, ShowHistory(endpoint="flights", at=moment))
        assert history.by_processing_time is None
        assert history.by_event_time is not None
        assert history.by_event_time.route.champion.number == number
    now = show_history(workspace, me, ShowHistory(endpoint="flights", at=datetime.now(UTC)))
    assert now.by_processing_time is not None
    assert now.by_processing_time.route.champion.number == 3
    assert now.by_processing_time.at >= before
    assert show_history(workspace, me, ShowHistory(endpoint="flights", at=before)).by_processing_time is None


def test_a_live_endpoint_served_nothing_before_its_first_release(
    workspace: Workspace, me: Actor, register: Register
) -> None:
    register()
    start(workspace, me)
    moment = datetime.now(UTC) - timedelta(days=1)
    assert show_history(workspace, me, ShowHistory(endpoint="flights", at=moment)).by_event_time is None


def test_times_without_a_zone_and_unknown_endpoints_are_refused(
    workspace: Workspace, me: Actor, register: Register
) -> None:
    with pytest.raises(NotFound, match="Release a version first"):
        show_history(workspace, me, ShowHistory(endpoint="flights"))
    register()
    with pytest.raises(Invalid, match="has no zone"):
        start(workspace, me, event_time=datetime(2013, 4, 1))
    assert show_status(workspace, me, ShowStatus()) == []
    start(workspace, me)
    with pytest.raises(NotFound, match="There are: flights"):
        show_status(workspace, me, ShowStatus(endpoint="flight"))
    with pytest.raises(KeptError, match="Ask for 1 to"):
        show_history(workspace, me, ShowHistory(endpoint="flights", limit=0))
    assert show_version(workspace, me, ShowVersion(model="flights", version="champion")).judged.number == 1


def test_who_looked_at_the_shadow_does_not_move_the_canary(
    workspace: Workspace, me: Actor, register: Register, declare: Declare
) -> None:
    declare(Release(shadow=timedelta(0), shadow_rows=10, canary=(0.2, 1.0)))
    register()
    register()
    start(workspace, me, "1")
    found = start(workspace, me, "2")
    assert shares(found) == [(1, "champion", 1.0), (2, "shadow", 0.0)]
    rollout = the_rollout(found)
    seen = Advance(endpoint="flights", rollout=rollout.id, step=0, state="shadow", reason="it looks good")
    assert shares(advance(workspace, me, seen)) == [(1, "champion", 0.8), (2, "canary", 0.2)]
    with pytest.raises(Conflict, match="has moved on"):
        advance(workspace, me, seen)


def test_a_fallback_follows_its_version_and_keeps_the_one_before_at_hand(
    workspace: Workspace, me: Actor, register: Register, declare: Declare
) -> None:
    declare(Release(canary=(1.0,), fallback=Fallback(on=("error", "range"), constant="true")))
    register()
    register()
    first = start(workspace, me, "1")
    assert first.route is not None
    assert first.route.route.champion.fallback is not None
    found = start(workspace, me, "2")
    assert shares(found) == [(2, "champion", 1.0), (1, "standby", 0.0)]
    register()
    declare(Release(canary=(0.5, 1.0), fallback=Fallback()))
    trial = start(workspace, me, "3")
    assert shares(trial) == [(2, "champion", 0.5), (3, "canary", 0.5), (1, "standby", 0.0)]
    back = roll_back(workspace, me, RollBack(endpoint="flights", reason="enough"))
    assert shares(back) == [(2, "champion", 1.0), (1, "standby", 0.0)]
    assert back.route is not None
    assert back.route.route.champion.fallback == found.route.route.champion.fallback if found.route else False


@pytest.mark.parametrize("constant", ["maybe", 1.5])
def test_a_constant_that_is_no_answer_of_the_model_is_refused(
    workspace: Workspace, me: Actor, register: Register, declare: Declare, constant: float | str
) -> None:
    declare(Release(fallback=Fallback(constant=constant)))
    register()
    with pytest.raises(Invalid, match="no answer of a binary model"):
        start(workspace, me)
    assert show_status(workspace, me, ShowStatus()) == []


@pytest.mark.parametrize(
    ("column", "answer", "said"),
    [("y", 0.5, "is about 'y', which is no input of the model"), ("x", 1.5, "no answer of a binary model")],
)
def test_a_rule_of_a_fallback_that_does_not_fit_the_model_is_refused(
    workspace: Workspace, me: Actor, register: Register, declare: Declare, column: str, answer: float, said: str
) -> None:
    declare(Release(fallback=fall_back(rules=[when("x", "<", 0, answer=0.5), when(column, ">", 1, answer=answer)])))
    register()
    with pytest.raises(Invalid, match=said):
        start(workspace, me)


def test_rules_of_a_fallback_reach_the_route(
    workspace: Workspace, me: Actor, register: Register, declare: Declare
) -> None:
    rules = [when("x", "in", [1, 2], answer="true"), when("x", "missing", answer=0)]
    declare(Release(canary=(1.0,), fallback=fall_back(previous=False, rules=rules, constant=0.25)))
    register()
    found = start(workspace, me)
    assert found.route is not None
    fallback = found.route.route.champion.fallback
    assert fallback is not None
    assert [(one.column, one.operator, one.value, one.answer) for one in fallback.rules] == [
        ("x", "in", (1.0, 2.0), "true"),
        ("x", "missing", None, 0.0),
    ]


def test_a_rule_that_says_hold_is_followed_once(
    workspace: Workspace, me: Actor, register: Register, declare: Declare
) -> None:
    declare(Release(challenger=0.5, timeout=timedelta(hours=1), on_timeout="hold"))
    register()
    register()
    start(workspace, me, "1")
    found = start(workspace, me, "2")
    assert shares(found) == [(1, "champion", 0.5), (2, "challenger", 0.5)]
    held = step_on(workspace, LOOP, found, went_well())
    assert (the_rollout(held).state, the_rollout(held).share) == ("held", 0.5)
    with pytest.raises(CheckFailed):
        step_on(workspace, LOOP, held, went_well())
    assert the_rollout(held).evidence[-1].evidence is not None
    verify_audit(workspace, me, VerifyAudit())
    assert shares(step_on(workspace, me, held)) == [(2, "champion", 1.0)]
