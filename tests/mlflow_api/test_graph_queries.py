"""What is said of queries in GraphQL that can not be answered, and how their text is read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.mlflow_api.call import Call
from kept.mlflow_api.endpoints import Endpoints
from kept.mlflow_api.graph_language import Field, GraphFault, Variable, read
from kept.mlflow_api.graph_queries import answer

ONE = '{mlflowGetExperiment(input: {experimentId: "0"}) {%s}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{nothing}", "Cannot query field 'nothing' on type 'Query'."),
        (ONE % "nothing", "Cannot query field 'nothing' on type 'MlflowGetExperimentResponse'."),
        (ONE % "experiment", "Field 'experiment' of type 'MlflowExperiment' must have a selection of subfields. Did you mean 'experiment { ... }'?"),
        (ONE % "experiment {name {x}}", "Field 'name' must not have a selection since type 'String' has no subfields."),
        (ONE % "experiment {name(x: 1)}", "Unknown argument 'x' on field 'MlflowExperiment.name'."),
        (ONE % "...Away", "Unknown fragment 'Away'."),
        (ONE % "... on MlflowRunInfo {runId}", "Fragment cannot be spread here as objects of type 'MlflowGetExperimentResponse' can never be of type 'MlflowRunInfo'."),
        (ONE % "experiment @skip(if: true) {name}", "Unknown directive '@skip'."),
        ("{mlflowGetExperiment(x: 1) {experiment {name}}}", "Unknown argument 'x' on field 'Query.mlflowGetExperiment'."),
        ("{mlflowGetExperiment(input: {x: 1}) {experiment {name}}}", "Field 'x' is not defined by type 'MlflowGetExperimentInput'."),
        ("{mlflowGetExperiment(input: $x) {experiment {name}}}", "Variable '$x' is not defined."),
        ("query Q($x: In!) {mlflowGetExperiment(input: $x) {experiment {name}}}", "Variable '$x' of required type 'In!' was not provided."),
        ("query A {__typename} query B {__typename}", "Must provide operation name if query contains multiple operations."),
        ("{", "Syntax Error: Unexpected <EOF>."),
        ("{}", "Syntax Error: Expected Name, found '}'."),
        ("", "Syntax Error: Unexpected <EOF>."),
        ("{" + " ".join(f"k{one}: __typename" for one in range(12)) + "}", "GraphQL queries should have at most 10 root fields, got 12 root fields."),
        (ONE % " ".join(f"k{one}: experiment {{name}}" for one in range(12)), "GraphQL queries should have at most 10 aliases, got 12 aliases."),
        (ONE % ("a {" * 12 + "b" + "}" * 12), "Query exceeds maximum depth of 10"),
        (ONE % ("a {" * 5_000 + "b" + "}" * 5_000), "Query exceeds maximum depth of 10"),
        (ONE % " ".join(f"k{one} {{name}}" for one in range(1_001)), "Query exceeds maximum total selections of 1000"),
        ("{mlflowGetRun(input: {runId: %s}) {run {info {runId}}}}" % ("9" * 5_000), "Int cannot represent value of 5000 digits"),
        ("{" + "a " * 50_000 + "}", "Query exceeds maximum length of 65536 characters"),
        # A text without an end is looked at once, not once for each quote in it: that took minutes.
        ('{a(b: "' + '\\"' * 32_000 + "\n)}", "Syntax Error: Unterminated string."),
        ("{...Round} fragment Round on Query {a {...Round}}", "Query exceeds maximum depth of 10"),
    ],
)  # fmt: skip
def test_queries_that_can_not_be_are_refused(workspace: Workspace, me: Actor, text: str, said: str) -> None:
    told = answer(Endpoints(), Call(workspace, me), json.dumps({"query": text}).encode())
    assert json.loads(told) == {"data": None, "errors": [said]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a \\"quoted\\" \\u00e9 word"', 'a "quoted" é word'),
        ('"""\na "block" \\n of text\n"""', 'a "block" \\n of text'),
        ("-5", -5),
        ("1.5e3", 1500.0),
        ("true", True),
        ("null", None),
        ("ACTIVE_ONLY", "ACTIVE_ONLY"),
        ("$given", Variable("given")),
        ('[1, "a", {b: [$c],},]', [1, "a", {"b": [Variable("c")]}]),
        ("[]", []),
    ],
)
def test_values_are_read(text: str, value: Any) -> None:
    asked = read(f"{{ # a remark\n key: field(argument: {text}) }}").operation(None).selections[0]
    assert asked == Field("field", "key", {"argument": value}, ())


@given(some.text(alphabet='{}()[]:$@!.",#a1 -\\\n="', max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        document = read(text)
    except GraphFault:
        return
    assert document.operations
