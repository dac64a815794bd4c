"""The obvious CartoonGAN step: pictures made twice, nothing frozen, every gradient computed."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from cartoongan.networks import Discriminator, Generator


def obvious_step(
    generator: Generator,
    discriminator: Discriminator,
    vgg: nn.Module,
    *,
    photos: Tensor,
    cartoons: Tensor,
    smoothed: Tensor,
    lr: float,
    omega: float,
) -> tuple[Generator, Discriminator]:
    """New copies of both networks after one step of each. Pictures are (N, 3, P, P) in [-1, 1]."""
    generator, discriminator = copy.deepcopy(generator), copy.deepcopy(discriminator)
    adam_g = torch.optim.Adam(generator.parameters(), lr=lr, betas=(0.5, 0.999))
    adam_d = torch.optim.Adam(discriminator.parameters(), lr=lr, betas=(0.5, 0.999))

    real = -torch.log(torch.sigmoid(discriminator(cartoons))).mean()
    edgeless = -torch.log(1 - torch.sigmoid(discriminator(smoothed))).mean()
    fake = -torch.log(1 - torch.sigmoid(discriminator(generator(photos)))).mean()
    adam_d.zero_grad()
    (real + edgeless + fake).backward()
    adam_d.step()

    made = generator(photos)
    adversarial = -torch.log(torch.sigmoid(discriminator(made))).mean()
    content = (vgg(made) - vgg(photos)).abs().mean()
    adam_g.zero_grad()
    (adversarial + omega * content).backward()
    adam_g.step()
    return generator, discriminator
