"""Picking and joining columns."""

import numpy as np
from numpy.typing import NDArray

from kept.core.errors import Invalid
from kept.packaging.exporters.graph import Graph, Origin, Tensor


def select(graph: Graph, features: Tensor, places: NDArray[np.int64]) -> Tensor:
    """Some columns, in the order given."""
    name = graph.node("Gather", features.name, graph.constant(places, np.int64), axis=1)
    return Tensor(name=name, origin=features.origin.pick(places))


def join(graph: Graph, parts: list[Tensor]) -> Tensor:
    """Tensors side by side."""
    if not parts:
        raise Invalid("no column is left")
    if len(parts) == 1:
        return parts[0]
    origin = Origin(
        columns=np.concatenate([part.origin.columns for part in parts]),
        scale=np.concatenate([part.origin.scale for part in parts]),
        offset=np.concatenate([part.origin.offset for part in parts]),
        inputs=np.concatenate([part.origin.inputs for part in parts]),
    )
    return Tensor(name=graph.node("Concat", *[part.name for part in parts], axis=1), origin=origin)
