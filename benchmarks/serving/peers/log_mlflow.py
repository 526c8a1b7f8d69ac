"""Saves the model as MLflow does: `log_mlflow.py FOLDER_OF_MODEL TO`."""

import sys
from pathlib import Path

import joblib
import mlflow.sklearn

folder, to = map(Path, sys.argv[1:])
mlflow.sklearn.save_model(
    joblib.load(folder / "model.joblib"), str(to), pyfunc_predict_fn="predict_proba", serialization_format="cloudpickle"
)
