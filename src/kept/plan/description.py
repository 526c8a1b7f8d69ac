"""A project's declarations as plain values, as its record holds them."""

from typing import Any

import msgspec

from kept.measures.drift.cycle import UTC
from kept.plan.project import MAX_SKEW, Project
from kept.plan.reference import TRAINING


def describe(project: Project) -> dict[str, Any]:
    """The declarations as plain values, for the record: functions by name."""
    data = project.data
    plain = {
        "name": project.name,
        "question": project.question,
        "owner": project.owner,
        "objectives": project.objectives,
        "dataset": data and {name: value for name, value in vars(data).items() if name != "function"},
        "features": {
            view.name: {name: value for name, value in vars(view).items() if name != "function"}
            for view in project.views.values()
        },
        "models": {
            model.name: {name: value for name, value in vars(model).items() if name != "function"}
            for model in project.models.values()
        },
        "steps": sorted(project.steps),
        "split": project.split_rule,
        "monitor": {
            "window": project.window,
            "false_alarm_every": project.drift_budget,
            # What is not declared is left out, so that a project of old reads as it did.
            **({"silent_after": project.silent_after} if project.silent_after else {}),
            **({"unlabelled_after": project.unlabelled_after} if project.unlabelled_after else {}),
            **({} if project.allowed_lateness is None else {"allowed_lateness": project.allowed_lateness}),
            **({"max_skew": project.max_skew} if project.max_skew != MAX_SKEW else {}),
            **({"reference": project.reference} if project.reference != TRAINING else {}),
            **({"season": project.season} if project.season else {}),
            **({"time_zone": project.time_zone} if project.time_zone != UTC else {}),
            **({"explained_rows": project.explained_rows} if project.explained_rows else {}),
        },
        "retrain": project.retraining,
        "release": project.releasing,
    }
    # Through JSON and back: what is compared later is what was stored.
    result: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(plain))
    return result
