"""Operations on judged model versions: registering, finding, aliasing them."""

import re

import msgspec
from sqlalchemy import Connection

from kept.core.errors import Conflict, Invalid, NotFound
from kept.core.ids import new_id
from kept.core.listing import MOST_LISTED, list_limit
from kept.evaluation.gate import Verdict
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.records import approvals_of
from kept.governance.workspace import Workspace
from kept.registry.announcing import announce_alias, announce_model, announce_no_alias, announce_version
from kept.registry.card import ModelCard
from kept.registry.metric_bounds import parse_bounds
from kept.registry.names import LATEST, check_new_alias
from kept.registry.records.listing import versions
from kept.registry.records.registered import (
    ensure_model,
    has_model,
    insert_registered,
    newest_registered,
    next_number,
    registered_by_id,
    registered_by_number,
)
from kept.registry.records.versions import (
    find_alias,
    insert_version,
    put_alias,
    remove_alias,
    version_by_id,
    version_of_run,
    versions_by_id,
)
from kept.registry.registered import RegisteredModel, RegisteredVersion, Stage
from kept.registry.version import Alias, ModelDetail, ModelSummary, ModelVersion, Status, summarize, unjudged
from kept.registry.version_name import FORMS, parse_version_name

_MODEL = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$")
_MOST_SEARCHED = 10_000


class RegisterVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A judged bundle that becomes the next version of a model."""

    project: str
    model: str
    bundle: str
    run_id: str | None = None
    verdict: Verdict
    card: ModelCard


class ListVersions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest versions, of one model or project or of all."""

    model: str | None = None
    project: str | None = None
    limit: int = 100


class ShowVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a model: by number, alias, id, or `latest`. An id, `NAME/NUMBER` or `NAME@ALIAS` needs no model beside it."""

    model: str = ""
    version: str = LATEST


class SearchVersions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Versions by text (names of model, project and creator, the question), status and bounds on metrics.

    Bounds are written like `roc_auc > 0.7 and latency_p99_ms <= 20`.
    """

    text: str = ""
    status: Status | None = None
    bounds: str = ""
    limit: int = 100


class SetAlias(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Points an alias to a version of a model. Releases move `champion` and `challenger` by themselves."""

    model: str
    alias: str
    version: str
    reason: str = ""


class DropAlias(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Takes an alias away."""

    model: str
    alias: str
    reason: str = ""


@operation("registry.register", needs=Permission.CONTRIBUTE, on="model")
def register_version(workspace: Workspace, actor: Actor, request: RegisterVersion) -> ModelVersion:
    """Registers a bundle as the model's next version: accepted or rejected, as its verdict says.

    A run registers a model once: the same request again gives the version that there is.
    """
    _check_registration(workspace, request)
    with workspace.database.writing() as connection:
        if request.run_id is not None:
            known = version_of_run(connection, request.model, request.run_id)
            if known is not None and known.bundle == request.bundle:
                return known
            if known is not None:
                fix = "Start a new run for another bundle"
                what = f"its run registered version {known.number} with another bundle"
                raise Conflict(what, where=request.model, fix=fix)
        version = ModelVersion(
            id=new_id(),
            project=request.project,
            model=request.model,
            number=next_number(connection, request.model),
            status="accepted" if request.verdict.accepted else "rejected",
            bundle=request.bundle,
            run_id=request.run_id,
            verdict=request.verdict,
            card=request.card,
            created_by=actor.name,
            created_at=workspace.clock.now(),
        )
        insert_version(connection, version)
        is_new = not has_model(connection, version.model)
        ensure_model(connection, version.model, version.created_at)
        if is_new:
            announce_model(connection, _unnamed(version))
        insert_registered(connection, _numbered(version))
        announce_version(connection, _numbered(version))
    return version


@operation("registry.list", needs=Permission.VIEW, audit=Audit.READ)
def list_versions(workspace: Workspace, actor: Actor, request: ListVersions) -> list[ModelSummary]:
    """Versions, newest first."""
    del actor
    with workspace.database.reading() as connection:
        found = versions(
            connection, model=request.model, project=request.project, limit=list_limit(request.limit, where="registry")
        )
        return _summaries(connection, found)


@operation("registry.show", needs=Permission.VIEW, audit=Audit.READ)
def show_version(workspace: Workspace, actor: Actor, request: ShowVersion) -> ModelDetail:
    """One version with its card, verdict, aliases, approvals and waivers."""
    del actor
    with workspace.database.reading() as connection:
        registered = locate(connection, request.model, request.version)
        return ModelDetail(
            version=version_by_id(connection, registered.id) if registered.judged else None,
            registered=registered,
            aliases=registered.aliases,
            approvals=tuple(approvals_of(connection, registered.id)),
        )


@operation("registry.search", needs=Permission.VIEW, audit=Audit.READ)
def search_versions(workspace: Workspace, actor: Actor, request: SearchVersions) -> list[ModelSummary]:
    """Versions that match everything that is asked, newest first, among the newest 10,000."""
    del actor
    bounds, limit = parse_bounds(request.bounds), list_limit(request.limit, where="registry")
    size = MOST_LISTED if bounds else limit
    found: list[ModelSummary] = []
    with workspace.database.reading() as connection:
        for offset in range(0, _MOST_SEARCHED, size):
            page = versions(connection, status=request.status, text=request.text, offset=offset, limit=size)
            summaries = _summaries(connection, page)
            found += [one for one in summaries if all(bound.holds(one.metrics) for bound in bounds)]
            if len(found) >= limit or len(page) < size:
                break
    return found[:limit]


@operation("registry.set_alias", needs=Permission.RELEASE, on="model")
def set_alias(workspace: Workspace, actor: Actor, request: SetAlias) -> Alias:
    """Points an alias to a version, wherever it pointed before."""
    check_new_alias(request.alias)
    with workspace.database.writing() as connection:
        version = locate(connection, request.model, request.version)
        alias = Alias(
            model=request.model,
            alias=request.alias,
            version_id=version.id,
            set_by=actor.name,
            set_at=workspace.clock.now(),
        )
        put_alias(connection, alias)
        announce_alias(connection, version.model, alias.alias, version.number, alias.set_at)
    return alias


@operation("registry.drop_alias", needs=Permission.RELEASE, on="model")
def drop_alias(workspace: Workspace, actor: Actor, request: DropAlias) -> None:
    """Takes an alias away from a model."""
    del actor
    with workspace.database.writing() as connection:
        if not remove_alias(connection, request.model, request.alias):
            raise NotFound(f"there is no alias {request.alias!r}", where=request.model)
        announce_no_alias(connection, request.model, request.alias, workspace.clock.now())


def locate(connection: Connection, model: str, reference: str) -> RegisteredVersion:
    """The version of a model that a reference names, judged or not: a number, an alias, an id, or `latest`.

    A reference that names its model too (`churn/3`, `churn@champion`), or an id, needs no other word for the model (empty).
    """
    named = parse_version_name(reference, alone="version")
    if named.model and model not in {"", named.model}:
        raise Invalid(f"{reference!r} names a version of another model", where=model, fix="Name one of the two models")
    model, reference = model or named.model, named.version or LATEST
    if not (model or named.is_id):
        raise Invalid(f"no model is named to have a version {reference!r}", where="registry", fix=f"Write {FORMS}")
    version: RegisteredVersion | None
    if reference == LATEST:
        version = newest_registered(connection, model)
    elif reference.isdecimal():
        version = registered_by_number(connection, model, int(reference[:18]))
    elif (alias := find_alias(connection, model, reference)) is not None:
        version = registered_by_id(connection, alias.version_id)
    else:
        version = registered_by_id(connection, reference)
    if version is None or (model and version.model != model):
        newest = newest_registered(connection, model)
        if not model:
            raise NotFound(f"there is no version {reference!r}", where="registry", fix=f"Write {FORMS}")
        if newest is None:
            raise NotFound(f"there is no model {model!r}", where="registry", fix="See what there is: kept models list")
        fix = f"Give a number from 1 to {newest.number}, an alias, or latest"
        raise NotFound(f"there is no version {reference!r}", where=model, fix=fix)
    return version


def resolve(connection: Connection, model: str, reference: str) -> ModelVersion:
    """The judged version of a model that a reference names; `Conflict` when a client registered it."""
    registered = locate(connection, model, reference)
    version = version_by_id(connection, registered.id)
    if version is None:
        raise unjudged(registered)
    return version


def _unnamed(version: ModelVersion) -> RegisteredModel:
    """The model that the first judged version makes by being registered."""
    return RegisteredModel(
        name=version.model, description="", created_at=version.created_at, updated_at=version.created_at
    )


def _numbered(version: ModelVersion) -> RegisteredVersion:
    """The place of a judged version in the numbering of its model."""
    return RegisteredVersion(
        id=version.id,
        model=version.model,
        number=version.number,
        judged=True,
        source="",
        location="",
        run_id=version.run_id,
        run_link=None,
        logged_model=None,
        description="",
        stage=Stage.NONE,
        created_by=version.created_by,
        created_at=version.created_at,
        updated_at=version.created_at,
    )


def _check_registration(workspace: Workspace, request: RegisterVersion) -> None:
    if not _MODEL.match(request.model):
        fix = "Use letters, digits, dots, - and _"
        raise Invalid(f"{request.model!r} cannot be the name of a model", where="registry", fix=fix)
    if request.verdict.accepted is bool(request.verdict.failed):
        failed = ", ".join(request.verdict.failed) or "none"
        fix = "Register the verdict as the gate gave it"
        raise Invalid(f"the verdict contradicts itself: failed are {failed}", where=request.model, fix=fix)
    if not workspace.blobs.has(request.bundle):
        fix = "Store the bundle first"
        raise NotFound(f"the bundle {request.bundle} is not kept here", where=request.model, fix=fix)


def _summaries(connection: Connection, found: list[RegisteredVersion]) -> list[ModelSummary]:
    judged = versions_by_id(connection, [one.id for one in found if one.judged])
    return [summarize(one, judged.get(one.id)) for one in found]
