"""Requests as spans: which endpoint and version answered them, how, and where their time went."""

from collections.abc import Collection, Sequence

from kept.core.spans import Context, Moment, Span, Traces, Value, new_span
from kept.serving.calls import Call
from kept.serving.runtime import LoadedArm
from kept.serving.stages import STAGES, Watch


class RequestSpans:
    """Tells of the requests of one service, turn by turn, after they were answered."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    def turn(
        self, calls: Collection[Call], asked: Sequence[tuple[LoadedArm, Sequence[Call]]], watch: Watch, ended: int
    ) -> None:
        """Tells of the sampled ones of a turn's calls.

        Args:
            calls: all of them.
            asked: those that could be read, by the version that was asked.
            watch: the times of the turn.
            ended: when the answers were written, as `time.perf_counter_ns` counts.
        """
        told = [(call, call.request.trace) for call in calls if call.request.trace is not None]
        if not told:
            return
        places = {id(call): place for place, (_, members) in enumerate(asked) for call in members}
        for call, context in told:
            self._tell(call, context, ended, _moments(call, watch, places.get(id(call))))

    def _tell(self, call: Call, context: Context, ended: int, moments: tuple[Moment, ...]) -> None:
        start = call.received_at * 1000
        facts: dict[str, Value] = {
            "kept.endpoint": call.endpoint,
            "kept.rows": len(call.question.values),
            "http.response.status_code": call.status,
        }
        if call.arm is not None:
            note = call.arm.note
            facts |= {"kept.version": note.number, "kept.model": note.model, "kept.role": note.role}
        if call.ids:
            facts["kept.prediction_id"] = call.ids[0]
        if call.fallback:
            facts["kept.fallback"] = call.fallback
        self._traces.tell(
            Span(
                name=f"predict {call.endpoint}" if call.route is not None else "predict",
                trace=context.trace,
                span=new_span(),
                parent=context.span,
                start=start,
                end=start + ended - call.started,
                facts=facts,
                moments=moments,
                # What a caller did wrong is no error of the service.
                error=str(call.error) if call.error is not None and call.status >= 500 else "",
                kind="server",
            )
        )


def _moments(call: Call, watch: Watch, place: int | None) -> tuple[Moment, ...]:
    """The ends of the stages that a call went through; of one that could not be read, when its turn came."""
    start = call.received_at * 1000 - call.started
    spent = (watch.began - call.started, *(() if place is None else watch.stages(place)))
    ends = (watch.began, *(() if place is None else watch.ends(place)))
    return tuple(
        Moment(stage, start + end, {"kept.microseconds": took / 1000})
        for stage, end, took in zip(STAGES, ends, spent, strict=False)
    )
