"""Telling others of runs in OpenLineage's words: noted as runs begin and end, carried until each target has taken them."""

import os
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from kept.core.digests import canonical_json
from kept.core.errors import KeptError, Unavailable
from kept.core.retrying import wait_after
from kept.data.records import find_version, versions
from kept.data.version import DatasetVersion
from kept.governance.workspace import Workspace
from kept.plan.records import find_project
from kept.registry.model import ModelVersion
from kept.registry.openlineage import events_of, run_event
from kept.registry.records.lineage import (
    LineageEvent,
    add_events,
    claim_event,
    save_event,
    targets_owed,
    told_of,
)
from kept.registry.records.versions import version_of_run
from kept.registry.webhook_posting import post
from kept.settings.settings import Settings
from kept.tracking.records.runs import find_runs
from kept.tracking.run import Run

PREFIX = "lineage:"

_KIND = "training"
_LOOKED_AT = 50
_VERSIONS = 500
# Beyond the time that an attempt may take: so much later it counts as lost.
_SPARE = timedelta(seconds=30)


def note_runs(workspace: Workspace) -> int:
    """Notes what is to be told of the newest trainings and was not yet; gives the number of events."""
    targets = [name for name, address in _targets(workspace.settings).items() if address]
    if not targets:
        return 0
    with workspace.database.reading() as connection:
        runs = find_runs(connection, kind=_KIND, limit=_LOOKED_AT)
        told = told_of(connection, [one.id for one in runs])
        fresh = [
            one
            for run in reversed(runs)
            for one in _events(workspace, connection, run, targets)
            if (one.run_id, one.event, one.target) not in told
        ]
    if fresh:
        with workspace.database.writing() as connection:
            add_events(connection, fresh)
    return len(fresh)


def lineage_owed(workspace: Workspace, *, but: Collection[str]) -> list[str]:
    """The targets, as `lineage:NAME`, other than these, that an event is to be carried to now."""
    configured = {name for name, address in _targets(workspace.settings).items() if address}
    with workspace.database.reading() as connection:
        owed = targets_owed(connection, workspace.clock.now())
    return [f"{PREFIX}{one}" for one in owed if one in configured and f"{PREFIX}{one}" not in but]


def tell_next(workspace: Workspace, place: str) -> LineageEvent | None:
    """Tries the oldest event that a target is owed, and gives it as it stands then; None when none is due.

    One that does not take it is tried again after 1 s, 2 s, 4 s, ... and at last every hour, and gets the later events
    after it: a run begins before it ends. None is given up; one may come twice, when its answer was lost.
    """
    target = place.removeprefix(PREFIX)
    address = _targets(workspace.settings)[target]
    if not address:
        return None
    now = workspace.clock.now()
    until = now + timedelta(seconds=workspace.settings.alert_timeout_seconds) + _SPARE
    with workspace.database.writing() as connection:
        event = claim_event(connection, target, now, until)
    if event is None:
        return None
    error = None
    try:
        if target == "file":
            _append(workspace.root / address, event.body)
        else:
            _post(workspace.settings, address, event.body)
    except KeptError as fault:
        error = str(fault)
    done = _after_try(event, error, workspace.clock.now())
    with workspace.database.writing() as connection:
        save_event(connection, done)
    return done


def tell_all(workspace: Workspace, *, limit: int = 1_000) -> int:
    """Notes and carries everything that is due; gives the number of events that were taken."""
    note_runs(workspace)
    taken = 0
    for place in lineage_owed(workspace, but=()):
        for _ in range(limit):
            event = tell_next(workspace, place)
            if event is None or event.taken_at is None:
                break
            taken += 1
    return taken


def _targets(settings: Settings) -> dict[str, str]:
    return {"file": settings.lineage_file, "url": settings.lineage_url}


def _events(workspace: Workspace, connection: Connection, run: Run, targets: list[str]) -> list[LineageEvent]:
    due = events_of(run)
    project = find_project(connection, run.project) if due else None
    if project is None:
        return []
    made = version_of_run(connection, run.project, run.id)
    inputs = _inputs(connection, run, made)
    found = []
    for event, at in due:
        ended = event != "START"
        told = run_event(
            event,
            at,
            run,
            namespace=workspace.settings.lineage_namespace,
            owner=project.owner,
            question=project.question,
            inputs=inputs if ended else (),
            made=made if ended else None,
        )
        body = canonical_json(told).decode()
        found += [
            LineageEvent(run_id=run.id, event=event, target=one, body=body, created_at=at, next_at=at)
            for one in targets
        ]
    return found


def _inputs(connection: Connection, run: Run, made: ModelVersion | None) -> list[DatasetVersion]:
    """The versions that the model was made from; of a run that made none, those that it stored."""
    if made is None:
        return [one for one in versions(connection, run.project, None, _VERSIONS) if one.run_id == run.id]
    named = [(one.dataset, one.number) for one in made.card.lineage.data]
    named += [(f"features/{view}", number) for view, number in made.card.lineage.views.items()]
    found = [find_version(connection, run.project, *one) for one in dict.fromkeys(named)]
    return [one for one in found if one is not None]


def _append(path: Path, body: str) -> None:
    """One line more, on the disk when this returns."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{body}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Unavailable(f"it cannot be written ({error})", where=str(path)) from error


def _post(settings: Settings, url: str, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    if settings.lineage_key:
        headers["Authorization"] = f"Bearer {settings.lineage_key}"
    try:
        answer = post(url, body.encode(), headers, seconds=settings.alert_timeout_seconds, private=True)
    except ValueError as error:  # no URL at all
        raise Unavailable(f"it cannot be called ({error})", where="lineage_url") from error
    if not 200 <= answer.status < 300:
        raise Unavailable(f"it answered {answer.status}")


def _after_try(event: LineageEvent, error: str | None, now: datetime) -> LineageEvent:
    if error is None:
        return msgspec.structs.replace(event, next_at=None, taken_at=now, error=None)
    return msgspec.structs.replace(event, next_at=now + wait_after(event.attempts), error=error)
