"""The moving average, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cartoongan.averaging import Average


def test_it_follows_the_formula() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    average = Average(network, decay=0.25)
    expected, seen = 1.0, []
    for step, weight in enumerate((3.0, -2.0, 5.0, 7.0, 1.0)):
        nn.init.constant_(network.weight, weight)
        average.update(network, step)
        decay = min(0.25, (1 + step) / (10 + step))  # 0.1, 0.1818, 0.25, 0.25, 0.25
        expected = decay * expected + (1 - decay) * weight
        seen.append(average.network.weight.item())
        assert seen[-1] == pytest.approx(expected, rel=1e-6)
    assert seen[0] == pytest.approx(0.1 * 1 + 0.9 * 3)


def test_it_takes_no_gradient_and_copies_what_is_no_weight() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    average = Average(network, decay=0.9)
    network(torch.rand(4, 1, 3, 3) + 5)
    average.update(network, 0)
    assert torch.equal(average.network[1].running_mean, network[1].running_mean)
    assert not any(value.requires_grad for value in average.network.parameters())
    assert all(value.requires_grad for value in network.parameters())
    assert not average.network.training
