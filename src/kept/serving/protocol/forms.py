"""Which protocol a request speaks."""

from typing import Literal

Form = Literal["rows", "tensors", "invocations", "csv", "message"]
"""`rows` is our own, `tensors` the protocol's in JSON and bytes, `invocations` and `csv` are MLflow's, `message` is gRPC's."""
