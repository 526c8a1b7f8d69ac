"""How an estimator that was trained elsewhere expects its rows."""

from typing import Any

import msgspec

from kept.core.errors import Invalid
from kept.packaging.signature import Signature


def names_of(estimator: Any) -> tuple[str, ...]:
    """The columns that it was trained on, in their order; none where it was trained on numbers by place."""
    return tuple(map(str, getattr(estimator, "feature_names_in_", ())))


def refuse_categories(estimator: Any) -> None:
    """Refuses what has learnt categories from the types of a pandas frame, which rows of a request do not have."""
    for step in [estimator, *(step for _, step in getattr(estimator, "steps", ()))]:
        if (
            getattr(step, "is_categorical_", None) is not None
            and getattr(step, "categorical_features", "") == "from_dtype"
        ):
            what = "it has learnt categories from the types of a pandas frame"
            fix = "Encode them with an OrdinalEncoder in a Pipeline before it"
            raise Invalid(what, where=type(step).__name__, fix=fix)


def complete(signature: Signature) -> Signature:
    """The signature with text and truths that must be there.

    pandas says NaN where we say None, and an encoder takes one for another: no row is answered where that could matter.
    """
    inputs = tuple(
        msgspec.structs.replace(field, nullable=field.kind in {"number", "integer"}) for field in signature.inputs
    )
    return msgspec.structs.replace(signature, inputs=inputs)
