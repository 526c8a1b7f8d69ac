"""Versions that Kept judged, loaded by number and alias, from every form of rows that people have."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient

client = MlflowClient()
told = json.loads(Path("rows.json").read_text())
table = pd.read_csv("rows.csv")
for name, expected in json.loads(Path("expected.json").read_text()).items():
    model = mlflow.pyfunc.load_model(f"models:/{name}/1")
    for rows in (table, pd.DataFrame(told), table.convert_dtypes(), told):
        assert np.allclose(model.predict(rows), expected, rtol=0, atol=1e-9), (name, type(rows))
    assert len(model.predict(model.input_example)) == 5
    client.set_registered_model_alias(name, "best", "1")
    assert np.allclose(mlflow.pyfunc.load_model(f"models:/{name}@best").predict(table), expected, atol=1e-9)
    found = client.get_model_version(name, "1")
    assert found.status == "READY"
    assert mlflow.artifacts.download_artifacts(found.source, dst_path=name)
bare = mlflow.sklearn.load_model("models:/table/1")
assert len(bare.predict(table.astype({"category": object}))) == len(table)
