import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.core.clock import as_utc, format_time, parse_time
from kept.core.digests import digest_bytes, digest_json, verify
from kept.core.durations import duration, format_duration, tell_duration
from kept.core.errors import Damaged, Invalid
from kept.core.ids import new_id, new_ids


def test_ids_strictly_increase_and_are_uuid7() -> None:
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(set(ids))
    assert all(len(one) == 36 and one[14] == "7" and one[19] in "89ab" for one in ids)


def test_many_ids_at_once_increase_too_beyond_their_millisecond() -> None:
    ids = [*new_ids(10_000), *new_ids(1), *new_ids(3)]
    assert len(ids) == 10_004
    assert ids == sorted(set(ids))
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in ids} == {(7, uuid.RFC_4122)}
    assert new_ids(0) == []


@pytest.mark.parametrize("count", [5, 50])
def test_all_that_is_no_time_is_random(count: int) -> None:
    made = [uuid.UUID(one).int for _ in range(100) for one in new_ids(count)]
    # 2 bits of variant, then 62 random ones.
    assert {value >> 62 & 3 for value in made} == {2}
    assert all(0.3 < sum(value >> bit & 1 for value in made) / len(made) < 0.7 for bit in range(62))


def test_a_time_without_zone_is_refused_with_what_to_write() -> None:
    with pytest.raises(Invalid, match=r"requests\[3\]: the time 2013-04-01T12:00:00 has no zone\. Give it one"):
        as_utc(datetime(2013, 4, 1, 12), where="requests[3]")


def test_a_time_that_utc_does_not_have_is_refused() -> None:
    with pytest.raises(Invalid, match="out of range"):
        parse_time("0001-01-01T00:00:00+14:00", where="x")


def test_zones_become_utc() -> None:
    local = datetime(2013, 4, 1, 8, tzinfo=timezone(timedelta(hours=-4)))
    assert as_utc(local, where="x") == datetime(2013, 4, 1, 12, tzinfo=UTC)


@given(st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC)))
def test_times_come_back_as_written(moment: datetime) -> None:
    assert parse_time(format_time(moment), where="x") == moment


@given(st.integers(1, 10_000), st.sampled_from("smhdw"))
def test_durations_come_back_as_written(number: int, unit: str) -> None:
    length = duration(f"{number}{unit}")
    assert duration(format_duration(length)) == length


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0s"),
        (0.9, "0s"),
        (59, "59s"),
        (61, "1m 1s"),
        (7_200, "2h"),
        (172_224, "1d 23h"),
        (777_744, "1w 2d"),
        (86_403, "1d"),
    ],
)
def test_a_length_is_told_in_its_largest_units(seconds: float, said: str) -> None:
    assert tell_duration(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize("text", ["", "5", "5y", "-1d", "h", "1 day", "9" * 12 + "w", "٣d"])
def test_a_wrong_duration_says_how_to_write_one(text: str) -> None:
    with pytest.raises(Invalid, match="Write it like 30m, 2h, 7d or 4w"):
        duration(text)


def test_digest_of_equal_values_is_equal_whatever_the_order_of_keys() -> None:
    assert digest_json({"a": 1, "b": [2, 3]}) == digest_json({"b": [2, 3], "a": 1})


def test_changed_bytes_are_found() -> None:
    digest = digest_bytes(b"model")
    assert verify(b"model", digest, where="x") == b"model"
    with pytest.raises(Damaged):
        verify(b"Model", digest, where="x")
