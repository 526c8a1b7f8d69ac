"""How much may be asked for at once: as much as MLflow's own server answers, of texts that it would read in a moment."""

from collections.abc import Iterator, Mapping

from graphql import GraphQLError, parse
from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)

_LONGEST = 65_536
_MOST_TOKENS = 20_000
_MOST_COMMENTS = 1_000
_MOST_ROOTS = 10
_MOST_ALIASES = 10
_DEEPEST = 10
_MOST_SELECTIONS = 1_000
_MOST_VALUES = 1_000_000
"""How many values an answer can hold: aliases within each other would multiply what is found, until no memory is left."""
TEXT_VALUE = 100
"""So many characters of a text count as one value more: a long one may be asked for under many names."""


class TooMuch(BaseException):
    """An answer would hold too much; as an exception it would end one field of it, and the others would go on."""


class Room:
    """What an answer may still hold."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES

    def take(self, values: int) -> None:
        """Takes room for some values; raises `TooMuch` where there is none."""
        self._left -= values
        if self._left < 0:
            raise TooMuch(f"Query exceeds maximum of {_MOST_VALUES} values answered")


def read(text: str) -> DocumentNode:
    """The operations and fragments of a text that asks for no more than can be answered, or a `GraphQLError`."""
    document = parse(
        text,
        no_location=True,
        max_lexical_tokens=_MOST_TOKENS,
        max_comments=_MOST_COMMENTS,
        max_source_length=_LONGEST,
    )
    _check_size(document)
    return document


def _check_size(document: DocumentNode) -> None:
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    waiting = [(one.selection_set, 1) for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    roots = aliases = selected = 0
    while waiting:
        selections, depth = waiting.pop()
        if depth > _DEEPEST:
            raise GraphQLError(f"Query exceeds maximum depth of {_DEEPEST}")
        fields = []
        for one in _selected(selections, fragments):
            selected += 1
            if selected > _MOST_SELECTIONS:
                raise GraphQLError(f"Query exceeds maximum total selections of {_MOST_SELECTIONS}")
            if isinstance(one, FieldNode):
                fields.append(one)
        aliases = max(aliases, sum(field.alias is not None for field in fields))
        roots += len(fields) if depth == 1 else 0
        waiting += [(field.selection_set, depth + 1) for field in fields if field.selection_set]
    for what, size, most in (("root fields", roots, _MOST_ROOTS), ("aliases", aliases, _MOST_ALIASES)):
        if size > most:
            raise GraphQLError(f"GraphQL queries should have at most {most} {what}, got {size} {what}.")


def _selected(selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Iterator[SelectionNode]:
    """What is selected of an object: fields, and fragments with what they select, each named one once.

    MLflow counts the fields alone; then a thousand fields, each with a thousand fragments of fragments, are no more than a thousand.
    """
    seen: set[str] = set()
    waiting = [selections]
    while waiting:
        for one in waiting.pop().selections:
            yield one
            if isinstance(one, InlineFragmentNode):
                waiting.append(one.selection_set)
            elif isinstance(one, FragmentSpreadNode) and (name := one.name.value) in fragments and name not in seen:
                seen.add(name)
                waiting.append(fragments[name].selection_set)
