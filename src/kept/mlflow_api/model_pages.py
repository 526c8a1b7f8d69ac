"""Page tokens of searches of logged models, bound to the search that they came from."""

import base64
import binascii
from typing import Any

import msgspec

from kept.mlflow_api import requests as sent
from kept.mlflow_api.errors import invalid


class ModelPage(msgspec.Struct):
    """Where a page begins and of which search."""

    experiment_ids: list[str]
    filter_string: str | None = None
    order_by: list[dict[str, Any]] | None = None
    page: str = ""
    """The token of the operation."""


def asked_for(request: sent.SearchLoggedModels) -> ModelPage:
    """The search as its tokens tell of it."""
    return ModelPage(
        experiment_ids=request.experiment_ids,
        filter_string=request.filter or None,
        order_by=[
            {
                "field_name": one.field_name or "",
                "ascending": one.ascending is not False,
                "dataset_name": one.dataset_name or None,
                "dataset_digest": one.dataset_digest or None,
            }
            for one in request.order_by or []
        ]
        or None,
    )


def token_for(asked: ModelPage, page: str | None) -> str | None:
    """The token of the page that follows, or None when none does."""
    if page is None:
        return None
    return base64.b64encode(msgspec.json.encode(msgspec.structs.replace(asked, page=page))).decode()


def page_of(asked: ModelPage, token: str | None) -> str | None:
    """What the operation calls the page; a token of another search is refused."""
    if not token:
        return None
    try:
        told = msgspec.json.decode(base64.b64decode(token), type=ModelPage)
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise invalid(f"Invalid page token: {token}. {error}") from error
    for what, field in (
        ("Experiment IDs in the page token do not match the requested experiment IDs.", "experiment_ids"),
        ("Filter string in the page token does not match the requested filter string.", "filter_string"),
        ("Order by in the page token does not match the requested order by.", "order_by"),
    ):
        expected, found = getattr(asked, field), getattr(told, field)
        if expected != found:
            raise invalid(f"{what} Expected: {expected}. Found: {found}")
    return told.page
