"""Who is a near-duplicate of whom, at any scale the same as by comparing all with all."""

import itertools
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framekit.images import duplicates, likeness
from framekit.images.duplicates import components, group_near_identical, sharpest_of_groups
from tests.oracles.duplicates import (
    alike_by_comparing,
    components_by_flooding,
    group_by_every_leader,
    group_one_by_one,
)

BIT = st.integers(0, 63).map(lambda bit: 1 << bit)
HASHES = st.lists(st.integers(0, 2**10 - 1) | BIT | st.integers(0, 2**64 - 1), max_size=40)
CHAINS = st.lists(BIT, max_size=40).map(lambda bits: list(itertools.accumulate(bits, operator.xor)))
DISTANCES = st.integers(0, 12) | st.just(63) | st.just(64)


@pytest.fixture(params=["as it is", "cut small"])
def search(request, monkeypatch):
    """Small sets go the ways of large ones, too."""
    if request.param == "cut small":
        for name, value in {"FEW": 2, "TILE": 6, "TILE_COLUMNS": 3, "CHECKED": 3, "READ": 7}.items():
            monkeypatch.setattr(duplicates, name, value)


@pytest.fixture(params=duplicates.COUNTS)
def parts(request, monkeypatch):
    """Every way to cut hashes into parts, for sets however small."""
    monkeypatch.setattr(duplicates, "COUNTS", (request.param,))
    monkeypatch.setattr(duplicates, "FEW", 2)
    monkeypatch.setattr(duplicates, "BUCKET_COST", -1e9)


def with_flips(hashes, most, generator):
    """The hashes with up to so many bits changed in each."""
    flips = np.uint64(1) << generator.integers(0, 64, (len(hashes), most)).astype(np.uint64)
    flips *= np.arange(most) < generator.integers(0, most + 1, (len(hashes), 1))
    return hashes ^ np.bitwise_xor.reduce(flips, axis=1)


def answers(hashes, max_distance, signatures=None):
    """Groups and components as they are found, and as the oracles have them."""
    values = np.array(hashes, np.uint64)
    alike = alike_by_comparing(values, max_distance, signatures)
    groups = group_near_identical(values, max_distance, signatures=signatures)
    linked = components(values, max_distance, signatures=signatures)
    found = groups.tolist(), linked.tolist()
    return found, (group_one_by_one(alike), components_by_flooding(alike))


@pytest.mark.usefixtures("search")
@settings(deadline=None)
@given(HASHES | CHAINS.flatmap(st.permutations), DISTANCES)
def test_groups_and_components_equal_the_oracles(hashes, max_distance):
    found, true = answers(hashes, max_distance)
    assert found == true


@pytest.mark.usefixtures("parts")
@settings(deadline=None, max_examples=5)
@given(HASHES | CHAINS, st.integers(0, 8))
def test_however_hashes_are_cut_the_answer_is_the_same(hashes, max_distance):
    found, true = answers(hashes, max_distance)
    assert found == true


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("max_distance", [0, 6, 12])
def test_every_near_pair_is_found_once(max_distance):
    generator = np.random.default_rng(max_distance)
    hashes = generator.integers(0, 2**64, 300, dtype=np.uint64)
    others = with_flips(hashes, 14, generator)
    blocks = duplicates._Near(max_distance).pairs(hashes, others)
    found = [pair for first, second in blocks for pair in zip(first, second, strict=True)]
    expected = np.argwhere(np.bitwise_count(hashes[:, None] ^ others) <= max_distance)
    assert sorted(found) == sorted(map(tuple, expected))


@pytest.mark.usefixtures("search")
@pytest.mark.parametrize("max_distance", [0, 6, 64])
@pytest.mark.parametrize("contrasts", [[0, 5, 7, 20, 60], [0, 3]], ids=["some are flat", "all are flat"])
def test_signatures_check_and_flat_pictures_go_by_them_alone(max_distance, contrasts):
    generator = np.random.default_rng(max_distance)
    count = 70
    hashes = generator.integers(0, 8, count).astype(np.uint64) * np.uint64(2**33 + 1)
    contrast = generator.choice(contrasts, count)[:, None]
    pattern = generator.normal(size=(3, likeness.SIZE))[generator.integers(0, 3, count)]
    levels = generator.choice([0, 40, 70, 128, 255], count)[:, None]
    cells = levels + contrast * pattern + generator.normal(size=(count, likeness.SIZE)) * 2
    found, true = answers(hashes, max_distance, cells.clip(0, 255).astype(np.uint8))
    assert found == true


def test_what_only_just_agrees_with_a_flat_picture_is_found():
    generator = np.random.default_rng(0)
    count, cells = 40, likeness.SIZE // 3
    spared = int(likeness.ELSEWHERE * cells)
    steps = np.zeros((count, cells))
    steps[:, : spared + 1], steps[:, spared + 1 : 2 * spared + 2] = 1, -1
    flat = steps * (likeness.FLAT - 0.5) * np.sqrt(cells / (2 * spared + 2))
    shift = generator.choice([-likeness.SHIFT, 0, likeness.SHIFT], (count, 1))
    other = flat + shift + np.where(steps, np.sign(steps), generator.choice([-1, 1])) * likeness.TOLERANCE
    other[:, 2 * spared + 2 : 3 * spared + 2] = 255
    luma = np.concatenate([flat, other]) + np.tile(generator.integers(80, 150, (count, 1)), (2, 1))
    signatures = np.full((2 * count, cells, 3), 128, np.uint8)
    signatures[..., 0] = luma.round().clip(0, 255)
    signatures = signatures.reshape(2 * count, -1)
    hashes = generator.integers(0, 2**64, 2 * count, dtype=np.uint64)
    first, second = np.arange(count), np.arange(count, 2 * count)
    assert likeness.is_flat(signatures[first]).all() and not likeness.is_flat(signatures[second]).any()
    assert likeness.alike(hashes[first], signatures[first], hashes[second], signatures[second], 6).any()
    found, true = answers(hashes, 6, signatures)
    assert found == true
    found, true = answers(hashes[::-1], 6, signatures[::-1])
    assert found == true


@pytest.mark.parametrize("max_distance", [6, 12])
def test_20_000_hashes_are_grouped_as_by_comparing_with_every_leader(max_distance):
    generator = np.random.default_rng(0)
    originals = generator.integers(0, 2**64, 4_000, dtype=np.uint64)
    hashes = with_flips(originals[generator.integers(0, 4_000, 20_000)], 8, generator)
    groups = group_near_identical(hashes, max_distance)
    assert groups.tolist() == group_by_every_leader(hashes, max_distance).tolist()


def test_no_chains_in_groups_and_chains_in_components():
    hashes = np.array([0b0000, 0b0011, 0b1111], np.uint64)  # within 2 bits of the next; the ends are 4 apart
    assert group_near_identical(hashes, 2).tolist() == [0, 0, 2]
    assert components(hashes, 2).tolist() == [0, 0, 0]


def test_the_sharpest_stands_for_its_group_and_the_earliest_of_equals():
    firsts = np.array([0, 0, 2, 0, 2])
    assert sharpest_of_groups(firsts, np.array([1.0, 9.0, 5.0, 9.0, 5.0])).tolist() == [1, 1, 2, 1, 2]


def test_nothing_to_group():
    nothing = np.array([], np.uint64)
    assert group_near_identical(nothing, 6).tolist() == components(nothing, 6).tolist() == []
    assert sharpest_of_groups(np.array([], np.int64), np.array([])).tolist() == []
