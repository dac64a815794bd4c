"""A small network to compare contents by, in VGG19's place."""

from __future__ import annotations

import torch
from torch import nn

PLACE = "tests.cartoongan.small_features:small"
"""For `--features`."""


def small() -> nn.Module:
    """Two convolutions with weights that are always the same: (N, 3, H, W) → (N, 16, H/4, W/4)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        layers = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1)
        return nn.Sequential(*layers)
