import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from kept.measures.arrays import mid_ranks


@given(st.lists(st.floats(allow_nan=False) | st.integers(-3, 3).map(float), max_size=50))
def test_mid_ranks_are_those_of_scipy(values: list[float]) -> None:
    given_values = np.array(values, dtype=np.float64)
    assert mid_ranks(given_values).tolist() == (rankdata(given_values).tolist() if values else [])
