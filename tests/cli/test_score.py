from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from kept.cli.demonstration.score import compare, gain, months

START = datetime(2013, 3, 1, tzinfo=UTC)


def truth(days: int, a_day: int, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "key": [f"k{row}" for row in range(days * a_day)],
            "at": [START + timedelta(days=row // a_day, minutes=row % a_day) for row in range(days * a_day)],
            "label": (random.random(days * a_day) < 0.3).astype(float),
        }
    )


def said(rows: pl.DataFrame, chance: float) -> dict[str, float]:
    return dict.fromkeys(rows["key"], chance)


def test_only_requests_that_both_answered_are_compared() -> None:
    rows = truth(2, 10)
    kept = said(rows, 0.3)
    del kept["k3"]
    assert compare(rows, kept, said(rows, 0.5)).height == 19


def test_months_are_scored_apart() -> None:
    rows = truth(60, 50)
    found = months(compare(rows, said(rows, 0.3), said(rows, 0.5)))
    assert [one.month for one in found] == ["2013-03", "2013-04"]
    assert all(one.kept.log_loss < one.alone.log_loss for one in found)
    assert sum(one.rows for one in found) == 3000


def test_the_gain_is_the_difference_of_the_means_and_its_interval_holds_it() -> None:
    rows = truth(60, 50)
    scored = compare(rows, said(rows, 0.3), said(rows, 0.5))
    found = gain(scored, START)
    assert found is not None
    both = months(scored)
    expected = sum((one.alone.log_loss - one.kept.log_loss) * one.rows for one in both) / 3000
    assert found.log_loss == pytest.approx(expected)
    assert found.low < found.log_loss < found.high


def test_days_that_hang_together_make_the_interval_wide() -> None:
    rows = truth(60, 50)
    bad = np.random.default_rng(1).random(60) < 0.3
    together = rows.with_columns(label=pl.Series(np.repeat(bad, 50).astype(float)))
    widths = []
    for one in (rows, together):
        found = gain(compare(one, said(one, 0.4), said(one, 0.6)), START)
        assert found is not None
        widths.append(found.high - found.low)
    assert widths[1] > 4 * widths[0]


def test_there_is_no_gain_without_requests() -> None:
    rows = truth(2, 10)
    assert gain(compare(rows, said(rows, 0.3), said(rows, 0.5)), START + timedelta(days=90)) is None
