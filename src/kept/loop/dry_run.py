"""Dry run: what the loop would do is recorded with its evidence, once, and nothing is done."""

from typing import Any

from kept.loop.context import Cause, LoopContext
from kept.loop.decision import Kind
from kept.loop.records import decisions_of

_LOOKED_AT = 50
# What tells one occasion from another; the rest of the evidence may grow from look to look.
_OCCASION = ("would", "last_training", "rollout", "step")


def report(context: LoopContext, would: Kind, cause: Cause, reason: str, evidence: dict[str, Any]) -> list[str]:
    """Keeps the decision that would have been taken as one that only reports; says nothing the second time."""
    told = {"would": would, **evidence}
    with context.workspace.database.reading() as connection:
        before = decisions_of(
            connection, context.plan.name, endpoint=context.endpoint, kinds=["dry_run"], limit=_LOOKED_AT
        )
    for one in before:
        same = all(one.evidence.get(name) == told.get(name) for name in _OCCASION)
        if same and (one.trigger, one.run_id) == (cause.trigger, cause.run_id):
            return []
    context.decide("dry_run", cause, reason, told)
    return [reason if reason.endswith(".") else f"{reason}."]
