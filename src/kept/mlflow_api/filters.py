"""Filters of clients, with the states of runs and of logged models in the words of the operations."""

import re
from collections.abc import Collection, Mapping

import msgspec

from kept.mlflow_api.answers import MODEL_STATUS, RUN_STATUS
from kept.mlflow_api.prompts import PROMPT_TAG
from kept.tracking.filtering import Kind, Term
from kept.tracking.grammar import model_terms, run_terms
from kept.tracking.logged_model import ModelStatus

_RUN_WORDS: dict[str, Collection[str]] = {status.value: (word,) for status, word in RUN_STATUS.items()}
# Clients have a number and two words for each.
_MODEL_WORDS: dict[str, Collection[str]] = {
    status.value: (str(number), MODEL_STATUS[status], MODEL_STATUS[status].removeprefix("LOGGED_MODEL_"))
    for number, status in enumerate(ModelStatus, start=1)
}


def run_filter(text: str) -> list[Term]:
    """The terms of a filter of runs. What is said of the state is said as a list of the states that fit."""
    return [_of_states(term, _RUN_WORDS) for term in run_terms(text)]


def model_filter(text: str) -> list[Term]:
    """The terms of a filter of logged models, likewise."""
    return [_of_states(term, _MODEL_WORDS) for term in model_terms(text)]


def _of_states(term: Term, words: Mapping[str, Collection[str]]) -> Term:
    if term.kind is not Kind.ATTRIBUTE or term.name != "status":
        return term
    negated = term.comparator in {"!=", "NOT IN"}
    fitting = [status for status, names in words.items() if any(_is(word, term) for word in names) is not negated]
    return msgspec.structs.replace(term, comparator="IN", value=fitting)


def _is(word: str, term: Term) -> bool:
    """Whether the term, were it not negated, would take the word in."""
    if isinstance(term.value, list):
        return word in term.value
    asked = str(term.value)
    if term.comparator in {"LIKE", "ILIKE"}:
        pattern = re.escape(asked).replace("%", ".*").replace("_", ".")
        flags = re.IGNORECASE if term.comparator == "ILIKE" else re.NOFLAG
        return re.fullmatch(pattern, word, flags | re.DOTALL) is not None
    return word == asked


def models_only(terms: list[Term]) -> list[Term]:
    """The terms of a filter of the registry without those that leave out prompts: there are none here."""
    return [term for term in terms if not _leaves_out_prompts(term)]


def _leaves_out_prompts(term: Term) -> bool:
    if term.kind is not Kind.TAG or term.name != PROMPT_TAG:
        return False
    return (term.comparator, str(term.value).lower()) not in {("=", "true"), ("!=", "false")}
