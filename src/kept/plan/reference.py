"""The declared reference of drift: training rows, the first windows of serving, or a version of a dataset."""

import re

from kept.core.errors import Invalid

TRAINING = "training"
SERVING = "serving"

_VERSION = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})@(\d{1,9})$", re.ASCII)


def check_reference(declared: str) -> None:
    """`Invalid` for what names none of them."""
    if declared not in {TRAINING, SERVING} and not (isinstance(declared, str) and _VERSION.fullmatch(declared)):
        fix = 'Write reference="training", reference="serving", or a version of a dataset: reference="flights@3"'
        raise Invalid(f"{declared!r} is nothing to hold inputs against", where="project.monitor", fix=fix)


def named_version(declared: str) -> tuple[str, int] | None:
    """The dataset and the number of its version; None where none is named."""
    found = _VERSION.fullmatch(declared)
    return (found[1], int(found[2])) if found else None


def in_words(declared: str) -> str:
    """What a version is held against when it is released, which has no windows of serving yet."""
    named = named_version(declared)
    return "the training rows" if named is None else f"version {named[1]} of {named[0]}"
