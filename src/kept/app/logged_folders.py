"""A model folder as MLflow writes it: the file of its model, and the rows that its author logged with it."""

from pathlib import Path

import msgspec
import polars as pl

from kept.core.errors import Invalid, NotFound
from kept.packaging.mlmodel import LARGEST_MLMODEL, MLMODEL, read_mlmodel

_EXAMPLE = "input_example.json"
_FLAVOURS = {"sklearn", "onnx"}


class LoggedFolder(msgspec.Struct, frozen=True, kw_only=True):
    """What is in such a folder, for packaging without a project."""

    model: Path
    inputs: tuple[str, ...]
    """The columns that its signature names, in order; none when it names none."""
    example: pl.DataFrame | None
    """The rows of its input example, where that names its columns."""


def is_logged(path: Path) -> bool:
    """Whether a path is a folder that MLflow wrote."""
    return path.is_dir() and (path / MLMODEL).is_file()


def read_logged(path: Path) -> LoggedFolder:
    """What is in a folder; nothing of it is run.

    Raises:
        Forbidden: the model is a pickle.
        Invalid: it is of a flavour that says too little of itself to be served without a project.
        NotFound: its file is not there.
    """
    with (path / MLMODEL).open("rb") as stream:
        told = read_mlmodel(stream.read(LARGEST_MLMODEL + 1), where=str(path / MLMODEL))
    if told.flavour not in _FLAVOURS:
        fix = "Register it and let a project judge it: kept models adopt NAME"
        raise Invalid(f"a model of {told.flavour} does not say what its answers are called", where=str(path), fix=fix)
    model = path / told.file
    if not model.is_file():
        raise NotFound(f"the folder does not hold {told.file}", where=str(path), fix="Download the whole folder")
    return LoggedFolder(model=model, inputs=told.inputs, example=_example(path / _EXAMPLE))


def _example(path: Path) -> pl.DataFrame | None:
    """The example, where it is a table as pandas splits it: names of columns, and rows."""
    try:
        told = msgspec.json.decode(path.read_bytes())
        return pl.DataFrame(told["data"], schema=[str(name) for name in told["columns"]], orient="row")
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError, pl.exceptions.PolarsError):
        # It is an example for readers, and may be anything: rows can be given beside it.
        return None
