"""Request structs of the operations on registered models and their versions."""

from msgspec import Struct

from kept.tracking.filtering import Term

LARGEST_PAGE_OF_MODELS = 1_000
LARGEST_PAGE_OF_VERSIONS = 200_000


class CreateModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name for versions."""

    name: str
    description: str = ""
    tags: dict[str, str] = {}


class ShowModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One registered model."""

    name: str


class UpdateModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another description of a registered model."""

    name: str
    description: str


class RenameModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another name for a registered model, its versions and its aliases."""

    name: str
    new_name: str


class DeleteModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A registered model that goes, with its versions and its aliases."""

    name: str


class SetModelTag(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tag of a registered model."""

    name: str
    key: str
    value: str


class DeleteModelTag(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tag that a registered model loses."""

    name: str
    key: str


class SearchModels(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Registered models by name and tags, sorted by `name` or `last_updated_timestamp`."""

    filter: str | list[Term] = ""
    order_by: list[str] = []
    limit: int = 100
    page: str | None = None


class LatestVersions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest version of each of these stages; of every stage when none is named."""

    name: str
    stages: list[str] = []


class CreateVersion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The next version of a registered model, from files that a run or a logged model holds.

    `source` is an address: of the run's files, `runs:/RUN/PATH`, `models:/LOGGED_MODEL`, `models:/NAME/NUMBER`, or of a store
    of the client's own.
    """

    name: str
    source: str
    run_id: str | None = None
    run_link: str | None = None
    logged_model: str | None = None
    description: str = ""
    tags: dict[str, str] = {}


class ShowRegisteredVersion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a registered model, by its number."""

    name: str
    version: str


class FindVersion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version that an alias points to, or `latest`."""

    name: str
    alias: str


class UpdateVersion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another description of a version."""

    name: str
    version: str
    description: str


class DeleteVersion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version that goes, with the aliases that point to it."""

    name: str
    version: str


class SetVersionTag(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tag of a version."""

    name: str
    version: str
    key: str
    value: str


class DeleteVersionTag(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tag that a version loses."""

    name: str
    version: str
    key: str


class MoveVersion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version that goes to a stage; with `archive` those that are there are archived."""

    name: str
    version: str
    stage: str
    archive: bool = False


class SearchRegisteredVersions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Versions by name, number, run, source and tags, newest change first when no order is given."""

    filter: str | list[Term] = ""
    order_by: list[str] = []
    limit: int = 10_000
    page: str | None = None
