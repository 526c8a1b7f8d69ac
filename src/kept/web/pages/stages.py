"""The closed loop as ten stages, each with what it did last and how it stands; one of them is where things happen now."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from kept.loop.decision import Kind
from kept.pipelines.run_step import StepStatus
from kept.tracking.run import RunStatus
from kept.web.pages.facts import VIEWS, LoopFacts
from kept.web.rendering import moment, segment, share, span

State = Literal["idle", "done", "waiting", "active", "problem"]

NAMES = ("plan", "data", "features", "train", "judge", "release", "serve", "watch", "decide", "retrain")

_STAGE_OF_STEP = {
    "ingest": "data",
    "join": "features",
    "columns": "features",
    "split": "features",
    "evaluate": "judge",
    "judge": "judge",
    "register": "judge",
}
_DECIDED: dict[Kind, str] = {
    "train": "train",
    "retrain": "train again",
    "hold": "not yet",
    "release": "release it",
    "reject": "reject it",
    "promote": "promote it",
    "advance": "a step on",
    "roll_back": "roll it back",
    "keep": "a person decides",
    "dry_run": "report only",
}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of the loop as it stands."""

    name: str
    state: State = "idle"
    what: str = "nothing yet"
    """A few words."""
    when: datetime | None = None
    event: bool = False
    """Whether `when` is event time, not the clock."""
    detail: str = ""
    href: str = ""
    note: str = ""
    """In place of a time."""


def stages(facts: LoopFacts) -> tuple[Stage, ...]:
    """The stages in their order round the loop."""
    found = tuple(_MAKERS[name](facts) for name in NAMES)
    busy = _running_stage(facts)
    return tuple(_active(one, facts) if one.name == busy else one for one in found)


def current(all_stages: tuple[Stage, ...]) -> Stage | None:
    """Where things happen now."""
    active = [one for one in all_stages if one.state == "active"]
    return active[0] if active else next((one for one in all_stages if one.state == "waiting"), None)


def _running_stage(facts: LoopFacts) -> str | None:
    """The stage that the open training is in."""
    if facts.run is None or facts.run.status.ended:
        return None
    running = next((one.step for one in facts.steps if one.status is StepStatus.RUNNING), None)
    if running is not None:
        return _STAGE_OF_STEP.get(running, "train")
    waiting = [one.step for one in facts.steps if one.status is StepStatus.WAITING]
    begun = len(waiting) < len(facts.steps)
    return _STAGE_OF_STEP.get(waiting[0], "train") if begun and waiting else "retrain"


def _active(stage: Stage, facts: LoopFacts) -> Stage:
    step = next((one for one in facts.steps if one.status is StepStatus.RUNNING), None)
    run = facts.run
    if run is None:
        return stage
    what = "training is queued" if run.status is RunStatus.QUEUED else "training runs"
    if step is not None:
        progress = f" {step.done:.0f} of {step.total:.0f}" if step.done is not None and step.total else ""
        what = f"{step.step}{progress}"
    when = step.started_at if step else run.created_at
    detail = f"{stage.name}: {step.message}" if step and step.message else f"{stage.name}: run {run.id}"
    return replace(
        stage, state="active", what=what, when=when, event=False, note="", detail=detail, href=f"/runs/{run.id}"
    )


def _plan(facts: LoopFacts) -> Stage:
    if facts.project is None or facts.plan is None:
        return Stage(name="plan", what="no project", detail="This model was released without a project.")
    count = len(facts.plan.objectives)
    what = f"{count} objective{'s' if count != 1 else ''}"
    detail = "; ".join(one.name for one in facts.plan.objectives)
    return Stage(name="plan", state="done", what=what, when=facts.project.updated_at, detail=detail)


def _data(facts: LoopFacts) -> Stage:
    found = next((one for one in facts.data if not one.dataset.startswith(VIEWS)), None)
    if found is None:
        return Stage(name="data", href="/data")
    href = f"/data/{segment(found.project)}/{segment(found.dataset)}"
    aside = f", {found.rows_quarantined:,} set aside" if found.rows_quarantined else ""
    detail = f"{found.dataset} version {found.number}: {found.rows:,} rows{aside}"
    return Stage(
        name="data", state="done", what=f"{found.rows:,} rows", when=found.created_at, detail=detail, href=href
    )


def _features(facts: LoopFacts) -> Stage:
    views = [one for one in facts.data if one.dataset.startswith(VIEWS)]
    if views:
        names = ", ".join(one.dataset.removeprefix(VIEWS) for one in views)
        what = f"{len(views)} view{'s' if len(views) != 1 else ''}"
        made = max(one.created_at for one in views)
        return Stage(name="features", state="done", what=what, when=made, detail=names, href="/data")
    if facts.versions:
        return Stage(
            name="features", state="done", what="from the data", when=facts.versions[0].created_at, href="/data"
        )
    return Stage(name="features", href="/data")


def _train(facts: LoopFacts) -> Stage:
    run = facts.run
    if run is None:
        return Stage(name="train", href="/runs")
    href = f"/runs/{run.id}"
    if run.status is RunStatus.FAILED:
        return Stage(
            name="train", state="problem", what="it failed", when=run.ended_at, detail=run.error or "", href=href
        )
    if run.status is RunStatus.CANCELLED:
        return Stage(name="train", what="cancelled", when=run.ended_at, detail=run.error or "", href=href)
    if run.ended_at is None and _running_stage(facts) == "judge":
        ended = max((one.ended_at for one in facts.steps if one.ended_at), default=None)
        return Stage(name="train", state="done", what="fitted", when=ended, href=href)
    if run.ended_at is None:
        return Stage(name="train", what="not yet", href=href)
    what = f"took {span(run.started_at, run.ended_at)}"
    return Stage(name="train", state="done", what=what, when=run.ended_at, detail=run.reason, href=href)


def _judge(facts: LoopFacts) -> Stage:
    if not facts.versions:
        return Stage(name="judge", href="/models")
    version = facts.versions[0]
    href = f"/models/{segment(version.model)}/{version.number}"
    accepted = version.status == "accepted"
    detail = "every objective holds" if accepted else "does not hold: " + "; ".join(version.failed)
    return Stage(
        name="judge",
        state="done" if accepted else "problem",
        what=f"v{version.number} {version.status}",
        when=version.created_at,
        detail=f"Version {version.number}: {detail}",
        href=href,
    )


def _release(facts: LoopFacts) -> Stage:
    rollout = facts.state.rollout if facts.state else None
    if rollout is None or facts.state is None:
        return Stage(name="release")
    known = facts.by_id.get(rollout.candidate)
    name = f"v{known.number}" if known else "a version"
    event = rollout.event_time is not None
    when = rollout.event_time or rollout.updated_at
    states: dict[str, tuple[State, str]] = {
        "waiting": ("waiting", f"{name} waits for approval"),
        "shadow": ("active", f"{name} is a shadow"),
        "canary": ("active", f"{name} has {share(rollout.share)}"),
        "ab": ("active", f"{name} has {share(rollout.share)} of a test"),
        "held": ("waiting", f"{name} is held: decide"),
        "promoted": ("done", f"{name} promoted"),
        "rolled_back": ("problem", f"{name} rolled back"),
        "replaced": ("idle", f"{name} replaced"),
    }
    state, what = states[rollout.state]
    href = f"/endpoints/{segment(facts.state.endpoint)}"
    return Stage(name="release", state=state, what=what, when=when, event=event, detail=rollout.reason, href=href)


def _serve(facts: LoopFacts) -> Stage:
    if facts.state is None or not facts.state.arms:
        return Stage(name="serve")
    arms = " · ".join(f"v{one.number} {share(one.weight)}" for one in facts.state.arms if one.weight)
    alive = facts.alive("serve")
    return Stage(
        name="serve",
        state="done" if alive else "problem",
        what=arms,
        note="answering" if alive else "no service is up",
        detail="" if alive else "No prediction service has given a sign of life. Start it: kept up",
        href=f"/endpoints/{segment(facts.state.endpoint)}",
    )


def _watch(facts: LoopFacts) -> Stage:
    if facts.state is None or facts.state.event_time is None:
        return Stage(name="watch", what="no traffic yet")
    monitors = facts.monitors
    alarmed = [
        name
        for name, one in (("drift", monitors and monitors.drift), ("decay", monitors and monitors.decay))
        if one and one.alarmed
    ]
    standing = list(monitors.standing) if monitors else []
    what = " and ".join(alarmed) if alarmed else f"{len(standing)} warnings" if standing else "nothing found"
    return Stage(
        name="watch",
        state="problem" if alarmed or standing else "done",
        what=what,
        when=facts.state.traffic_until,
        event=True,
        detail="; ".join([*(f"{one} alarm" for one in alarmed), *standing]),
        href=f"/endpoints/{segment(facts.state.endpoint)}",
    )


def _decide(facts: LoopFacts) -> Stage:
    if not facts.decisions:
        return Stage(name="decide")
    last = facts.decisions[0]
    state: State = "waiting" if last.kind == "hold" else "done"
    href = f"/endpoints/{segment(facts.endpoint)}" if facts.endpoint else ""
    return Stage(
        name="decide",
        state=state,
        what=_DECIDED[last.kind],
        when=last.event_time or last.at,
        event=last.event_time is not None,
        detail=last.reason,
        href=href,
    )


def _retrain(facts: LoopFacts) -> Stage:
    last = next((one for one in facts.decisions if one.kind == "retrain"), None)
    on = [type(one).__name__.lower() for one in facts.plan.retraining.on] if facts.plan else []
    if last is None:
        return Stage(name="retrain", what=f"on {', '.join(on)}" if on else "when asked")
    return Stage(
        name="retrain",
        state="done",
        what=f"because of {last.trigger}" if last.trigger != "person" else "asked by a person",
        when=last.event_time or last.at,
        event=last.event_time is not None,
        detail=f"{moment(last.event_time)}: {last.reason}",
        href=f"/runs/{last.run_id}" if last.run_id else "",
    )


_MAKERS: dict[str, Callable[[LoopFacts], Stage]] = {
    "plan": _plan,
    "data": _data,
    "features": _features,
    "train": _train,
    "judge": _judge,
    "release": _release,
    "serve": _serve,
    "watch": _watch,
    "decide": _decide,
    "retrain": _retrain,
}
