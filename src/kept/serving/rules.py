"""Declared fallback rules: the first whose condition holds for a row answers it."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

from kept.deployment.routing import Fallback, FallbackRule
from kept.packaging.signature import Signature
from kept.serving.protocol.answers import label_text

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "in": lambda value, known: value in known,
}


class Rules:
    """The rules of one version. One about an input that the version does not have, or with an answer it could not give, is left out.

    Args:
        signature: the version's.
        fallback: its rules, and the constant for rows that none of them is about.
    """

    def __init__(self, signature: Signature, fallback: Fallback) -> None:
        self._default = None if fallback.constant is None else constant_score(signature, fallback.constant)
        self._rules = [
            (signature.names.index(rule.column), rule, score)
            for rule in fallback.rules
            if rule.column in signature.names and (score := constant_score(signature, rule.answer)) is not None
        ]

    def scores(self, rows: Sequence[Sequence[Any]]) -> list[Any] | None:
        """A score for each row; None when no rule holds for any of them, or nothing is declared for one."""
        found = [self._score(row) for row in rows]
        if all(score is None for score in found):
            return None
        scores = [self._default if score is None else score for score in found]
        return None if any(score is None for score in scores) else scores

    def _score(self, row: Sequence[Any]) -> Any:
        return next((score for place, rule, score in self._rules if holds(rule, row[place])), None)


def holds(rule: FallbackRule, value: Any) -> bool:
    """Whether a rule's condition holds for a value. A missing value is `missing` and nothing else; so is one of another kind."""
    if value is None or rule.operator == "missing":
        return value is None and rule.operator == "missing"
    try:
        return _OPERATORS[rule.operator](value, rule.value)
    except TypeError:
        return False


def constant_score(signature: Signature, constant: float | str) -> Any:
    """A constant as a score of the model; None when it is none that the model could give. No constant is a tensor."""
    if signature.outputs:
        return None
    if isinstance(constant, str):
        names = [label_text(label) for label in signature.classes]
        if constant not in names:
            return None
        chosen = [1.0 if name == constant else 0.0 for name in names]
        return chosen[1] if signature.task == "binary" else chosen
    if signature.task == "multiclass" or (signature.task == "binary" and not 0 <= constant <= 1):
        return None
    return constant
