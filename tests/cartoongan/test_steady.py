"""Flicker and smoothing, on films whose answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cartoongan.steady import CHANGED, LEVELS, Steadier


def frames(*levels: float) -> Tensor:
    """One grey picture of 8×8 for each level of 255."""
    return torch.stack([torch.full((3, 8, 8), level / LEVELS - 1) for level in levels])


def test_a_still_film_with_a_still_cartoon_does_not_flicker() -> None:
    steadier = Steadier(0.9)
    shown = steadier(frames(10, 10, 10), frames(50, 50, 50))
    assert torch.equal(shown, frames(50, 50, 50))
    figure = steadier.figure()
    assert figure is not None and (figure.alone, figure.shown, figure.still) == (0, 0, 1)


@pytest.mark.parametrize("smooth", [0.0, 0.5, 0.9])
def test_a_cartoon_that_blinks_over_a_still_film(smooth: float) -> None:
    """The cartoon is 100, 108, 100, …; what is shown follows by hand."""
    steadier = Steadier(smooth)
    count = 6
    steadier(frames(*[10.0] * count), frames(*[100 + 8 * (t % 2) for t in range(count)]))
    moves, shown = [], 100.0
    for t in range(1, count):
        before, shown = shown, (1 - smooth) * (100 + 8 * (t % 2)) + smooth * shown
        moves.append(abs(shown - before))
    figure = steadier.figure()
    assert figure is not None
    assert figure.alone == pytest.approx(8, abs=1e-3)
    assert figure.shown == pytest.approx(sum(moves) / len(moves), abs=1e-3)


def test_the_films_own_noise_is_taken_off() -> None:
    steadier = Steadier(0)
    steadier(frames(10, 12, 10), frames(100, 105, 100))
    figure = steadier.figure()
    assert figure is not None and figure.shown == pytest.approx(5 - 2, abs=1e-3)


def test_nothing_stays_where_the_film_changed() -> None:
    steadier = Steadier(0.9)
    shown = steadier(frames(10, 10 + CHANGED), frames(50, 90))
    assert torch.allclose(shown, frames(50, 90))
    assert steadier.figure() is None or steadier.figure().still == 0  # type: ignore[union-attr]


def test_batches_change_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    photos = torch.rand(7, 3, 12, 12, generator=generator) / 64
    cartoons = torch.rand(7, 3, 12, 12, generator=generator)
    whole, parts = Steadier(0.7), Steadier(0.7)
    together = whole(photos, cartoons)
    apart = torch.cat([parts(photos[:3], cartoons[:3]), parts(photos[3:], cartoons[3:])])
    assert torch.equal(together, apart) and whole.figure() == parts.figure()
