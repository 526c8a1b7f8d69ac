"""Searchable fields of registered models and versions."""

from collections.abc import Mapping, Sequence

from kept.core.errors import Invalid
from kept.tracking.filtering import Kind, Order, Term
from kept.tracking.grammar import Grammar, orders_of, terms_of
from kept.tracking.phrases import RegistryPhrases

_KINDS = {"attribute": Kind.ATTRIBUTE, "tag": Kind.TAG, "tags": Kind.TAG}
_TIMES = frozenset({"creation_timestamp", "last_updated_timestamp"})


def _grammar(
    texts: Sequence[str], numbers: Sequence[str], lists: Sequence[str], aliases: Mapping[str, str] | None = None
) -> Grammar:
    return Grammar(
        kinds=_KINDS,
        texts=frozenset(texts),
        numbers=frozenset(numbers),
        lists=frozenset(lists),
        aliases=aliases or {},
        presence=(),
        orders=(Kind.ATTRIBUTE,),
        phrases=RegistryPhrases(),
        quoted_numbers=True,
    )


_MODELS = _grammar(["name"], [], ["name"])
_MODEL_ORDERS = _grammar(["name"], ["last_updated_timestamp"], [], {"timestamp": "last_updated_timestamp"})
_MODEL_KEYS = {"name", "timestamp", "last_updated_timestamp"}
_VERSIONS = _grammar(["name", "run_id", "source_path"], ["version_number"], ["name", "run_id"])
_VERSION_ORDERS = _grammar(["name"], ["version_number", *sorted(_TIMES)], [])


def registered_model_terms(text: str | Sequence[Term]) -> list[Term]:
    """The terms of a filter of registered models."""
    return terms_of(text, _MODELS)


def registered_model_orders(texts: Sequence[str]) -> list[Order]:
    """The keys that registered models are sorted by."""
    for text in texts:
        words = text.split()
        if words and not set(text) & {",", ";"} and len(words) <= 2 and words[0].strip("`") not in _MODEL_KEYS:
            raise Invalid(f"Invalid order by key '{words[0]}' specified. Valid keys are '{{'name', 'timestamp'}}'")
    return orders_of(texts, _MODEL_ORDERS)


def registered_version_terms(text: str | Sequence[Term]) -> list[Term]:
    """The terms of a filter of versions."""
    terms = terms_of(text, _VERSIONS)
    for term in terms:
        if isinstance(term.value, float):
            raise Invalid(f"Invalid value for numeric attribute '{term.name}': {term.value!r}")
    return terms


def registered_version_orders(texts: Sequence[str]) -> list[Order]:
    """The keys that versions are sorted by."""
    return orders_of(texts, _VERSION_ORDERS)
