"""Reads queries in the language GraphQL (specification of October 2021): what is asked for, field by field.

Only what queries need: operations with variables, fields with arguments and aliases, and fragments. Directives are
read where an operation bears them, and mean nothing here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

_TOKEN = re.compile(
    r"[\s,\ufeff]+|#[^\n]*"
    r'|(?P<block>"""(?:\\"""|(?!""")[\s\S])*""")'
    r'|(?P<text>"(?:\\.|[^"\\\n])*+")'
    # One that does not end takes its line with it: each quote in it would be looked at again.
    r'|(?P<open>"[^\n]*+)'
    r"|(?P<number>-?\d++(?:\.\d++)?+(?:[eE][+-]?\d++)?+)"
    r"|(?P<word>[_A-Za-z][_0-9A-Za-z]*)"
    r"|(?P<mark>\.\.\.|[!$()\[\]{}:=@])"
    r"|(?P<other>.)"
)
_CONSTANTS = {"true": True, "false": False, "null": None}
_DEEPEST = 50
_LONGEST = 65_536
_MOST_DIGITS = 20


class GraphFault(Exception):
    """A query that can not be answered; it says why in the words that clients know."""


class Variable(NamedTuple):
    """A value that comes beside the query."""

    name: str


class Declared(NamedTuple):
    """A variable that an operation names: whether it must come, and what stands for it when it does not."""

    kind: str
    default: Any


@dataclass(frozen=True)
class Field:
    """A field that is asked for."""

    name: str
    key: str
    """The name under which it is answered."""
    arguments: Mapping[str, Any]
    selections: "tuple[Field | Spread, ...]"


@dataclass(frozen=True)
class Spread:
    """Fields that stand elsewhere under a name, or here for a type of object."""

    fragment: str
    kind: str = ""
    selections: "tuple[Field | Spread, ...]" = ()


Selection = Field | Spread


@dataclass(frozen=True)
class Operation:
    """A query or a mutation."""

    sort: str
    name: str
    variables: Mapping[str, Declared]
    selections: tuple[Selection, ...]


@dataclass(frozen=True)
class Document:
    """All that was sent as one text."""

    operations: list[Operation] = field(default_factory=list)
    fragments: dict[str, Spread] = field(default_factory=dict)

    def operation(self, name: str | None) -> Operation:
        """The operation of a name; without a name, the only one."""
        if name:
            found = [one for one in self.operations if one.name == name]
            if not found:
                raise GraphFault(f"Unknown operation named '{name}'.")
            return found[0]
        if len(self.operations) != 1:
            raise GraphFault("Must provide operation name if query contains multiple operations.")
        return self.operations[0]


def read(text: str) -> Document:
    """The operations and fragments of a text."""
    if len(text) > _LONGEST:
        raise GraphFault(f"Query exceeds maximum length of {_LONGEST} characters")
    return _Reader(text).document()


class _Reader:
    """Reads one text from its first token to its last."""

    def __init__(self, text: str) -> None:
        self._tokens = [(found.lastgroup, found[0]) for found in _TOKEN.finditer(text) if found.lastgroup]
        if any(sort == "open" for sort, _ in self._tokens):
            raise GraphFault("Syntax Error: Unterminated string.")
        self._at = 0
        self._depth = 0

    def document(self) -> Document:
        document = Document()
        while self._at < len(self._tokens):
            if self._next("fragment"):
                name = self._word()
                self._expect("on")
                document.fragments[name] = Spread(name, self._word(), self._selections())
            else:
                document.operations.append(self._operation())
        if not document.operations:
            raise GraphFault("Syntax Error: Unexpected <EOF>.")
        return document

    def _operation(self) -> Operation:
        sort = "query" if self._peek() == "{" else self._word()
        if sort not in {"query", "mutation"}:
            raise GraphFault(f"Syntax Error: Unexpected Name '{sort}'.")
        name = self._word() if self._peek() not in {"{", "(", "@"} else ""
        variables = self._variables() if self._peek() == "(" else {}
        while self._next("@"):
            self._word()
            self._arguments()
        return Operation(sort, name, variables, self._selections())

    def _variables(self) -> dict[str, Declared]:
        self._expect("(")
        found: dict[str, Declared] = {}
        while not self._next(")"):
            self._expect("$")
            name = self._word()
            self._expect(":")
            kind = ""
            while self._peek() not in {"=", "$", ")", "@"}:
                kind += self._take()[1]
            found[name] = Declared(kind, self._value() if self._next("=") else None)
        return found

    def _selections(self) -> tuple[Selection, ...]:
        self._expect("{")
        self._deeper()
        found: list[Selection] = []
        while not found or not self._next("}"):
            found.append(self._spread() if self._next("...") else self._field())
        self._depth -= 1
        return tuple(found)

    def _spread(self) -> Spread:
        if self._next("on"):
            return Spread("", self._word(), self._selections())
        return Spread("", "", self._selections()) if self._peek() == "{" else Spread(self._word())

    def _field(self) -> Field:
        key = name = self._word()
        if self._next(":"):
            name = self._word()
        arguments = self._arguments()
        if self._next("@"):
            raise GraphFault(f"Unknown directive '@{self._word()}'.")
        return Field(name, key, arguments, self._selections() if self._peek() == "{" else ())

    def _arguments(self) -> dict[str, Any]:
        return self._members(")") if self._next("(") else {}

    def _members(self, end: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self._next(end):
            name = self._word()
            self._expect(":")
            found[name] = self._value()
        return found

    def _value(self) -> Any:
        sort, text = self._take()
        match sort, text:
            case "text", _:
                return _unquoted(text)
            case "block", _:
                return text[3:-3].replace('\\"""', '"""').strip("\n")
            case "number", _:
                return _number(text)
            case "word", _:
                return _CONSTANTS.get(text, text)
            case _, "$":
                return Variable(self._word())
            case _, "[" | "{":
                return self._many(text)
        raise GraphFault(f"Syntax Error: Unexpected '{text}'.")

    def _many(self, opened: str) -> Any:
        self._deeper()
        found: Any
        if opened == "{":
            found = self._members("}")
        else:
            found = []
            while not self._next("]"):
                found.append(self._value())
        self._depth -= 1
        return found

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise GraphFault("Query exceeds maximum depth of 10")

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self) -> tuple[str | None, str]:
        if self._at >= len(self._tokens):
            raise GraphFault("Syntax Error: Unexpected <EOF>.")
        self._at += 1
        return self._tokens[self._at - 1]

    def _next(self, text: str) -> bool:
        """Whether this comes next; then reading goes on behind it."""
        if self._peek() != text:
            return False
        self._at += 1
        return True

    def _expect(self, text: str) -> None:
        found = self._take()[1]
        if found != text:
            raise GraphFault(f"Syntax Error: Expected '{text}', found '{found}'.")

    def _word(self) -> str:
        sort, text = self._take()
        if sort != "word":
            raise GraphFault(f"Syntax Error: Expected Name, found '{text}'.")
        return text


def _number(text: str) -> int | float:
    if set(text) & set(".eE"):
        return float(text)
    if len(text) > _MOST_DIGITS:
        raise GraphFault(f"Int cannot represent value of {len(text)} digits")
    return int(text)


def _unquoted(text: str) -> str:
    try:
        return str(msgspec.json.decode(text.replace("\t", "\\t")))
    except msgspec.DecodeError as error:
        raise GraphFault(f"Syntax Error: Invalid character escape in {text}.") from error
