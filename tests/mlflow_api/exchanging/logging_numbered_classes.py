"""Models of people whose labels are 0 and 1, where the project has words; each is found in a form of its own."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

mlflow.set_experiment("notebook")
rows = pd.read_csv("journeys.csv")
late = (rows.pop("outcome") == "late").astype(int)
expected = {}
for name, model in {"exported": LogisticRegression(), "kept-as-it-is": NearestCentroid()}.items():
    model.fit(rows, late)
    with mlflow.start_run(run_name=name):
        mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name=name,
            signature=infer_signature(rows, model.predict(rows)),
            serialization_format="skops",
            pip_requirements=["scikit-learn", "skops"],
        )
    # Of the project's two words the second is the positive one: on time, which is 0 here.
    expected[name] = np.asarray(model.predict_proba(rows))[:, 0].tolist()
Path("expected.json").write_text(json.dumps(expected))
