"""BentoML: the service `Predictor`."""

from typing import Any

import bentoml
from asked import features, loaded


@bentoml.service(workers=1)
class Predictor:
    """Answers rows; requests that come together are batched."""

    def __init__(self) -> None:
        self.model = loaded()

    @bentoml.api(batchable=True, max_batch_size=1000, max_latency_ms=1000)
    def predict(self, rows: list[Any]) -> list[float]:
        """Probabilities of the second class."""
        return self.model.predict_proba(features(rows))[:, 1].tolist()
