"""Receiving spooled frames from processes that log: each exactly once, however often it is sent."""

from datetime import datetime

from sqlalchemy import Connection

from kept.core.errors import Conflict, Invalid, NotFound
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.tracking.default_names import random_name
from kept.tracking.experiments import experiment_named
from kept.tracking.names import (
    check_experiment_name,
    check_metric,
    check_param,
    check_run_id,
    check_tag,
)
from kept.tracking.points import Point
from kept.tracking.recording import keep_params, keep_tags, logged_run
from kept.tracking.records.keys import RunKey
from kept.tracking.records.metrics import put_points
from kept.tracking.records.runs import insert_run, run_by_id, run_key, update_run_row
from kept.tracking.records.writers import heard_of, put_heard
from kept.tracking.spooled import Begun, Ended, Frame, Received, ReceiveFrames, Refusal

_LONGEST_WRITER = 36


@operation("runs.receive", needs=Permission.CONTRIBUTE, on="run", audit=Audit.COUNTED)
def receive_frames(workspace: Workspace, actor: Actor, request: ReceiveFrames) -> Received:
    """Keeps frames that a writer has not been heard of yet, and says which can not be kept. It is durable when it answers.

    A deleted run takes frames, too: it may be restored. Where there is no run and none is begun, `NotFound`, and nothing
    counts as heard: whoever begins it may come later.
    """
    _check(request)
    now = workspace.clock.now()
    taking = _Taking(request.run)
    with workspace.database.writing() as connection:
        heard = heard_of(connection, request.writer)
        for frame in request.frames:
            if frame.position > heard:
                taking.take(connection, actor, frame, now)
        key = _known(connection, request.run)
        put_points(connection, key, taking.points)
        last = request.frames[-1].position if request.frames else heard
        if last > heard:
            put_heard(connection, request.writer, key, last, now)
        run = run_by_id(connection, request.run)
    return Received(position=max(heard, last), location=run.artifact_location if run else "", refused=taking.refused)


class _Taking:
    """Takes frames of a run, one after the other; the points of all of them are put down at the end."""

    def __init__(self, run: str) -> None:
        self._run = run
        self.points: list[Point] = []
        self.refused: list[Refusal] = []

    def take(self, connection: Connection, actor: Actor, frame: Frame, now: datetime) -> None:
        """Takes a frame as a whole, or refuses it: what may be wrong with it is looked at before anything is written."""
        try:
            points = _checked(frame)
            if frame.begun is not None:
                # The database may know better: then nothing of it stays, and the next frame finds all as it was.
                with connection.begin_nested():
                    _begin(connection, actor, self._run, frame.begun, now)
            key = _known(connection, self._run)
            if frame.params:
                keep_params(connection, key, self._run, frame.params)
        except (Invalid, Conflict) as error:
            self.refused.append(Refusal(position=frame.position, reason=str(error)))
            return
        self.points += points
        keep_tags(connection, key, frame.tags)
        if frame.ended is not None:
            _end(connection, key, frame.ended)


def _check(request: ReceiveFrames) -> None:
    check_run_id(request.run)
    if not 0 < len(request.writer) <= _LONGEST_WRITER:
        raise Invalid(f"a writer is named by 1 to {_LONGEST_WRITER} characters", where="writer", fix="Use a UUID")
    last = -1
    for frame in request.frames:
        if frame.position <= last:
            raise Invalid("positions do not rise", where="frames", fix="Send frames in the order they were logged")
        last = frame.position


def _checked(frame: Frame) -> list[Point]:
    """The points of a frame, once everything in it can be kept."""
    points = [point for logged in frame.logged for point in logged.points()]
    for point in points:
        check_metric(point.name, point.at, point.step)
    for name, value in frame.params.items():
        check_param(name, value)
    for name, value in frame.tags.items():
        check_tag(name, value)
    texts = [*frame.params.values(), *frame.tags.values()]
    if frame.begun is not None:
        check_experiment_name(frame.begun.experiment)
        texts += [frame.begun.experiment, frame.begun.name, frame.begun.user, frame.begun.parent or ""]
    if frame.ended is not None:
        texts.append(frame.ended.error or "")
    if any("\0" in text for text in texts):
        raise Invalid("a text holds the character NUL", where="frames", fix="Leave it out")
    if frame.ended is not None and not frame.ended.status.ended:
        raise Invalid(f"{frame.ended.status} is no end", where="ended", fix="Say finished, failed or cancelled")
    return points


def _known(connection: Connection, run: str) -> RunKey:
    found = run_key(connection, run)
    if found is None:
        raise NotFound(f"there is no run {run}", where="runs", fix="See `kept runs list`")
    return found[0]


def _begin(connection: Connection, actor: Actor, run_id: str, begun: Begun, now: datetime) -> None:
    if run_key(connection, run_id) is not None:
        raise Conflict(f"there is a run {run_id} already", where="runs", fix="Begin another, or log to this one")
    experiment = experiment_named(connection, begun.experiment, now)
    run = logged_run(
        experiment,
        run_id,
        begun.name or random_name(),
        actor,
        now,
        parent=begun.parent,
        user=begun.user,
        started_at=begun.at,
        seed=begun.seed,
    )
    insert_run(connection, run)


def _end(connection: Connection, key: RunKey, ended: Ended) -> None:
    update_run_row(connection, key, status=ended.status.value, ended_at=ended.at, error=ended.error)
