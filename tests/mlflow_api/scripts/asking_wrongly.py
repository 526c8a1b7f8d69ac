"""What a person is told of searches and of logged models that do not go, and how the pages of a search hang together."""

from collections.abc import Callable
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient()


def refused(said: str, function: Callable[..., Any], *given: Any, **named: Any) -> None:
    raised = None
    try:
        function(*given, **named)
    except MlflowException as error:
        raised = error
    assert raised is not None, said
    assert said in str(raised), raised


number = mlflow.set_experiment("asking").experiment_id
refused("Invalid clause(s) in filter string: 'OR'", client.search_runs, [number], "metrics.a > 1 OR metrics.b > 1")
refused("Could not be parsed", client.search_runs, [number], order_by=["metrics.a, metrics.b"])
refused("Invalid page token", client.search_runs, [number], page_token="e30=")
refused("Invalid entity type 'attributes'", client.search_experiments, filter_string="attributes.name = 'x'")
refused("Invalid experiment ID 'abc'", client.create_run, "abc")

with mlflow.start_run(run_name="made", tags={"odd#name": "1"}) as run:
    models = [mlflow.create_external_model(name=f"m{place}", params={"lr": str(place)}) for place in range(3)]
    mlflow.log_metric("acc", 0.9, model_id=models[0].model_id)
    mlflow.log_model_params({"depth": "1"}, model_id=models[0].model_id)
    refused("Changing param values", mlflow.log_model_params, {"depth": "2"}, model_id=models[0].model_id)
assert client.get_run(run.info.run_id).data.tags["odd#name"] == "1"


def found(filter_: str | None = None, **more: Any) -> list[str]:
    return [model.name for model in client.search_logged_models([number], filter_, **more)]


assert found("params.lr IN ('0', '2')", order_by=[{"field_name": "name"}]) == ["m0", "m2"]
assert found("metrics.acc > 0.5") == ["m0"]
assert found(f"source_run_id = '{run.info.run_id}'") == ["m2", "m1", "m0"]
page = client.search_logged_models([number], max_results=2)
assert found(max_results=2, page_token=page.token) == ["m0"]
refused("Filter string in the page token", found, "name = 'm0'", max_results=2, page_token=page.token)
refused("Only metrics are supported", found, order_by=[{"field_name": "params.lr"}])
