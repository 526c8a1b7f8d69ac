"""Models and predictions evaluated with MLflow: metrics, tables and pictures of them, thresholds held or not."""

import matplotlib as mpl

mpl.use("Agg")

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import MetricThreshold, infer_signature, make_metric
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

client = MlflowClient()
mlflow.set_experiment("evaluating")


def paths(run_id: str, folder: str | None = None) -> set[str]:
    return {one.path for one in client.list_artifacts(run_id, folder)}


rows, labels = load_breast_cancer(return_X_y=True, as_frame=True)
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)
with mlflow.start_run() as run:
    logged = mlflow.sklearn.log_model(
        model, name="model", signature=infer_signature(rows, model.predict(rows)), registered_model_name="cancer"
    )
    own = make_metric(eval_fn=lambda predictions, targets, metrics: 0.25, name="own", greater_is_better=True)
    result = mlflow.models.evaluate(
        logged.model_uri,
        rows.assign(late=labels),
        targets="late",
        model_type="classifier",
        evaluators=["default"],
        evaluator_config={"default": {"log_model_explainability": False, "metric_prefix": "val_"}},
        extra_metrics=[own],
    )
found = client.get_run(run.info.run_id)
assert np.isclose(found.data.metrics["val_accuracy_score"], model.score(rows, labels))
assert found.data.metrics["val_own"] == 0.25
assert {"val_roc_auc", "val_log_loss", "val_true_positives", "val_f1_score"} <= set(found.data.metrics)
assert result.metrics == {name: value for name, value in found.data.metrics.items() if name.startswith("val_")}
assert {"val_confusion_matrix.png", "val_roc_curve_plot.png", "val_precision_recall_curve_plot.png"} <= paths(
    run.info.run_id
)
assert {name.removeprefix("val_") for name in result.artifacts} >= {"confusion_matrix", "roc_curve_plot"}
read = found.inputs.dataset_inputs[0].dataset
assert (read.source_type, read.name) == ("code", "dataset")
measured = {point.key for point in mlflow.get_logged_model(logged.model_id).metrics}
assert "val_accuracy_score" in measured

mlflow.validate_evaluation_results(
    validation_thresholds={"val_accuracy_score": MetricThreshold(threshold=0.9, greater_is_better=True)},
    candidate_result=result,
)
broken = None
try:
    mlflow.validate_evaluation_results(
        validation_thresholds={"val_accuracy_score": MetricThreshold(threshold=1.1, greater_is_better=True)},
        candidate_result=result,
    )
except mlflow.models.evaluation.validation.ModelValidationFailedException as error:
    broken = error
assert broken is not None

numbers, values = load_diabetes(return_X_y=True, as_frame=True)
line = LinearRegression().fit(numbers, values)
with mlflow.start_run() as run:
    logged = mlflow.sklearn.log_model(line, name="line", signature=infer_signature(numbers, values))
    result = mlflow.evaluate(
        mlflow.pyfunc.load_model(logged.model_uri),
        mlflow.data.from_pandas(numbers.assign(y=values), targets="y", name="diabetes"),
        model_type="regressor",
        evaluator_config={"log_model_explainability": False},
    )
found = client.get_run(run.info.run_id)
assert np.isclose(found.data.metrics["r2_score"], line.score(numbers, values))
assert {"mean_absolute_error", "root_mean_squared_error", "max_error"} <= set(found.data.metrics)
assert found.inputs.dataset_inputs[0].dataset.name == "diabetes"
point = next(one for one in mlflow.get_logged_model(logged.model_id).metrics if one.key == "r2_score")
assert (point.dataset_name, point.run_id) == ("diabetes", run.info.run_id), point

# Predictions that stand in a table, and a table of results.
with mlflow.start_run() as run:
    table = pd.DataFrame({"target": values, "said": line.predict(numbers)})
    result = mlflow.evaluate(data=table, targets="target", predictions="said", model_type="regressor")
    mlflow.log_table(table, "results.json")
assert "mean_squared_error" in client.get_run(run.info.run_id).data.metrics
assert len(mlflow.load_table("results.json", run_ids=[run.info.run_id], extra_columns=["run_id"])) == len(table)

flowers, kinds = load_iris(return_X_y=True, as_frame=True)
many = LogisticRegression(max_iter=200).fit(flowers, kinds)
with mlflow.start_run() as run:
    uri = mlflow.sklearn.log_model(many, name="many", input_example=flowers[:2]).model_uri
    mlflow.models.evaluate(
        uri,
        flowers.assign(kind=kinds),
        targets="kind",
        model_type="classifier",
        evaluator_config={"log_model_explainability": False},
    )
assert {"roc_auc", "log_loss", "accuracy_score"} <= set(client.get_run(run.info.run_id).data.metrics)
assert "per_class_metrics.csv" in paths(run.info.run_id)
