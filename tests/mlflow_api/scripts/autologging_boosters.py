"""XGBoost and LightGBM with autologging, by their own interfaces and by scikit-learn's; their models registered and loaded."""

import json

import lightgbm as lgb
import mlflow
import numpy as np
import pandas as pd
import xgboost as xgb
from mlflow import MlflowClient
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import train_test_split

client = MlflowClient()
mlflow.set_experiment("boosters")
rows, labels = load_breast_cancer(return_X_y=True, as_frame=True)
rows.columns = [name.replace(" ", "_") for name in rows.columns]
train, test, train_labels, test_labels = train_test_split(rows, labels, random_state=0)


def told(run_id: str) -> tuple[mlflow.entities.Run, set[str]]:
    mlflow.flush_async_logging()
    return client.get_run(run_id), {one.path for one in client.list_artifacts(run_id)}


mlflow.xgboost.autolog(registered_model_name="boosted")
with mlflow.start_run() as run:
    data = xgb.DMatrix(train, train_labels)
    booster = xgb.train(
        {"objective": "binary:logistic", "eval_metric": ["logloss", "auc"], "max_depth": 3},
        data,
        num_boost_round=20,
        evals=[(data, "train"), (xgb.DMatrix(test, test_labels), "valid")],
        early_stopping_rounds=3,
        verbose_eval=False,
    )
found, files = told(run.info.run_id)
assert found.data.params["max_depth"] == "3"
assert found.data.params["num_boost_round"] == "20"
assert json.loads(found.data.params["eval_metric"].replace("'", '"')) == ["logloss", "auc"]
# After the last iteration the best one is noted once more.
assert found.data.metrics["stopped_iteration"] == len(client.get_metric_history(run.info.run_id, "train-auc")) - 2
assert found.data.metrics["best_iteration"] == booster.best_iteration
history = client.get_metric_history(run.info.run_id, "valid-logloss")
assert [point.step for point in history][:3] == [0, 1, 2]
assert {"feature_importance_weight.json", "feature_importance_weight.png"} <= files
assert set(mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/feature_importance_weight.json")) <= set(rows.columns)
assert [one.dataset.name for one in found.inputs.dataset_inputs]
version = client.get_model_version("boosted", "1")
assert version.run_id == run.info.run_id
again = mlflow.xgboost.load_model("models:/boosted/1")
assert np.allclose(again.predict(xgb.DMatrix(test)), booster.predict(xgb.DMatrix(test)))
loaded = mlflow.pyfunc.load_model("models:/boosted/1")
assert loaded.metadata.signature is not None
assert np.allclose(loaded.predict(test), booster.predict(xgb.DMatrix(test)))
mlflow.xgboost.autolog(disable=True)

mlflow.xgboost.autolog(log_input_examples=True, model_format="json")
with mlflow.start_run() as run:
    regressor = xgb.XGBRegressor(n_estimators=5, max_depth=2)
    numbers, values = load_diabetes(return_X_y=True, as_frame=True)
    regressor.fit(numbers, values, eval_set=[(numbers, values)], verbose=False)
found, files = told(run.info.run_id)
assert found.data.params["num_boost_round"] == "5"
assert len(client.get_metric_history(run.info.run_id, "validation_0-rmse")) == 5
again = mlflow.xgboost.load_model(f"runs:/{run.info.run_id}/model")
assert isinstance(again, xgb.XGBRegressor)
assert np.allclose(again.predict(numbers), regressor.predict(numbers))
mlflow.xgboost.autolog(disable=True)

mlflow.lightgbm.autolog(registered_model_name="light")
with mlflow.start_run() as run:
    table = lgb.Dataset(train, train_labels)
    light = lgb.train(
        {"objective": "binary", "metric": ["auc", "binary_logloss"], "verbose": -1, "learning_rate": 0.2},
        table,
        num_boost_round=12,
        valid_sets=[table, lgb.Dataset(test, test_labels, reference=table)],
        valid_names=["train", "valid"],
    )
found, files = told(run.info.run_id)
assert found.data.params["learning_rate"] == "0.2"
assert len(client.get_metric_history(run.info.run_id, "valid-auc")) == 12
assert {"feature_importance_gain.json", "feature_importance_split.png"} <= files
assert np.allclose(mlflow.lightgbm.load_model("models:/light/1").predict(test), np.asarray(light.predict(test)))
assert np.allclose(mlflow.pyfunc.load_model("models:/light/1").predict(test), np.asarray(light.predict(test)))
mlflow.lightgbm.autolog(disable=True)

mlflow.lightgbm.autolog()
with mlflow.start_run() as run:
    classifier = lgb.LGBMClassifier(n_estimators=4, verbose=-1).fit(train, train_labels, eval_set=[(test, test_labels)])
found, files = told(run.info.run_id)
assert found.data.params["num_boost_round"] == "4"
assert len(client.get_metric_history(run.info.run_id, "valid_0-binary_logloss")) == 4
again = mlflow.lightgbm.load_model(f"runs:/{run.info.run_id}/model")
assert np.array_equal(again.predict(test), np.asarray(classifier.predict(test)))
mlflow.lightgbm.autolog(disable=True)

logged = mlflow.search_logged_models(experiment_ids=[found.info.experiment_id], output_format="list")
assert len(logged) == 4
assert all(one.status == "READY" for one in logged)
measured = {point.key for one in logged for point in one.metrics or ()}
assert {"valid-auc", "train-auc"} & measured, measured
assert isinstance(mlflow.search_runs([found.info.experiment_id]), pd.DataFrame)
