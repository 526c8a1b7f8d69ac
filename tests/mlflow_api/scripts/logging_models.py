"""Models of scikit-learn: logged by hand and by autologging, loaded by run and by their own id."""

import mlflow
import numpy as np
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

client = MlflowClient()
mlflow.set_experiment("models")
rows, labels = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=200).fit(rows, labels)
expected = model.predict(rows)

with mlflow.start_run() as run:
    mlflow.log_param("c", 1)
    mlflow.log_metric("before", 0.5)
    logged = mlflow.sklearn.log_model(model, name="model", input_example=rows[:2], serialization_format="skops")
    mlflow.log_metric("accuracy", 0.9, model_id=logged.model_id)

for address in (f"models:/{logged.model_id}", f"runs:/{run.info.run_id}/model"):
    assert np.array_equal(mlflow.sklearn.load_model(address).predict(rows), expected)
assert np.array_equal(mlflow.pyfunc.load_model(f"models:/{logged.model_id}").predict(rows), expected)

known = mlflow.get_logged_model(logged.model_id)
assert (known.name, known.status, known.source_run_id) == ("model", "READY", run.info.run_id)
assert known.params == {"c": "1"}
assert {point.key: point.value for point in known.metrics} == {"before": 0.5, "accuracy": 0.9}
assert client.get_run(run.info.run_id).outputs.model_outputs[0].model_id == logged.model_id
client.set_logged_model_tags(logged.model_id, {"stage": "late"})
found = mlflow.search_logged_models(filter_string="metrics.accuracy > 0.8", output_format="list")
assert [(one.model_id, one.tags["stage"]) for one in found] == [(logged.model_id, "late")]
client.delete_logged_model_tag(logged.model_id, "stage")

mlflow.sklearn.autolog()
with mlflow.start_run() as automatic:
    LogisticRegression(max_iter=200, C=0.5).fit(rows, labels).score(rows, labels)
mlflow.flush_async_logging()
data = client.get_run(automatic.info.run_id).data
assert data.params["C"] == "0.5"
assert data.metrics["training_accuracy_score"] > 0.9
assert data.tags["estimator_name"] == "LogisticRegression"
assert "training_confusion_matrix.png" in {one.path for one in client.list_artifacts(automatic.info.run_id)}
assert np.array_equal(mlflow.sklearn.load_model(f"runs:/{automatic.info.run_id}/model").predict(rows[:3]), [0, 0, 0])

client.delete_logged_model(logged.model_id)
assert logged.model_id not in {one.model_id for one in mlflow.search_logged_models(output_format="list")}
