"""Scoring many rows with a registered model, a bundle or a model file."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import polars as pl

from kept.app.scoring.model import Scorer
from kept.app.scoring.rows import Origin, columns_of, count, decimal_comma, origin_of, pieces
from kept.app.scoring.sinks import sink_for
from kept.core.digests import digest_json
from kept.core.errors import Conflict
from kept.packaging.runtime import load_runtime

PIECE = 65_536
"""Rows that are read, scored and kept at a time."""


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """What was scored."""

    rows: int
    taken_up: int
    """Rows that an earlier try of the same job had kept."""
    bundle: str
    """Digest of the model's bundle."""
    result: str
    """Where the scores are."""


def score(
    bundle: Path,
    source: Path,
    to: Path,
    *,
    keep: Sequence[str] | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    piece: int = PIECE,
) -> Scored:
    """Scores every row of a file or table, with the runtime and the checks that the prediction service uses.

    Memory is bounded by the piece, not by the rows. A job that was ended (killed, too) and is begun again with the same
    rows, model and columns goes on where it stopped; a result in a file appears whole or not at all.

    Args:
        bundle: the model's bundle.
        source: a CSV or Parquet file, a folder of Parquet files, or a Delta table.
        to: a `.parquet` or `.csv` file, or, without an ending, a Delta table that the scores are added to.
        keep: the columns of the rows that stand beside the answers; all when not given.
        overwrite: whether a result that is there already may be replaced.
        progress: told rows done and rows in all.
        piece: how many rows are held at a time.

    Raises:
        NotFound, Damaged: there is no such file, or no whole bundle.
        Conflict: the result is there already, or is the rows themselves; or the rows changed meanwhile.
        Unavailable: the result cannot be written.
        Invalid: a column is missing, or a value does not fit the model's signature; what was scored before stays for the
            next try.
    """
    runtime = load_runtime(bundle)
    scorer, origin = Scorer(runtime), origin_of(source)
    there = columns_of(origin)
    kept = list(dict.fromkeys(there if keep is None else keep))
    scorer.check(there, kept)
    _check_apart(source, to)
    total, comma = count(origin), decimal_comma(origin)
    job, former = (digest_json([one, runtime.digest, kept]) for one in (origin.digest, origin.former_digest))
    columns = {name: there[name] for name in kept}
    told = progress or _nobody
    with closing(sink_for(to, job, columns, overwrite=overwrite, former=former)) as sink:
        done = before = sink.done()
        told(done, total)
        for rows in pieces(origin, done, piece):
            answers = scorer.answers(rows, text=origin.kind == "csv", decimal_comma=comma, first=done)
            done += rows.height
            sink.write(pl.DataFrame([*(rows.get_column(name) for name in kept), *answers]), done)
            told(done, total)
        _check_same(origin, source, to)
        sink.finish()
    return Scored(rows=done, taken_up=before, bundle=runtime.digest, result=str(to))


def _check_apart(source: Path, to: Path) -> None:
    """Refuses a result that would become part of the rows. One file may replace another, as it appears whole at the end."""
    folder = source.resolve()
    if folder.is_dir() and (to.resolve() == folder or folder in to.resolve().parents):
        raise Conflict("it is where the rows are", where=str(to), fix="Name another place")


def _check_same(origin: Origin, source: Path, to: Path) -> None:
    """Refuses rows of files that were written while they were read. Versions of tables do not change."""
    if origin.kind != "delta" and origin_of(source) != origin:
        fix = "Begin again: they are scored from the start, as they are then"
        if not to.suffix:
            fix = "Score them again with --overwrite, or to another table: this one holds them as they were read"
        raise Conflict("the rows changed while they were scored", where=origin.path, fix=fix)


def _nobody(done: int, total: int) -> None:
    del done, total
