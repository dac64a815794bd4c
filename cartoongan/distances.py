"""How far two sets of pictures are apart, in features: FID and KID, through torchmetrics.

Both take one vector a picture. Published figures are on Inception's 2,048; on other features they are other
numbers, so whoever states them states the features. Vectors come from `pooled`, metrics see nothing else.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

KID_SUBSETS = 50
KID_SUBSET_SIZE = 100
"""Pictures of each side that one estimate of KID is made from, at most."""


@dataclass(frozen=True)
class Distance:
    """From made pictures to cartoons.

    Attributes:
        fid: Fréchet distance (Heusel et al., 2017); lower with more pictures, so compare equal numbers only.
        kid: Squared MMD with the kernel (x·y / d + 1)³ (Bińkowski et al., 2018), the mean over subsets: not
            biased by how many pictures there are, and may be a little below 0.
        kid_deviation: Over subsets; None where the subset is all that there is.
    """

    fid: float
    kid: float
    kid_deviation: float | None


def pooled(features: Tensor) -> Tensor:
    """(N, C, h, w) → (N, C): means over all places."""
    return features.float().mean((2, 3))


def distance(made: Tensor, cartoons: Tensor, *, seed: int) -> Distance | None:
    """Distance between two sets of vectors; None where one has fewer than two.

    Args:
        made: (N, C) float, of made pictures.
        cartoons: (M, C), of cartoons.
        seed: Of KID's subsets; torch's global random state stays as it is.
    """
    size = min(len(made), len(cartoons), KID_SUBSET_SIZE)
    if size < 2:
        return None
    # Else a distance of 1e-8 between numbers in single precision would be noise.
    made, cartoons = made.cpu().double(), cartoons.cpu().double()
    whole = len(made) == len(cartoons) == size  # of which each subset would be the same
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # that KID keeps its vectors: these few are welcome
        from torchmetrics.image.fid import FrechetInceptionDistance
        from torchmetrics.image.kid import KernelInceptionDistance

        torch.manual_seed(seed)
        passes_on = _Vectors(made.shape[1])
        fid = FrechetInceptionDistance(feature=passes_on)
        kid = KernelInceptionDistance(
            feature=passes_on, subsets=1 if whole else KID_SUBSETS, subset_size=size
        )
        for metric in (fid, kid):
            metric.update(cartoons, real=True)
            metric.update(made, real=False)
        mean, deviation = kid.compute()
        return Distance(float(fid.compute()), float(mean), None if whole else float(deviation))


class _Vectors(nn.Module):
    """Stands where torchmetrics has a network: what comes in are features already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, vectors: Tensor) -> Tensor:
        return vectors
