"""The forms that a request may have."""

from typing import Literal

Form = Literal["rows", "tensors", "invocations", "csv", "message"]
"""`rows` is our own, `tensors` the protocol's in JSON and bytes, `invocations` and `csv` are MLflow's, `message` is gRPC's."""
