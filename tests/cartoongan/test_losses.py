"""Every term against numbers worked out by hand, and against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cartoongan.losses import (
    accuracies,
    adversarial_loss,
    colour_loss,
    content_loss,
    discriminator_losses,
    gradient_penalty,
    gram_loss,
    grey,
    total_variation_loss,
)

KINDS = ["bce", "lsgan", "hinge"]


def softplus(x: float) -> float:
    """-log(sigmoid(-x))."""
    return math.log(1 + math.exp(x))


def logits(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, -1)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32))


BY_HAND = {
    "bce": {
        "cartoons": (softplus(-2) + softplus(1)) / 2,
        "smoothed": softplus(0.5),
        "generated": softplus(3),
    },
    # (2 - 1)² and (-1 - 1)²; 0.5²; 3²
    "lsgan": {"cartoons": (1 + 4) / 2, "smoothed": 0.25, "generated": 9},
    # 1 - 2 is below 0, 1 + 1; 1 + 0.5; 1 + 3
    "hinge": {"cartoons": (0 + 2) / 2, "smoothed": 1.5, "generated": 4},
}


@pytest.mark.parametrize("kind", KINDS)
def test_discriminator_terms_by_hand(kind: str) -> None:
    terms = discriminator_losses(kind, cartoons=logits(2, -1), smoothed=logits(0.5), generated=logits(3))
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(BY_HAND[kind])


@pytest.mark.parametrize(("kind", "by_hand"), [("bce", softplus(-1.5)), ("lsgan", 0.25), ("hinge", -1.5)])
def test_generator_wants_its_pictures_taken_for_real(kind: str, by_hand: float) -> None:
    assert adversarial_loss(kind, logits(1.5)).item() == pytest.approx(by_hand)
    assert adversarial_loss(kind, logits(1)) < adversarial_loss(kind, logits(-5))


@pytest.mark.parametrize("kind", KINDS)
def test_smoothed_cartoons_count_as_fake(kind: str) -> None:
    """What lowers the loss: higher logits of cartoons, lower ones of both others."""
    wish = {name: torch.full((1, 1, 2, 2), 0.3, requires_grad=True) for name in BY_HAND[kind]}
    sum(discriminator_losses(kind, **wish).values()).backward()
    signs = {name: float(value.grad.sign().mean()) for name, value in wish.items()}
    assert signs == {"cartoons": -1, "smoothed": 1, "generated": 1}


def test_losses_hold_where_exponentials_overflow() -> None:
    assert adversarial_loss("bce", logits(-500)).item() == 500
    assert adversarial_loss("bce", logits(-500).half()).dtype == torch.float32


@pytest.mark.parametrize(("kind", "middle"), [("bce", 0.0), ("hinge", 0.0), ("lsgan", 0.5)])
def test_accuracies_are_shares_of_patches(kind: str, middle: float) -> None:
    given = {
        "cartoons": logits(middle + 1, middle + 0.1, middle - 0.1, middle - 1),
        "smoothed": logits(middle - 1, middle - 0.1, middle - 0.2, middle + 1),
        "generated": logits(middle + 1, middle + 2),
    }
    found = {name: value.item() for name, value in accuracies(kind, **given).items()}
    assert found == {"cartoons": 0.5, "smoothed": 0.75, "generated": 0}


def test_content_is_the_mean_absolute_difference() -> None:
    a, b = torch.tensor([[1.0, -2.0], [0.5, 4.0]]), torch.tensor([[0.0, 1.0], [0.5, 2.0]])
    assert content_loss(a, b).item() == (1 + 3 + 0 + 2) / 4


def test_style_is_the_difference_of_gram_matrices() -> None:
    a, b = noise(2, 3, 4, 5), noise(2, 3, 4, 5, seed=1)

    def gram(features: Tensor) -> np.ndarray:
        values = features.numpy()
        found = np.zeros((2, 3, 3))
        for n in range(2):
            for i in range(3):
                for j in range(3):
                    found[n, i, j] = (values[n, i] * values[n, j]).sum() / (3 * 4 * 5)
        return found

    assert gram_loss(a, b).item() == pytest.approx(np.abs(gram(a) - gram(b)).mean(), rel=1e-5)
    assert gram_loss(a, a.flip(3)).item() == pytest.approx(0, abs=1e-6), "where features are does not count"


def test_grey_pictures_are_luma_in_three_channels() -> None:
    picture = noise(2, 3, 4, 5)
    luma = 0.299 * picture[:, 0] + 0.587 * picture[:, 1] + 0.114 * picture[:, 2]
    assert torch.allclose(grey(picture), torch.stack([luma] * 3, 1), atol=1e-6)
    assert torch.allclose(grey(torch.ones(1, 3, 1, 1)), torch.ones(1, 3, 1, 1))


def test_colours_are_compared_in_yuv() -> None:
    a, b = noise(2, 3, 4, 5), noise(2, 3, 4, 5, seed=1)

    def yuv(picture: Tensor) -> np.ndarray:
        red, green, blue = (picture.double().numpy().transpose(1, 0, 2, 3) + 1) / 2
        y = 0.299 * red + 0.587 * green + 0.114 * blue
        return np.stack([y, 0.492111 * (blue - y), 0.877283 * (red - y)])  # the definition of U and V

    def huber(x: np.ndarray) -> float:
        return np.where(np.abs(x) <= 1, x**2 / 2, np.abs(x) - 0.5).mean()

    y, u, v = yuv(a) - yuv(b)
    assert colour_loss(a, b).item() == pytest.approx(np.abs(y).mean() + huber(u) + huber(v), rel=1e-4)
    assert colour_loss(a, a).item() == 0


def test_total_variation_by_hand() -> None:
    picture = torch.tensor([[0.0, 1.0], [0.5, -0.5]]).expand(1, 3, 2, 2)
    down, right = (0.5**2 + 1.5**2) / 2, (1 + 1) / 2
    assert total_variation_loss(picture).item() == pytest.approx((down + right) / 2)
    assert total_variation_loss(torch.ones(1, 3, 4, 4)).item() == 0


def test_gradient_penalty_by_hand() -> None:
    """D(x) = Σ w·x²: its gradient is 2·w·x, and the penalty's own gradient by w is 4·w·x² summed."""
    cartoons, weight = noise(2, 3, 4, 5).requires_grad_(), torch.tensor(0.7, requires_grad=True)
    answers = weight * cartoons.square().sum(1, keepdim=True)
    penalty = gradient_penalty(answers, cartoons)
    squares = cartoons.detach().square().sum((1, 2, 3))
    assert penalty.item() == pytest.approx(float((4 * 0.7**2 * squares).mean()) / 2)
    (slope,) = torch.autograd.grad(penalty, weight)
    assert slope.item() == pytest.approx(float((4 * 0.7 * squares).mean()), rel=1e-5)


def test_gradient_penalty_is_the_slope_that_one_measures() -> None:
    """Against finite differences through a small network."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.LeakyReLU(0.2), nn.Conv2d(2, 1, 3)).double()
    picture = noise(1, 3, 6, 6).double()
    slopes = []
    for place in range(picture.numel()):
        moved = picture.flatten().repeat(2, 1)
        moved[0, place] += 1e-6
        moved[1, place] -= 1e-6
        with torch.no_grad():
            up, down = network(moved.view(2, 3, 6, 6)).sum((1, 2, 3))
        slopes.append(float(up - down) / 2e-6)
    asking = picture.clone().requires_grad_()
    found = gradient_penalty(network(asking).double(), asking).item()
    assert found == pytest.approx(np.square(slopes).sum() / 2, rel=1e-4)
