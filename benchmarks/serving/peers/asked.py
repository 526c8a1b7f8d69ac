"""What the programs of the peers share: the model and how rows become what it takes."""

import json
import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

_FOLDER = Path(os.environ["MODEL"])
COLUMNS: list[str] = json.loads((_FOLDER / "rows.json").read_text())["columns"]
_TEXT = any(name.startswith("t") for name in COLUMNS)


def loaded() -> Any:
    """The fitted model."""
    return joblib.load(_FOLDER / "model.joblib")


def features(rows: list[list[Any]]) -> Any:
    """Rows as the model takes them: a matrix, or a data frame where there is text."""
    return pd.DataFrame(rows, columns=COLUMNS) if _TEXT else np.asarray(rows, dtype=np.float64)
