"""A project whose rows hold pictures: which animal is it?"""

from pathlib import Path

import polars as pl
from sklearn.dummy import DummyClassifier

import kept
from kept import at_least, at_most

project = kept.Project(
    "animals",
    question="Which animal is in the picture?",
    owner="zoo@example.org",
    objectives=[at_least("accuracy", 0.6), at_most("size_mb", 5)],
)


@project.dataset(label="animal", key="id", event_time="at")
def pictures() -> pl.DataFrame:
    """Pictures of 3 x 8 x 8, and which animal somebody saw in them."""
    return pl.read_parquet(Path(__file__).with_name("pictures.parquet"))


project.monitor(explained_rows=200)


@project.model(task="multiclass")
def guess() -> DummyClassifier:
    return DummyClassifier(strategy="prior")
