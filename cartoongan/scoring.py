"""How far a generator has come, in figures that need nobody to look: by these the best checkpoints are kept.

Both are measured with the features of the content loss, on the same photos and cartoons all through a run:

- style: how far generated pictures are from cartoons, as a whole. d(G(p), c) / d(p, c), where d is the
  Fréchet distance of two sets of features taken as Gaussians without covariances: √(Σ (μ₁-μ₂)² + (σ₁-σ₂)²),
  means and deviations over all places of all pictures (Heusel et al., 2017, with a diagonal; these statistics
  for style: Li et al., Demystifying Neural Style Transfer, 2017, section 4.2). 1: no nearer than the photos.
- content: how far each generated picture is from its photo. |F(G(p)) - F(p)| / |F(p') - F(p)|, means, where
  p' is another photo. 0: the photo itself; 1: as unlike it as any other photo.

A generator that gives photos back has style 1 and content 0; one that always draws the same cartoon has
style 0 and content 1 or so. Both sum up to 1, and less is better than either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cartoongan.networks import to_signed

PICTURES = 32
"""Photos and cartoons that are looked at; fewer where there are not as many."""


@dataclass(frozen=True)
class Score:
    """What a `Judge` found; see above."""

    style: float
    content: float

    @property
    def total(self) -> float:
        """Less is better."""
        return self.style + self.content


class Judge:
    """Scores generators on photos and cartoons that stay the same.

    Args:
        features: Of the content loss.
        photos: (N, 3, P, P) uint8 RGB.
        cartoons: The same of cartoons.
        batch_size: Pictures that are looked at together.
        device: Where `features` are.
        autocast: Gives the context in which features are computed.
    """

    def __init__(
        self,
        features: nn.Module,
        photos: Tensor,
        cartoons: Tensor,
        *,
        batch_size: int,
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._features, self._autocast, self._device = features, autocast, device
        self._photos = photos.split(batch_size)
        self._seen_photos = [self._seen(some) for some in self._photos]
        self._cartoons = _Statistics(map(self._seen, cartoons.split(batch_size)))
        self._photos_distance = _Statistics(self._seen_photos).distance(self._cartoons)
        others = torch.cat(self._seen_photos).roll(1, dims=0).split(batch_size)
        self._others_distance = self._moved(others)

    def score(self, generate: Callable[[Tensor], Tensor]) -> Score:
        """Score what `generate` makes of (n, 3, P, P) uint8 photos: pictures in [-1, 1]."""
        made = [self._look(generate(photos)) for photos in self._photos]
        style = _Statistics(made).distance(self._cartoons)
        return Score(_share(style, self._photos_distance), _share(self._moved(made), self._others_distance))

    def _moved(self, made: Iterable[Tensor]) -> float:
        """Mean |difference| of features to those of the photos."""
        pairs = zip(made, self._seen_photos, strict=True)
        return float(torch.cat([(one - other).abs().mean((1, 2, 3)) for one, other in pairs]).mean())

    def _seen(self, pictures: Tensor) -> Tensor:
        return self._look(to_signed(pictures.to(self._device)))

    def _look(self, pictures: Tensor) -> Tensor:
        with torch.no_grad(), self._autocast():
            return self._features(pictures).float()


class _Statistics:
    """Mean and deviation of each channel, over all places of all of the (n, C, h, w) `features`."""

    def __init__(self, features: Iterable[Tensor]) -> None:
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for some in features:
            some = some.double() if some.device.type != "mps" else some  # noqa: PLW2901
            count += some.numel() // some.shape[1]
            total = total.to(some) + some.sum((0, 2, 3))
            squares = squares.to(some) + some.square().sum((0, 2, 3))
        self.mean = total / count
        self.deviation = (squares / count - self.mean.square()).clamp_min(0).sqrt()

    def distance(self, other: _Statistics) -> float:
        parts = (self.mean - other.mean).square() + (self.deviation - other.deviation).square()
        return float(parts.sum().sqrt())


def _share(distance: float, whole: float) -> float:
    return distance / whole if whole > 0 else 1.0  # nothing can be told from one picture
