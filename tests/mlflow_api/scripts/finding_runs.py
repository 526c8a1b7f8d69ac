"""What a person looks up, changes, deletes and brings back, and what they are told when they can not."""

from collections.abc import Callable
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

client = MlflowClient()


def refused(code: str, said: str, function: Callable[..., Any], *given: Any, **named: Any) -> None:
    raised = None
    try:
        function(*given, **named)
    except MlflowException as error:
        raised = error
    assert raised is not None
    assert (raised.error_code, said in str(raised)) == (code, True), raised


number = client.create_experiment("finding", tags={"team": "risk"})
runs = [client.create_run(number, run_name=f"r{place}", start_time=place + 1).info.run_id for place in range(5)]
for place, run in enumerate(runs):
    client.log_batch(
        run,
        metrics=[Metric("auc", place / 10, 1_000 + step, step) for step in range(3)],
        params=[Param("depth", str(place))],
        tags=[RunTag("odd", str(place % 2))],
    )
    client.set_terminated(run, "FINISHED" if place else "KILLED", end_time=99)


def named(filter_: str, **more: Any) -> list[str]:
    return [run.info.run_name for run in client.search_runs([number], filter_, **more)]


assert named("") == ["r4", "r3", "r2", "r1", "r0"]
assert named("metrics.auc >= 0.2 and tags.odd = '0'") == ["r4", "r2"]
assert named("attributes.status = 'KILLED'") == ["r0"]
assert named("run_name LIKE 'r%'", order_by=["metrics.auc ASC"]) == ["r0", "r1", "r2", "r3", "r4"]
assert named("attributes.run_name ILIKE 'R3'") == ["r3"]
frame = mlflow.search_runs([number], "metrics.auc > 0.2", order_by=["metrics.auc DESC"])
assert frame["tags.odd"].tolist() == ["0", "1"]
page = client.search_runs([number], max_results=3)
rest = client.search_runs([number], max_results=3, page_token=page.token)
assert [run.info.run_name for run in [*page, *rest]] == ["r4", "r3", "r2", "r1", "r0"]
assert rest.token is None

client.update_run(runs[0], name="renamed")
assert client.get_run(runs[0]).info.run_name == "renamed"
client.delete_run(runs[1])
assert len(client.search_runs([number])) == 4
assert client.search_runs([number], run_view_type=ViewType.DELETED_ONLY)[0].info.lifecycle_stage == "deleted"
refused("INVALID_PARAMETER_VALUE", "must be in the 'active' state", client.log_param, runs[1], "x", "1")
client.restore_run(runs[1])
assert len(client.search_runs([number])) == 5

client.rename_experiment(number, "found")
client.set_experiment_tag(number, "stage", "late")
client.delete_experiment_tag(number, "team")
assert client.get_experiment_by_name("found").tags == {"stage": "late"}
assert client.get_experiment_by_name("finding") is None
assert [one.name for one in mlflow.search_experiments(filter_string="tags.stage = 'late'")] == ["found"]
client.delete_experiment(number)
assert client.get_experiment(number).lifecycle_stage == "deleted"
refused("INVALID_PARAMETER_VALUE", "deleted", client.create_run, number)
client.restore_experiment(number)
assert client.get_run(runs[4]).info.lifecycle_stage == "active"

refused("RESOURCE_ALREADY_EXISTS", "already exists", client.create_experiment, "found")
refused("RESOURCE_DOES_NOT_EXIST", "Run with id=nobody not found", client.get_run, "nobody")
refused("RESOURCE_DOES_NOT_EXIST", "No Experiment with id=777 exists", client.get_experiment, "777")
refused("INVALID_PARAMETER_VALUE", "Changing param values is not allowed", client.log_param, runs[0], "depth", "9")
refused("INVALID_PARAMETER_VALUE", "Invalid value", client.log_metric, runs[0], "#", 1)
refused("INVALID_PARAMETER_VALUE", "Invalid clause", client.search_runs, [number], "auc")
