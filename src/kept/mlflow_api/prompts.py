"""Prompts, which clients register like models: they are told from models by a tag."""

from collections.abc import Mapping

from kept.mlflow_api.errors import NOT_IMPLEMENTED, Refused

PROMPT_TAG = "mlflow.prompt.is_prompt"


def refuse_prompts(tags: Mapping[str, str]) -> None:
    """Refuses what would be registered as a prompt."""
    if tags.get(PROMPT_TAG, "").lower() == "true":
        raise Refused(NOT_IMPLEMENTED, "Prompts of MLflow are not kept here: Kept keeps experiments and models.")
