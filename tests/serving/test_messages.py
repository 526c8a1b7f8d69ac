"""What goes between the service and the processes of its models: whole messages out of any pieces, and no trust in what comes back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.core.errors import Damaged, Invalid
from kept.serving.children.messages import Answers, Ask, Failure, Inbox, failure_of, packed
from kept.serving.queues import parts_of

MOST = 1 << 20


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(1, 200), max_size=30))
def test_messages_come_whole_out_of_any_pieces(bodies: list[bytes], cuts: list[int]) -> None:
    data = b"".join(packed(Ask([1, 2], 3), body) for body in bodies)
    inbox = Inbox(MOST)
    found, start = [], 0
    for cut in [*cuts, len(data)]:
        found += list(inbox.take(data[start : start + cut]))
        start += cut
    assert [body for _, body in found] == bodies


@pytest.mark.parametrize("body", [b"x" * 17, b"\0" * 3000])
def test_a_message_larger_than_it_may_be_is_not_held(body: bytes) -> None:
    with pytest.raises(Damaged, match="larger than it may be"):
        list(Inbox(16).take(packed(Ask([1], 1), body)[:20]))


def test_answers_go_to_the_requests_that_have_them() -> None:
    failed = {1: failure_of(Invalid("it is odd", where="row 0", fix="Send another"))}
    first, second, third = parts_of(Answers(1, failed), np.array([0.5, 0.25, 0.125]).tobytes(), [2, 7, 1])
    assert (first, third) == ([0.5, 0.25], [0.125])
    assert isinstance(second, Invalid)
    assert (second.what, second.where, second.fix) == ("it is odd", "row 0", "Send another")
    assert parts_of(Answers(3, {}), np.arange(6.0).tobytes(), [1, 1]) == [[[0.0, 1.0, 2.0]], [[3.0, 4.0, 5.0]]]


@pytest.mark.parametrize(
    "answers",
    [Answers(1, {}), Answers(0, {}), Answers(-3, {}), Answers(2, {}), Answers(1, {0: Failure("", "it raised")})],
)
def test_answers_that_do_not_fit_are_errors(answers: Answers) -> None:
    for part in parts_of(answers, np.arange(6.0).tobytes()[:-8], [3, 3]):
        assert isinstance(part, Damaged)


def test_what_is_no_error_of_ours_is_told_without_its_words() -> None:
    failure = failure_of(RuntimeError("a secret"))
    assert (failure.kind, failure.what) == ("", "the model raised RuntimeError")
