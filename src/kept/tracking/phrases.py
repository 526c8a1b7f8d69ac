"""Messages of refused searches: clients of experiment tracking know them, and some look for them."""

from collections.abc import Iterable, Mapping, Sequence

from kept.tracking.filtering import Kind, Term

TEXTUAL = ("=", "!=", "LIKE", "ILIKE")
NUMERIC = ("<", "<=", ">", ">=", "=", "!=")
PRESENCE = ("IS NULL", "IS NOT NULL")
LISTED = ("IN", "NOT IN")


class Phrases:
    """How a search of runs is refused, and of whatever has no words of its own."""

    def entity(self, word: str, kinds: Mapping[str, Kind]) -> str:
        """A name begins with a word that names no kind."""
        return f"Invalid entity type '{word}'. Valid values are {list(dict.fromkeys(map(str, kinds.values())))}"

    def blank(self, text: str) -> str:
        """There is nothing but spaces."""
        return f"Invalid filter '{text}'. Could not be parsed."

    def several(self, text: str) -> str:
        """There is more than one expression."""
        return f"Search filter contained multiple expression {text!r}. Provide AND-ed expression list."

    def clauses(self, text: str, invalid: Sequence[str]) -> str:
        """There is what is no comparison."""
        del text
        return "Invalid clause(s) in filter string: " + ", ".join(f"'{one}'" for one in invalid)

    def presence(self, term: Term, raw: str, able: Sequence[Kind]) -> str:
        """What is asked of can not be asked for being there at all."""
        del raw
        kinds = (
            " and ".join("params" if kind is Kind.PARAM else f"{kind}s" for kind in reversed(able)) or "nothing here"
        )
        return f"IS NULL / IS NOT NULL is only supported for {kinds}, not for '{term.kind}' '{term.name}'"

    def comparator(self, term: Term, *, numeric: bool) -> str:
        """What is asked of is not compared so."""
        if term.kind is Kind.ATTRIBUTE:
            valid: tuple[str, ...] = (*TEXTUAL, *LISTED)
        elif term.kind is Kind.DATASET:
            valid = (*TEXTUAL, *LISTED)
        else:
            valid = NUMERIC if numeric else (*TEXTUAL, *PRESENCE)
        # Where the last quote stands and where it does not is theirs.
        closed = "'" if term.kind is Kind.PARAM or (term.kind is Kind.ATTRIBUTE and not numeric) else ""
        return f"Invalid comparator '{term.comparator}' not one of '{braced(valid)}{closed}"

    def value(self, kind: Kind, text: str) -> str:
        """What is compared with is no text."""
        what = {Kind.ATTRIBUTE: "attributes.", Kind.DATASET: "dataset attributes."}
        told = what.get(kind, f"{kind} (e.g. 'my-value').")
        return f"Expected a quoted string value for {told} Got value {text}"

    def order(self, kind: Kind) -> str:
        """What is asked for is not sorted by."""
        return f"Invalid identifier type '{kind}'"


class ExperimentPhrases(Phrases):
    """How a search of experiments is refused."""

    def entity(self, word: str, kinds: Mapping[str, Kind]) -> str:
        """A name begins with a word that names no kind."""
        return f"Invalid entity type '{word}'. Valid entity types are {tuple(kinds)}"

    def clauses(self, text: str, invalid: Sequence[str]) -> str:
        """There is what is no comparison."""
        del text
        return "Invalid clause(s) in filter string: " + ", ".join(invalid)

    def presence(self, term: Term, raw: str, able: Sequence[Kind]) -> str:
        """What is asked of can not be asked for being there at all."""
        del raw, able
        return f"IS NULL / IS NOT NULL is only supported for tags, not for attribute '{term.name}'"

    def comparator(self, term: Term, *, numeric: bool) -> str:
        """What is asked of is not compared so."""
        if term.kind is Kind.TAG:
            return f"Invalid comparator for tag: {term.comparator}"
        if term.name == "experiment_id":
            return f"Invalid comparator for experiment_id: {term.comparator}"
        return super().comparator(term, numeric=numeric)

    def order(self, kind: Kind) -> str:
        """What is asked for is not sorted by."""
        return f"Invalid order_by entity: {kind}"


class RegistryPhrases(ExperimentPhrases):
    """How a search of registered models or of versions is refused."""

    def presence(self, term: Term, raw: str, able: Sequence[Kind]) -> str:
        """What is asked of can not be asked for being there at all."""
        del raw, able
        return self.comparator(term, numeric=False)

    def comparator(self, term: Term, *, numeric: bool) -> str:
        """What is asked of is not compared so."""
        which = f"attribute {term.name}" if numeric else str(term.kind)
        return f"Invalid comparator for {which}: {term.comparator}"

    def value(self, kind: Kind, text: str) -> str:
        """What is compared with is no text."""
        if kind is not Kind.ATTRIBUTE:
            return super().value(kind, text)
        return f"Expected a quoted string value or a list of quoted string values for attributes. Got value {text}"


class ModelPhrases(Phrases):
    """How a search of logged models is refused."""

    def entity(self, word: str, kinds: Mapping[str, Kind]) -> str:
        """A name begins with a word that names no kind."""
        return f"Invalid entity type: {word!r}. Expected one of {list(kinds)}."

    def blank(self, text: str) -> str:
        """There is nothing but spaces."""
        return self.several(text)

    def several(self, text: str) -> str:
        """There is not one expression."""
        return f"Invalid filter string: {text!r}. Expected a single SQL expression."

    def clauses(self, text: str, invalid: Sequence[str]) -> str:
        """There is what is no comparison."""
        del invalid
        return (
            f"Invalid filter string: {text!r}. Expected a list of comparisons separated by 'AND' "
            "(e.g. 'metrics.loss > 0.1 AND params.lr = 0.01')."
        )

    def presence(self, term: Term, raw: str, able: Sequence[Kind]) -> str:
        """What is asked of can not be asked for being there at all."""
        del able
        told = raw[: -len(term.comparator)].rstrip() + term.comparator
        return f"Invalid comparison: {told}. Expected a comparison with 3 tokens."

    def comparator(self, term: Term, *, numeric: bool) -> str:
        """What is asked of is not compared so."""
        valid = NUMERIC if numeric else (*TEXTUAL, *LISTED)
        kind = "params" if term.kind is Kind.PARAM else f"{term.kind}s"
        return f"Invalid comparison operator for {kind}.{term.name}: {term.comparator!r}. Expected one of {valid}."

    def order(self, kind: Kind) -> str:
        """What is asked for is not sorted by."""
        return f"Invalid order_by entity: {kind}"


def braced(names: Iterable[str]) -> str:
    """Names as a set of them is written."""
    return "{" + ", ".join(repr(name) for name in sorted(names)) + "}"
