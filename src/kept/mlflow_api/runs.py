"""Endpoints of runs."""

from typing import Any

import msgspec

from kept.core.errors import Invalid, NotFound
from kept.mlflow_api import requests as sent
from kept.mlflow_api.answers import (
    RUN_STATUS,
    Done,
    OneRun,
    OneRunInfo,
    Runs,
    moment,
    new_run_answer,
    run_answer,
    run_info,
)
from kept.mlflow_api.call import Call, check_once, choice, texts, view_of
from kept.mlflow_api.errors import Refused, absent_run, invalid
from kept.mlflow_api.filters import run_filter
from kept.tracking import finding, recording
from kept.tracking import requests as asked
from kept.tracking import runs as verbs
from kept.tracking.names import (
    LONGEST_NAME,
    LONGEST_PARAM,
    LONGEST_TAG,
    check_length,
    check_metric,
    check_param,
    check_run_id,
    check_tag,
)
from kept.tracking.points import Dataset, DatasetInput, ModelOutput, Point
from kept.tracking.run import RunDetail, RunStatus

_STATUSES = {
    number: (RUN_STATUS[status], status)
    for number, status in enumerate(
        [RunStatus.RUNNING, RunStatus.QUEUED, RunStatus.FINISHED, RunStatus.FAILED, RunStatus.CANCELLED], start=1
    )
}
_MOST = 1_000
_MOST_PAIRS = 100
_HISTORY_TAG = "mlflow.log-model.history"
_OF_MODEL = {"artifact_path", "flavors", "run_id", "utc_time_created"}


def create(call: Call, request: sent.CreateRun) -> OneRun:
    """Makes a run."""
    started = request.start_time
    made = call.do(
        recording.create_logged_run,
        asked.CreateRun(
            experiment=request.experiment_id or "",
            name=request.run_name or "",
            user=request.user_id or "",
            started_at=None if started is None else moment(started, "start_time"),
            tags=texts(request.tags, LONGEST_TAG),
        ),
    )
    return OneRun(new_run_answer(made))


def update(call: Call, request: sent.UpdateRun) -> OneRunInfo:
    """Changes the state, the end or the name of a run."""
    ended = request.end_time
    changed = call.do(
        recording.update_run,
        asked.UpdateRun(
            run=request.run,
            status=None if request.status is None else choice("status", request.status, _STATUSES),
            ended_at=None if ended is None else moment(ended, "end_time"),
            name=request.run_name or None,
        ),
    )
    return OneRunInfo(run_info(changed))


def get(call: Call, request: sent.OfRun) -> OneRun:
    """A run with what was logged to it."""
    return OneRun(run_answer(show(call, request)))


def delete(call: Call, request: sent.OfRun) -> Done:
    """Deletes a run."""
    call.do(recording.delete_run, asked.DeleteRun(run=request.run))
    return Done()


def restore(call: Call, request: sent.OfRun) -> Done:
    """Brings a run back."""
    call.do(recording.restore_run, asked.RestoreRun(run=request.run))
    return Done()


def log_metric(call: Call, request: sent.LogMetric) -> Done:
    """Keeps a point."""
    _check_time(request)
    call.do(recording.log_run, asked.LogRun(run=request.run, metrics=[_point(request)]))
    return Done()


def log_param(call: Call, request: sent.LogPair) -> Done:
    """Keeps a parameter."""
    value = (request.value or "")[:LONGEST_PARAM]
    call.do(recording.log_run, asked.LogRun(run=request.run, params={request.key: value}))
    return Done()


def set_tag(call: Call, request: sent.LogPair) -> Done:
    """Sets a tag."""
    value = (request.value or "")[:LONGEST_TAG]
    call.do(recording.set_run_tag, asked.SetRunTag(run=request.run, name=request.key, value=value))
    return Done()


def delete_tag(call: Call, request: sent.LogPair) -> Done:
    """Removes a tag."""
    call.do(recording.delete_run_tag, asked.DeleteRunTag(run=request.run, name=request.key))
    return Done()


def log_batch(call: Call, request: sent.LogBatch) -> Done:
    """Keeps points, parameters and tags."""
    check_run_id(request.run)
    metrics, params, tags = request.metrics or [], request.params or [], request.tags or []
    given = texts(params, LONGEST_PARAM)
    try:
        _check_sizes({"metrics": len(metrics), "params": len(params), "tags": len(tags)})
        check_once(params)
    except Refused:
        _check_elements(request)
        raise
    asking = asked.LogRun(
        run=request.run, metrics=[_point(one) for one in metrics], params=given, tags=texts(tags, LONGEST_TAG)
    )
    try:
        call.do(recording.log_run, asking)
    except Invalid:
        _check_elements(request)
        _check_unchanged(call, request)
        raise
    return Done()


def log_inputs(call: Call, request: sent.LogInputs) -> Done:
    """Notes datasets and logged models that a run read."""
    datasets = [
        DatasetInput(
            dataset=Dataset(
                name=one.dataset.name or "",
                digest=one.dataset.digest or "",
                source_type=one.dataset.source_type or "",
                source=one.dataset.source or "",
                schema=one.dataset.schema,
                profile=one.dataset.profile,
            ),
            tags=texts(one.tags),
        )
        for one in request.datasets or []
    ]
    models = [one.model_id or "" for one in request.models or []]
    call.do(recording.log_inputs, asked.LogInputs(run=request.run, datasets=datasets, models=models))
    return Done()


def log_outputs(call: Call, request: sent.LogOutputs) -> Done:
    """Notes logged models that a run made."""
    models = [ModelOutput(model=one.model_id or "", step=one.step or 0) for one in request.models]
    call.do(recording.log_outputs, asked.LogOutputs(run=request.run, models=models))
    return Done()


def log_model(call: Call, request: sent.LogModel) -> Done:
    """Notes a model that an older client put down among the files of a run, in the tag where such clients look."""
    try:
        model = msgspec.json.decode(request.model_json)
    except msgspec.DecodeError as error:
        raise invalid(f"Malformed model info. \n {request.model_json} \n is not a valid JSON.") from error
    absent = _OF_MODEL - set(model if isinstance(model, dict) else ())
    if absent:
        raise invalid(f"Model json is missing mandatory fields: {absent}")
    tags = show(call, request).run.tags
    history: list[Any] = msgspec.json.decode(tags.get(_HISTORY_TAG, "[]"))
    value = msgspec.json.encode([*history, model]).decode()
    call.do(recording.set_run_tag, asked.SetRunTag(run=request.run, name=_HISTORY_TAG, value=value))
    return Done()


def search(call: Call, request: sent.SearchRuns) -> Runs:
    """A page of runs that fit."""
    page = call.do(
        finding.search_runs,
        asked.SearchRuns(
            experiments=request.experiment_ids or [],
            filter=run_filter(request.filter or ""),
            order_by=list(request.order_by or []),
            view=view_of(request.run_view_type),
            limit=asked.PAGE if request.max_results is None else request.max_results,
            page=request.page_token or None,
        ),
    )
    return Runs([run_answer(one) for one in page.runs], page.next_page)


def show(call: Call, request: sent.OfRun) -> RunDetail:
    """The run that is named."""
    try:
        return call.do(verbs.show_run, verbs.ShowRun(run=request.run))
    except NotFound as error:
        raise absent_run(request.run) from error


def _point(one: sent.LogMetric | sent.MetricOfBatch) -> Point:
    if bool(one.dataset_name) != bool(one.dataset_digest):
        raise invalid("Both dataset_name and dataset_digest must be provided if one is provided")
    return Point(
        name=one.key,
        value=one.value,
        at=one.timestamp,
        step=one.step or 0,
        model=one.model_id or None,
        dataset_name=one.dataset_name or None,
        dataset_digest=one.dataset_digest or None,
    )


def _check_sizes(sizes: dict[str, int]) -> None:
    limits = {"metrics": _MOST, "params": _MOST_PAIRS, "tags": _MOST_PAIRS, "metrics, params, and tags": _MOST}
    for what, size in {**sizes, "metrics, params, and tags": sum(sizes.values())}.items():
        if size > limits[what]:
            raise invalid(
                f"A batch logging request can contain at most {limits[what]} {what}. Got {size} {what}. "
                f"Please split up {what} across multiple requests and try again."
            )


def _check_elements(request: sent.LogBatch) -> None:
    """Says of a batch that was refused which element of it was wrong, when it was one."""
    for place, one in enumerate(request.metrics or []):
        _check_time(one, f"metrics[{place}].")
        check_metric(one.key, one.timestamp, one.step or 0, f"metrics[{place}].name")
    for place, pair in enumerate(request.params or []):
        check_param(pair.key, (pair.value or "")[:LONGEST_PARAM], f"params[{place}].key")
    for place, pair in enumerate(request.tags or []):
        check_length(f"tags[{place}].key", pair.key, LONGEST_NAME)
        check_tag(pair.key, (pair.value or "")[:LONGEST_TAG], f"tags[{place}].key")


def _check_unchanged(call: Call, request: sent.LogBatch) -> None:
    """Says of a batch that was refused which of its parameters it would have changed."""
    params = texts(request.params, LONGEST_PARAM)
    known = show(call, request).params if params else {}
    changed = [
        {"key": name, "old_value": known[name], "new_value": value}
        for name, value in params.items()
        if known.get(name, value) != value
    ]
    if changed:
        raise invalid(
            f"Changing param values is not allowed. Params were already logged='{changed}' for run ID='{request.run}'."
        )


def _check_time(one: sent.LogMetric | sent.MetricOfBatch, within: str = "") -> None:
    if one.timestamp < 0:
        raise invalid(
            f"Invalid value {one.timestamp} for parameter '{within}timestamp' supplied: metric '{one.key}' "
            f"(value={one.value}). Timestamp must be a nonnegative long (64-bit integer) "
        )
