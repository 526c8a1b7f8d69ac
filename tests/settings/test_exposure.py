import pytest

from kept.core.errors import Invalid
from kept.settings.exposure import OwnNames, check_exposure, own_names
from kept.settings.settings import Settings


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "128.0.0.1", "kept.example", "localhost.example", ""])
def test_listening_beyond_this_machine_needs_a_secret(host: str) -> None:
    with pytest.raises(Invalid, match="no token is set"):
        check_exposure(host, secret=False)
    check_exposure(host, secret=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_listening_on_this_machine_needs_none(host: str) -> None:
    check_exposure(host, secret=False)


LOOPBACK = [
    "127.0.0.1", "127.0.0.1:8701", "127.3.2.1:80", "localhost", "LocalHost:8701", "[::1]", "[::1]:8701", "::1",
]  # fmt: skip
OTHERS = [
    "", ":8701", "kept.example", "127.0.0.1.example:80", "localhost.example", "evil.localhost.example:8701", "0.0.0.0", "[::]",
    "10.0.0.5:8701", "[::1", "[]", "[::1].example", "localhost:80:80", "[fe80::1]:80", "localhost@kept.example",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK)
def test_names_that_always_lead_here(host: str) -> None:
    assert OwnNames().has(host)


@pytest.mark.parametrize("host", OTHERS)
def test_names_of_others(host: str) -> None:
    assert not OwnNames().has(host)


def test_names_that_were_declared() -> None:
    names = own_names(Settings(host="127.0.0.1", known_as="Models.example  other"))
    assert [names.has(name) for name in ("models.example:443", "OTHER", "another", "models.example.evil")] == [
        True, True, False, False,
    ]  # fmt: skip
