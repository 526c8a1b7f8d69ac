"""Importing registered models from another registry: each with its versions in one transaction, once."""

from datetime import datetime

from sqlalchemy import Connection

from kept.core.errors import Invalid
from kept.core.ids import new_id
from kept.governance.actor import Actor, Permission
from kept.governance.operation import operation
from kept.governance.workspace import Workspace
from kept.registry.imported import (
    ImportedRegistered,
    ImportedRegisteredModel,
    ImportedVersion,
    ImportRegisteredModel,
    check_registered,
)
from kept.registry.records import registered as records
from kept.registry.records.versions import find_alias, put_alias
from kept.registry.registered import RegisteredModel, RegisteredVersion, Stage
from kept.registry.version import Alias
from kept.tracking.imported import Known
from kept.tracking.importing import MODEL, RUN
from kept.tracking.records.importing import known_of, put_known

REGISTERED, VERSION = "registered_model", "model_version"
# Numbers have 32 bits, and others are to follow.
_LARGEST = 2_000_000_000


@operation("imports.registered_model", needs=Permission.ADMINISTER, on="source", remote=False)
def import_registered_model(workspace: Workspace, actor: Actor, request: ImportRegisteredModel) -> ImportedRegistered:
    """Brings a registered model with its versions, tags, aliases and stages. What others made under its name stays."""
    check_registered(request.model)
    now = workspace.clock.now()
    with workspace.database.writing() as connection:
        found = _Registered(connection, request.source, request.model, actor.name, now)
        return found.settle(request.mark)


class _Registered:
    """One registered model, as it is settled in its transaction."""

    def __init__(
        self, connection: Connection, source: str, model: ImportedRegisteredModel, actor: str, now: datetime
    ) -> None:
        self._connection = connection
        self._source = source
        self._model = model
        self._actor = actor
        self._now = now
        names = [f"{model.name}/{one.number}" for one in model.versions]
        self._versions = known_of(connection, source, VERSION, names)
        runs = [one.run_id for one in model.versions if one.run_id]
        self._runs = {name: one.local for name, one in known_of(connection, source, RUN, runs).items()}
        models = [one.logged_model for one in model.versions if one.logged_model]
        self._models = {name: one.local for name, one in known_of(connection, source, MODEL, models).items()}

    def settle(self, mark: str) -> ImportedRegistered:
        """Makes what is new, changes what is here; what became of it."""
        connection, model = self._connection, self._model
        ours = bool(known_of(connection, self._source, REGISTERED, [model.name]))
        held = records.model_by_name(connection, model.name)
        if held is None:
            made = RegisteredModel(
                name=model.name,
                description=model.description,
                tags=model.tags,
                created_at=model.created_at,
                updated_at=model.updated_at,
            )
            records.insert_model(connection, made)
        else:
            self._update(held, ours=ours)
        numbers, known, new = {}, [Known(kind=REGISTERED, foreign=model.name, local=model.name, mark=mark)], 0
        for one in sorted(model.versions, key=lambda one: one.number):
            number, is_new = self._version(one)
            numbers[one.number] = number
            new += is_new
            known.append(Known(kind=VERSION, foreign=f"{model.name}/{one.number}", local=f"{model.name}/{number}"))
        if records.next_number(connection, model.name) <= model.highest <= _LARGEST:
            self._bury(model.highest)
        taken = self._aliases(numbers)
        # A model changes with its versions: it was last changed when it was, not now.
        last = max(model.updated_at, held.updated_at) if held else model.updated_at
        records.change_model(connection, model.name, last)
        put_known(connection, self._source, known, self._now)
        return ImportedRegistered(new=held is None, new_versions=new, numbers=numbers, taken_aliases=taken)

    def _update(self, held: RegisteredModel, *, ours: bool) -> None:
        model = self._model
        tags = {name: value for name, value in model.tags.items() if ours or name not in held.tags}
        records.put_model_tags(self._connection, model.name, tags)
        if model.description and (ours or not held.description):
            records.change_model(self._connection, model.name, held.updated_at, description=model.description)

    def _version(self, one: ImportedVersion) -> tuple[int, bool]:
        """The number that a version has here, and whether it is new."""
        connection, model = self._connection, self._model
        if not 0 < one.number <= _LARGEST:
            raise Invalid(f"{one.number} is no number of a version", where=f"registered model {model.name}")
        earlier = self._versions.get(f"{model.name}/{one.number}")
        if earlier is not None:
            number = int(earlier.local.rpartition("/")[2])
            # One that was deleted here stays so.
            if records.registered_by_number(connection, model.name, number) is not None:
                changes = {"stage": one.stage.value, "description": one.description}
                # Its files may be here now that were not before.
                changes |= {"source": one.source, "location": one.location}
                records.change_version(connection, model.name, number, one.updated_at, **changes)
                records.put_version_tags(connection, model.name, number, one.tags)
            return number, False
        number = one.number
        if records.has_number(connection, model.name, number):
            held = records.registered_by_number(connection, model.name, number)
            if held is not None and not held.judged and (held.source, held.run_id) == (one.source, self._run(one)):
                return number, False
            number = records.next_number(connection, model.name)
        version = RegisteredVersion(
            id=new_id(),
            model=model.name,
            number=number,
            judged=False,
            source=one.source,
            location=one.location,
            run_id=self._run(one),
            run_link=one.run_link,
            logged_model=self._models.get(one.logged_model, one.logged_model) if one.logged_model else None,
            description=one.description,
            stage=one.stage,
            tags=one.tags,
            created_by=self._actor,
            created_at=one.created_at,
            updated_at=one.updated_at,
        )
        records.insert_registered(connection, version)
        return number, True

    def _bury(self, number: int) -> None:
        """Notes a version that was deleted there, so that its number is not given again here."""
        version = RegisteredVersion(
            id=new_id(),
            model=self._model.name,
            number=number,
            judged=False,
            source="",
            location="",
            run_id=None,
            run_link=None,
            logged_model=None,
            description="",
            stage=Stage.NONE,
            created_by=self._actor,
            created_at=self._now,
            updated_at=self._now,
        )
        records.insert_registered(self._connection, version)
        records.remove_version(self._connection, version, self._now)

    def _run(self, one: ImportedVersion) -> str | None:
        return self._runs.get(one.run_id, one.run_id) if one.run_id else None

    def _aliases(self, numbers: dict[int, int]) -> list[str]:
        taken: list[str] = []
        name = self._model.name
        mine = set(numbers.values())
        for alias, foreign in self._model.aliases.items():
            version = records.registered_by_number(self._connection, name, numbers.get(foreign, 0))
            held = find_alias(self._connection, name, alias)
            if version is None or (held is not None and held.version_id == version.id):
                continue
            if held is not None and not self._is_mine(held, mine):
                taken.append(alias)
                continue
            put_alias(
                self._connection,
                Alias(model=name, alias=alias, version_id=version.id, set_by=self._actor, set_at=self._now),
            )
        return taken

    def _is_mine(self, held: Alias, mine: set[int]) -> bool:
        version = records.registered_by_id(self._connection, held.version_id)
        return version is not None and version.number in mine
