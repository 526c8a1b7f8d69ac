"""The normal number of the same tail probability as one of Student's t, against the distribution itself."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri, stdtr

from kept.measures.drift.residuals import of_student


@given(freedom=st.floats(2, 1e6), ratio=st.floats(-12, 12))
def test_it_has_the_same_tail(freedom: float, ratio: float) -> None:
    exact = np.copysign(-ndtri(stdtr(freedom, -abs(ratio))), ratio)
    assert abs(of_student(np.array([ratio]), np.array([freedom]))[0] - exact) < 2e-5


@given(freedom=st.floats(2, 1e6))
def test_it_rises_with_the_ratio_however_far_out(freedom: float) -> None:
    ratios = np.linspace(-1e3, 1e3, 401)
    found = of_student(ratios, np.full(401, freedom))
    assert np.isfinite(found).all()
    assert (np.diff(found) >= 0).all()
    assert np.array_equal(found, -found[::-1])
