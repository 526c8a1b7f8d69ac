"""Releases between the tries of a turn: what is sent is what is logged."""

import json
from pathlib import Path

import pytest
from streams import Held, Judges, judge, message, scorer

from kept.app.streaming.judging import Judge
from kept.app.streaming.message import Message, Produced
from kept.serving.runtime import LoadedModel
from kept.store.tables import DeltaTables


class Ended(Exception):
    """The process is gone at this very point."""


class Cut(Held):
    """A stream whose process ends while it sends, when so many messages are sent."""

    def __init__(self, messages: list[Message], after: int) -> None:
        super().__init__(messages)
        self._after = after

    def send(self, messages: list[Produced]) -> None:
        super().send(messages[: self._after])
        raise Ended


class Picky:
    """A version that refuses what another one takes."""

    def __init__(self, judge: Judge, monkeypatch: pytest.MonkeyPatch, limit: float) -> None:
        plain: LoadedModel = judge._model
        predict = plain.predict

        def picky(values: list[tuple[float, int]]) -> object:
            if any(row[0] >= limit for row in values):
                raise MemoryError("too far")
            return predict(values)

        monkeypatch.setattr(plain, "predict", picky)


def answers(sent: list[Produced]) -> dict[str, set[int]]:
    """By their ids, the versions that answers say."""
    found: dict[str, set[int]] = {}
    for one in sent:
        if one.topic == "answers":
            said = json.loads(one.value or b"")
            found.setdefault(said["id"], set()).add(said["version"])
    return found


def logged(tables: DeltaTables) -> dict[str, set[int]]:
    rows = tables.read("predictions/late").select("id", "version").collect()
    assert rows["id"].is_unique().all()
    return {name: {number} for name, number in rows.iter_rows()}


@pytest.mark.parametrize("sent", [0, 7])
def test_what_was_logged_before_a_release_is_sent_as_it_was_logged(bundle: Path, tmp_path: Path, sent: int) -> None:
    tables, judges = DeltaTables(tmp_path), Judges(judge(bundle, 3))
    cut = Cut([message(place, good=place != 5) for place in range(20)], after=sent)
    with pytest.raises(Ended):
        scorer(cut, cut, tables, judges, most=12).turn()
    judges.released.append(judge(bundle, 4))
    held = Held(cut.messages)
    assert scorer(held, held, tables, judges).turn() == 20
    said = answers(cut.sent + held.sent)
    assert said == logged(tables)
    assert [versions for _, versions in sorted(said.items())].count({3}) == 11
    assert len(said) == 19


def test_what_a_version_refused_the_next_one_does_not_answer(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, judges = DeltaTables(tmp_path), Judges(judge(bundle, 3))
    Picky(judges(), monkeypatch, limit=6)
    cut = Cut([message(place) for place in range(10)], after=0)
    with pytest.raises(Ended):
        scorer(cut, cut, tables, judges).turn()
    judges.released.append(judge(bundle, 4))
    held = Held(cut.messages)
    scorer(held, held, tables, judges).turn()
    assert sorted(one.topic for one in held.sent) == ["answers"] * 6 + ["dead"] * 4
    assert answers(held.sent) == logged(tables)
    assert tables.read("prediction_errors/late").collect().height == 4


def test_what_a_model_raises_is_told_in_dead_letters_and_not_in_the_log(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, judges = DeltaTables(tmp_path), Judges(judge(bundle, 3))
    Picky(judges(), monkeypatch, limit=0)
    held = Held([message(0)])
    scorer(held, held, tables, judges).turn()
    (letter,) = held.sent
    assert dict(letter.headers)["kept-reason"] == b"the model raised MemoryError('too far')"
    (failed,) = tables.read("prediction_errors/late").collect()["reason"]
    assert failed == "the model raised MemoryError"


def test_a_turn_that_was_cut_between_refusals_and_answers_is_the_same_versions_to_its_end(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, judges = DeltaTables(tmp_path), Judges(judge(bundle, 3))
    held = Held([message(place, good=place != 8) for place in range(10)])

    def gone(*_: object) -> int:
        raise Ended

    turns = scorer(held, held, tables, judges)
    with monkeypatch.context() as patch:
        patch.setattr(turns._log, "_write_answers", gone)
        with pytest.raises(Ended):
            turns.turn()
    later = judge(bundle, 4)
    Picky(later, monkeypatch, limit=3)
    judges.released.append(later)
    scorer(held, held, tables, judges).turn()
    assert answers(held.sent) == logged(tables)
    assert set.union(*logged(tables).values()) == {3}
    assert len(logged(tables)) == 9


def test_who_lost_a_partition_without_knowing_sends_what_the_other_one_logged(bundle: Path, tmp_path: Path) -> None:
    tables, versions = DeltaTables(tmp_path), [judge(bundle, 3), judge(bundle, 4)]
    held = Held([message(place) for place in range(10)])
    late = scorer(held, held, tables, Judges(*reversed(versions)), most=4)
    assert late.turn() == 4
    other = Held(held.messages[4:8])
    assert scorer(other, other, tables, Judges(*versions)).turn() == 4
    late._most = 6
    assert late.turn() == 6
    said = answers(held.sent + other.sent)
    assert said == logged(tables)
    assert sorted(number for found in said.values() for number in found) == [3] * 6 + [4] * 4


def test_what_a_version_answered_that_is_no_more_is_answered_by_the_next(bundle: Path, tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    cut = Cut([message(place) for place in range(3)], after=0)
    with pytest.raises(Ended):
        scorer(cut, cut, tables, Judges(judge(bundle, 3))).turn()
    held = Held(cut.messages)
    assert scorer(held, held, tables, Judges(judge(bundle, 4))).turn() == 3
    assert len(held.sent) == 3
    assert set(tables.read("predictions/late").collect()["version"]) == {3}
