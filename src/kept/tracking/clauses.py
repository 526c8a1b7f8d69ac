"""Parser of the search language: text to comparisons.

A name is a word, or words joined by dots; what is not of letters, digits and underscores stands in backticks or
quotes. What is compared with is a text in quotes, a number, a word or a list in parentheses.
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

_PART = r"(?:`[^`]*`|\"[^\"]*\"|[\w$]+)"
_WORD = rf"{_PART}(?:\.(?:{_PART}|'[^']*'))*"
# Possessive: a long row of digits that is no number is gone through once, not once for each of its digits.
_NUMBER = r"-?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][+-]?\d++)?+(?![\w.`])"
_TOKEN = re.compile(
    r"(?P<comment>--[^\n]*)"
    r"|(?P<text>'(?:''|[^'])*')"
    r"|(?P<operator><=|>=|!=|<>|==|=|<|>|~)"
    rf"|(?P<number>{_NUMBER})"
    rf"|(?P<operation>{_WORD}(?:\s*[-+*/%]\s*(?:{_WORD}|{_NUMBER}))+)"
    rf"|(?P<word>{_WORD})"
    r"|(?P<mark>[(),;])"
    r"|(?P<other>\S)"
)
_OPERANDS = ("word", "text", "number", "operation")
_NOT_OPERANDS = ("TRUE", "FALSE", "AND", "OR", "NOT")
_SPOKEN = ("LIKE", "ILIKE", "RLIKE", "REGEXP")


class Token(NamedTuple):
    """A piece of text and what sort of piece it is."""

    sort: str
    text: str
    start: int
    end: int

    @property
    def keyword(self) -> str:
        """The word in capitals; nothing for what is no word."""
        return self.text.upper() if self.sort == "word" else ""


class Clause(NamedTuple):
    """One comparison."""

    left: Token
    comparator: str
    """In capitals."""
    right: Token | None
    """A list is a token of the sort `list`."""
    raw: str


@dataclass(frozen=True)
class Clauses:
    """What a text is made of."""

    told: list[Clause]
    invalid: list[str]
    """What is neither a comparison nor an AND."""
    several: bool
    """Whether there is more than one expression."""


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text."""
    found = []
    for match in _TOKEN.finditer(text):
        sort = match.lastgroup or ""
        found.append(Token(sort, match.group(sort), match.start(sort), match.end(sort)))
    return found


def clauses_of(text: str) -> Clauses:
    """The comparisons of a text, joined by AND or by nothing."""
    return _Reader(text).read()


def listed(text: str) -> tuple[object, ...] | None:
    """The values of a list in parentheses; None when it is ill-formed."""
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, tuple) else (value,)


def bare(text: str, quotes: str = "`\"'") -> str:
    """A text without the quotes that it stands in."""
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in quotes
    return text[1:-1] if quoted else text


class _Reader:
    """Reads one text from its first token to its last."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens_of(text)
        self._closed = _closed(self._tokens)
        self._at = 0

    def read(self) -> Clauses:
        units: list[tuple[int, int, Clause | None]] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.keyword == "AND":
                self._at += 1
            elif token.text == "," and units:
                # What is joined by commas is one thing, and no comparison.
                self._at += 1
                units.append((units.pop()[0], self._unit()[1], None))
            else:
                units.append(self._unit())
        return Clauses(
            told=[clause for _, _, clause in units if clause is not None],
            invalid=[self._text[start:end] for start, end, clause in units if clause is None],
            several=any(token.text == ";" for token in self._tokens[:-1]),
        )

    def _unit(self) -> tuple[int, int, Clause | None]:
        """What begins here, from where to where it stands, after which reading goes on."""
        if self._at >= len(self._tokens):
            return len(self._text), len(self._text), None
        start = self._tokens[self._at].start
        clause = self._clause()
        if clause is None:
            self._at = max(self._behind(self._at), self._at + 1)
        return start, self._tokens[self._at - 1].end, clause

    def _clause(self) -> Clause | None:
        """The comparison that begins here, after which reading goes on; None when there is none."""
        left = self._tokens[self._at]
        if left.sort not in _OPERANDS:
            return None
        comparator, place = self._comparator(self._at + 1)
        if not comparator:
            return None
        right = None
        if not comparator.endswith("NULL"):
            behind = self._behind(place)
            if behind == place:
                return None
            right = self._tokens[place]
            if right.text == "(":
                end = self._tokens[behind - 1].end
                right = Token("list", self._text[right.start : end], right.start, end)
            if comparator in {"IN", "NOT IN"} and (right.sort != "list" or left.sort != "word"):
                return None
            place = behind
        self._at = place
        return Clause(left, comparator, right, self._text[left.start : self._tokens[place - 1].end])

    def _comparator(self, place: int) -> tuple[str, int]:
        words = [token.keyword for token in self._tokens[place : place + 3]]
        if place < len(self._tokens) and self._tokens[place].sort == "operator":
            return self._tokens[place].text, place + 1
        if words[:1] == ["IN"] or (words and words[0] in _SPOKEN):
            return words[0], place + 1
        if words[:1] == ["NOT"] and len(words) > 1 and (words[1] == "IN" or words[1] in _SPOKEN):
            return f"NOT {words[1]}", place + 2
        if words[:2] == ["IS", "NULL"]:
            return "IS NULL", place + 2
        if words == ["IS", "NOT", "NULL"]:
            return "IS NOT NULL", place + 3
        return "", place

    def _behind(self, place: int) -> int:
        """Where the operand that begins here has ended; here, when none begins."""
        if place >= len(self._tokens):
            return place
        token = self._tokens[place]
        if token.sort in _OPERANDS and token.keyword not in _NOT_OPERANDS:
            return place + 1
        return self._closed.get(place, place)


def _closed(tokens: Sequence[Token]) -> dict[int, int]:
    """Behind which token each parenthesis that is opened is closed again."""
    opened: list[int] = []
    found: dict[int, int] = {}
    for place, token in enumerate(tokens):
        if token.text == "(":
            opened.append(place)
        elif token.text == ")" and opened:
            found[opened.pop()] = place + 1
    return found
