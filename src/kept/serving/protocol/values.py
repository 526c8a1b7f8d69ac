"""Values as JSON carries them: their types by the signature, and what is said when they are not right."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec

from kept.core.errors import Invalid
from kept.packaging.signature import Field, Tensor

Key = str | int
Moment = Annotated[datetime, msgspec.Meta(tz=True)]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LARGEST_INTEGER = 2**63
# Whoever would wait for longer has gone by then, and clocks and messages take no numbers of thousands of digits.
_LONGEST_TIMEOUT_US = 3_600_000_000
_TYPES: dict[str, Any] = {"number": float, "integer": int | float, "boolean": bool, "text": str}
_ELEMENTS = {"f": float, "i": int, "u": int, "b": bool}
_WORDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "text",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
    "datetime": "a time",
}
_EXPECTED = re.compile(r"^Expected `(?P<expected>[^`]*)`, got `(?P<found>[^`]*)`$")
_MISSING = re.compile(r"^Object missing required field `(?P<name>.*)`$", re.DOTALL)
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.DOTALL)


class Question(msgspec.Struct, gc=False):
    """What one request asks, checked.

    Args:
        values: a sequence per row, in the signature's order; None where a value is missing.
        keys: the rows' keys, or None.
        event_times: microseconds since 1970 for each row, or None.
        routing_key: what the arm is chosen by, or None.
        wanted: names of the outputs asked for (tensors only), or None for all.
        name: what the sender calls the request (tensors only).
        binary: names of the outputs that are to come as bytes (tensors only).
        explain: whether the answers are to be explained (tensors only).
        timeout_us: microseconds from the request's last byte after which nobody wants the answer; 0 for no such limit.
    """

    values: Sequence[Any]
    keys: list[str | None] | None = None
    event_times: list[int] | None = None
    routing_key: str | None = None
    wanted: tuple[str, ...] | None = None
    name: str | None = None
    binary: frozenset[str] = frozenset()
    timeout_us: int = 0
    explain: bool = False


def kind_of(field: Field) -> str:
    """The kind of the values that are sent for a field: a category is sent as text or as a whole number."""
    if field.kind != "category":
        return field.kind
    return "integer" if field.categories and not isinstance(field.categories[0], str) else "text"


def type_of(field: Field) -> Any:
    """The type that a field's values are decoded as."""
    if field.tensor is not None:
        return nested_type(field.tensor, len(field.tensor.shape))
    kind = _TYPES[kind_of(field)]
    return kind | None if field.nullable else kind


def nested_type(tensor: Tensor, depth: int) -> Any:
    """The type that a tensor's elements are decoded as, in so many lists within lists."""
    nested: Any = _ELEMENTS[tensor.element[:1]]
    for _ in range(depth):
        nested = list[nested]
    return nested


def integers_in(inputs: Iterable[Field]) -> tuple[tuple[int, str], ...]:
    """Place and name of the fields whose values must be whole: JSON says 3.0 and 3 for the same number."""
    return tuple((place, field.name) for place, field in enumerate(inputs) if kind_of(field) == "integer")


def check_whole(column: Iterable[Any], name: str, where: str) -> None:
    """Refuses fractions, and whole numbers beyond 64 bits."""
    for row, value in enumerate(column):
        if value is None:
            continue
        if isinstance(value, float) and not value.is_integer():
            raise Invalid(f"expected a whole number, found {value!r}", where=where.format(row=row, name=name))
        if not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
            raise Invalid(
                "expected a whole number of 64 bits, found a larger one", where=where.format(row=row, name=name)
            )


def as_keys(keys: Sequence[Key | None], rows: int) -> list[str | None]:
    """Keys as text, one for each row."""
    if len(keys) != rows:
        raise Invalid(f"found {len(keys)} keys for {rows} rows", where="keys", fix="Send one for each row")
    return [key if key is None or isinstance(key, str) else str(key) for key in keys]


def as_event_times(moments: Sequence[datetime] | datetime, rows: int) -> list[int]:
    """Microseconds since 1970, one for each row."""
    if isinstance(moments, datetime):
        return [microseconds(moments)] * rows
    if len(moments) != rows:
        raise Invalid(
            f"found {len(moments)} event times for {rows} rows", where="event_times", fix="Send one for each row"
        )
    return [microseconds(moment) for moment in moments]


def as_timeout(given: int | None, where: str) -> int:
    """Microseconds from the request's last byte after which nobody wants the answer: an hour at most, 0 for no such limit."""
    if given is None:
        return 0
    if given < 0:
        raise Invalid(f"expected microseconds, found {given}", where=where)
    return min(given, _LONGEST_TIMEOUT_US)


def as_routing_key(key: Key | None) -> str | None:
    """A routing key as text."""
    return key if key is None or isinstance(key, str) else str(key)


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970 of an event's time; `Invalid` for one that no row can have.

    What is logged is read by programs to which the years 0 and 10000 are none, and watched from its first day to its last.
    """
    if not _FIRST <= moment <= _LAST:
        raise Invalid(f"{moment.isoformat()} is no event's time", where="event_time", fix="Send one of 1900 to 2200")
    return (moment - _EPOCH) // _MICROSECOND


def explain(error: Exception, *, inside: str = "") -> Invalid:
    """What was wrong with JSON, with the field, what was expected and what was found."""
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return Invalid(f"the body is not valid JSON ({text})", where=inside or "body", fix="Send a JSON object")
    what, _, path = text.partition(" - at `")
    path = path.removesuffix("`").removeprefix("$").removeprefix(".")
    where = ".".join(part for part in (inside, path) if part).replace(".[", "[") or "body"
    if match := _EXPECTED.match(what):
        return Invalid(f"expected {_words(match['expected'])}, found {_words(match['found'])}", where=where)
    if match := _MISSING.match(what):
        return Invalid(f"the field {match['name']!r} is missing", where=where, fix="Send it; null if it is unknown")
    if match := _UNKNOWN.match(what):
        return Invalid(f"the field {match['name']!r} is not known", where=where, fix="Check its spelling")
    return Invalid(what[:1].lower() + what[1:], where=where)


def _words(types: str) -> str:
    names = types.split(" | ")
    if "float" in names and "int" in names:
        names.remove("float")
    return " or ".join(_WORDS.get(name, name) for name in names)
