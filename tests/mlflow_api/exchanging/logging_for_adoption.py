"""Models of people who know nothing of Kept: logged and registered, most of them as they should be."""

import json
from pathlib import Path
from typing import Any

import lightgbm as lgb
import mlflow
import numpy as np
import pandas as pd
import xgboost as xgb
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

mlflow.set_experiment("notebook")
rows = pd.read_csv("journeys.csv")
late = rows.pop("late")
numbers = rows[["people", "coaches"]]
boosted = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(numbers, late)
by_name = make_pipeline(
    make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["line"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["coaches", "people"]),
    ),
    LogisticRegression(),
).fit(rows, late)
by_place = make_pipeline(SimpleImputer(), LogisticRegression()).fit(numbers.to_numpy(), late)
trees = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
data_only = {"functools.partial", "numpy.dtype", "sklearn.utils.validation.check_array", trees}


def log(name: str, model: Any, frame: pd.DataFrame, **more: Any) -> None:
    with mlflow.start_run(run_name=name):
        mlflow.log_params({"made": "by hand", "rows": len(frame)})
        # Finding out what a model requires takes longer than all the rest.
        required = ["scikit-learn", "skops"]
        mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name=name,
            skops_trusted_types=sorted(data_only),
            pip_requirements=required,
            **more,
        )


log("numbers", boosted, numbers, signature=infer_signature(numbers, boosted.predict(numbers)))
log("names", by_name, rows, input_example=rows[:3])
log("places", by_place, numbers, signature=infer_signature(numbers, by_place.predict(numbers.to_numpy())))
log("pickled", by_name, rows, serialization_format="cloudpickle")
log("nameless", by_place, numbers)
log("answering", Ridge().fit(numbers.fillna(0), late), numbers)
log("stranger", LogisticRegression().fit(rows[["coaches"]].rename(columns={"coaches": "wagons"}), late), rows)

light = lgb.train({"objective": "binary", "verbose": -1, "num_leaves": 7}, lgb.Dataset(numbers, late), 10)
with mlflow.start_run(run_name="light"):
    mlflow.lightgbm.log_model(
        light,
        name="model",
        registered_model_name="light",
        signature=infer_signature(numbers, light.predict(numbers)),
        pip_requirements=["lightgbm"],
    )
extreme = xgb.XGBClassifier(n_estimators=9, max_depth=3).fit(numbers, late)
with mlflow.start_run(run_name="extreme"):
    mlflow.xgboost.log_model(extreme, name="model", registered_model_name="extreme", pip_requirements=["xgboost"])
boosters = {"light": np.asarray(light.predict(numbers)), "extreme": extreme.predict_proba(numbers)[:, 1]}
Path("boosters.json").write_text(json.dumps({name: one.tolist() for name, one in boosters.items()}))

expected = {
    "numbers": boosted.predict_proba(numbers),
    "names": by_name.predict_proba(rows),
    "places": by_place.predict_proba(numbers.to_numpy()),
}
Path("expected.json").write_text(json.dumps({name: np.asarray(one)[:, 1].tolist() for name, one in expected.items()}))
