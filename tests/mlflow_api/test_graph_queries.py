"""What is said of queries in GraphQL that can not be answered, and how their text is read."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.mlflow_api.call import Call
from kept.mlflow_api.endpoints import Endpoints
from kept.mlflow_api.graph_queries import answer

ONE = '{mlflowGetExperiment(input: {experimentId: "0"}) {%s}}'
GIVEN = "query Q($x: MlflowGetExperimentInput!) {mlflowGetExperiment(input: $x) {experiment {name}}}"


def asked(workspace: Workspace, actor: Actor, text: str, **more: Any) -> Any:
    return json.loads(answer(Endpoints(), Call(workspace, actor), json.dumps({"query": text, **more}).encode()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{nothing}", "Cannot query field 'nothing' on type 'Query'."),
        (ONE % "nothing", "Cannot query field 'nothing' on type 'MlflowGetExperimentResponse'."),
        (ONE % "experiment", "Field 'experiment' of type 'MlflowExperiment' must have a selection of subfields. Did you mean 'experiment { ... }'?"),
        (ONE % "experiment {name {x}}", "Field 'name' must not have a selection since type 'String' has no subfields."),
        (ONE % "experiment {name(x: 1)}", "Unknown argument 'x' on field 'MlflowExperiment.name'."),
        (ONE % "experiment {name name: workspace}", "Fields 'name' conflict because 'name' and 'workspace' are different fields. Use different aliases on the fields to fetch both if this was intentional."),
        (ONE % "...Away", "Unknown fragment 'Away'."),
        (ONE % "... on MlflowRunInfo {runId}", "Fragment cannot be spread here as objects of type 'MlflowGetExperimentResponse' can never be of type 'MlflowRunInfo'."),
        (ONE % "experiment @away {name}", "Unknown directive '@away'."),
        ("{mlflowGetExperiment(x: 1) {experiment {name}}}", "Unknown argument 'x' on field 'Query.mlflowGetExperiment'."),
        ("{mlflowGetExperiment(input: {x: 1}) {experiment {name}}}", "Field 'x' is not defined by type 'MlflowGetExperimentInput'."),
        ("{mlflowGetExperiment(input: {experimentId: 0}) {experiment {name}}}", "String cannot represent a non string value: 0"),
        ("{mlflowGetExperiment(input: $x) {experiment {name}}}", "Variable '$x' is not defined."),
        (GIVEN, "Variable '$x' of required type 'MlflowGetExperimentInput!' was not provided."),
        ("query A {__typename} query B {__typename}", "Must provide operation name if query contains multiple operations."),
        ("{", "Syntax Error: Expected Name, found <EOF>."),
        ("{}", "Syntax Error: Expected Name, found '}'."),
        ("", "Syntax Error: Unexpected <EOF>."),
        ('{test(inputString: "a) {output}}', "Syntax Error: Unterminated string."),
        ("{" + " ".join(f"k{one}: __typename" for one in range(12)) + "}", "GraphQL queries should have at most 10 root fields, got 12 root fields."),
        (ONE % " ".join(f"k{one}: experiment {{name}}" for one in range(12)), "GraphQL queries should have at most 10 aliases, got 12 aliases."),
        (ONE % ("a {" * 12 + "b" + "}" * 12), "Query exceeds maximum depth of 10"),
        (ONE % " ".join(f"k{one} {{name}}" for one in range(1_001)), "Query exceeds maximum total selections of 1000"),
        ("{...Round} fragment Round on Query {a {...Round}}", "Query exceeds maximum depth of 10"),
    ],
)  # fmt: skip
def test_queries_that_can_not_be_are_refused(workspace: Workspace, me: Actor, text: str, said: str) -> None:
    told = asked(workspace, me, text)
    assert told["data"] is None
    assert told["errors"][0] == said


@pytest.mark.parametrize(
    "text",
    [
        ONE % ("a {" * 5_000 + "b" + "}" * 5_000),
        "{mlflowGetRun(input: {runId: " + "[" * 5_000 + "]" * 5_000 + "}) {run {info {runId}}}}",
        "{mlflowSearchRuns(input: {maxResults: " + "9" * 5_000 + "}) {nextPageToken}}",
        "{" + "a " * 32_000 + "}",
        "#\n" * 30_000 + "{__typename}",
        "# " + "a" * 70_000 + "\n{__typename}",
        "query Q(" + " ".join(f"$v{one}: Int" for one in range(5_000)) + ") {__typename}",
        # A text without an end is looked at once, not once for each quote in it: that took minutes.
        '{a(b: "' + '\\"' * 32_000 + "\n)}",
        # Each of these asks for one field in as many ways, and each way is compared with each other.
        ONE % ("experiment {" + "name " * 990 + "}"),
        ONE % (("experiment {" + "name " * 30 + "} ") * 30),
        "{...F0} " + " ".join(f"fragment F{one} on Query {{...F{one + 1} ...F{one + 1}}}" for one in range(500)),
        "{" + " ".join(f"...F{one}" for one in range(500)) + "}" + " ".join(f"fragment F{one} on Query {{__typename}}" for one in range(500)),
        # Each field has fragments of fragments of nothing: to count the fields alone took half a minute.
        "{x {" + "a {...F0} " * 950 + "}} " + " ".join(f"fragment F{one} on Query {{...F{one + 1}}}" for one in range(1_500)),
        "{__typename} " + " ".join(f"fragment F{one} on Query {{{'__typename ' * 100}}}" for one in range(30)),
    ],
)  # fmt: skip
def test_queries_that_would_take_long_are_refused(workspace: Workspace, me: Actor, text: str) -> None:
    told = asked(workspace, me, text)
    assert told["data"] is None
    assert told["errors"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a \\"quoted\\" \\u00e9 word"', 'a "quoted" é word'),
        ('"""\na "block" \\n of text\n"""', 'a "block" \\n of text'),
        ("null", None),
        ("$given", "beside"),
    ],
)
def test_values_are_read(workspace: Workspace, me: Actor, text: str, value: Any) -> None:
    query = f"query Q($given: String = null) {{ # a remark\n key: test(inputString: {text}) {{output}} again: test(inputString: $given) {{__typename}} }}"
    told = asked(workspace, me, query, variables={"given": "beside"})
    assert told == {"data": {"key": {"output": value or ""}, "again": {"__typename": "Test"}}, "errors": None}


def test_a_long_text_that_is_asked_for_many_times_is_refused(workspace: Workspace, me: Actor) -> None:
    times = " ".join(f"k{one}: output" for one in range(10))
    query = f"query Q($x: String) {{{' '.join(f'k{one}: test(inputString: $x) {{{times}}}' for one in range(10))}}}"
    told = asked(workspace, me, query, variables={"x": "a" * 3_000_000})
    assert told == {"data": None, "errors": ["Query exceeds maximum of 1000000 values answered"]}
    told = asked(workspace, me, query, variables={"x": "a" * 10_000})
    assert told["errors"] is None


def test_fields_are_left_out_where_a_query_says_so(workspace: Workspace, me: Actor) -> None:
    query = "query Q($no: Boolean!) {kind: __typename more: __typename @include(if: $no)}"
    assert asked(workspace, me, query, variables={"no": False})["data"] == {"kind": "Query"}


def test_the_schema_can_be_asked_for(workspace: Workspace, me: Actor) -> None:
    told = asked(workspace, me, '{__type(name: "MlflowParam") {fields {name type {name}}}}')
    fields = [{"name": name, "type": {"name": "String"}} for name in ("key", "value")]
    assert told == {"data": {"__type": {"fields": fields}}, "errors": None}


def test_what_nobody_foresaw_is_no_error_of_a_query(workspace: Workspace, me: Actor) -> None:
    class Broken(Endpoints):
        def answer(self, *_asked: Any) -> bytes:
            raise ConnectionError("the disk is away")

    with pytest.raises(ConnectionError):
        answer(Broken(), Call(workspace, me), json.dumps({"query": ONE % "experiment {name}"}).encode())


@given(some.text(alphabet='{}()[]:$@!.",#a1 -\\\n="', max_size=60))
def test_any_text_is_answered_or_refused(text: str) -> None:
    call: Any = None  # no text of these letters names an endpoint
    told = json.loads(answer(Endpoints(), call, json.dumps({"query": text}).encode()))
    assert told["data"] == {} or told["errors"]


def test_the_language_is_read_only_where_it_is_spoken() -> None:
    seen = "import sys, kept.mlflow_api.routes; print('graphql' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", seen], check=True, capture_output=True, text=True, timeout=60)
    assert told.stdout == "False\n"
