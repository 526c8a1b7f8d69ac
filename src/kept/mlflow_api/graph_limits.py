"""How much may be asked for at once: as much as MLflow's own server answers."""

from collections.abc import Iterator, Mapping

from kept.mlflow_api.graph_language import Document, Field, GraphFault, Selection, Spread

_MOST_ROOTS = 10
_MOST_ALIASES = 10
_DEEPEST = 10
_MOST_SELECTIONS = 1_000


def check_size(document: Document) -> None:
    """Refuses a document that asks for too many fields, or for fields too deep within each other."""
    roots = aliases = selected = 0
    for operation in document.operations:
        waiting = [(operation.selections, 1)]
        while waiting:
            selections, depth = waiting.pop()
            if depth > _DEEPEST:
                raise GraphFault(f"Query exceeds maximum depth of {_DEEPEST}")
            fields = list(fields_of(selections, document.fragments))
            aliases = max(aliases, sum(field.key != field.name for field in fields))
            roots += len(fields) if depth == 1 else 0
            selected += len(fields)
            if selected > _MOST_SELECTIONS:
                raise GraphFault(f"Query exceeds maximum total selections of {_MOST_SELECTIONS}")
            waiting += [(field.selections, depth + 1) for field in fields if field.selections]
    for what, size, most in (("root fields", roots, _MOST_ROOTS), ("aliases", aliases, _MOST_ALIASES)):
        if size > most:
            raise GraphFault(f"GraphQL queries should have at most {most} {what}, got {size} {what}.")


def fields_of(selections: tuple[Selection, ...], fragments: Mapping[str, Spread], kind: str = "") -> Iterator[Field]:
    """The fields of an object, those of fragments among them, each fragment once.

    With the type of the object, fragments of another type are refused.
    """
    seen: set[str] = set()
    waiting = list(reversed(selections))
    while waiting:
        one = waiting.pop()
        if isinstance(one, Field):
            yield one
            continue
        if one.fragment in seen:
            continue
        found = one
        if one.fragment:
            seen.add(one.fragment)
            if one.fragment not in fragments:
                raise GraphFault(f"Unknown fragment '{one.fragment}'.")
            found = fragments[one.fragment]
        if kind and found.kind not in {"", kind}:
            raise GraphFault(
                f"Fragment cannot be spread here as objects of type '{kind}' can never be of type '{found.kind}'."
            )
        waiting += reversed(found.selections)
