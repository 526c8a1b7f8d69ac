"""scikit-learn with autologging: pipelines, searches with a child run for each candidate, metrics computed afterwards."""

import io

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from sklearn import metrics
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

client = MlflowClient()
experiment = mlflow.set_experiment("searches").experiment_id
rows, labels = load_iris(return_X_y=True, as_frame=True)
mlflow.sklearn.autolog(max_tuning_runs=3, log_input_examples=True)

with mlflow.start_run() as run:
    search = GridSearchCV(LogisticRegression(max_iter=200), {"C": [0.01, 0.1, 1.0, 10.0]}, cv=3)
    search.fit(rows, labels)
mlflow.flush_async_logging()
found = client.get_run(run.info.run_id)
assert found.data.params["best_C"] == str(search.best_params_["C"])
assert found.data.params["estimator"].startswith("LogisticRegression")
assert np.isclose(found.data.metrics["best_cv_score"], search.best_score_)
assert found.data.tags["estimator_name"] == "GridSearchCV"
children = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run.info.run_id}'")
assert len(children) == 3
best = sorted(search.cv_results_["mean_test_score"])[-3:]
assert np.allclose(sorted(child.data.metrics["mean_test_score"] for child in children), best)
assert {"C"} <= set(children[0].data.params)
assert all(child.info.status == "FINISHED" for child in children)
files = {one.path for one in client.list_artifacts(run.info.run_id)}
assert {"cv_results.csv", "estimator.html", "training_confusion_matrix.png"} <= files
table = pd.read_csv(io.StringIO(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/cv_results.csv")))
assert len(table) == 4
names = {one.name for one in mlflow.search_logged_models(experiment_ids=[experiment], output_format="list")}
assert names == {"model", "best_estimator"}, names
for name in ("model", "best_estimator"):
    again = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/{name}")
    assert np.array_equal(again.predict(rows), search.predict(rows))
assert [one.tags[0].value for one in found.inputs.dataset_inputs] == ["train"]

with mlflow.start_run(run_name="outer") as outer, mlflow.start_run(run_name="inner", nested=True) as inner:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)
    metrics.accuracy_score(labels, model.predict(rows))
    model.score(rows[:100], labels[:100])
mlflow.flush_async_logging()
found = client.get_run(inner.info.run_id)
assert found.data.tags["mlflow.parentRunId"] == outer.info.run_id
assert found.data.params["standardscaler__with_mean"] == "True"
assert {"training_f1_score", "training_roc_auc"} <= set(found.data.metrics)
assert "metric_info.json" in {one.path for one in client.list_artifacts(inner.info.run_id)}
assert any(name.startswith("accuracy_score") for name in found.data.metrics), found.data.metrics

forest = RandomizedSearchCV(
    RandomForestRegressor(random_state=0), {"n_estimators": [3, 5], "max_depth": [2, 3]}, n_iter=2, cv=2, random_state=0
)
with mlflow.start_run() as run:
    forest.fit(rows.iloc[:, :3], rows.iloc[:, 3])
    metrics.mean_absolute_error(rows.iloc[:, 3], forest.predict(rows.iloc[:, :3]))
mlflow.flush_async_logging()
found = client.get_run(run.info.run_id)
assert {"training_root_mean_squared_error", "training_r2_score"} <= set(found.data.metrics)
assert len(client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run.info.run_id}'")) == 2

failed = None
try:
    with mlflow.start_run() as run:
        LogisticRegression().fit(rows, ["x"] * len(rows))
except ValueError as error:
    failed = error
mlflow.flush_async_logging()
assert failed is not None
assert client.get_run(run.info.run_id).info.status == "FAILED"

# Without a run of one's own, one is made, and ended.
LogisticRegression(max_iter=200).fit(rows, labels)
mlflow.flush_async_logging()
last = mlflow.last_active_run()
assert last is not None
assert client.get_run(last.info.run_id).info.status == "FINISHED"
