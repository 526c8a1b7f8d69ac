"""What clients are told of filters and orders that can not be, word by word."""

import json
from typing import Any

import pytest
from asking import Ask

BAD = (400, "INVALID_PARAMETER_VALUE")
CLAUSES = "Invalid clause(s) in filter string: "
LIST = "While parsing a list in the query, expected "
TEXTS = "{'!=', '=', 'ILIKE', 'IS NOT NULL', 'IS NULL', 'LIKE'}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  ", "Invalid filter '  '. Could not be parsed."),
        ("params.a = 'x';", f"{CLAUSES}';'"),
        ("params.a = 'x' OR params.b = 'y'", f"{CLAUSES}'OR'"),
        ("(params.a = 'x')", f"{CLAUSES}'(params.a = 'x')'"),
        ("params.a BETWEEN 'x' AND 'y'", f"{CLAUSES}'params.a', 'BETWEEN', ''x'', ''y''"),
        ("params.a = true", f"{CLAUSES}'params.a', '=', 'true'"),
        ("params.a = null", "Expected a quoted string value for parameter (e.g. 'my-value'). Got value null"),
        ("params.a IN ('x')", "Expected a quoted string value for parameter (e.g. 'my-value'). Got value ('x')"),
        ("params.a NOT LIKE 'x'", f"Invalid comparator 'NOT LIKE' not one of '{TEXTS}'"),
        ("tags.a > 'x'", f"Invalid comparator '>' not one of '{TEXTS}"),
        ("metrics.a == 1", "Invalid comparator '==' not one of '{'!=', '<', '<=', '=', '>', '>='}"),
        ("metrics.a IN ('x')", "Expected numeric value type for metric. Found ('x')"),
        ("metrics.a-b > 1", "Invalid comparison clause. Expected 'Identifier' found 'metrics.a-b'"),
        ("start_time IN (1)", "Expected numeric value type for numeric attribute: start_time. Found (1)"),
        ("run_id IN ()", f"{LIST}a non-empty list of string values, but got empty list"),
        ("run_id IN (`x`)", f"{LIST}a non-empty list of string values, but got ill-formed list."),
        ("run_id IN ('x', 5)", f"{LIST}string value, punctuation, or whitespace, but got different type in list: ('x', 5)"),
        ("dataset.a = 'x'", "Invalid dataset key 'a' specified. Valid keys are '{'context', 'digest', 'name'}'"),
        ("dataset.name = 5", "Expected a quoted string value for dataset attributes. Got value 5"),
        ("nothing.a = 'x'", "Invalid entity type 'nothing'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']"),
        ("metrics.a IS NULL", "IS NULL / IS NOT NULL is only supported for tags and params, not for 'metric' 'a'"),
    ],
)  # fmt: skip
def test_filters_of_runs_that_can_not_be(ask: Ask, text: str, said: str) -> None:
    assert ask("POST", "runs/search", {"experiment_ids": ["0"], "filter": text}, fails=BAD) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 'a' OR name = 'b'", f"{CLAUSES}OR"),
        ("name", f"{CLAUSES}name"),
        ("attributes.name = 'a'", "Invalid entity type 'attributes'. Valid entity types are ('attribute', 'tag', 'tags')"),
        ("name IS NULL", "IS NULL / IS NOT NULL is only supported for tags, not for attribute 'name'"),
        ("tags.a > 'x'", "Invalid comparator for tag: >"),
        ("experiment_id > '1'", "Invalid comparator for experiment_id: >"),
        ("experiment_id IN ('x')", "Invalid experiment ID 'x'. Experiment ID must be a valid integer."),
        ("name IN ('x')", "Only ['experiment_id'] attributes support comparison with a list of quoted string values."),
        ("creation_time > 1.5", "Invalid value for numeric attribute 'creation_time': '1.5'"),
        ("foo = 'x'", "Invalid attribute key 'foo' specified. Valid keys are '{'creation_time', 'experiment_id', 'last_update_time', 'name'}'"),
    ],
)  # fmt: skip
def test_filters_of_experiments_that_can_not_be(ask: Ask, text: str, said: str) -> None:
    assert ask("POST", "experiments/search", {"max_results": 5, "filter": text}, fails=BAD) == said


_SEPARATED = (
    "Invalid filter string: {!r}. Expected a list of comparisons separated by 'AND' "
    "(e.g. 'metrics.loss > 0.1 AND params.lr = 0.01')."
)
_OPERATORS = "('=', '!=', 'LIKE', 'ILIKE', 'IN', 'NOT IN')"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 'a' OR name = 'b'", _SEPARATED.format("name = 'a' OR name = 'b'")),
        ("name = 'a'; name = 'b'", "Invalid filter string: \"name = 'a'; name = 'b'\". Expected a single SQL expression."),
        ("tag.t = 'a'", "Invalid entity type: 'tag'. Expected one of ['attributes', 'metrics', 'params', 'tags']."),
        ("name > 'a'", f"Invalid comparison operator for attributes.name: '>'. Expected one of {_OPERATORS}."),
        ("metrics.a LIKE '1'", "Invalid comparison operator for metrics.a: 'LIKE'. Expected one of ('<', '<=', '>', '>=', '=', '!=')."),
        ("tags.t IS NULL", "Invalid comparison: tags.tIS NULL. Expected a comparison with 3 tokens."),
        ("experiment_id = 'x'", "Invalid experiment ID 'x'. Experiment ID must be a valid integer."),
    ],
)  # fmt: skip
def test_filters_of_logged_models_that_can_not_be(ask: Ask, text: str, said: str) -> None:
    assert ask("POST", "logged-models/search", {"experiment_ids": ["0"], "filter": text}, fails=BAD) == said


@pytest.mark.parametrize("text", ["metrics.a, params.b", "metrics.a DESC;", "5", "'a'", "-metrics.a", "metrics.a-b"])
def test_orders_that_can_not_be(ask: Ask, text: str) -> None:
    said = ask("POST", "runs/search", {"experiment_ids": ["0"], "order_by": [text]}, fails=BAD)
    assert said == f"Invalid order_by clause '{text}'. Could not be parsed."


def test_what_is_not_sorted_by(ask: Ask) -> None:
    body: dict[str, Any] = {"experiment_ids": ["0"], "order_by": ["dataset.name"]}
    assert ask("POST", "runs/search", body, fails=BAD) == "Invalid identifier type 'dataset'"
    body = {"max_results": 5, "order_by": ["tags.a"]}
    assert ask("POST", "experiments/search", body, fails=BAD) == "Invalid order_by entity: tag"
    body = {"experiment_ids": ["0"], "order_by": [{"field_name": "params.a"}]}
    said = ask("POST", "logged-models/search", body, fails=BAD)
    assert said == "Invalid order by field name: params.a. Only metrics are supported."


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("x", "could not base64-decode"),
        ("e30=", "parsed value={}"),
        ("eyJvZmZzZXQiOiAwfQ==", "parsed value={'offset': 0}"),
        ("eyJvZmZzZXQiOiAieCJ9", "not stringable x"),
        ("bm90anNvbg==", "decoded value=b'notjson'"),
    ],
)
def test_tokens_that_were_never_given(ask: Ask, token: str, said: str) -> None:
    for path, body in (("runs/search", {"experiment_ids": ["0"]}), ("experiments/search", {"max_results": 5})):
        assert ask("POST", path, {**body, "page_token": token}, fails=BAD) == f"Invalid page token, {said}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"filter": "name != 'z'"}, "Filter string in the page token does not match the requested filter string. Expected: name != 'z'. Found: None"),
        ({"experiment_ids": ["0", "1"]}, "Experiment IDs in the page token do not match the requested experiment IDs. Expected: ['0', '1']. Found: ['0']"),
        ({"order_by": [{"field_name": "name"}]}, "Order by in the page token does not match the requested order by. Expected: [{'field_name': 'name', 'ascending': True, 'dataset_name': None, 'dataset_digest': None}]. Found: None"),
    ],
)  # fmt: skip
def test_a_page_of_logged_models_is_of_one_search(ask: Ask, change: dict[str, Any], said: str) -> None:
    for name in ("a", "b", "c"):
        ask("POST", "logged-models", {"experiment_id": "0", "name": name})
    body = {"experiment_ids": ["0"], "max_results": 2}
    token = ask("POST", "logged-models/search", body)["next_page_token"]
    assert ask("POST", "logged-models/search", {**body, "page_token": token, **change}, fails=BAD) == said
    wrong = ask("POST", "logged-models/search", {**body, "page_token": json.dumps("x")}, fails=BAD)
    assert wrong.startswith("Invalid page token: ")
