"""FID and KID: against their papers' formulas, and on sets whose distance is known."""

import numpy as np
import pytest
import torch

from cartoongan.distances import distance, pooled
from tests.oracles.set_distances import slow_fid, slow_kid


def vectors(seed: int, count: int = 40, *, shift: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    return torch.from_numpy(shift + scale * generator.normal(size=(count, 6)))


def test_they_are_the_papers():
    one, other = vectors(1), vectors(2, shift=0.5, scale=2)
    found = distance(one, other, seed=0)
    assert found.fid == pytest.approx(slow_fid(one.numpy(), other.numpy()))
    assert found.kid == pytest.approx(slow_kid(one.numpy(), other.numpy()))
    assert found.kid_deviation is None, "all there is, one estimate"


def test_gaussians_are_as_far_apart_as_is_known():
    # |shift|² + d (1 - scale)² = 6 · 4 + 6 · 1
    found = distance(vectors(3, 20_000), vectors(4, 20_000, shift=2, scale=2), seed=0)
    assert found.fid == pytest.approx(30, rel=0.02)


def test_the_same_set_is_at_no_distance():
    one = vectors(5, 300)
    found = distance(one, one.clone(), seed=0)
    assert found.fid == pytest.approx(0, abs=1e-6)
    assert abs(found.kid) < 3 * found.kid_deviation + 0.01


def test_farther_is_more():
    found = [distance(vectors(6, 120, shift=shift), vectors(7, 120), seed=0) for shift in (0, 0.5, 1, 2)]
    for name in ("fid", "kid"):
        values = [getattr(its, name) for its in found]
        assert values == sorted(values)


def test_a_seed_gives_the_same_and_leaves_torch_s_own_alone():
    one, other = vectors(8, 150), vectors(9, 130)
    torch.manual_seed(3)
    before = torch.rand(1)
    torch.manual_seed(3)
    assert distance(one, other, seed=1) == distance(one, other, seed=1)
    assert torch.rand(1) == before
    assert distance(one, other, seed=1) != distance(one, other, seed=2)


def test_sets_of_other_sizes_and_too_few():
    assert distance(vectors(1, 3), vectors(2, 60), seed=0).kid_deviation is not None
    assert distance(vectors(1, 1), vectors(2, 60), seed=0) is None


def test_pooling_takes_means_over_places():
    features = torch.arange(16.0).reshape(1, 2, 2, 4)
    assert pooled(features).tolist() == [[3.5, 11.5]]
