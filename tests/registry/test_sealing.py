import pytest

from kept.core.errors import Invalid
from kept.registry.sealing import sealed, unsealed

KEY, OTHER = "QUFB" * 10 + "QUE=", "QkJC" * 10 + "QkI="


def test_a_secret_comes_back_and_is_stored_unreadable_where_there_is_a_key() -> None:
    stored = sealed("s3cret", KEY)
    assert stored is not None
    assert "s3cret" not in stored
    assert unsealed(stored, KEY) == "s3cret"
    plain = sealed("s3cret", "")
    # A key that is set later does not make unreadable what was stored before.
    assert unsealed(plain, "") == unsealed(plain, KEY) == "s3cret"
    assert (sealed(None, KEY), sealed("", KEY), unsealed(None, KEY)) == (None, None, None)


def test_without_its_key_it_stays_shut() -> None:
    stored = sealed("s3cret", KEY)
    with pytest.raises(Invalid, match="there is no key"):
        unsealed(stored, "")
    with pytest.raises(Invalid, match="another key"):
        unsealed(stored, OTHER)
    with pytest.raises(Invalid, match="webhook_encryption_key"):
        sealed("s3cret", "short")
