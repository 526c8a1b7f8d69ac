"""The endpoints of registered models and their versions, as they are seen on the wire."""

from typing import Any

import pytest
from asking import Ask

from kept.core.ids import new_id
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.registry.records.registered import ensure_model, insert_registered
from kept.registry.registered import RegisteredVersion, Stage

BAD = (400, "INVALID_PARAMETER_VALUE")
ABSENT = (404, "RESOURCE_DOES_NOT_EXIST")
HINT = "See the API docs for more information about request parameters."
KEYS = "{'creation_timestamp', 'last_updated_timestamp', 'name', 'version_number'}"
TIMES = {"creation_timestamp": 0, "last_updated_timestamp": 0}


@pytest.fixture
def iris(ask: Ask) -> str:
    """A registered model without versions."""
    return str(ask("POST", "registered-models/create", {"name": "iris"})["registered_model"]["name"])


def add(ask: Ask, model: str = "iris", source: str = "s3://bucket/model", **more: Any) -> str:
    made = ask("POST", "model-versions/create", {"name": model, "source": source, **more})
    return str(made["model_version"]["version"])


def get(ask: Ask, version: str, model: str = "iris") -> Any:
    return ask("GET", "model-versions/get", name=model, version=version)["model_version"]


def names(ask: Ask, **params: Any) -> list[str]:
    found = ask("GET", "registered-models/search", **params).get("registered_models", [])
    return [one["name"] for one in found]


def numbers(ask: Ask, **params: Any) -> list[str]:
    found = ask("GET", "model-versions/search", **params).get("model_versions", [])
    return [f"{one['name']}/{one['version']}" for one in found]


def test_a_model_is_made_described_renamed_and_deleted(ask: Ask) -> None:
    tags = [{"key": "team", "value": "risk"}]
    made = ask("POST", "registered-models/create", {"name": "a b.c", "tags": tags, "description": "first"})
    told = made["registered_model"]
    assert told | TIMES == {"name": "a b.c", "description": "first", "tags": tags, **TIMES}
    assert ask("GET", "registered-models/get", name="a b.c")["registered_model"] == told
    said = ask("POST", "registered-models/create", {"name": "a b.c"}, fails=(400, "RESOURCE_ALREADY_EXISTS"))
    assert said == "Registered Model (name=a b.c) already exists."
    changed = ask("PATCH", "registered-models/update", {"name": "a b.c", "description": "second"})["registered_model"]
    assert changed["description"] == "second"
    assert changed["last_updated_timestamp"] >= told["last_updated_timestamp"]
    add(ask, "a b.c", tags=tags)
    ask("POST", "registered-models/alias", {"name": "a b.c", "alias": "Best", "version": "1"})
    renamed = ask("POST", "registered-models/rename", {"name": "a b.c", "new_name": "d"})["registered_model"]
    assert (renamed["name"], renamed["tags"], renamed["aliases"]) == ("d", tags, [{"alias": "Best", "version": "1"}])
    assert get(ask, "1", "d")["tags"] == tags
    assert ask("GET", "registered-models/get", name="a b.c", fails=ABSENT) == (
        "Registered Model with name=a b.c not found"
    )
    ask("POST", "registered-models/create", {"name": "e"})
    ask("POST", "registered-models/rename", {"name": "d", "new_name": "e"}, fails=(400, "RESOURCE_ALREADY_EXISTS"))
    ask("DELETE", "registered-models/delete", {"name": "d"})
    ask("DELETE", "registered-models/delete", {"name": "d"}, fails=ABSENT)
    ask("POST", "registered-models/create", {"name": "d"})
    assert add(ask, "d") == "1"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Missing value for required parameter 'name'."),
        ({"name": ""}, "Missing value for required parameter 'name'."),
        ({"name": " "}, "Missing value for required parameter 'name'."),
        ({"name": "a/b"}, "Invalid model name 'a/b'. Names cannot contain '/' or ':'."),
        ({"name": "a:b"}, "Invalid model name 'a:b'. Names cannot contain '/' or ':'."),
        ({"name": ".."}, "Names may be treated as files"),
        ({"name": 1}, "Invalid value 1 for parameter 'name' supplied"),
        ({"name": "a", "tags": [{"key": "k" * 251, "value": ""}]}, "'key' exceeds the maximum length of 250"),
        ({"name": "a", "tags": [{"key": "k", "value": "v" * 100_001}]}, "'value' exceeds the maximum length of 100000"),
    ],
)
def test_names_and_tags_that_can_not_be_are_refused(ask: Ask, body: Any, said: str) -> None:
    assert said in ask("POST", "registered-models/create", body, fails=BAD)


def test_a_prompt_is_not_kept(ask: Ask) -> None:
    body = {"name": "p", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}
    assert "Prompts" in ask("POST", "registered-models/create", body, fails=(501, "NOT_IMPLEMENTED"))


def test_a_version_is_made_from_files_of_a_run(ask: Ask, run: str, iris: str) -> None:
    source = f"mlflow-artifacts:/0/{run}/artifacts/model"
    tags = [{"key": "t", "value": "1"}]
    more = {"run_id": run, "run_link": "http://x/y", "description": "d", "tags": tags}
    made = ask("POST", "model-versions/create", {"name": iris, "source": source, **more})["model_version"]
    assert made | TIMES == {
        "name": iris, "version": "1", "current_stage": "None", "description": "d", "source": source, "run_id": run,
        "status": "READY", "run_link": "http://x/y", "tags": tags, **TIMES,
    }  # fmt: skip
    assert get(ask, "1") == made
    asking = {"name": iris, "version": "1"}
    assert ask("GET", "model-versions/get-download-uri", **asking) == {"artifact_uri": source}
    described = ask("PATCH", "model-versions/update", {**asking, "description": "e"})["model_version"]
    assert described["description"] == "e"
    assert add(ask, source=f"runs:/{run}/model", run_id=run) == "2"
    assert get(ask, "2")["source"] == f"runs:/{run}/model"


def test_a_version_is_made_from_a_logged_model_or_another_version(ask: Ask, run: str, iris: str) -> None:
    logging = {"experiment_id": "0", "name": "boosted", "source_run_id": run}
    logged = ask("POST", "logged-models", logging)["model"]["info"]
    add(ask, source=f"models:/{logged['model_id']}", model_id=logged["model_id"])
    assert get(ask, "1")["run_id"] == run
    where = {"artifact_uri": logged["artifact_uri"]}
    assert ask("GET", "model-versions/get-download-uri", name=iris, version="1") == where
    add(ask, source=logged["artifact_uri"], model_id=logged["model_id"])
    ask("POST", "registered-models/create", {"name": "copy"})
    ask("POST", "registered-models/alias", {"name": iris, "alias": "best", "version": "1"})
    for source in ("models:/iris/1", "models:/iris@best", "models:/iris/latest", "models:/iris/None"):
        version = add(ask, "copy", source)
        told = get(ask, version, "copy")
        assert (told["source"][:13], told["run_id"]) == ("models:/iris/", run)
        assert ask("GET", "model-versions/get-download-uri", name="copy", version=version) == where


def test_sources_that_lead_elsewhere_are_refused(ask: Ask, run: str, iris: str) -> None:
    other = ask("POST", "runs/create", {"experiment_id": "0", "start_time": 1})["run"]["info"]["run_id"]
    made = ask("POST", "logged-models", {"experiment_id": "0", "name": "m"})["model"]["info"]
    wrong: list[dict[str, Any]] = [
        {"source": "/etc/passwd"},
        {"source": "file:///etc", "run_id": run},
        {"source": f"mlflow-artifacts:/0/{other}/artifacts/model", "run_id": run},
        {"source": f"mlflow-artifacts:/0/{run}/artifacts/../../{other}", "run_id": run},
        {"source": f"mlflow-artifacts:/0/{run}/artifacts/%2e%2e/{other}", "run_id": run},
        {"source": f"mlflow-artifacts:/0/{run}/artifacts"},
        {"source": f"runs:/{other}/model", "run_id": run},
        {"source": "runs:/absent/model"},
        {"source": f"models:/{made['model_id']}"},
        {"source": f"models:/{made['model_id']}", "model_id": "m-absent"},
        {"source": f"runs:/{run}/model", "model_id": made["model_id"]},
        {"source": "models://elsewhere/iris/1"},
        {"source": "s3://bucket/a/../b"},
    ]
    for more in wrong:
        body = {"name": iris, **more}
        assert "Invalid model version source" in ask("POST", "model-versions/create", body, fails=BAD)
    ask("POST", "model-versions/create", {"name": iris, "source": "models:/absent/1"}, fails=ABSENT)
    ask("POST", "model-versions/create", {"name": "absent", "source": "s3://b/m"}, fails=ABSENT)
    made_of = {"name": iris, "source": "s3://b/m", "model_id": "m-absent"}
    said = ask("POST", "model-versions/create", made_of, fails=ABSENT)
    assert said == "Logged model with ID 'm-absent' not found."
    assert "'source'" in ask("POST", "model-versions/create", {"name": iris}, fails=BAD)
    assert numbers(ask) == []


def test_versions_that_are_not_there(ask: Ask, iris: str) -> None:
    said = ask("GET", "model-versions/get", name=iris, version="1", fails=ABSENT)
    assert said == "Model Version (name=iris, version=1) not found"
    said = ask("GET", "model-versions/get", name=iris, version="x", fails=BAD)
    assert said == "Parameter 'version' must be an integer, got 'x'."
    ask("GET", "model-versions/get-download-uri", name=iris, version="9" * 18, fails=ABSENT)
    assert "'version'" in ask("GET", "model-versions/get", name=iris, fails=BAD)


def test_a_deleted_version_takes_its_aliases_and_its_number_along(ask: Ask, iris: str) -> None:
    assert [add(ask), add(ask)] == ["1", "2"]
    ask("POST", "registered-models/alias", {"name": iris, "alias": "best", "version": "2"})
    ask("DELETE", "model-versions/delete", {"name": iris, "version": "2"})
    ask("GET", "model-versions/get", name=iris, version="2", fails=ABSENT)
    ask("DELETE", "model-versions/delete", {"name": iris, "version": "2"}, fails=ABSENT)
    assert "aliases" not in ask("GET", "registered-models/get", name=iris)["registered_model"]
    assert numbers(ask) == ["iris/1"]
    assert add(ask) == "3"


def test_aliases_are_set_moved_and_taken_away(ask: Ask, iris: str) -> None:
    add(ask)
    add(ask)
    alias = {"name": iris, "alias": "champion"}
    for version in ("1", "2"):
        ask("POST", "registered-models/alias", {**alias, "version": version})
        found = ask("GET", "registered-models/alias", **alias)["model_version"]
        assert (found["version"], found["aliases"]) == (version, ["champion"])
    model = ask("GET", "registered-models/get", name=iris)["registered_model"]
    assert model["aliases"] == [{"alias": "champion", "version": "2"}]
    newest = ask("GET", "registered-models/alias", name=iris, alias="LATEST")["model_version"]
    assert newest["version"] == "2"
    for _ in range(2):
        ask("DELETE", "registered-models/alias", alias)
    said = ask("GET", "registered-models/alias", **alias, fails=BAD)
    assert said == "Registered model alias champion not found."
    ask("POST", "registered-models/alias", {**alias, "version": "9"}, fails=ABSENT)
    ask("GET", "registered-models/alias", name="absent", alias="a", fails=ABSENT)


@pytest.mark.parametrize(
    ("alias", "said"),
    [
        ("latest", "'latest' alias name (case insensitive) is reserved."),
        ("v12", "Version alias name 'v12' is reserved."),
        ("a b", "Invalid alias name: 'a b'. Names may only contain alphanumerics, underscores (_), and dashes (-)."),
        ("a" * 256, "'Registered model alias name' exceeds the maximum length of 255 characters"),
    ],
)
def test_aliases_that_can_not_be_are_refused(ask: Ask, iris: str, alias: str, said: str) -> None:
    version = add(ask)
    assert said in ask("POST", "registered-models/alias", {"name": iris, "alias": alias, "version": version}, fails=BAD)


def test_stages_hold_versions_and_archive_others(ask: Ask, iris: str) -> None:
    for _ in range(3):
        add(ask)

    def move(version: str, stage: str, *, archive: bool = False) -> Any:
        body = {"name": iris, "version": version, "stage": stage, "archive_existing_versions": archive}
        return ask("POST", "model-versions/transition-stage", body)["model_version"]["current_stage"]

    assert [move("1", "production"), move("2", "Production", archive=True)] == ["Production", "Production"]
    assert get(ask, "1")["current_stage"] == "Archived"
    latest = ask("POST", "registered-models/get-latest-versions", {"name": iris})["model_versions"]
    assert {one["current_stage"]: one["version"] for one in latest} == {"Archived": "1", "Production": "2", "None": "3"}
    some = ask("GET", "registered-models/get-latest-versions", name=iris, stages=["production", "Staging"])
    assert [one["version"] for one in some["model_versions"]] == ["2"]
    body = {"name": iris, "version": "1", "stage": "live"}
    said = ask("POST", "model-versions/transition-stage", body, fails=BAD)
    assert said == "Invalid Model Version stage: live. Value must be one of None, Staging, Production, Archived."
    archiving = {**body, "stage": "None", "archive_existing_versions": True}
    assert "is not an Active stage" in ask("POST", "model-versions/transition-stage", archiving, fails=BAD)


def test_tags_of_models_and_versions(ask: Ask, iris: str) -> None:
    version = {"name": iris, "version": add(ask)}
    for value in ("1", "2"):
        ask("POST", "registered-models/set-tag", {"name": iris, "key": "k", "value": value})
        ask("POST", "model-versions/set-tag", {**version, "key": "k", "value": value})
    assert ask("GET", "registered-models/get", name=iris)["registered_model"]["tags"] == [{"key": "k", "value": "2"}]
    assert get(ask, "1")["tags"] == [{"key": "k", "value": "2"}]
    for _ in range(2):
        ask("DELETE", "registered-models/delete-tag", {"name": iris, "key": "k"})
        ask("DELETE", "model-versions/delete-tag", {**version, "key": "k"})
    assert "tags" not in get(ask, "1")
    ask("POST", "model-versions/set-tag", {**version, "version": "9", "key": "k", "value": ""}, fails=ABSENT)
    ask("POST", "registered-models/set-tag", {"name": iris, "key": "a//b", "value": ""}, fails=BAD)


def test_models_are_searched_page_by_page(ask: Ask) -> None:
    for name in ("b", "a", "C"):
        ask("POST", "registered-models/create", {"name": name, "tags": [{"key": "x", "value": name}]})
    assert names(ask) == ["C", "a", "b"]
    assert names(ask, order_by=["name DESC"]) == ["b", "a", "C"]
    ask("PATCH", "registered-models/update", {"name": "a", "description": ""})
    assert names(ask, order_by=["last_updated_timestamp DESC"]) == ["a", "C", "b"]
    for filter_, expected in {
        "name = 'a'": ["a"], "name != 'a'": ["C", "b"], "name ILIKE 'c%'": ["C"], "name IN ('a', 'b')": ["a", "b"],
        "tags.x = 'b'": ["b"], "tag.x != 'b' and name LIKE '%'": ["C", "a"], "tags.y = '1'": [],
        "tag.`mlflow.prompt.is_prompt` != 'true'": ["C", "a", "b"], "tag.`mlflow.prompt.is_prompt` = 'true'": [],
    }.items():  # fmt: skip
        assert names(ask, filter=filter_) == expected, filter_
    first = ask("GET", "registered-models/search", max_results=2)
    assert names(ask, max_results=2, page_token=first["next_page_token"]) == ["b"]
    assert "next_page_token" not in ask("GET", "registered-models/search", max_results=3)
    for params in ({"filter": "version = '1'"}, {"order_by": ["x"]}, {"max_results": 1001}, {"page_token": "x"}):
        ask("GET", "registered-models/search", fails=BAD, **params)


def test_versions_are_searched_page_by_page(ask: Ask, run: str, iris: str) -> None:
    ask("POST", "registered-models/create", {"name": "other"})
    add(ask, tags=[{"key": "x", "value": "1"}])
    add(ask, source=f"runs:/{run}/m", run_id=run)
    add(ask, "other")
    assert numbers(ask) == ["other/1", "iris/2", "iris/1"]
    ask("PATCH", "model-versions/update", {"name": iris, "version": "1", "description": "now"})
    assert numbers(ask) == ["iris/1", "other/1", "iris/2"]
    assert numbers(ask, order_by=["version_number ASC", "name DESC"]) == ["other/1", "iris/1", "iris/2"]
    for filter_, expected in {
        "name='iris'": ["iris/1", "iris/2"], "version_number > 1": ["iris/2"], f"run_id = '{run}'": ["iris/2"],
        f"run_id IN ('{run}')": ["iris/2"], "source_path LIKE 's3:%'": ["iris/1", "other/1"],
        "tags.x = '1'": ["iris/1"], "name = 'iris' AND version_number = 1": ["iris/1"],
    }.items():  # fmt: skip
        assert numbers(ask, filter=filter_) == expected, filter_
    first = ask("GET", "model-versions/search", max_results=1)
    second = ask("GET", "model-versions/search", max_results=1, page_token=first["next_page_token"])
    assert [one["name"] for one in second["model_versions"]] == ["other"]
    for params in (
        {"filter": "stage = 'x'"}, {"filter": "version_number = 1.5"}, {"filter": "source_path IN ('a')"},
        {"order_by": ["run_id"]}, {"max_results": 0}, {"max_results": 200_001},
    ):  # fmt: skip
        ask("GET", "model-versions/search", fails=BAD, **params)


def test_what_kept_trained_is_seen_and_stays(ask: Ask, workspace: Workspace, me: Actor) -> None:
    with workspace.database.writing() as connection:
        ensure_model(connection, "flights", workspace.clock.now())
        insert_registered(connection, judged_version(workspace, me))
    assert numbers(ask, filter="name = 'flights'") == ["flights/1"]
    ask("DELETE", "registered-models/delete", {"name": "flights"}, fails=(403, "PERMISSION_DENIED"))
    ask("POST", "registered-models/create", {"name": "copy"})
    body = {"name": "copy", "source": "models:/flights/1"}
    assert "bundle" in ask("POST", "model-versions/create", body, fails=BAD)


def judged_version(workspace: Workspace, me: Actor) -> RegisteredVersion:
    """The place that a judged version has in the numbering of its model."""
    now = workspace.clock.now()
    return RegisteredVersion(
        id=new_id(), model="flights", number=1, judged=True, source="", location="", run_id=None, run_link=None,
        logged_model=None, description="", stage=Stage.NONE, created_by=me.name, created_at=now, updated_at=now,
    )  # fmt: skip


@pytest.mark.parametrize(
    "source",
    [
        "http://x/y",
        "https://x",
        "ftp://x/y",
        "sftp://u@h/x",
        "hdfs://x/y",
        "viewfs://x",
        "abfss://c@a/x",
        "r2://b@e/x",
        "mlflow-artifacts://h/x",
    ],
)
def test_a_source_on_a_host_of_its_own_is_refused_unless_that_is_allowed(source: str, ask: Ask, iris: str) -> None:
    scheme = source.partition(":")[0]
    said = ask("POST", "model-versions/create", {"name": iris, "source": source}, fails=BAD)
    assert said.startswith(f"'source' cannot use the '{scheme}' scheme: ")
    assert said.endswith(
        "Set the MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES environment variable on the server to allow it."
    )


@pytest.mark.parametrize("source", ["s3://bucket", "runs:/", "s3:b/c", "s3://b/./m"])
def test_a_source_without_a_whole_path_is_refused(source: str, ask: Ask, iris: str) -> None:
    said = ask("POST", "model-versions/create", {"name": iris, "source": source}, fails=BAD)
    assert said.startswith(f"Invalid model version source: '{source}'. If supplying a source as an http, https")


def test_what_is_wrong_with_the_source_is_said_before_what_is_wrong_with_the_rest(ask: Ask) -> None:
    said = ask("POST", "model-versions/create", {"name": "nope", "source": "s3://bucket"}, fails=BAD)
    assert said.startswith("Invalid model version source")
    said = ask("POST", "model-versions/create", {"name": "nope", "source": "models:/"}, fails=BAD)
    assert said.endswith("The model_id request parameter must identify the resource that contains the source.")


def test_sources_that_name_no_version_say_which(ask: Ask, iris: str) -> None:
    def fault(source: str) -> str:
        return str(ask("POST", "model-versions/create", {"name": iris, "source": source}, fails=ABSENT))

    assert fault("models:/iris/latest") == "No versions of model with name 'iris' found"
    assert fault("models:/iris/Production") == "No versions of model with name 'iris' and stage 'Production' found"
    add(ask)
    assert fault("models:/iris/7") == "Model Version (name=iris, version=7) not found"


def test_blank_names_and_unnamed_tags_are_refused_as_clients_know_it(ask: Ask, iris: str) -> None:
    missing = "Missing value for required parameter 'name'."
    assert ask("POST", "registered-models/create", {"name": "  "}, fails=BAD) == missing
    unnamed = [{"key": "", "value": "v"}]
    for path, body in (
        ("registered-models/create", {"name": "other"}),
        ("model-versions/create", {"name": iris, "source": "s3://bucket/model"}),
    ):
        said = ask("POST", path, {**body, "tags": unnamed}, fails=BAD)
        assert said.startswith("Invalid value \"\" for parameter 'key' supplied: Names may be treated as files")
    version = add(ask)
    ask("DELETE", "registered-models/delete-tag", {"name": iris, "key": "k" * 251})
    ask("DELETE", "model-versions/delete-tag", {"name": iris, "version": version, "key": "k" * 251})


def test_an_alias_of_digits_is_one_and_words_for_true_are_not(ask: Ask, iris: str) -> None:
    version = add(ask)
    ask("POST", "registered-models/alias", {"name": iris, "alias": "007", "version": version})
    assert ask("GET", "registered-models/alias", name=iris, alias="007")["model_version"]["version"] == version
    body = {"name": iris, "version": version, "stage": "Staging", "archive_existing_versions": "true"}
    said = ask("POST", "model-versions/transition-stage", body, fails=BAD)
    assert said.startswith("Invalid value \"true\" for parameter 'archive_existing_versions' supplied")
    absent = "Parameter 'version' must be an integer, got ''."
    assert ask("GET", "model-versions/get-download-uri", name=iris, fails=BAD) == absent


def test_a_logged_model_tells_of_its_versions(ask: Ask, iris: str, run: str) -> None:
    made = ask("POST", "logged-models", {"experiment_id": "0", "name": "m", "source_run_id": run})
    model = made["model"]["info"]["model_id"]
    add(ask, source=f"models:/{model}", model_id=model)
    add(ask)
    add(ask, source=f"models:/{model}", model_id=model)
    tags = ask("GET", f"logged-models/{model}")["model"]["info"]["tags"]
    told = '[{"name": "iris", "version": 1}, {"name": "iris", "version": 3}]'
    assert tags == [{"key": "mlflow.modelVersions", "value": told}]


def test_versions_without_a_run_are_found_by_that(ask: Ask, iris: str, run: str) -> None:
    add(ask, run_id=run)
    add(ask)
    assert numbers(ask, filter="run_id = ''") == ["iris/2"]
    assert numbers(ask, filter="run_id IN ('', 'x')") == ["iris/2"]
    assert numbers(ask, filter="run_id != 'x'", order_by="version_number ASC") == ["iris/1", "iris/2"]
    assert numbers(ask, filter=f"run_id NOT IN ('{run}')") == ["iris/2"]
    assert numbers(ask, filter=f"run_id IN ('{run}',)") == ["iris/1"]
    assert numbers(ask, filter="version_number = '2'") == ["iris/2"]


@pytest.mark.parametrize(
    ("kind", "params", "says"),
    [
        ("registered-models", {"filter": "name <> 'a'"}, "Invalid comparator for attribute: <>"),
        ("registered-models", {"filter": "tags.k > 'a'"}, "Invalid comparator for tag: >"),
        (
            "registered-models",
            {"filter": "metrics.x > 1"},
            "Invalid entity type 'metrics'. Valid entity types are ('attribute', 'tag', 'tags')",
        ),
        (
            "registered-models",
            {"filter": "NAME = 'a'"},
            "Invalid attribute key 'NAME' specified. Valid keys are '{'name'}'",
        ),
        (
            "registered-models",
            {"filter": "name = 5"},
            "Expected a quoted string value or a list of quoted string values for attributes. Got value 5",
        ),
        (
            "registered-models",
            {"filter": "name IN ()"},
            "While parsing a list in the query, expected a non-empty list of string values, but got empty list",
        ),
        ("registered-models", {"filter": "  "}, "Invalid filter '  '. Could not be parsed."),
        (
            "registered-models",
            {"order_by": "creation_timestamp DESC"},
            "Invalid order by key 'creation_timestamp' specified. Valid keys are '{'name', 'timestamp'}'",
        ),
        (
            "registered-models",
            {"max_results": 1001},
            f"Invalid value \"1001\" for parameter 'max_results' supplied:  Hint: Value was of type 'str'. {HINT}",
        ),
        ("model-versions", {"filter": "version_number == 1"}, "Invalid comparator for attribute version_number: =="),
        (
            "model-versions",
            {"filter": "version_number > 'a'"},
            "Invalid value for numeric attribute 'version_number': 'a'",
        ),
        (
            "model-versions",
            {"order_by": "timestamp"},
            f"Invalid attribute key 'timestamp' specified. Valid keys are '{KEYS}'",
        ),
        ("registered-models", {"filter": "name = 'a' or name = 'b'"}, "Invalid clause(s) in filter string: or"),
        ("model-versions", {"filter": "name LIKE"}, "Invalid clause(s) in filter string: name, LIKE"),
        (
            "model-versions",
            {"max_results": 0},
            "Invalid value for max_results. It must be a positive integer, but got 0",
        ),
    ],
)
def test_searches_are_refused_in_the_words_of_the_registry(
    kind: str, params: dict[str, Any], says: str, ask: Ask
) -> None:
    assert ask("GET", f"{kind}/search", fails=BAD, **params) == says


def test_aliases_are_told_of_the_model_and_of_the_version_and_not_again_within_the_newest(ask: Ask, iris: str) -> None:
    version = add(ask)
    ask("POST", "registered-models/alias", {"name": iris, "alias": "best", "version": version})
    told = ask("GET", "registered-models/get", name=iris)["registered_model"]
    assert told["aliases"] == [{"alias": "best", "version": version}]
    latest = ask("POST", "registered-models/get-latest-versions", {"name": iris})["model_versions"]
    for newest in (*told["latest_versions"], *latest):
        assert "aliases" not in newest
    assert get(ask, version)["aliases"] == ["best"]
    assert ask("GET", "registered-models/alias", name=iris, alias="best")["model_version"]["aliases"] == ["best"]
    assert ask("GET", "model-versions/search")["model_versions"][0]["aliases"] == ["best"]


def test_a_logged_model_is_not_told_of_copies_of_its_versions(ask: Ask, iris: str) -> None:
    model = ask("POST", "logged-models", {"experiment_id": "0", "name": "m"})["model"]["info"]["model_id"]
    add(ask, source=f"models:/{model}", model_id=model)
    ask("POST", "registered-models/create", {"name": "copy"})
    add(ask, "copy", f"models:/{iris}/1")
    tags = ask("GET", f"logged-models/{model}")["model"]["info"]["tags"]
    assert tags == [{"key": "mlflow.modelVersions", "value": '[{"name": "iris", "version": 1}]'}]


def test_what_is_wrong_is_said_in_the_order_that_clients_know(ask: Ask, iris: str) -> None:
    absent = ask("POST", "registered-models/get-latest-versions", {"name": "nope", "stages": ["live"]}, fails=ABSENT)
    assert absent == "Registered Model with name=nope not found"
    body = {"name": iris, "version": "first", "key": "a//b", "value": ""}
    assert ask("POST", "model-versions/set-tag", body, fails=BAD) == (
        "Parameter 'version' must be an integer, got 'first'."
    )
    moving = {"name": iris, "version": add(ask), "stage": "Staging", "archive_existing_versions": 1}
    said = ask("POST", "model-versions/transition-stage", moving, fails=BAD)
    assert said.startswith("Invalid value 1 for parameter 'archive_existing_versions' supplied")
    assert names(ask, order_by=["`name` DESC"]) == [iris]
