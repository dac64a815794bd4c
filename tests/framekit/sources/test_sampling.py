from itertools import islice, takewhile

from hypothesis import given
from hypothesis import strategies as st

from framekit.sources import sampling


@given(st.integers(1, 500), st.integers(0, 5_000))
def test_every_takes_the_multiples_and_expected_counts_them(step, frames):
    taken = list(takewhile(lambda number: number < frames, sampling.every(step)))
    assert taken == [number for number in range(frames) if number % step == 0]
    assert sampling.expected(frames, step) == len(taken)


def test_every_has_no_end():
    assert list(islice(sampling.every(50), 4)) == [0, 50, 100, 150]
