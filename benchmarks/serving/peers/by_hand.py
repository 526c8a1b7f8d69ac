"""FastAPI and scikit-learn, as one writes it by hand."""

from typing import Any

from asked import features, loaded
from fastapi import FastAPI
from pydantic import BaseModel

model = loaded()
app = FastAPI()


class Question(BaseModel):
    """Rows in the order of the model's columns."""

    rows: list[list[float | str]]


@app.get("/ready")
def ready() -> dict[str, bool]:
    """Whether it answers."""
    return {"ready": True}


@app.post("/predict")
async def predict(asked: Question) -> dict[str, Any]:
    """Probabilities of the second class."""
    return {"probabilities": model.predict_proba(features(asked.rows))[:, 1].tolist()}
