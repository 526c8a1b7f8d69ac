"""Searchable fields of runs, experiments and logged models, and the comparisons that each allows.

Comparisons are joined by AND, such as ``metrics.auc > 0.9 AND tags.`team name` = 'risk'``. A name is `kind.name`, or
an attribute's name alone. Texts stand in quotes, numbers do not.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kept.core.errors import Invalid
from kept.tracking.clauses import Clause, Token, bare, clauses_of, listed, tokens_of
from kept.tracking.filtering import Kind, Order, Term
from kept.tracking.phrases import (
    LISTED,
    NUMERIC,
    PRESENCE,
    TEXTUAL,
    ExperimentPhrases,
    ModelPhrases,
    Phrases,
    braced,
)

_MOST_DIGITS = 300
LONGEST_FILTER = 8_192
MOST_TERMS = 50
_LONGEST_ID = 18


_DATASET_FIELDS = ("name", "digest", "context")
_TAG_WORDS = {"tag": Kind.TAG, "tags": Kind.TAG}


@dataclass(frozen=True)
class Grammar:
    """What can be said of one sort of thing."""

    kinds: Mapping[str, Kind]
    """The words that name a kind."""
    texts: frozenset[str]
    """Attributes that are texts."""
    numbers: frozenset[str]
    """Attributes that are numbers."""
    lists: frozenset[str]
    """Attributes that can be compared with a list."""
    aliases: Mapping[str, str]
    presence: tuple[Kind, ...]
    """Kinds that can be asked for being there at all."""
    orders: tuple[Kind, ...]
    """Kinds that can be sorted by."""
    phrases: Phrases = Phrases()  # noqa: RUF009 # it holds nothing
    repeats: bool = False
    """Whether a key to sort by may come again."""
    quoted_numbers: bool = False
    """Whether whole numbers may stand in quotes."""
    loose: bool = False
    """Whether values may stand without quotes, and whatever is text can be compared with a list."""


RUNS = Grammar(
    kinds={
        **dict.fromkeys(("metric", "metrics"), Kind.METRIC),
        **dict.fromkeys(("parameter", "parameters", "param", "params"), Kind.PARAM),
        **_TAG_WORDS,
        **dict.fromkeys(("attribute", "attributes", "attr", "run"), Kind.ATTRIBUTE),
        **dict.fromkeys(("dataset", "datasets"), Kind.DATASET),
    },
    texts=frozenset({"artifact_uri", "kind", "parent", "project", "run_id", "run_name", "status", "user_id"}),
    numbers=frozenset({"end_time", "start_time"}),
    lists=frozenset({"run_id", "status"}),
    aliases={
        "created": "start_time",
        "Created": "start_time",
        "run name": "run_name",
        "Run name": "run_name",
        "Run Name": "run_name",
    },
    presence=(Kind.PARAM, Kind.TAG),
    orders=(Kind.METRIC, Kind.PARAM, Kind.TAG, Kind.ATTRIBUTE),
)
EXPERIMENTS = Grammar(
    kinds={"attribute": Kind.ATTRIBUTE, **_TAG_WORDS},
    texts=frozenset({"experiment_id", "name"}),
    numbers=frozenset({"creation_time", "last_update_time"}),
    lists=frozenset({"experiment_id"}),
    aliases={},
    presence=(Kind.TAG,),
    orders=(Kind.ATTRIBUTE,),
    phrases=ExperimentPhrases(),
    repeats=True,
)
LOGGED_MODELS = Grammar(
    kinds={"attributes": Kind.ATTRIBUTE, "metrics": Kind.METRIC, "params": Kind.PARAM, "tags": Kind.TAG},
    texts=frozenset(
        {
            "artifact_location",
            "experiment_id",
            "lifecycle_stage",
            "model_id",
            "model_type",
            "name",
            "source_run_id",
            "status",
            "status_message",
        }
    ),
    numbers=frozenset({"creation_timestamp", "last_updated_timestamp"}),
    lists=frozenset({"experiment_id", "model_id", "model_type", "name", "source_run_id", "status"}),
    aliases={
        "creation_time": "creation_timestamp",
        "creation_timestamp_ms": "creation_timestamp",
        "last_updated_timestamp_ms": "last_updated_timestamp",
    },
    presence=(),
    orders=(Kind.METRIC, Kind.ATTRIBUTE),
    phrases=ModelPhrases(),
    repeats=True,
    loose=True,
)


def run_terms(text: str | Sequence[Term]) -> list[Term]:
    """The terms of a filter of runs."""
    return terms_of(text, RUNS)


def experiment_terms(text: str | Sequence[Term]) -> list[Term]:
    """The terms of a filter of experiments."""
    terms = terms_of(text, EXPERIMENTS)
    for term in terms:
        if term.kind is Kind.ATTRIBUTE and term.name == "experiment_id":
            if term.comparator not in {"=", "!=", *LISTED}:
                raise Invalid(EXPERIMENTS.phrases.comparator(term, numeric=False))
            experiment_numbers(term.value if isinstance(term.value, list) else [str(term.value)])
        if term.kind is Kind.ATTRIBUTE and isinstance(term.value, float):
            raise Invalid(f"Invalid value for numeric attribute '{term.name}': {str(term.value)!r}")
    return terms


def experiment_numbers(ids: Sequence[str]) -> list[int]:
    """Ids of experiments as the whole numbers that they are."""
    numbers = []
    for one in ids:
        try:
            number = int(one)
        except ValueError:
            raise Invalid(f"Invalid experiment ID '{one}'. Experiment ID must be a valid integer.") from None
        # One that no database holds stands for one that none has.
        numbers.append(number if abs(number) < 10**_LONGEST_ID else -1)
    return numbers


def model_terms(text: str | Sequence[Term]) -> list[Term]:
    """The terms of a filter of logged models."""
    terms = terms_of(text, LOGGED_MODELS)
    for term in terms:
        if term.kind is Kind.ATTRIBUTE and term.name == "experiment_id":
            if term.comparator in {"LIKE", "ILIKE"}:
                raise Invalid(f"Invalid comparator for experiment_id: {term.comparator}")
            experiment_numbers(term.value if isinstance(term.value, list) else [str(term.value)])
    return terms


def run_orders(texts: Sequence[str | Order]) -> list[Order]:
    """The keys that runs are sorted by."""
    return orders_of(texts, RUNS)


def experiment_orders(texts: Sequence[str | Order]) -> list[Order]:
    """The keys that experiments are sorted by."""
    return orders_of(texts, EXPERIMENTS)


def model_orders(texts: Sequence[str | Order]) -> list[Order]:
    """The keys that logged models are sorted by."""
    return orders_of(texts, LOGGED_MODELS)


def terms_of(filter_: str | Sequence[Term], grammar: Grammar) -> list[Term]:
    """The terms of a filter of what the grammar tells of."""
    terms = _read(filter_, grammar) if isinstance(filter_, str) else list(filter_)
    if len(terms) > MOST_TERMS:
        raise Invalid(f"a filter of {len(terms)} terms", where="filter", fix=f"Ask for at most {MOST_TERMS}")
    for term in terms:
        _check(term, grammar)
    return terms


def orders_of(texts: Sequence[str | Order], grammar: Grammar) -> list[Order]:
    """The keys to sort by."""
    orders = [_order(one, grammar) if isinstance(one, str) else one for one in texts]
    for order in orders:
        if order.kind not in grammar.orders:
            raise Invalid(grammar.phrases.order(order.kind))
        if order.kind is Kind.ATTRIBUTE:
            _check_attribute(order.name, grammar)
    first = {(order.kind, order.name, order.dataset_name, order.dataset_digest): order for order in reversed(orders)}
    if len(first) < len(orders):
        if not grammar.repeats:
            raise Invalid(f"`order_by` contains duplicate fields: {[str(text) for text in texts]}")
        orders = [order for order in orders if any(order is one for one in first.values())]
    if len(orders) > MOST_TERMS:
        raise Invalid(f"an order of {len(orders)} keys", where="order_by", fix=f"Give at most {MOST_TERMS}")
    return orders


def _order(text: str, grammar: Grammar) -> Order:
    fault = Invalid(f"Invalid order_by clause '{text}'. Could not be parsed.")
    if len(text) > LONGEST_FILTER:
        raise fault
    try:
        words = shlex.split(text.replace("`", '"'))
    except ValueError as error:
        raise fault from error
    tokens = tokens_of(text)
    if not 1 <= len(words) <= 2 or any(token.sort != "word" for token in tokens):
        raise fault
    direction = words[1].lower() if len(words) > 1 else "asc"
    if direction not in {"asc", "desc"}:
        raise Invalid(f"Invalid ordering key in order_by clause '{text}'.")
    kind, name = _name(words[0], grammar)
    return Order(kind=kind, name=name, ascending=direction == "asc")


def _name(text: str, grammar: Grammar) -> tuple[Kind, str]:
    word, dot, rest = text.partition(".")
    if not dot:
        kind, name = Kind.ATTRIBUTE, text
    else:
        found = grammar.kinds.get(bare(word, "`"))
        if found is None:
            raise Invalid(grammar.phrases.entity(bare(word, "`"), grammar.kinds))
        kind, name = found, rest
    name = bare(name)
    if kind is Kind.ATTRIBUTE:
        return kind, _check_attribute(grammar.aliases.get(name, name), grammar)
    if kind is Kind.DATASET and name not in _DATASET_FIELDS:
        raise Invalid(f"Invalid dataset key '{name}' specified. Valid keys are '{braced(_DATASET_FIELDS)}'")
    return kind, name


def _check_attribute(name: str, grammar: Grammar) -> str:
    if name not in grammar.texts and name not in grammar.numbers:
        valid = braced({*grammar.texts, *grammar.numbers, *grammar.aliases})
        raise Invalid(f"Invalid attribute key '{name}' specified. Valid keys are '{valid}'")
    return name


def _read(text: str, grammar: Grammar) -> list[Term]:
    if len(text) > LONGEST_FILTER:
        raise Invalid(f"a filter of {len(text)} characters", where="filter", fix=f"Write at most {LONGEST_FILTER:,}")
    if text and not text.strip():
        raise Invalid(grammar.phrases.blank(text))
    clauses = clauses_of(text)
    if clauses.several:
        raise Invalid(grammar.phrases.several(text))
    if clauses.invalid:
        raise Invalid(grammar.phrases.clauses(text, clauses.invalid))
    return [_term(clause, grammar) for clause in clauses.told]


def _term(clause: Clause, grammar: Grammar) -> Term:
    if clause.left.sort != "word":
        raise Invalid(f"Invalid comparison clause. Expected 'Identifier' found '{clause.left.text}'")
    kind, name = _name(clause.left.text, grammar)
    term = Term(kind=kind, name=name, comparator=clause.comparator)
    if clause.right is None:
        if kind not in grammar.presence:
            raise Invalid(grammar.phrases.presence(term, clause.raw, grammar.presence))
        return term
    if grammar.loose:
        _check_comparator(term, grammar)
    return Term(kind=kind, name=name, comparator=clause.comparator, value=_value(term, clause.right, grammar))


def _value(term: Term, token: Token, grammar: Grammar) -> int | float | str | list[str]:
    if _numeric(term, grammar):
        if token.sort == "text" and grammar.quoted_numbers:
            return _counted(term.name, token.text[1:-1])
        if token.sort != "number":
            raise Invalid(f"Expected numeric value type for {_what(term)}. Found {token.text}")
        # So many digits are beyond every number: infinite, as a float of them is.
        whole = not set(token.text) & set(".eE") and len(token.text) <= _MOST_DIGITS
        return int(token.text) if whole else float(token.text)
    if token.sort == "list" and (grammar.loose or term.kind in {Kind.ATTRIBUTE, Kind.DATASET}):
        if term.kind is Kind.ATTRIBUTE:
            _check_listed(term, grammar)
        return _list(token.text)
    if token.sort == "text":
        return token.text[1:-1].replace("''", "'")
    if token.sort == "word" and len(token.text) > 1 and token.text[0] == token.text[-1] == '"':
        return token.text[1:-1]
    if grammar.loose and token.sort != "list":
        return token.text
    if token.sort == "word" and token.keyword != "NULL":
        raise Invalid(
            "Parameter value is either not quoted or unidentified quote types used for string value "
            f"{token.text}. Use either single or double quotes."
        )
    raise Invalid(grammar.phrases.value(term.kind, token.text))


def _counted(name: str, text: str) -> int:
    try:
        if len(text) > _MOST_DIGITS:
            raise ValueError
        return int(text)
    except ValueError as error:
        raise Invalid(f"Invalid value for numeric attribute '{name}': {text!r}") from error


def _list(text: str) -> list[str]:
    values = listed(text)
    if values is None:
        raise Invalid(
            "While parsing a list in the query, expected a non-empty list of string values, but got ill-formed list."
        )
    if not values:
        raise Invalid(
            "While parsing a list in the query, expected a non-empty list of string values, but got empty list"
        )
    if not all(isinstance(value, str) for value in values):
        raise Invalid(
            "While parsing a list in the query, expected string value, punctuation, or whitespace, "
            f"but got different type in list: {values}"
        )
    return [str(value) for value in values]


def _check(term: Term, grammar: Grammar) -> None:
    """Refuses a term whose comparator or value does not go with what it looks at."""
    if term.kind is Kind.ATTRIBUTE:
        _check_attribute(term.name, grammar)
    if term.comparator in PRESENCE and term.kind not in grammar.presence:
        raise Invalid(grammar.phrases.presence(term, f"{term.name} {term.comparator}", grammar.presence))
    _check_comparator(term, grammar)
    numeric = _numeric(term, grammar)
    if term.comparator in LISTED:
        if term.kind is Kind.ATTRIBUTE:
            _check_listed(term, grammar)
        if not isinstance(term.value, list):
            raise Invalid(f"Expected a list of quoted string values for {term.name}. Got value {term.value}")
    elif term.comparator in PRESENCE:
        return
    elif numeric and (isinstance(term.value, bool) or not isinstance(term.value, int | float)):
        raise Invalid(f"Expected numeric value type for {_what(term)}. Found {term.value}")
    elif not numeric and not isinstance(term.value, str):
        raise Invalid(grammar.phrases.value(term.kind, str(term.value)))


def _check_comparator(term: Term, grammar: Grammar) -> None:
    numeric = _numeric(term, grammar)
    valid: tuple[str, ...] = NUMERIC if numeric else TEXTUAL
    if term.kind in grammar.presence:
        valid += PRESENCE
    if not numeric and (grammar.loose or term.kind in {Kind.DATASET, Kind.ATTRIBUTE}):
        valid += LISTED
    if term.comparator not in valid:
        raise Invalid(grammar.phrases.comparator(term, numeric=numeric))


def _check_listed(term: Term, grammar: Grammar) -> None:
    if not grammar.loose and term.name not in grammar.lists:
        raise Invalid(
            f"Only {sorted(grammar.lists)} attributes support comparison with a list of quoted string values."
        )


def _numeric(term: Term, grammar: Grammar) -> bool:
    return term.kind is Kind.METRIC or (term.kind is Kind.ATTRIBUTE and term.name in grammar.numbers)


def _what(term: Term) -> str:
    return "metric" if term.kind is Kind.METRIC else f"numeric attribute: {term.name}"
