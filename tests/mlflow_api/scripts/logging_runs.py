"""What a training script logs, with the fluent interface of MLflow's client."""

import math

import matplotlib as mpl

mpl.use("Agg")

import mlflow
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from mlflow import MlflowClient

client = MlflowClient()
experiment = mlflow.set_experiment("logging")
assert mlflow.set_experiment("logging").experiment_id == experiment.experiment_id

with mlflow.start_run(run_name="first", description="of many") as run:
    mlflow.log_param("depth", 3)
    mlflow.log_params({"rate": 0.1, "kind": "tree"})
    for step in range(5):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metrics({"nan": math.nan, "high": math.inf, "low": -math.inf})
    waiting = [mlflow.log_metric("later", step, step=step, synchronous=False) for step in range(20)]
    waiting += [mlflow.log_param("later", "1", synchronous=False), mlflow.set_tag("later", "1", synchronous=False)]
    for one in waiting:
        one.wait()
    mlflow.set_tag("team", "risk")
    mlflow.set_tags({"a": "1", "b": "2"})
    mlflow.delete_tag("b")
    mlflow.log_dict({"k": 1}, "d.json")
    mlflow.log_text("hi", "t/x.txt")
    mlflow.log_table({"a": [1, 2]}, "table.json")
    mlflow.log_table({"a": [3]}, "table.json")
    figure, _ = plt.subplots()
    mlflow.log_figure(figure, "figure.png")
    mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), "image.png")
    dataset = mlflow.data.from_pandas(pd.DataFrame({"x": [1, 2]}), name="rows")
    mlflow.log_input(dataset, context="training")

identity = run.info.run_id
found = client.get_run(identity)
assert found.info.status == "FINISHED"
assert found.info.run_name == "first"
assert found.data.params == {"depth": "3", "rate": "0.1", "kind": "tree", "later": "1"}
assert found.data.tags["team"] == "risk"
assert "b" not in found.data.tags
assert found.data.tags["mlflow.note.content"] == "of many"
values = found.data.metrics
assert (values["loss"], values["later"], values["high"], values["low"]) == (0.2, 19, math.inf, -math.inf)
assert math.isnan(values["nan"])
assert [point.step for point in client.get_metric_history(identity, "loss")] == list(range(5))
assert len(client.get_metric_history(identity, "later")) == 20
read = found.inputs.dataset_inputs[0]
assert (read.dataset.name, read.tags[0].value) == ("rows", "training")
assert mlflow.load_table("table.json", [identity])["a"].tolist() == [1, 2, 3]
names = {one.path for one in client.list_artifacts(identity)}
assert names == {"d.json", "t", "table.json", "figure.png", "image.png"}

with mlflow.start_run(run_id=identity):
    mlflow.log_metric("loss", 0.1, step=5)
assert client.get_run(identity).data.metrics["loss"] == 0.1

with mlflow.start_run() as parent, mlflow.start_run(nested=True) as child:
    mlflow.log_metric("z", 1)
assert client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id
assert mlflow.get_parent_run(child.info.run_id).info.run_id == parent.info.run_id

try:
    with mlflow.start_run() as broken:
        raise ZeroDivisionError
except ZeroDivisionError:
    assert client.get_run(broken.info.run_id).info.status == "FAILED"
