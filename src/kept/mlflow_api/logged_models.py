"""Endpoints of logged models."""

from kept.mlflow_api import requests as sent
from kept.mlflow_api.answers import MODEL_STATUS, Done, LoggedModels, OneLoggedModel, model_answer
from kept.mlflow_api.call import Call, check_once, choice, texts
from kept.mlflow_api.errors import invalid
from kept.mlflow_api.filters import model_filter
from kept.mlflow_api.model_pages import asked_for, page_of, token_for
from kept.tracking import logged_models as verbs
from kept.tracking import requests as asked
from kept.tracking.filtering import Kind, Order
from kept.tracking.grammar import LOGGED_MODELS
from kept.tracking.logged_model import ModelStatus

_PAGE = 50
_METRICS = "metrics."
_STATUSES = {number: (MODEL_STATUS[status], status) for number, status in enumerate(ModelStatus, start=1)}


def create(call: Call, request: sent.CreateLoggedModel) -> OneLoggedModel:
    """Makes a logged model."""
    check_once(request.params or [])
    made = call.do(
        verbs.create_logged_model,
        asked.CreateLoggedModel(
            experiment=request.experiment_id,
            name=request.name or "",
            run=request.source_run_id or None,
            type=request.model_type or "",
            tags=texts(request.tags),
            params=texts(request.params),
        ),
    )
    return OneLoggedModel(model_answer(made))


def get(call: Call, request: sent.GetLoggedModel) -> OneLoggedModel:
    """A logged model."""
    asking = asked.ShowLoggedModel(model=request.model_id, deleted=bool(request.allow_deleted))
    return OneLoggedModel(model_answer(call.do(verbs.show_logged_model, asking)))


def finalize(call: Call, request: sent.FinalizeLoggedModel) -> OneLoggedModel:
    """Says how the making of a logged model ended."""
    status = choice("status", request.status, _STATUSES)
    asking = asked.FinalizeLoggedModel(model=request.model_id, status=status)
    return OneLoggedModel(model_answer(call.do(verbs.finalize_logged_model, asking)))


def delete(call: Call, request: sent.GetLoggedModel) -> Done:
    """Deletes a logged model."""
    call.do(verbs.delete_logged_model, asked.DeleteLoggedModel(model=request.model_id))
    return Done()


def set_tags(call: Call, request: sent.LoggedModelPairs) -> Done:
    """Sets tags of a logged model."""
    asking = asked.SetLoggedModelTags(model=request.model_id, tags=texts(request.tags))
    call.do(verbs.set_logged_model_tags, asking)
    return Done()


def delete_tag(call: Call, request: sent.DeleteLoggedModelTag) -> Done:
    """Removes a tag of a logged model."""
    call.do(verbs.delete_logged_model_tag, asked.DeleteLoggedModelTag(model=request.model_id, name=request.tag_key))
    return Done()


def log_params(call: Call, request: sent.LoggedModelPairs) -> Done:
    """Notes parameters of a logged model."""
    check_once(request.params or [])
    asking = asked.LogLoggedModelParams(model=request.model_id, params=texts(request.params))
    call.do(verbs.log_logged_model_params, asking)
    return Done()


def search(call: Call, request: sent.SearchLoggedModels) -> LoggedModels:
    """A page of logged models that fit."""
    this = asked_for(request)
    page = call.do(
        verbs.search_logged_models,
        asked.SearchLoggedModels(
            experiments=request.experiment_ids,
            filter=model_filter(request.filter or ""),
            datasets=[_dataset(one) for one in request.datasets or []],
            order_by=[_order(one) for one in request.order_by or []],
            limit=request.max_results or _PAGE,
            page=page_of(this, request.page_token),
        ),
    )
    return LoggedModels([model_answer(one) for one in page.models], token_for(this, page.next_page))


def _dataset(one: sent.DatasetWanted) -> asked.DatasetFilter:
    if not one.dataset_name:
        raise invalid("`dataset_name` in the `datasets` clause must be specified.")
    return asked.DatasetFilter(name=one.dataset_name, digest=one.dataset_digest or None)


def _order(one: sent.OrderWanted) -> Order:
    field = one.field_name or ""
    measured = field.startswith(_METRICS)
    if "." in field and not measured:
        raise invalid(f"Invalid order by field name: {field}. Only metrics are supported.")
    name = field.removeprefix(_METRICS) if measured else LOGGED_MODELS.aliases.get(field, field)
    if not measured and name not in LOGGED_MODELS.texts | LOGGED_MODELS.numbers:
        raise invalid(f"Invalid order by field name: {field}")
    return Order(
        kind=Kind.METRIC if measured else Kind.ATTRIBUTE,
        name=name,
        ascending=one.ascending is not False,
        dataset_name=one.dataset_name or None,
        dataset_digest=one.dataset_digest or None,
    )
