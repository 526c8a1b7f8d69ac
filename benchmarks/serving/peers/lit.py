"""LitServe: `lit.py PORT`."""

import sys
from typing import Any

import litserve
from asked import features, loaded


class Predictor(litserve.LitAPI):
    """Batches what comes within a millisecond."""

    def setup(self, device: str) -> None:
        """Loads the model."""
        del device
        self.model = loaded()

    def decode_request(self, request: dict[str, Any]) -> list[list[Any]]:
        """The rows of a request."""
        return request["rows"]

    def batch(self, inputs: list[list[list[Any]]]) -> list[list[list[Any]]]:
        """Requests stay apart: they have as many rows as they like."""
        return inputs

    def predict(self, batch: list[list[list[Any]]]) -> list[list[float]]:
        """All rows of all requests at once."""
        chances = self.model.predict_proba(features([row for rows in batch for row in rows]))[:, 1].tolist()
        answers, start = [], 0
        for rows in batch:
            answers.append(chances[start : start + len(rows)])
            start += len(rows)
        return answers

    def unbatch(self, output: list[list[float]]) -> list[list[float]]:
        """An answer for each request."""
        return output

    def encode_response(self, output: list[float]) -> dict[str, list[float]]:
        """The answer."""
        return {"probabilities": output}


if __name__ == "__main__":
    server = litserve.LitServer(Predictor(max_batch_size=64, batch_timeout=0.001), accelerator="cpu")
    server.run(port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False, log_level="warning")
