import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from framekit.images.duplicates import group_near_identical, sharpest_of_groups
from tests.oracles.duplicates import group_one_by_one


@given(
    st.lists(st.integers(0, 2**10 - 1) | st.integers(0, 2**64 - 1), max_size=40),
    st.integers(0, 64),
)
def test_groups_equal_the_one_by_one_oracle(hashes, max_distance):
    found = group_near_identical(np.array(hashes, np.uint64), max_distance)
    assert found.tolist() == group_one_by_one(hashes, max_distance)


def test_no_chains():
    a, b, c = 0b0000, 0b0011, 0b1111  # a≈b and b≈c within 2 bits, a and c are 4 apart
    assert group_near_identical(np.array([a, b, c], np.uint64), 2).tolist() == [0, 0, 2]


def test_the_sharpest_stands_for_its_group_and_the_earliest_of_equals():
    firsts = np.array([0, 0, 2, 0, 2])
    assert sharpest_of_groups(firsts, np.array([1.0, 9.0, 5.0, 9.0, 5.0])).tolist() == [1, 1, 2, 1, 2]


def test_nothing_to_group():
    assert group_near_identical(np.array([], np.uint64), 6).tolist() == []
    assert sharpest_of_groups(np.array([], np.int64), np.array([])).tolist() == []
