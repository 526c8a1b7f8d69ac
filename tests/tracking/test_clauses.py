"""Text of the search language taken apart: whatever it is, it is read or told to be wrong."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.core.errors import Invalid
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.clauses import clauses_of
from kept.tracking.experiments import ensure_default_experiment
from kept.tracking.finding import search_runs
from kept.tracking.grammar import LONGEST_FILTER, experiment_terms, model_terms, run_orders, run_terms
from kept.tracking.requests import SearchRuns


@pytest.mark.parametrize(
    ("text", "told", "invalid"),
    [
        ("a = 'x' AND b > -1.5", ["a = 'x'", "b > -1.5"], []),
        ("a = 'x'  b > .5", ["a = 'x'", "b > .5"], []),
        ("AND a = 'it''s' AND", ["a = 'it''s'"], []),
        ("t.`a b` like '%' and t.'c d' not in ('x', 'y')", ["t.`a b` like '%'", "t.'c d' not in ('x', 'y')"], []),
        ("a IS NULL AND b is not null", ["a IS NULL", "b is not null"], []),
        ("a.b-c > 1", ["a.b-c > 1"], []),
        ("a = 'x' OR b = 'y'", ["a = 'x'", "b = 'y'"], ["OR"]),
        ("a = 'x', b = 'y'", [], ["a = 'x', b = 'y'"]),
        ("(a = 'x')", [], ["(a = 'x')"]),
        ("a BETWEEN 1 AND 2", [], ["a", "BETWEEN", "1", "2"]),
        ("a > +1", [], ["a", ">", "+", "1"]),
        ("a IN 'x'", [], ["a", "IN", "'x'"]),
        ("a IN ('x'", [], ["a", "IN", "(", "'x'"]),
        ("a =", [], ["a", "="]),
        ("a b = 'x'", ["b = 'x'"], ["a"]),
        ("a = 'x' -- and so on", ["a = 'x'"], ["-- and so on"]),
        ("a,", [], ["a,"]),
        (";", [], [";"]),
        ("", [], []),
    ],
)
def test_a_text_is_taken_apart(text: str, told: list[str], invalid: list[str]) -> None:
    clauses = clauses_of(text)
    assert ([clause.raw for clause in clauses.told], clauses.invalid) == (told, invalid)
    assert not clauses.several


def test_more_than_one_expression_is_seen() -> None:
    assert clauses_of("a = 'x'; b = 'y'").several
    assert not clauses_of("a = ';'").several


_PIECES = st.sampled_from(
    ["a", "metrics.m", "tags.`x y`", "status", "=", ">", "LIKE", "IN", "IS", "NOT", "NULL", "AND", "OR", "(", ")", ",",
     "'", '"', "`", ";", "-", "--", ".", "1", "-2.5e3", "'x'", "('x')", " ", "\n"]
)  # fmt: skip


@given(text=st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=20).map(" ".join)))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (run_terms, experiment_terms, model_terms):
        with suppress(Invalid):
            assert all(term.comparator for term in read(text))
    with suppress(Invalid):
        assert len(run_orders([text])) == 1


@pytest.mark.parametrize("piece", ["(", "a IN ((", "((a = 'x') AND ", "'", "a- ", " ", "a.", "--", "a,", "`", "''"])
def test_the_longest_text_is_read_at_once(piece: str) -> None:
    text = (piece * LONGEST_FILTER)[:LONGEST_FILTER]
    began = time.thread_time()
    for read in (run_terms, model_terms):
        with suppress(Invalid):
            read(text)
    with suppress(Invalid):
        run_orders([text])
    # A hundredth of it is usual; in step with the square of the length it would be ten times as much.
    assert time.thread_time() - began < 2


def test_a_row_of_digits_that_is_no_number_is_gone_through_once() -> None:
    began = time.thread_time()
    assert clauses_of("1" * LONGEST_FILTER + "a").invalid
    assert time.thread_time() - began < 0.2


@pytest.mark.parametrize("digits", [300, 400, 6_000])
@pytest.mark.parametrize("name", ["metrics.a", "attributes.start_time"])
def test_a_number_beyond_all_numbers_is_compared_with(workspace: Workspace, me: Actor, name: str, digits: int) -> None:
    ensure_default_experiment(workspace)
    number = "9" * digits
    for filter_ in (f"{name} > {number}", f"{name} < -{number}"):
        assert not search_runs(workspace, me, SearchRuns(experiments=["0"], filter=filter_)).runs
