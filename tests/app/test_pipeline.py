import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kept.app.pipeline import training_graph
from kept.pipelines.fingerprint import cache_key
from kept.plan.loading import load_project
from kept.tracking.run import Run

PROJECT = """
    import polars as pl
    from sklearn.linear_model import LogisticRegression

    import kept

    project = kept.Project("p", question="Which?", owner="o", objectives=[kept.at_least("roc_auc", 0.5)])


    @project.dataset(label="y", event_time="at")
    def rows() -> pl.DataFrame:
        return pl.DataFrame()


    @project.features(entity="who", event_time="at")
    def weather() -> pl.DataFrame:
        return pl.DataFrame()


    @project.model(task="binary", search={"C": kept.floats(0.1, 10.0)})
    def line(C: float = 1.0) -> LogisticRegression:
        return LogisticRegression(C=C)


    project.split(kept.by_time(test=0.2))
    project.monitor(window="1d")
    project.retrain(on=[kept.decay()], stretches=["14d"])
"""


def keys(folder: Path, text: str) -> dict[str, str]:
    """The cache key of each step, as if all steps before it had given what they gave before."""
    source = folder / "declared_project.py"
    source.write_text(textwrap.dedent(text))
    sys.modules.pop(source.stem, None)
    run = Run(id="r", project="p", kind="training", name="r", created_by="ada", created_at=datetime.now(UTC))
    graph = training_graph(load_project(source), source, run)
    return {
        name: cache_key(node, dict.fromkeys(node.wires, "sha256:0"), project="p", seed=0)
        for name, node in graph.nodes.items()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def before(folder: Path) -> dict[str, str]:
    return keys(folder, PROJECT)


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("0.5)", "0.9)", {"evaluate", "judge"}),
        ('label="y"', 'label="y", features=["a"]', {"join", "columns", "evaluate"}),
        ('entity="who", ', 'entity="who", ttl="1h", ', {"join", "columns"}),
        ('"binary", ', '"binary", trials=20, ', {"columns", "tune"}),
        ("test=0.2", "test=0.3", {"split"}),
        ('window="1d"', 'window="2d"', {"reference", "attribution", "evaluate"}),
        ('stretches=["14d"]', 'stretches=["14d", "28d"]', {"tune"}),
        ('stretches=["14d"]', 'stretches=["14d"], average=True', {"tune"}),
        ('stretches=["14d"]', 'stretches=["14d"], cooldown="3d"', set()),
        ('question="Which?"', 'question="What?"', set()),
    ],
)
def test_a_changed_declaration_runs_the_steps_again_that_read_it(
    folder: Path, before: dict[str, str], old: str, new: str, again: set[str]
) -> None:
    after = keys(folder, PROJECT.replace(old, new))
    assert {name for name in before if before[name] != after[name]} == again
