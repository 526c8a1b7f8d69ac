"""Endpoints of the histories of metrics."""

from kept.core.errors import NotFound
from kept.mlflow_api import requests as sent
from kept.mlflow_api.answers import Metrics, MetricsBulk, metric_answer, run_points
from kept.mlflow_api.call import Call
from kept.mlflow_api.errors import invalid, missing
from kept.tracking import finding
from kept.tracking import requests as asked

_LARGEST_PAGE = 1_000_000
_MOST_POINTS = 25_000
_MOST_RUNS = 100
_MOST_POINTS_OF_RUN = 2_500


def history(call: Call, request: sent.GetMetricHistory) -> Metrics:
    """A page of the points of a metric of a run."""
    limit = request.max_results
    if limit is not None and limit < 1:
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer.")
    asking = asked.MetricHistory(
        run=request.run,
        name=request.metric_key,
        limit=None if limit is None else min(limit, _LARGEST_PAGE),
        page=request.page_token or None,
    )
    try:
        page = call.do(finding.metric_history, asking)
    except NotFound:
        return Metrics()  # as MLflow answers of a run that is not there
    return Metrics([metric_answer(point) for point in page.points], page.next_page)


def history_bulk(call: Call, request: sent.GetMetricHistoryBulk) -> MetricsBulk:
    """The points of a metric of several runs."""
    runs = request.run_id or []
    if not runs:
        raise invalid("GetMetricHistoryBulk request must specify at least one run_id.")
    if len(runs) > _MOST_RUNS:
        raise invalid(
            f"GetMetricHistoryBulk request cannot specify more than {_MOST_RUNS} run_ids. Received {len(runs)} run_ids."
        )
    if request.metric_key is None:
        raise invalid("GetMetricHistoryBulk request must specify a metric_key.")
    limit = min(_MOST_POINTS if request.max_results is None else request.max_results, _MOST_POINTS)
    if limit == 0:
        return MetricsBulk([])
    found = call.do(
        finding.metric_history_bulk, asked.MetricHistoryBulk(runs=runs, name=request.metric_key, limit=limit)
    )
    return MetricsBulk(run_points(found))


def history_bulk_interval(call: Call, request: sent.GetMetricHistoryBulkInterval) -> Metrics:
    """Points of a metric of several runs, evenly chosen of each."""
    runs, first, last = request.run_ids, request.start_step, request.end_step
    if not runs:
        raise missing("run_ids")
    if len(runs) > _MOST_RUNS:
        raise invalid(
            f"GetMetricHistoryBulkInterval request must specify at most {_MOST_RUNS} run_ids. "
            f"Received {len(runs)} run_ids. See the API docs for more information about request parameters."
        )
    limit = _MOST_POINTS_OF_RUN if request.max_results is None else request.max_results
    if not 1 <= limit <= _MOST_POINTS_OF_RUN:
        raise invalid(
            f"max_results must be between 1 and {_MOST_POINTS_OF_RUN}. "
            "See the API docs for more information about request parameters."
        )
    if (first is None) != (last is None):
        raise invalid("If either start step or end step are specified, both must be specified.")
    if first is not None and last is not None and first > last:
        raise invalid(f"end_step must be greater than start_step. Found start_step={first} and end_step={last}.")
    asking = asked.MetricHistoryBulk(runs=runs, name=request.metric_key, sample=limit, start_step=first, end_step=last)
    return Metrics(run_points(call.do(finding.metric_history_bulk, asking)))
