"""Link functions: from raw scores to probabilities, classes and values."""

from typing import Any

from kept.core.errors import Invalid
from kept.packaging.exporters.graph import Graph


def apply_link(link: Any, graph: Graph, raw: str) -> str:
    """The inverse of a scikit-learn loss's link function, applied to scores of shape [rows, targets]."""
    name = type(link).__name__
    if name == "IdentityLink":
        return raw
    if name == "LogLink":
        return graph.node("Exp", raw)
    if name == "LogitLink":
        return graph.node("Sigmoid", raw)
    if name == "HalfLogitLink":
        return graph.node("Sigmoid", graph.node("Mul", raw, graph.constant(2.0)))
    if name == "MultinomialLogit":
        return graph.node("Softmax", raw, axis=1)
    raise Invalid(f"its link function {name} is not known")


def apply_named_link(name: str, graph: Graph, raw: str) -> str:
    """A booster's answers of its raw scores: by `sigmoid`, `softmax` over the targets, `exp`, or as they are (`identity`)."""
    if name == "sigmoid":
        return graph.node("Sigmoid", raw)
    if name == "softmax":
        return graph.node("Softmax", raw, axis=1)
    return graph.node("Exp", raw) if name == "exp" else raw
