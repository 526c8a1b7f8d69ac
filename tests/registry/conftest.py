from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from kept.evaluation.comparison import compare
from kept.evaluation.gate import judge
from kept.evaluation.report import evaluate
from kept.governance.workspace import Workspace
from kept.plan.objective import at_least, at_most
from kept.registry.card import DataSource, Lineage, write_card
from kept.registry.catalog import RegisterVersion

Prepare = Callable[..., RegisterVersion]


@pytest.fixture
def prepare(workspace: Workspace) -> Prepare:
    """Makes the request that registers a judged model; `bound` is the AUC that it is held to."""

    def make(
        *, bound: float = 0.5, model: str = "flights", run_id: str | None = None, seed: int = 0
    ) -> RegisterVersion:
        random = np.random.default_rng(seed)
        scores = random.random(300)
        labels = (random.random(300) < scores).astype(float)
        frame = pl.DataFrame({"origin": ["EWR"] * 160 + ["JFK"] * 130 + ["<b>|LGA"] * 10})
        objectives = [at_least("roc_auc", bound), at_least("roc_auc", 0.4, by="origin"), at_most("size_mb", 20)]
        report = evaluate("binary", ("on time", "late"), scores, labels, frame, objectives, {"size_mb": 1.5}, seed=0)
        baseline = compare("binary", (0, 1), labels, scores, np.full(300, 0.5), name="baseline", seed=0)
        bundle = workspace.blobs.put(f"bundle {model} {seed}".encode())
        lineage = Lineage(
            question="Will it land <script>late</script>?",
            owner="ops@example.org",
            estimator="boosted_trees",
            data=(DataSource(dataset="flights", number=3, fingerprint="sha256:1", rows=1_000, quarantined=4),),
            features=("distance", "carrier"),
            parameters={"learning_rate": 0.1},
            training_rows=700,
            run_id=run_id,
            bundle=bundle,
            seeds={"run": 7},
        )
        return RegisterVersion(
            project="flights",
            model=model,
            bundle=bundle,
            run_id=run_id,
            verdict=judge(objectives, report, baseline=baseline),
            card=write_card(lineage, report, baseline=baseline),
        )

    return make
