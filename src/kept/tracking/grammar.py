"""Reads the search language: comparisons joined by AND, such as ``metrics.auc > 0.9 AND tags.`team name` = 'risk'``.

A name is `kind.name`, or an attribute's name alone; names of other than letters, digits and underscores stand in
backticks or double quotes. Texts stand in quotes, numbers do not. The sentences of errors are those that clients know.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from kept.core.errors import Invalid
from kept.tracking.filtering import Kind, Order, Term

LONGEST_FILTER = 8_192
MOST_TERMS = 50
_LONGEST_ID = 18

_PART = r"(?:`[^`]*`|\"[^\"]*\"|[\w$]+)"
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:''|[^'])*')"
    r"|(?P<operator><=|>=|!=|<>|==|=|<|>)"
    r"|(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.`]))"
    rf"|(?P<word>{_PART}(?:\.{_PART})*)"
    r"|(?P<mark>[(),;])"
    r"|(?P<other>\S))"
)
_NUMERIC = ("=", "!=", "<", "<=", ">", ">=")
_TEXTUAL = ("=", "!=", "LIKE", "ILIKE")
_PRESENCE = ("IS NULL", "IS NOT NULL")
_LISTED = ("IN", "NOT IN")


class _Token(NamedTuple):
    sort: str
    text: str

    @property
    def keyword(self) -> str:
        return self.text.upper() if self.sort == "word" else ""


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
    terse: bool = False
    """Whether refusals are worded as clients know them from the registry."""


_DATASET_FIELDS = ("name", "digest", "context")
_TAG_WORDS = {"tag": Kind.TAG, "tags": Kind.TAG}
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
)
LOGGED_MODELS = Grammar(
    kinds={"attributes": Kind.ATTRIBUTE, "metrics": Kind.METRIC, "params": Kind.PARAM, "tags": Kind.TAG},
    texts=frozenset(
        {"artifact_location", "experiment_id", "model_id", "model_type", "name", "source_run_id", "status"}
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
)


def run_terms(text: str | Sequence[Term]) -> list[Term]:
    """The terms of a filter of runs."""
    return terms_of(text, RUNS)


def experiment_terms(text: str | Sequence[Term]) -> list[Term]:
    """The terms of a filter of experiments."""
    terms = terms_of(text, EXPERIMENTS)
    for term in terms:
        if term.kind is Kind.ATTRIBUTE and term.name == "experiment_id":
            if term.comparator in {"LIKE", "ILIKE"}:
                raise Invalid(f"Invalid comparator for experiment_id: {term.comparator}")
            experiment_numbers(term.value if isinstance(term.value, list) else [str(term.value)])
        if term.kind is Kind.ATTRIBUTE and isinstance(term.value, float):
            raise Invalid(f"Invalid value for numeric attribute '{term.name}': {str(term.value)!r}")
    return terms


def experiment_numbers(ids: Sequence[str]) -> list[int]:
    """Ids of experiments as the whole numbers that they are."""
    for one in ids:
        if not one.isascii() or not one.isdigit() or len(one) > _LONGEST_ID:
            raise Invalid(f"Invalid experiment ID '{one}'. Experiment ID must be a valid integer.")
    return [int(one) for one in ids]


def model_terms(text: str | Sequence[Term]) -> list[Term]:
    """The terms of a filter of logged models."""
    return terms_of(text, LOGGED_MODELS)


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
    terms = _Reader(filter_, grammar).read() if isinstance(filter_, str) else list(filter_)
    if grammar.terse:
        terms = [_counted(term, grammar) for term in terms]
    if len(terms) > MOST_TERMS:
        raise Invalid(f"a filter of {len(terms)} terms", where="filter", fix=f"Ask for at most {MOST_TERMS}")
    for term in terms:
        _check(term, grammar)
    return terms


def _counted(term: Term, grammar: Grammar) -> Term:
    """The term with a number where it is written as a text."""
    if term.kind is not Kind.ATTRIBUTE or term.name not in grammar.numbers or not isinstance(term.value, str):
        return term
    try:
        return msgspec.structs.replace(term, value=int(term.value))
    except ValueError as error:
        raise Invalid(f"Invalid value for numeric attribute '{term.name}': {term.value!r}") from error


def orders_of(texts: Sequence[str | Order], grammar: Grammar) -> list[Order]:
    """The keys to sort by."""
    orders = [_order(one, grammar) if isinstance(one, str) else one for one in texts]
    for order in orders:
        if order.kind not in grammar.orders:
            raise Invalid(f"Invalid order_by entity: {order.kind}")
        if order.kind is Kind.ATTRIBUTE:
            _check_attribute(order.name, grammar)
    if len({(order.kind, order.name, order.dataset_name, order.dataset_digest) for order in orders}) < len(orders):
        raise Invalid(f"`order_by` contains duplicate fields: {[str(text) for text in texts]}")
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
    if not 1 <= len(words) <= 2:
        raise fault
    direction = words[1].lower() if len(words) > 1 else "asc"
    if direction not in {"asc", "desc"}:
        raise Invalid(f"Invalid ordering key in order_by clause '{text}'.")
    kind, name = _name(words[0], grammar)
    if "," in name and not set('`"') & set(text):
        raise fault
    return Order(kind=kind, name=name, ascending=direction == "asc")


def _name(text: str, grammar: Grammar) -> tuple[Kind, str]:
    word, dot, rest = text.partition(".")
    if not dot:
        kind, name = Kind.ATTRIBUTE, text
    else:
        found = grammar.kinds.get(_bare(word))
        if found is None:
            if grammar.terse:
                raise Invalid(f"Invalid entity type '{_bare(word)}'. Valid entity types are {tuple(grammar.kinds)}")
            valid = list(dict.fromkeys(kind.value for kind in grammar.kinds.values()))
            raise Invalid(f"Invalid entity type '{_bare(word)}'. Valid values are {valid}")
        kind, name = found, rest
    name = _bare(name)
    if kind is Kind.ATTRIBUTE:
        return kind, _check_attribute(grammar.aliases.get(name, name), grammar)
    if kind is Kind.DATASET and name not in _DATASET_FIELDS:
        raise Invalid(f"Invalid dataset key '{name}' specified. Valid keys are '{_DATASET_FIELDS}'")
    return kind, name


def _check_attribute(name: str, grammar: Grammar) -> str:
    if name not in grammar.texts and name not in grammar.numbers:
        valid = sorted(grammar.texts | grammar.numbers)
        keys = f"{{{str(valid)[1:-1]}}}" if grammar.terse else str(valid)
        raise Invalid(f"Invalid attribute key '{name}' specified. Valid keys are '{keys}'")
    return name


def _bare(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "`\"'"
    return text[1:-1] if quoted else text


def _check(term: Term, grammar: Grammar) -> None:
    """Refuses a term whose comparator or value does not go with what it looks at."""
    numeric = term.kind is Kind.METRIC or (term.kind is Kind.ATTRIBUTE and term.name in grammar.numbers)
    _check_comparator(term, grammar, numeric=numeric)
    if term.comparator in _LISTED:
        if not isinstance(term.value, list):
            raise Invalid(f"Expected a list of quoted string values for {term.name}. Got value {term.value}")
    elif term.comparator in _PRESENCE:
        return
    elif numeric and (isinstance(term.value, bool) or not isinstance(term.value, int | float)):
        raise Invalid(f"Expected numeric value type for {_what(term)}. Found {term.value}")
    elif not numeric and not isinstance(term.value, str):
        what = "attributes." if term.kind is Kind.ATTRIBUTE else f"{term.kind} (e.g. 'my-value')."
        if grammar.terse and term.kind is Kind.ATTRIBUTE:
            what = f"or a list of quoted string values for {what}"
            raise Invalid(f"Expected a quoted string value {what} Got value {term.value}")
        raise Invalid(f"Expected a quoted string value for {what} Got value {term.value}")


def _what(term: Term) -> str:
    return "metric" if term.kind is Kind.METRIC else f"numeric attribute: {term.name}"


def _check_comparator(term: Term, grammar: Grammar, *, numeric: bool) -> None:
    if term.kind is Kind.ATTRIBUTE:
        _check_attribute(term.name, grammar)
    if grammar.terse and term.comparator not in _comparators(term, grammar, numeric=numeric):
        which = f"attribute {term.name}" if numeric else str(term.kind)
        raise Invalid(f"Invalid comparator for {which}: {term.comparator}")
    if term.comparator in _PRESENCE and term.kind not in grammar.presence:
        able = " and ".join(f"{kind}s" for kind in reversed(grammar.presence)).replace("parameters", "params")
        raise Invalid(f"IS NULL / IS NOT NULL is only supported for {able}, not for '{term.kind}' '{term.name}'")
    valid = _comparators(term, grammar, numeric=numeric)
    if numeric and isinstance(term.value, str):
        raise Invalid(f"Expected numeric value type for {_what(term)}. Found {term.value!r}")
    if term.comparator not in valid:
        raise Invalid(f"Invalid comparator '{term.comparator}' not one of '{set(valid)}'")
    if term.comparator in _LISTED and term.kind is Kind.ATTRIBUTE and term.name not in grammar.lists:
        raise Invalid(
            f"Only {sorted(grammar.lists)} attributes support comparison with a list of quoted string values."
        )


def _comparators(term: Term, grammar: Grammar, *, numeric: bool) -> tuple[str, ...]:
    valid: tuple[str, ...] = _NUMERIC if numeric else _TEXTUAL
    if term.kind in grammar.presence:
        valid += _PRESENCE
    if term.kind is Kind.DATASET or (term.kind is Kind.ATTRIBUTE and not numeric):
        valid += _LISTED
    return valid


class _Reader:
    """Reads one filter from its first token to its last."""

    def __init__(self, text: str, grammar: Grammar) -> None:
        if len(text) > LONGEST_FILTER:
            raise Invalid(
                f"a filter of {len(text)} characters", where="filter", fix=f"Write at most {LONGEST_FILTER:,}"
            )
        self._text = text
        self._grammar = grammar
        self._tokens = [
            _Token(found.lastgroup or "", found.group(found.lastgroup or 0)) for found in _TOKEN.finditer(text)
        ]
        self._at = 0

    def read(self) -> list[Term]:
        terms: list[Term] = []
        if self._tokens and self._tokens[-1].text == ";":
            self._tokens.pop()
        if any(token == ("mark", ";") for token in self._tokens):
            raise Invalid(
                f"Search filter contained multiple expression {self._text!r}. Provide AND-ed expression list."
            )
        while self._at < len(self._tokens):
            if self._tokens[self._at].keyword == "AND":
                self._at += 1
                continue
            terms.append(self._term())
            if self._at < len(self._tokens) and self._next().keyword != "AND":
                raise self._fault(self._at - 1)
        return terms

    def _next(self) -> _Token:
        token = self._tokens[self._at] if self._at < len(self._tokens) else _Token("end", "")
        self._at += 1
        return token

    def _term(self) -> Term:
        start = self._at
        left = self._next()
        comparator = self._comparator(start)
        if left.sort != "word":
            raise Invalid(f"Invalid comparison clause. Expected 'Identifier' found '{left.text}'")
        kind, name = _name(left.text, self._grammar)
        if comparator in _PRESENCE:
            return Term(kind=kind, name=name, comparator=comparator)
        right = self._next()
        if right == ("mark", "("):
            return Term(kind=kind, name=name, comparator=comparator, value=self._list(start))
        return Term(kind=kind, name=name, comparator=comparator, value=self._value(kind, name, right, start))

    def _comparator(self, start: int) -> str:
        token = self._next()
        if token.sort == "operator":
            return token.text
        word = token.keyword
        if word in {"LIKE", "ILIKE", "IN"}:
            return word
        if word == "NOT" and self._next().keyword == "IN":
            return "NOT IN"
        if word == "IS":
            following = self._next().keyword
            if following == "NULL":
                return "IS NULL"
            if following == "NOT" and self._next().keyword == "NULL":
                return "IS NOT NULL"
        raise self._fault(start)

    def _value(self, kind: Kind, name: str, token: _Token, start: int) -> int | float | str:
        if token.sort == "text":
            value: int | float | str = token.text[1:-1].replace("''", "'")
        elif token.sort == "word" and token.text[0] == token.text[-1] == '"' and len(token.text) > 1:
            value = token.text[1:-1]
        elif token.sort == "number":
            value = float(token.text) if set(token.text) & set(".eE") else int(token.text)
        elif token.sort == "word" and (kind is Kind.METRIC or name in self._grammar.numbers):
            what = "metric" if kind is Kind.METRIC else f"numeric attribute: {name}"
            raise Invalid(f"Expected numeric value type for {what}. Found {token.text}")
        elif token.sort == "word":
            raise Invalid(
                "Parameter value is either not quoted or unidentified quote types used for string value "
                f"{token.text}. Use either single or double quotes."
            )
        else:
            raise self._fault(start)
        return value

    def _list(self, start: int) -> list[str]:
        values: list[str] = []
        while True:
            token = self._next()
            if token == ("mark", ")") and not values:
                rule = "expected a non-empty list of string values, but got empty list"
                raise Invalid(f"While parsing a list in the query, {rule}")
            if token.sort == "text":
                values.append(token.text[1:-1].replace("''", "'"))
            elif token.sort == "word" and token.text[0] == token.text[-1] == '"':
                values.append(token.text[1:-1])
            else:
                raise Invalid(
                    "While parsing a list in the query, expected string value, punctuation, or whitespace, "
                    f"but got different type in list: {self._rest(start)}"
                )
            mark = self._next().text
            if mark == "," and self._at < len(self._tokens) and self._tokens[self._at] == ("mark", ")"):
                mark = self._next().text
            if mark == ")":
                return values
            if mark != ",":
                raise self._fault(start)

    def _fault(self, start: int) -> Invalid:
        return Invalid(f"Invalid clause(s) in filter string: '{self._rest(start)}'")

    def _rest(self, start: int) -> str:
        return " ".join(token.text for token in self._tokens[start:])
