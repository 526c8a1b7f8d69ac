"""The report of an import: what was found, brought, verified and left out."""

from dataclasses import dataclass, field

import msgspec

_EXAMPLES = 20


class Tally(msgspec.Struct, kw_only=True):
    """One kind of thing, counted."""

    found: int = 0
    new: int = 0
    """Brought now."""
    changed: int = 0
    """Brought before, and changed since."""
    already: int = 0
    """Here already: brought before and unchanged, or here under the same name."""
    verified: int = 0
    """Read back from the workspace and found to be what the source holds."""


class LeftOut(msgspec.Struct, kw_only=True):
    """Things that were not brought, and why."""

    what: str
    why: str
    count: int = 0
    examples: list[str] = []


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """How an import went."""

    source: str
    dry_run: bool
    complete: bool
    """Whether everything that Kept keeps was brought and found to be right."""
    seconds: float
    bytes_brought: int
    tallies: dict[str, Tally]
    out_of_scope: list[LeftOut]
    """What is not brought at all, and why: it does not make an import incomplete."""
    left_out: list[LeftOut]
    differing: list[LeftOut]
    """What was read back and was not what the source holds."""
    notes: list[LeftOut]
    """What is called otherwise here, or was here before."""


KINDS = ("experiments", "runs", "points", "files", "logged models", "registered models", "versions")


@dataclass
class Findings:
    """Gathers what a report tells."""

    tallies: dict[str, Tally] = field(default_factory=lambda: {kind: Tally() for kind in KINDS})
    bytes_brought: int = 0
    lost: int = 0
    """How often something was left out or differed."""
    _noted: dict[str, dict[tuple[str, str], LeftOut]] = field(default_factory=dict)

    def __getitem__(self, kind: str) -> Tally:
        """The tally of a kind."""
        return self.tallies[kind]

    def leave_out(self, what: str, why: str, example: str = "", count: int = 1) -> None:
        """Notes that something was not brought."""
        self.lost += 1
        self._note("left_out", what, why, example, count)

    def out_of_scope(self, what: str, why: str, count: int) -> None:
        """Notes things that are not brought at all."""
        if count:
            self._note("out_of_scope", what, why, "", count)

    def differs(self, what: str, why: str, example: str, count: int = 1) -> None:
        """Notes that something is not what it was."""
        self.lost += 1
        self._note("differing", what, why, example, count)

    def note(self, what: str, why: str, example: str, count: int = 1) -> None:
        """Notes what a person may want to know."""
        self._note("notes", what, why, example, count)

    def report(self, source: str, *, dry_run: bool, seconds: float) -> ImportReport:
        """The report."""
        parts = {part: list(noted.values()) for part, noted in self._noted.items()}
        return ImportReport(
            source=source,
            dry_run=dry_run,
            complete=not parts.get("left_out") and not parts.get("differing"),
            seconds=round(seconds, 3),
            bytes_brought=self.bytes_brought,
            tallies=self.tallies,
            out_of_scope=parts.get("out_of_scope", []),
            left_out=parts.get("left_out", []),
            differing=parts.get("differing", []),
            notes=parts.get("notes", []),
        )

    def _note(self, part: str, what: str, why: str, example: str, count: int) -> None:
        noted = self._noted.setdefault(part, {})
        one = noted.setdefault((what, why), LeftOut(what=what, why=why, examples=[]))
        one.count += count
        if example and len(one.examples) < _EXAMPLES:
            # What a source holds may be anybody's words.
            one.examples.append(example[:200])
