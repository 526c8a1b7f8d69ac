"""Endpoints of the versions of registered models."""

import json
from typing import Any

import msgspec

from kept.mlflow_api import requests as sent
from kept.mlflow_api.answers import Done, DownloadAddress, ModelVersions, OneModelVersion, version_answer
from kept.mlflow_api.call import Call, texts
from kept.mlflow_api.errors import invalid, unfit
from kept.mlflow_api.filters import models_only
from kept.mlflow_api.prompts import refuse_prompts
from kept.mlflow_api.version_files import address_of
from kept.registry import registered_versions as verbs
from kept.registry import requests as asked
from kept.registry.grammar import registered_version_terms
from kept.registry.registered import RegisteredVersion
from kept.registry.requests import LARGEST_PAGE_OF_VERSIONS
from kept.tracking.logged_models import set_logged_model_tags, show_logged_model
from kept.tracking.requests import SetLoggedModelTags, ShowLoggedModel

_VERSIONS_TAG = "mlflow.modelVersions"


def create(call: Call, request: sent.CreateModelVersion) -> OneModelVersion:
    """Registers the next version of a model."""
    tags = texts(request.tags)
    refuse_prompts(tags)
    made = call.do(
        verbs.create_version,
        asked.CreateVersion(
            name=request.name,
            source=request.source,
            run_id=request.run_id,
            run_link=request.run_link,
            logged_model=request.model_id,
            description=request.description or "",
            tags=tags,
        ),
    )
    if request.model_id:
        _tell_logged_model(call, made, request.model_id)
    return OneModelVersion(version_answer(made))


def get(call: Call, request: sent.OfModelVersion) -> OneModelVersion:
    """A version."""
    return OneModelVersion(version_answer(_found(call, request)))


def update(call: Call, request: sent.UpdateModelVersion) -> OneModelVersion:
    """Describes a version anew."""
    asking = asked.UpdateVersion(name=request.name, version=request.version, description=request.description or "")
    return OneModelVersion(version_answer(call.do(verbs.update_version, asking)))


def delete(call: Call, request: sent.OfModelVersion) -> Done:
    """Deletes a version."""
    call.do(verbs.delete_version, asked.DeleteVersion(name=request.name, version=request.version))
    return Done()


def search(call: Call, request: sent.SearchRegistered) -> ModelVersions:
    """A page of versions that fit."""
    size = request.max_results
    if size is not None and size < 1:
        raise invalid(f"Invalid value for max_results. It must be a positive integer, but got {size}")
    if size is not None and size > LARGEST_PAGE_OF_VERSIONS:
        raise unfit("max_results", str(size))
    asking = asked.SearchRegisteredVersions(
        filter=models_only(registered_version_terms(request.filter or "")),
        order_by=request.order_by or [],
        limit=LARGEST_PAGE_OF_VERSIONS if size is None else size,
        page=request.page_token or None,
    )
    page = call.do(verbs.search_registered, asking)
    return ModelVersions([version_answer(one) for one in page.versions], page.next_page)


def download_address(call: Call, request: sent.DownloadAddressWanted) -> DownloadAddress:
    """Where the files of a version stand."""
    return DownloadAddress(address_of(_found(call, request)))


def transition(call: Call, request: sent.TransitionStage) -> OneModelVersion:
    """Moves a version to a stage."""
    archive = request.archive_existing_versions
    if archive is not None and not isinstance(archive, bool):
        raise unfit("archive_existing_versions", archive)
    asking = asked.MoveVersion(
        name=request.name,
        version=request.version,
        stage=request.stage,
        archive=bool(archive),
    )
    return OneModelVersion(version_answer(call.do(verbs.move_version, asking)))


def set_tag(call: Call, request: sent.ModelVersionTag) -> Done:
    """Sets a tag of a version."""
    asking = asked.SetVersionTag(name=request.name, version=request.version, key=request.key, value=request.value or "")
    call.do(verbs.set_version_tag, asking)
    return Done()


def delete_tag(call: Call, request: sent.ModelVersionTag) -> Done:
    """Removes a tag of a version."""
    asking = asked.DeleteVersionTag(name=request.name, version=request.version, key=request.key)
    call.do(verbs.delete_version_tag, asking)
    return Done()


def _tell_logged_model(call: Call, made: RegisteredVersion, logged_model: str) -> None:
    """Notes at the logged model of which versions it is; clients look for it there."""
    known = call.do(show_logged_model, ShowLoggedModel(model=logged_model)).tags.get(_VERSIONS_TAG, "")
    try:
        versions = msgspec.json.decode(known, type=list[dict[str, Any]]) if known else []
    except msgspec.DecodeError:
        versions = []
    versions.append({"name": made.model, "version": made.number})
    # With the spaces that clients write.
    text = json.dumps(versions)
    call.do(set_logged_model_tags, SetLoggedModelTags(model=logged_model, tags={_VERSIONS_TAG: text}))


def _found(call: Call, request: sent.OfModelVersion | sent.DownloadAddressWanted) -> RegisteredVersion:
    asking = asked.ShowRegisteredVersion(name=request.name, version=request.version)
    return call.do(verbs.show_registered, asking)
