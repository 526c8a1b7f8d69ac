"""Matching a model's class labels with its project's, where they are spelled differently."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kept.core.errors import Invalid
from kept.packaging.signature import Label, class_places, plain_label


def own_classes(estimator: Any, classes: tuple[Label, ...], names: Mapping[str, str]) -> tuple[Label, ...]:
    """The estimator's own names of a project's classes, in the project's order; none where it has the same.

    `names` gives the project's class for each of the estimator's, both as texts; it is empty where nobody gave any.

    Raises:
        Invalid: the estimator has other classes, or the names do not give each class of the one exactly one of the other.
    """
    where = type(estimator).__name__
    known = tuple(np.asarray(getattr(estimator, "classes_", ())).tolist())
    example = " ".join(f"--class {theirs}={ours}" for theirs, ours in zip(known, classes, strict=False))
    if not names:
        if known and known != classes:
            what = f"it knows the classes {_listed(known)}, and the project's are {_listed(classes)}"
            raise Invalid(what, where=where, fix=f"Say which is which when you adopt it: {example}")
        return ()
    if not known or not classes:
        fix = "Leave the names of classes out"
        raise Invalid("there are no classes to name: the model or the project answers values", where=where, fix=fix)
    theirs = _places(names, known, "the model")
    ours = _places(names.values(), classes, "the project")
    if sorted(theirs) != list(range(len(known))) or sorted(ours) != list(range(len(classes))):
        what = "the names do not give each class of the model one of the project's own"
        raise Invalid(what, where=where, fix=f"Name every class once: {example}")
    paired = dict(zip(ours, theirs, strict=True))
    ordered = tuple(known[paired[place]] for place in range(len(classes)))
    return () if ordered == classes else ordered


def _places(texts: Iterable[str], classes: tuple[Label, ...], whose: str) -> list[int]:
    known, found = class_places(classes), []
    for text in texts:
        place = known.get(plain_label(text))
        if place is None:
            raise Invalid(f"{whose} has no class {text!r}; there are {_listed(classes)}", where="names of classes")
        found.append(place)
    return found


def _listed(labels: tuple[Label, ...]) -> str:
    return ", ".join(map(str, labels))
