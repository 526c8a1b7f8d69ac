"""Which of a model's classes is which of a project's."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression

from kept.core.errors import Invalid
from kept.packaging.signature import Label
from kept.training.class_names import own_classes


def knowing(*classes: Any) -> LogisticRegression:
    rows = np.arange(len(classes), dtype=float)[:, None]
    return LogisticRegression().fit(rows, np.array(classes))


@given(st.permutations(["no", "perhaps", "yes"]))
def test_each_class_of_the_project_finds_the_models_own(words: list[str]) -> None:
    names = {str(number): word for number, word in enumerate(words)}
    found = own_classes(knowing(0, 1, 2), ("no", "perhaps", "yes"), names)
    assert [words[int(label)] for label in found] == ["no", "perhaps", "yes"]


@pytest.mark.parametrize(
    ("known", "classes", "names", "own"),
    [
        ((0, 1), (0, 1), {}, ()),
        ((0, 1), (False, True), {}, ()),
        ((0, 1), ("no", "yes"), {"0": "no", "1": "yes"}, (0, 1)),
        ((0.0, 1.0), ("no", "yes"), {"0": "yes", "1": "no"}, (1.0, 0.0)),
        ((False, True), ("no", "yes"), {"False": "no", "true": "yes"}, (False, True)),
        (("N", "Y"), (0, 1), {"N": "0", "Y": "1"}, ("N", "Y")),
        (("no", "yes"), ("no", "yes"), {"no": "no", "yes": "yes"}, ()),
        # The words that are the same may all the same mean the opposite.
        ((0, 1), (0, 1), {"0": "1", "1": "0"}, (1, 0)),
    ],
)
def test_words_are_understood_in_every_form(
    known: tuple[Any, ...], classes: tuple[Label, ...], names: dict[str, str], own: tuple[Label, ...]
) -> None:
    found = own_classes(knowing(*known), classes, names)
    assert found == own
    assert [type(label) for label in found] == [type(label) for label in own]


@pytest.mark.parametrize(
    ("classes", "names", "said"),
    [
        (("no", "yes"), {}, "--class 0=no --class 1=yes"),
        (("no", "yes"), {"0": "no", "2": "yes"}, "the model has no class '2'; there are 0, 1"),
        (("no", "yes"), {"0": "no", "1": "maybe"}, "the project has no class 'maybe'; there are no, yes"),
        (("no", "yes"), {"0": "no"}, "Name every class once"),
        (("no", "yes"), {"0": "no", "1": "no"}, "Name every class once"),
        (("no", "yes", "maybe"), {"0": "no", "1": "yes"}, "Name every class once"),
        ((), {"0": "no", "1": "yes"}, "no classes to name"),
    ],
)
def test_what_names_no_pairs_is_refused(classes: tuple[Label, ...], names: dict[str, str], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        own_classes(knowing(0, 1), classes, names)


def test_values_have_no_classes() -> None:
    regression = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    assert own_classes(regression, (), {}) == ()
    with pytest.raises(Invalid, match="no classes to name"):
        own_classes(regression, ("no", "yes"), {"0": "no", "1": "yes"})
