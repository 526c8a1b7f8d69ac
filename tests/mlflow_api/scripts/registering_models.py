"""The registry: models registered while and after they are logged, loaded by number, alias and stage; searched; removed."""

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

client = MlflowClient()
mlflow.set_experiment("registering")
rows, labels = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=200).fit(rows, labels)
expected = model.predict(rows)

with mlflow.start_run() as run:
    logged = mlflow.sklearn.log_model(
        model, name="model", registered_model_name="iris", input_example=rows[:2], serialization_format="skops"
    )
assert str(logged.registered_model_version) == "1"
second = mlflow.register_model(f"runs:/{run.info.run_id}/model", "iris", tags={"from": "run"})
third = mlflow.register_model(f"models:/{logged.model_id}", "iris")
assert (second.version, second.run_id, second.tags, third.version) == ("2", run.info.run_id, {"from": "run"}, "3")

client.set_registered_model_alias("iris", "champion", "2")
client.transition_model_version_stage("iris", "3", "Production")
for address in ("models:/iris/1", "models:/iris@champion", "models:/iris/Production", "models:/iris/latest"):
    assert np.array_equal(mlflow.pyfunc.load_model(address).predict(rows), expected), address
assert np.array_equal(mlflow.sklearn.load_model("models:/iris/2").predict(rows), expected)

copied = client.copy_model_version("models:/iris@champion", "iris-copy")
assert (copied.version, copied.run_id) == ("1", run.info.run_id)
assert np.array_equal(mlflow.pyfunc.load_model("models:/iris-copy/1").predict(rows[:3]), expected[:3])

assert client.get_model_version_by_alias("iris", "champion").version == "2"
assert client.get_registered_model("iris").aliases == {"champion": "2"}
assert [one.name for one in client.search_registered_models("name LIKE 'iris%'")] == ["iris", "iris-copy"]
found = client.search_model_versions("name='iris'", order_by=["version_number ASC"])
assert [one.version for one in found] == ["1", "2", "3"]
assert [one.version for one in client.search_model_versions("name = 'iris' AND tags.`from` = 'run'")] == ["2"]
assert {one.current_stage: one.version for one in client.get_latest_versions("iris")} == {
    "None": "2",
    "Production": "3",
}

client.update_registered_model("iris", "flowers")
client.update_model_version("iris", "1", "the first")
client.set_registered_model_tag("iris", "team", "risk")
client.set_model_version_tag("iris", "1", "checked", "yes")
told = client.get_registered_model("iris")
assert (told.description, told.tags) == ("flowers", {"team": "risk"})
told = client.get_model_version("iris", "1")
assert (told.description, told.tags, told.status, told.aliases) == ("the first", {"checked": "yes"}, "READY", [])
client.delete_registered_model_tag("iris", "team")
client.delete_model_version_tag("iris", "1", "checked")

client.delete_model_version("iris", "2")
client.delete_registered_model_alias("iris", "champion")
client.rename_registered_model("iris", "flowers")
assert np.array_equal(mlflow.pyfunc.load_model("models:/flowers/1").predict(rows), expected)
client.delete_registered_model("flowers")
for fails, names, code in (
    (client.get_registered_model, ["flowers"], "RESOURCE_DOES_NOT_EXIST"),
    (client.get_model_version, ["iris-copy", "9"], "RESOURCE_DOES_NOT_EXIST"),
    (client.create_registered_model, ["iris-copy"], "RESOURCE_ALREADY_EXISTS"),
    (client.create_registered_model, ["a/b"], "INVALID_PARAMETER_VALUE"),
    (client.get_model_version_by_alias, ["iris-copy", "nobody"], "INVALID_PARAMETER_VALUE"),
):
    said = None
    try:
        fails(*names)
    except MlflowException as error:
        said = error.error_code
    assert said == code, (said, code)
client.delete_registered_model("iris-copy")
