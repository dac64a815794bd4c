"""Train and test sides: whole units, nothing alike on both, and what stands stays."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from framekit.extraction.splitting import NEITHER, TEST, TRAIN, assign, without_leaks
from framekit.manifest.schema import Split


def split(test: float, seed: int) -> Split:
    return Split(by="scene", test=test, seed=seed)


TENTH = split(0.1, 0)


def keys(count: int) -> list[str]:
    return [f"film:{number}" for number in range(count)]


def new(count: int) -> list[str | None]:
    return [None] * count


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.floats(0.001, 0.999), st.integers(0, 5))
def test_a_unit_is_never_parted(units, test, seed):
    sides = assign(keys(len(units)), np.array(units), new(len(units)), split(test, seed))
    assert set(sides) <= {TRAIN, TEST}
    assert all(len({sides[i] for i in range(len(units)) if units[i] == unit}) == 1 for unit in units)


@given(st.permutations(range(60)), st.integers(0, 5))
def test_the_order_of_frames_changes_nothing(order, seed):
    units, spec = np.arange(60) // 4, split(0.2, seed)
    straight = assign(keys(60), units, new(60), spec)
    shuffled = assign([keys(60)[i] for i in order], units[order], new(60), spec)
    assert [straight[i] for i in order] == list(shuffled)


@given(st.integers(0, 1000))
def test_the_share_is_met_within_a_unit(seed):
    sides = assign(keys(1000), np.arange(1000) // 5, new(1000), split(0.1, seed))
    assert 95 <= np.sum(sides == TEST) <= 105


def test_seeds_choose_differently():
    choices = {tuple(assign(keys(50), np.arange(50), new(50), split(0.2, s))) for s in range(5)}
    assert len(choices) == 5


def test_few_large_units_give_the_smallest_to_test():
    sides = assign(keys(100), np.repeat([0, 1, 2], [40, 25, 35]), new(100), TENTH)
    assert set(np.flatnonzero(sides == TEST)) == set(range(40, 65))


def test_one_unit_alone_is_all_train():
    assert set(assign(keys(10), np.zeros(10, int), new(10), TENTH)) == {TRAIN}


@given(
    st.lists(st.integers(0, 15), min_size=1, max_size=60),
    st.lists(st.integers(0, 20), min_size=1, max_size=60),
    st.integers(0, 3),
)
def test_what_is_added_moves_nothing(first, added, seed):
    spec = split(0.2, seed)
    before = assign(keys(len(first)), np.array(first), new(len(first)), spec)
    count = len(first) + len(added)
    after = assign(keys(count), np.array(first + added), [*before, *new(len(added))], spec)
    assert list(after[: len(first)]) == list(before)
    joined = dict(zip(first, before, strict=True))
    assert all(side == joined.get(unit, side) for unit, side in zip(added, after[len(first) :], strict=True))


def test_a_new_frame_that_joins_both_sides_goes_to_neither():
    sides = assign(keys(3), np.zeros(3, int), [TRAIN, None, TEST], TENTH)
    assert list(sides) == [TRAIN, NEITHER, TEST]


@given(st.lists(st.tuples(st.sampled_from([TRAIN, TEST, NEITHER]), st.integers(0, 8)), min_size=1))
def test_nothing_alike_stands_on_both_sides(frames):
    sides, alike = np.array([s for s, _ in frames], object), np.array([a for _, a in frames])
    freed = without_leaks(sides, alike)
    assert not {a for s, a in zip(freed, alike, strict=True) if s == TRAIN} & {
        a for s, a in zip(freed, alike, strict=True) if s == TEST
    }
    changed = freed != sides
    assert set(sides[changed]) <= {TEST}
    assert all(any(s == TRAIN and b == a for s, b in zip(sides, alike, strict=True)) for a in alike[changed])
