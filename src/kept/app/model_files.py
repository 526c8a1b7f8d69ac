"""Model files that come from outside: made into bundles, nothing in them run."""

from pathlib import Path

import polars as pl

from kept.core.errors import Invalid, NotFound
from kept.packaging.build import package
from kept.packaging.bundle import read_bundle
from kept.packaging.frames import fit_encoder, signature_of
from kept.packaging.manifest import MANIFEST
from kept.packaging.signature import Task
from kept.packaging.sklearn_model import load_skops


def bundle_of(path: Path, sample: Path | None, folder: Path) -> Path:
    """The folder of a bundle: the one given, or one that is made of a `.skops` file and sample rows.

    The sample's columns are the model's inputs, in the order of training; categories are encoded by their order, so
    a model that was trained on numbers alone needs a sample of numbers alone.
    """
    if path.is_dir() and (path / MANIFEST).is_file():
        read_bundle(path)
        return path
    if not path.is_file():
        raise NotFound("there is no such model", where=str(path), fix="Name a bundle's folder or a .skops file")
    if path.suffix != ".skops":
        fix = "Save the fitted estimator with skops.io.dump(estimator, 'model.skops')"
        raise Invalid(f"a {path.suffix or 'file without ending'} cannot be packaged", where=str(path), fix=fix)
    if sample is None:
        fix = "Give some rows it takes: --sample rows.parquet"
        raise Invalid("a .skops file does not say what rows it takes", where=str(path), fix=fix)
    estimator = load_skops(path.read_bytes())
    rows = pl.read_parquet(sample) if sample.suffix == ".parquet" else pl.read_csv(sample)
    encoder = fit_encoder(rows)
    classes = getattr(estimator, "classes_", None)
    known = () if classes is None else tuple(classes.tolist())
    task: Task = "regression" if classes is None else "binary" if len(known) == 2 else "multiclass"
    package(estimator, encoder, signature_of(rows, encoder, task=task, classes=known), rows, folder)
    return folder
