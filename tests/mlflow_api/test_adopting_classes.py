"""Models of MLflow's clients that know their classes as 0 and 1, taken over by a project that has words for them."""

import json
import shutil
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest
from running import kept, predicting, run_script, serving

from kept.plan.loading import load_project

EXCHANGING = Path(__file__).parent / "exchanging"
NAMED = ("--class", "0=on time", "--class", "1=late")


@pytest.mark.timeout(300)
def test_a_model_of_numbered_classes_speaks_the_words_of_the_project(client_python: Path, tmp_path: Path) -> None:
    shutil.copy(EXCHANGING / "project_in_words.py", tmp_path / "project.py")
    journeys: pl.DataFrame = load_project(tmp_path / "project.py").the_dataset.function()
    rows = journeys.select("people", "coaches")
    rows.with_columns(journeys["outcome"]).write_csv(tmp_path / "journeys.csv")
    here = ("--workspace", "workspace")
    with serving(tmp_path) as (server, _):
        run_script(client_python, EXCHANGING / "logging_numbered_classes.py", server, tmp_path)
        expected: dict[str, list[float]] = json.loads((tmp_path / "expected.json").read_text())
        refused = kept(tmp_path, "models", "adopt", "exported/1", *here, fails=1)
        assert "the project's are late, on time" in " ".join(refused.split())
        assert "--class 0=late --class 1=on time" in " ".join(refused.split())
        assert "it has" not in kept(tmp_path, "models", "adopt", "exported/1", "--class", "0", *here, fails=2)
        for number, (name, runtime) in enumerate((("exported", "onnx"), ("kept-as-it-is", "skops")), 1):
            said = kept(tmp_path, "models", "adopt", f"models:/{name}@latest", *NAMED, *here, "--json")
            version = json.loads(said)
            assert (version["number"], version["status"]) == (number, "accepted")
            lineage, report = version["card"]["lineage"], version["card"]["report"]
            assert lineage["runtime"] == runtime
            assert lineage["adopted"]["classes"] == {"0": "on time", "1": "late"}
            assert report["classes"] == ["late", "on time"]
        kept(tmp_path, "release", "punctuality/1", *here)
        assert "is the project's late" in kept(tmp_path, "models", "show", "punctuality/1", *here)
        with predicting(tmp_path) as address:
            answer = httpx.post(f"{address}/predict/punctuality", json={"rows": rows.head(100).to_dicts()}).json()
        answered = [one["probability"] for one in answer["predictions"]]
        assert np.allclose(answered, expected["exported"][:100], rtol=0, atol=1e-9)
        words = [one["prediction"] for one in answer["predictions"]]
        assert words == ["on time" if one > 0.5 else "late" for one in answered]
        # A canary would have answered some requests above.
        kept(tmp_path, "release", "punctuality/2", *here)
        run_script(client_python, EXCHANGING / "loading_numbered_classes.py", server, tmp_path)
