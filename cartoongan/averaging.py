"""A moving average of a network's weights, which swings less than the network itself."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """The exponential moving average of `network`'s weights: a ← d·a + (1 - d)·w after each step.

    In step t, counted from 0, d is min(decay, (1 + t) / (10 + t)), as in TensorFlow's: so that first weights
    are soon forgotten. What is no weight (running statistics) is copied.

    Args:
        network: Its weights as they are now begin the average.
        decay: In [0, 1).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights that `network` has after step number `step`, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), 1 - decay)
        for ours, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            ours.copy_(theirs)
