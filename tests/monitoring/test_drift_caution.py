from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from kept.measures.drift.detector import start, update
from kept.measures.drift.reference import build_reference, count_window
from kept.monitoring.budget import budget_of
from kept.monitoring.drift import evidence_of
from kept.monitoring.window import Window


@pytest.mark.parametrize(
    ("independent", "few", "said"),
    [(20.0, False, None), (4.2, False, "than 4 independent ones"), (20.0, True, "by sampling alone")],
)
def test_an_alarm_says_where_its_reference_does_not_know_how_windows_vary(
    independent: float, few: bool, said: str | None
) -> None:
    table = {"x": np.random.default_rng(0).standard_normal(200)}
    reference = build_reference(table, {"x": "numeric"})
    _, finding = update(start(reference, 30), reference, count_window(reference, table))
    finding = replace(finding, independent_windows=independent, assumes_independence=few)
    began = datetime(2026, 1, 1, tzinfo=UTC)
    budget = budget_of("drift", timedelta(days=90), explained=False)
    evidence = evidence_of(finding, budget, Window(start=began, end=began + timedelta(days=1)))
    assert ("caution" in evidence) == (said is not None)
    assert said is None or said in evidence["caution"]
    assert msgspec.json.encode(evidence)
