"""Endpoints of registered models and their aliases."""

from kept.mlflow_api import requests as sent
from kept.mlflow_api.answers import (
    Done,
    ModelVersions,
    OneModelVersion,
    OneRegisteredModel,
    RegisteredModels,
    latest_answer,
    registered_answer,
    version_answer,
)
from kept.mlflow_api.call import Call, texts
from kept.mlflow_api.errors import unfit
from kept.mlflow_api.filters import models_only
from kept.mlflow_api.prompts import refuse_prompts
from kept.registry import catalog as aliases
from kept.registry import registered_models as verbs
from kept.registry import registered_versions as versions
from kept.registry import requests as asked
from kept.registry.grammar import registered_model_terms
from kept.registry.names import check_alias, check_new_alias
from kept.registry.requests import LARGEST_PAGE_OF_MODELS

_PAGE = 100


def create(call: Call, request: sent.CreateRegisteredModel) -> OneRegisteredModel:
    """Makes a registered model."""
    tags = texts(request.tags)
    refuse_prompts(tags)
    asking = asked.CreateModel(name=request.name, description=request.description or "", tags=tags)
    return OneRegisteredModel(registered_answer(call.do(verbs.create_model, asking)))


def get(call: Call, request: sent.OfRegisteredModel) -> OneRegisteredModel:
    """A registered model."""
    return OneRegisteredModel(registered_answer(call.do(verbs.show_model, asked.ShowModel(name=request.name))))


def update(call: Call, request: sent.UpdateRegisteredModel) -> OneRegisteredModel:
    """Describes a registered model anew."""
    asking = asked.UpdateModel(name=request.name, description=request.description or "")
    return OneRegisteredModel(registered_answer(call.do(verbs.update_model, asking)))


def rename(call: Call, request: sent.RenameRegisteredModel) -> OneRegisteredModel:
    """Gives a registered model another name."""
    asking = asked.RenameModel(name=request.name, new_name=request.new_name)
    return OneRegisteredModel(registered_answer(call.do(verbs.rename_model, asking)))


def delete(call: Call, request: sent.OfRegisteredModel) -> Done:
    """Deletes a registered model with its versions."""
    call.do(verbs.delete_model, asked.DeleteModel(name=request.name))
    return Done()


def search(call: Call, request: sent.SearchRegistered) -> RegisteredModels:
    """A page of registered models that fit."""
    if request.max_results is not None and request.max_results > LARGEST_PAGE_OF_MODELS:
        raise unfit("max_results", str(request.max_results))
    asking = asked.SearchModels(
        filter=models_only(registered_model_terms(request.filter or "")),
        order_by=request.order_by or [],
        limit=_PAGE if request.max_results is None else request.max_results,
        page=request.page_token or None,
    )
    page = call.do(verbs.search_models, asking)
    return RegisteredModels([registered_answer(one) for one in page.models], page.next_page)


def latest_versions(call: Call, request: sent.GetLatestVersions) -> ModelVersions:
    """The newest version of each stage."""
    asking = asked.LatestVersions(name=request.name, stages=request.stages or [])
    return ModelVersions([latest_answer(one) for one in call.do(verbs.latest_versions, asking)])


def set_tag(call: Call, request: sent.RegisteredModelTag) -> Done:
    """Sets a tag of a registered model."""
    refuse_prompts({request.key: request.value or ""})
    call.do(verbs.set_model_tag, asked.SetModelTag(name=request.name, key=request.key, value=request.value or ""))
    return Done()


def delete_tag(call: Call, request: sent.RegisteredModelTag) -> Done:
    """Removes a tag of a registered model."""
    call.do(verbs.delete_model_tag, asked.DeleteModelTag(name=request.name, key=request.key))
    return Done()


def get_by_alias(call: Call, request: sent.OfAlias) -> OneModelVersion:
    """The version that an alias points to."""
    asking = asked.FindVersion(name=request.name, alias=request.alias)
    return OneModelVersion(version_answer(call.do(versions.find_version, asking)))


def set_alias(call: Call, request: sent.SetAlias) -> Done:
    """Points an alias to a version."""
    check_new_alias(request.alias)
    found = call.do(versions.show_registered, asked.ShowRegisteredVersion(name=request.name, version=request.version))
    call.do(aliases.set_alias, aliases.SetAlias(model=found.model, alias=request.alias, version=str(found.number)))
    return Done()


def delete_alias(call: Call, request: sent.OfAlias) -> Done:
    """Takes an alias away, when it is there."""
    check_alias(request.alias)
    found = call.do(verbs.show_model, asked.ShowModel(name=request.name))
    if request.alias in found.aliases:
        call.do(aliases.drop_alias, aliases.DropAlias(model=found.name, alias=request.alias))
    return Done()
