"""Special functions as scipy has them.

scipy takes longer to load than most of what starts a server, and what only records and shows never asks for it: it is
loaded with the first question.
"""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from kept.measures.arrays import Floats

Numbers = Floats | Sequence[float] | float


def ndtri(share: Numbers) -> Any:
    """The quantile of the standard normal distribution."""
    from scipy import special  # noqa: PLC0415

    return special.ndtri(share)


def stdtr(freedom: Numbers, value: Numbers) -> Any:
    """The distribution function of Student's t."""
    from scipy import special  # noqa: PLC0415

    return special.stdtr(freedom, value)


def stdtrit(freedom: Numbers, share: Numbers) -> Any:
    """The quantile of Student's t."""
    from scipy import special  # noqa: PLC0415

    return special.stdtrit(freedom, share)


def betainc(a: Numbers, b: Numbers, x: Numbers) -> Any:
    """The regularized incomplete beta function."""
    from scipy import special  # noqa: PLC0415

    return special.betainc(a, b, x)


def betaincc(a: Numbers, b: Numbers, x: Numbers) -> Any:
    """Its complement."""
    from scipy import special  # noqa: PLC0415

    return special.betaincc(a, b, x)


def betaln(a: float, b: float) -> float:
    """The logarithm of the beta function."""
    from scipy import special  # noqa: PLC0415

    return float(special.betaln(a, b))


def digamma(x: Numbers) -> Any:
    """The derivative of the logarithm of the gamma function."""
    from scipy import special  # noqa: PLC0415

    return special.digamma(x)


def polygamma(order: int, x: Numbers) -> Any:
    """A further derivative of it: the first is trigamma."""
    from scipy import special  # noqa: PLC0415

    return special.polygamma(order, x)


def isotonic_regression(values: Floats, weights: NDArray[Any]) -> Floats:
    """The nearest values that never fall."""
    from scipy import optimize  # noqa: PLC0415

    fitted: Floats = optimize.isotonic_regression(values, weights=weights).x
    return fitted
