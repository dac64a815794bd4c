"""Generated pictures of earlier steps, so that the discriminator does not forget them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framekit.errors import FramekitError


class FakePool:
    """Up to `size` generated pictures (Shrivastava et al., CVPR 2017, as in CycleGAN's code).

    The first ones fill it and are given back as they are. From then on each new picture is given back itself,
    or changes places with one of the pool, at even odds. What happens in a step follows from seed and step.

    Args:
        size: Pictures to keep; 0 keeps none, and gives everything back.
        seed: Of the draws.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed = size, seed
        self._pictures: list[Tensor] = []

    def exchange(self, pictures: Tensor, step: int) -> Tensor:
        """(N, 3, P, P) new pictures, without a graph → as many, some from the pool.

        Args:
            pictures: What step number `step` made, that of all devices together.
            step: Counted from 0.
        """
        if not self._size:
            return pictures
        draws = np.random.default_rng([self._seed, step])
        given = [self._exchange(picture, draws) for picture in pictures]
        return torch.stack(given)

    def _exchange(self, picture: Tensor, draws: np.random.Generator) -> Tensor:
        if len(self._pictures) < self._size:
            self._pictures.append(picture.clone())
            return picture
        place, stays = draws.integers(self._size), draws.random() < 0.5  # both are drawn in any case
        if stays:
            return picture
        given, self._pictures[place] = self._pictures[place], picture.clone()
        return given

    def states(self) -> dict[str, Any]:
        """What is in it, for `restore`."""
        return {"pictures": torch.stack(self._pictures)} if self._pictures else {}

    def restore(self, states: Mapping[str, Any], device: torch.device) -> None:
        """Hold what `states` held.

        Raises:
            FramekitError: It is no pool of this size.
        """
        pictures = states.get("pictures", ())
        sound = isinstance(pictures, Tensor) and pictures.ndim == 4 and pictures.is_floating_point()
        if (not sound and len(pictures)) or len(pictures) > self._size:
            raise FramekitError("the checkpoint's pool of pictures is damaged, or another one")
        self._pictures = list(pictures.to(device)) if isinstance(pictures, Tensor) else []
