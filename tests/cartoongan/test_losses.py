"""Every term against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from cartoongan.losses import adversarial_loss, content_loss, discriminator_losses


def softplus(x: float) -> float:
    """-log(sigmoid(-x))."""
    return math.log(1 + math.exp(x))


def logits(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, -1)


def test_discriminator_terms_by_hand() -> None:
    terms = discriminator_losses(cartoons=logits(2, -1), smoothed=logits(0.5), generated=logits(3))
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {"cartoons": (softplus(-2) + softplus(1)) / 2, "smoothed": softplus(0.5), "generated": softplus(3)}
    )


def test_smoothed_cartoons_count_as_fake() -> None:
    sure = discriminator_losses(cartoons=logits(9), smoothed=logits(-9), generated=logits(-9))
    fooled = discriminator_losses(cartoons=logits(9), smoothed=logits(9), generated=logits(-9))
    assert sure["smoothed"] < 0.001
    assert fooled["smoothed"] == pytest.approx(9, abs=0.001)


def test_generator_wants_its_pictures_taken_for_real() -> None:
    assert adversarial_loss(logits(1.5)).item() == pytest.approx(softplus(-1.5))
    assert adversarial_loss(logits(5)) < adversarial_loss(logits(-5))


def test_losses_hold_where_exponentials_overflow() -> None:
    assert adversarial_loss(logits(-500)).item() == 500


def test_content_is_the_mean_absolute_difference() -> None:
    a, b = torch.tensor([[1.0, -2.0], [0.5, 4.0]]), torch.tensor([[0.0, 1.0], [0.5, 2.0]])
    assert content_loss(a, b).item() == (1 + 3 + 0 + 2) / 4
