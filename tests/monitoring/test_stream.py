from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from kept.evaluation.loss import LossReference
from kept.governance.workspace import Workspace
from kept.measures.sequential import Arm
from kept.monitoring.labelled import outcomes_of
from kept.monitoring.outcomes import Outcomes, loss_between_0_and_1
from kept.monitoring.stream import Stream, answered, features_of, scores_of
from kept.monitoring.subject import Subject

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def subject(task: str, classes: tuple[str, ...]) -> Subject:
    return Subject(
        version_id="v1",
        number=1,
        task=task,  # type: ignore[arg-type]
        classes=classes,
        reference=None,
        attribution=None,
        bundle="",
        loss=LossReference(mean=0.1, error=0.01, scale=10.0),
    )


def test_features_come_back_by_their_names_and_in_one_column() -> None:
    logged = pl.DataFrame(
        {
            "id": ["a", "b"],
            "score": [0.1, 0.2],
            "feature_age": [1.5, None],
            "feature_age__text": [None, "2.5"],
            "feature_a__b": [1, 2],
        }
    )
    found = features_of(logged)
    assert found.columns == ["age", "a__b", "score"]
    assert found["age"].to_list() == [1.5, 2.5]
    assert features_of(logged.head(0)).height == 0
    assert features_of(pl.DataFrame({"score": [0.3], "feature_score": [7]}))["score"].to_list() == [7]


def test_many_classes_and_numbers() -> None:
    rows = pl.DataFrame(
        {
            "scores": [[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]],
            "score": [None, None],
            "label": ["c", "unheard of"],
            "label_sequence": [1, 2],
        }
    )
    outcomes = outcomes_of(rows, subject("multiclass", ("a", "b", "c")))
    assert outcomes.labels.tolist() == [2.0]
    assert Arm.of(loss_between_0_and_1("multiclass", outcomes, None)).outcomes == 1
    assert scores_of(rows.head(0), "multiclass").shape == (0, 1)
    assert outcomes_of(rows.head(0), subject("multiclass", ("a", "b", "c"))).rows == 0
    numbers = pl.DataFrame({"score": [3.0, 4.0], "label": ["5", None], "label_sequence": [1, None]})
    assert loss_between_0_and_1("regression", outcomes_of(numbers, subject("regression", ())), 10.0).tolist() == [0.2]


def test_answers_that_no_label_can_judge_are_told_apart() -> None:
    lists = pl.DataFrame({"scores": [[0.5, 0.5], None, [0.1], [0.2, None], [2.0, 0.0], [1.0 + 1e-9, 0.0]]})
    scores = scores_of(lists, "multiclass")
    assert answered(scores, "multiclass").tolist() == [True, False, False, False, False, True]
    assert scores_of(pl.DataFrame({"scores": [None]}, schema={"scores": pl.List(pl.Float64)}), "multiclass").shape == (
        1,
        1,
    )
    assert answered(np.array([0.0, 1.0, 1.5, np.nan, -0.1]), "binary").tolist() == [True, True, False, False, False]
    assert answered(np.array([-7.0, np.inf]), "regression").tolist() == [True, False]
    rows = pl.DataFrame({"score": [0.25, 3.0, None], "label": ["1"] * 3, "label_sequence": [1, 2, 3]})
    assert outcomes_of(rows, subject("binary", ("0", "1"))).scores.tolist() == [0.25]


def test_rows_that_share_a_label_are_one_observation() -> None:
    rows = pl.DataFrame({"score": [0.5, 0.0, 1.0, 0.0], "label": ["1"] * 4, "label_sequence": [8, 3, 8, 8]})
    outcomes = outcomes_of(rows, subject("binary", ("0", "1")))
    losses = loss_between_0_and_1("binary", outcomes, None)
    assert losses.tolist() == [0.25, 1.0, 0.0, 1.0]
    assert outcomes.by_label(losses).tolist() == [1.25 / 3, 1.0]


def test_no_loss_is_beyond_one() -> None:
    beyond = Outcomes(frame=pl.DataFrame(), labels=np.array([0.0, 1.0]), scores=np.array([1 + 1e-7, 1.0]))
    assert loss_between_0_and_1("binary", beyond, None).tolist() == [1.0, 0.0]


def test_failures_are_ours_and_of_the_time_of_the_predictions(workspace: Workspace) -> None:
    assert Stream(workspace, "flights").rows() is None
    predictions = pl.DataFrame(
        {"id": ["a", "b"], "role": ["champion"] * 2, "received_at": [NOON, NOON + HOUR], "event_time": [NOON, NOON]}
    )
    moments = [NOON - HOUR, NOON, NOON, NOON + 2 * HOUR]
    errors = pl.DataFrame(
        {"received_at": moments, "version_id": ["v1"] * 4, "role": ["champion"] * 4, "status": [500, 500, 422, 503]}
    )
    workspace.tables.append("predictions/flights", predictions)
    workspace.tables.append("prediction_errors/flights", errors)
    stream = Stream(workspace, "flights")
    assert stream.failures(predictions).height == 1
    assert stream.failures(predictions.head(0)).height == 0
    assert stream.span(None) == (NOON, NOON)
    assert stream.span(NOON) is None


def test_failures_between_two_windows_are_counted_in_the_later_one(workspace: Workspace) -> None:
    moments = [NOON, NOON + HOUR, NOON + 3 * HOUR]
    predictions = pl.DataFrame(
        {"id": ["a", "b", "c"], "role": ["champion"] * 3, "received_at": moments, "event_time": moments}
    )
    between = [NOON + HOUR, NOON + 2 * HOUR, NOON + 4 * HOUR]
    errors = pl.DataFrame(
        {"received_at": between, "version_id": ["v1"] * 3, "role": ["champion"] * 3, "status": [500] * 3}
    )
    workspace.tables.append("predictions/flights", predictions)
    workspace.tables.append("prediction_errors/flights", errors)
    stream = Stream(workspace, "flights")
    assert stream.failures(predictions[:2]).height == 1
    assert stream.failures(predictions[2:]).height == 0
    assert stream.failures(predictions[2:], NOON + HOUR)["received_at"].to_list() == [NOON + 2 * HOUR]
    assert stream.failing_since(stream.last_answer()) == (1, NOON + 4 * HOUR, NOON + 4 * HOUR)
    assert stream.next_event(NOON + HOUR) == NOON + HOUR
    assert stream.next_event(NOON + 4 * HOUR) is None
