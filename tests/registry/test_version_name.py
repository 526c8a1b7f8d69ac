"""How a version is named in one word."""

import pytest

from kept.core.errors import Invalid
from kept.registry.version_name import VersionName, parse_version_name

# Not a new one each time: processes that run tests beside each other know them by their parameters.
ID = "01a1fd2b-1c4a-7cb5-8bd4-7c8cd7ddca75"


@pytest.mark.parametrize(
    ("text", "model", "version"),
    [
        ("churn/3", "churn", "3"),
        ("churn/latest", "churn", "latest"),
        ("churn@champion", "churn", "champion"),
        ("churn@my-alias", "churn", "my-alias"),
        ("models:/churn/3", "churn", "3"),
        ("models:/churn@champion", "churn", "champion"),
        ("models:/churn", "churn", ""),
        ("ada@example.org@champion", "ada@example.org", "champion"),
        ("ada@example.org/3", "ada@example.org", "3"),
        (ID, "", ID),
    ],
)
def test_a_whole_name_means_the_same_wherever_it_stands(text: str, model: str, version: str) -> None:
    whole = VersionName(model=model, version=version)
    assert parse_version_name(text, alone="model") == whole
    assert parse_version_name(text, alone="version") == whole


@pytest.mark.parametrize("text", ["churn", "3", "champion", "my-alias", "latest"])
def test_a_word_alone_is_what_stands_in_its_place(text: str) -> None:
    assert parse_version_name(text, alone="model") == VersionName(model=text)
    assert parse_version_name(text, alone="version") == VersionName(version=text)


@pytest.mark.parametrize("text", ["churn/", "/3", "churn@", "@champion", "churn/3/4", "models:/churn/", "models://3"])
def test_half_a_name_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="names no version"):
        parse_version_name(text, alone="model")
