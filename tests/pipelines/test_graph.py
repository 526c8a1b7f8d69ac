from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kept.core.errors import Invalid
from kept.pipelines.context import StepContext
from kept.pipelines.graph import Graph
from kept.pipelines.step import Step


def rows(count: int) -> list[int]:
    return list(range(count))


def split(rows: list[int], share: float = 0.5) -> list[int]:
    return rows[: int(len(rows) * share)]


def fit(context: StepContext, split: list[int]) -> int:
    return len(split)


def left(right: int) -> int:
    return right


def right(left: int) -> int:
    return left


def ending(rows: list[int]) -> list[int]:
    return rows[-1:]


def starred(*rows: int) -> int:
    return len(rows)


def misspelt(spilt: list[int]) -> int:
    return len(spilt)


def mine(mine: int) -> int:
    return mine


def _steps(*functions: Any) -> list[Step]:
    return [Step(function.__name__, function) for function in functions]


def test_steps_are_wired_by_parameter_names_and_ordered() -> None:
    graph = Graph(_steps(fit, split, rows), {"count": 3, "unused": 1})
    assert list(graph.nodes) == ["rows", "split", "fit"]
    assert graph.nodes["rows"].values == {"count": 3}
    assert graph.nodes["split"].wires == {"rows": "rows"}
    assert graph.nodes["split"].values == {}
    assert graph.nodes["fit"].takes_context


def test_a_step_of_the_same_name_replaces_and_another_is_added() -> None:
    graph = Graph(_steps(rows, split), {"count": 3})
    other = Step("rows", left, version="2")
    with pytest.raises(Invalid, match="'right'"):
        graph.having(other)
    graph = graph.having(Step("split", ending), *_steps(fit))
    assert list(graph.nodes) == ["rows", "split", "fit"]
    assert graph.nodes["split"].reference.qualname == "ending"
    assert graph.inputs == {"count": 3}


def test_a_step_that_takes_its_own_replaced_output_is_refused() -> None:
    with pytest.raises(Invalid, match="its own output"):
        Graph(_steps(mine))


def test_an_unknown_parameter_is_named_with_close_names() -> None:
    with pytest.raises(Invalid, match=r"step 'misspelt': nothing gives its parameter 'spilt'.* Did you mean 'split'"):
        Graph(_steps(rows, split, misspelt), {"count": 1})
    with pytest.raises(Invalid, match="parameter 'count'.*There are 'rows'"):
        Graph(_steps(rows))


def test_a_circle_is_shown() -> None:
    with pytest.raises(Invalid, match="steps wait for each other: (left -> right -> left|right -> left -> right)"):
        Graph(_steps(left, right))


def test_names_are_unique() -> None:
    with pytest.raises(Invalid, match="two steps have this name"):
        Graph([Step("rows", rows), Step("rows", split)], {"count": 1})
    with pytest.raises(Invalid, match="an input of the run has its name"):
        Graph(_steps(rows, split), {"count": 1, "split": 2})


def test_what_another_process_can_not_import_is_refused() -> None:
    def inner() -> int:
        return 1

    for function in (inner, lambda: 1, Path, len):
        with pytest.raises(Invalid, match="can not be imported by another process"):
            Graph([Step("odd", function)])
    with pytest.raises(Invalid, match="can not be wired by name"):
        Graph(_steps(rows, starred), {"count": 1})


def test_wrong_steps_fail_where_they_are_declared() -> None:
    with pytest.raises(Invalid, match="the name cannot be used"):
        Step("my step", rows)
    with pytest.raises(Invalid, match="`context` is taken"):
        Step("context", rows)
    with pytest.raises(Invalid, match="retries=-1"):
        Step("rows", rows, retries=-1)
    with pytest.raises(Invalid, match="timeout"):
        Step("rows", rows, timeout=timedelta(0))
