"""Filters of clients, with the states of runs in the words of the operations."""

import re

import msgspec

from kept.mlflow_api.answers import RUN_STATUS
from kept.mlflow_api.prompts import PROMPT_TAG
from kept.tracking.filtering import Kind, Term
from kept.tracking.grammar import run_terms


def run_filter(text: str) -> list[Term]:
    """The terms of a filter of runs. What is said of the state is said as a list of the states that fit."""
    return [
        _of_states(term) if term.kind is Kind.ATTRIBUTE and term.name == "status" else term for term in run_terms(text)
    ]


def _of_states(term: Term) -> Term:
    fitting = [status.value for status, word in RUN_STATUS.items() if _fits(word, term)]
    return msgspec.structs.replace(term, comparator="IN", value=fitting)


def _fits(word: str, term: Term) -> bool:
    if isinstance(term.value, list):
        return (word in term.value) == (term.comparator == "IN")
    asked = str(term.value)
    if term.comparator in {"LIKE", "ILIKE"}:
        pattern = re.escape(asked).replace("%", ".*").replace("_", ".")
        flags = re.IGNORECASE if term.comparator == "ILIKE" else re.NOFLAG
        return re.fullmatch(pattern, word, flags | re.DOTALL) is not None
    return (word == asked) == (term.comparator in {"=", "=="})


def models_only(terms: list[Term]) -> list[Term]:
    """The terms of a filter of the registry without those that leave out prompts: there are none here."""
    return [term for term in terms if not _leaves_out_prompts(term)]


def _leaves_out_prompts(term: Term) -> bool:
    if term.kind is not Kind.TAG or term.name != PROMPT_TAG:
        return False
    return (term.comparator, str(term.value).lower()) not in {("=", "true"), ("!=", "false")}
