"""Drafting a project for a file: what each column is, what is to be predicted, and what can be promised of it."""

import shlex
from pathlib import Path

import msgspec
import polars as pl

from kept.app.starting.columns import (
    Guess,
    as_feature,
    choose_key,
    copies,
    guess_column,
    span_of,
    time_form,
)
from kept.app.starting.probing import Probe, probe
from kept.app.starting.source import Source, check_column, open_source
from kept.app.starting.target import FEWEST_OF_A_CLASS, Target, guess_target
from kept.app.starting.texts import notes_on_text
from kept.core.durations import duration
from kept.core.errors import Invalid
from kept.data.delimited import separator_of
from kept.data.reading import as_times, is_text, without_marks
from kept.plan.objective import at_most
from kept.plan.project import Project
from kept.plan.specs import Task

_FEWEST_LABELLED = 50
_ROWS_IN_A_WINDOW = 200
_RARE = 0.05
_WINDOWS = ("1h", "1d", "7d", "30d")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a project is asked for."""

    name: str
    data: Path
    target: str
    time: str | None = None
    key: str | None = None
    task: Task | None = None
    columns: tuple[str, ...] = ()
    header: bool | None = None


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was guessed."""

    name: str
    data: Path
    rows: int
    header: str
    names: tuple[str, ...]
    """Names of the columns, where the file does not say them."""
    columns: tuple[Guess, ...]
    target: Target
    probe: Probe
    window: str | None
    """Length of a monitoring window; None without an event time."""
    notes: tuple[str, ...]
    """What to know, and perhaps to change."""

    def taken(self, *kinds: str) -> tuple[Guess, ...]:
        """The columns that were taken for one of these."""
        return tuple(one for one in self.columns if one.taken in kinds)


def draft_project(asked: Asked) -> Draft:
    """Reads the file and guesses.

    Raises:
        NotFound: there is no such file.
        Invalid: the name, the file or a column that was named cannot be used.
    """
    # The rules for names stand where projects are declared.
    Project(asked.name, question="?", owner="?", objectives=[at_most("size_mb", 1)])
    source = open_source(asked.data, asked.columns, header=asked.header)
    for option, name in (("--target", asked.target), ("--time", asked.time), ("--key", asked.key)):
        if name is not None:
            check_column(source, name, option)
    if len({asked.target, asked.time, asked.key} - {None}) < sum(
        one is not None for one in (asked.target, asked.time, asked.key)
    ):
        raise Invalid("one column cannot be two things", where="--target, --time, --key", fix="Name different columns")
    comma = is_text(asked.data) and separator_of(asked.data) != ","
    column = source.frame.get_column(asked.target)
    where = f"--target {asked.target} in {asked.data}"
    target, labels = guess_target(column, asked.task, where=where, decimal_comma=comma)
    others = [name for name in source.frame.columns if name not in {asked.target, asked.time, asked.key}]
    guesses = [guess_column(source.frame.get_column(name), decimal_comma=comma) for name in others]
    if target.task != "regression":
        guesses = copies(guesses, source.frame, labels.cast(pl.String))
    if asked.key is None:
        guesses = choose_key(guesses, source.frame.height)
    else:
        guesses.append(_key(source, asked.key))
    moments = None
    if asked.time is not None:
        guess, moments = _event_time(source, asked.time)
        guesses.append(guess)
    return _judged(asked, source, guesses, target, labels, moments, comma)


def _judged(
    asked: Asked,
    source: Source,
    guesses: list[Guess],
    target: Target,
    labels: pl.Series,
    moments: pl.Series | None,
    comma: bool,
) -> Draft:
    used = [one for one in guesses if one.used]
    if not used:
        fix = "Give columns of numbers or categories"
        raise Invalid("no column is left to learn from", where=str(asked.data), fix=fix)
    frame = pl.DataFrame([as_feature(source.frame.get_column(one.name), one, decimal_comma=comma) for one in used])
    order = pl.Series(range(len(labels))) if moments is None else moments.arg_sort()
    known = order.filter(labels[order].is_not_null())
    if len(known) < _FEWEST_LABELLED:
        fix = f"Give {_FEWEST_LABELLED} or more"
        raise Invalid(f"only {len(known)} rows say {target.name}", where=str(asked.data), fix=fix)
    plain = not any(one.taken == "flag" for one in used)
    seen = probe(frame[known], labels[known], target.task, in_time=moments is not None, plain=plain)
    own = Guess(
        name=target.name,
        taken="target",
        why=target.why,
        distinct=labels.drop_nulls().n_unique(),
        missing=target.missing,
        marks=target.marks,
        more_marks=target.marks,
        like=str(labels.drop_nulls().first()),
    )
    by_name = {one.name: one for one in [*guesses, own]}
    return Draft(
        name=asked.name,
        data=asked.data,
        rows=source.frame.height,
        header=source.header,
        names=tuple(source.frame.columns) if source.named_here else (),
        columns=tuple(by_name[name] for name in source.frame.columns),
        target=target,
        probe=seen,
        window=None if moments is None else _window(moments),
        notes=tuple(_notes(source, guesses, target, labels, moments, seen)),
    )


def _key(source: Source, name: str) -> Guess:
    column = without_marks(source.frame.select(name)).to_series()
    if column.null_count():
        what = f"{column.null_count()} rows have none"
        raise Invalid(what, where=f"--key {name} in {source.path}", fix="Name a column that every row has")
    if (twice := column.is_duplicated()).any():
        what = f"{int(twice.sum())} rows share theirs with another (for example {column.filter(twice)[0]!r})"
        raise Invalid(what, where=f"--key {name} in {source.path}", fix="Name a column that differs in every row")
    return Guess(
        name=name,
        taken="key",
        why="as you said; no two rows share a value",
        distinct=len(column),
        missing=0,
        like=str(column[0]),
    )


def _event_time(source: Source, name: str) -> tuple[Guess, pl.Series]:
    where = f"--time {name} in {source.path}"
    column = without_marks(source.frame.select(name)).to_series()
    form = time_form(column.drop_nulls()) if column.null_count() < len(column) else None
    if form is None:
        shown = ", ".join(str(value) for value in column.drop_nulls().head(2))
        fix = "Write moments like 2013-04-01T12:00:00Z, or leave --time out: the rows are then divided at random"
        raise Invalid(f"its values are not moments ({shown})", where=where, fix=fix)
    moments = as_times(column, form)
    if moments.null_count():
        fix = "Fill them, or take those rows out"
        raise Invalid(f"{moments.null_count()} rows have no moment", where=where, fix=fix)
    if moments.n_unique() < 20:
        fix = "Leave --time out: there is no later part to test on"
        raise Invalid(f"there are only {moments.n_unique()} different moments", where=where, fix=fix)
    first, last = (moments.dt.to_string("%Y-%m-%d").sort()[place] for place in (0, -1))
    why = f"as you said; from {first} to {last}, read as {form or 'ISO 8601'}"
    guess = Guess(
        name=name, taken="event time", why=why, distinct=moments.n_unique(), missing=0, form=form, like=str(column[0])
    )
    return guess, moments


def _window(moments: pl.Series) -> str:
    """The shortest monitoring window that holds enough rows on average."""
    low, high = span_of(moments.dt.epoch("s"))
    for window in _WINDOWS[:-1]:
        if len(moments) * duration(window).total_seconds() >= _ROWS_IN_A_WINDOW * (high - low):
            return window
    return _WINDOWS[-1]


def _notes(
    source: Source, guesses: list[Guess], target: Target, labels: pl.Series, moments: pl.Series | None, seen: Probe
) -> list[str]:
    notes = [
        f"{one.name} holds moments. If it says when a row happened, start again with --time {shlex.quote(one.name)}."
        for one in guesses
        if one.taken == "moment" and moments is None
    ]
    for guess in guesses:
        if guess.more_marks:
            marks = " and ".join(repr(mark) for mark in guess.more_marks)
            notes.append(f"In {guess.name} all is numbers but {marks}: taken for missing.")
        notes += notes_on_text(source.frame.get_column(guess.name), guess)
    notes += _notes_on_target(target)
    if moments is None and _in_order(labels, target):
        notes.append(
            f"Neighbouring rows have like values of {target.name}. If the rows are in order of time, give each its moment and start "
            "again with --time: a test on rows at random flatters a model."
        )
    if not seen.skill:
        notes.append(
            f"In a quick look no column said more of {target.name} than guessing does. Expect a rejected model."
        )
    if seen.family == "linear":
        notes.append("Boosted trees did no better here than a linear model, so the simpler one was written.")
    return notes


def _notes_on_target(target: Target) -> list[str]:
    notes = []
    if target.missing:
        notes.append(f"{target.missing} rows do not say {target.name}: nothing is learnt from them.")
    if target.rare:
        few = ", ".join(repr(value) for value in target.rare)
        notes.append(f"Fewer than {FEWEST_OF_A_CLASS} rows are {few}: left out, so the model will never say so.")
    if target.dotted:
        notes.append(f"The values of {target.name} end in a dot, which is taken off.")
    if target.classes:
        rarest = min(target.classes, key=lambda one: target.classes[one])
        share = target.classes[rarest] / sum(target.classes.values())
        if share < _RARE:
            notes.append(f"Only {share:.1%} of the rows are {rarest}: accuracy would say little.")
    return notes


def _in_order(labels: pl.Series, target: Target) -> bool:
    """Whether neighbours are alike beyond chance, and the file is not just sorted by the target."""
    known = labels.drop_nulls()
    numbers = known.cast(pl.Float64) if target.task == "regression" else known.rank("dense").cast(pl.Float64)
    changes = numbers.diff().drop_nulls()
    if int((changes != 0).sum()) < 3 * len(target.classes) or bool((changes >= 0).all()) or bool((changes <= 0).all()):
        return False
    around = numbers.to_numpy() - numbers.to_numpy().mean()
    alike = float((around[1:] * around[:-1]).sum() / max((around**2).sum(), 1e-12))
    return bool(alike > max(0.2, 4 / len(numbers) ** 0.5))
