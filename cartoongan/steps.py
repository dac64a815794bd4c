"""One training step: the discriminator's turn, then the generator's, on pictures made once."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cartoongan.features import VGGFeatures
from cartoongan.losses import adversarial_loss, content_loss, discriminator_losses
from cartoongan.networks import Discriminator, Generator, to_signed
from cartoongan.options import TrainOptions
from framekit.errors import FramekitError

BETAS = (0.5, 0.999)
"""Of both Adams, as in the authors' code."""


@dataclass(frozen=True)
class Losses:
    """What a step found, as plain numbers.

    Attributes:
        raw: Every term by name.
        weighted: The same, as they enter the totals.
        totals: `generator`, and in the main phase `discriminator`: sums of weighted terms.
    """

    raw: dict[str, float]
    weighted: dict[str, float]
    totals: dict[str, float]

    def not_finite(self) -> list[str]:
        """Names of terms that are infinite or no number, raw or weighted."""
        return [name for name, value in self.weighted.items() if not math.isfinite(value)]


class Training:
    """Both networks, their optimizers and the steps that move them.

    A step draws no random numbers. The first weights come from `options.seed`; the global random state stays
    as it was.

    Args:
        options: Architecture, learning rate, ω, seed.
        features: What the content loss compares.
        device: Where all of it lives.
    """

    def __init__(self, options: TrainOptions, features: VGGFeatures, device: torch.device) -> None:
        self.device = device
        self._features = features.to(device)
        self._weights = {"content": options.omega}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.generator = Generator(options).to(device)
            self.discriminator = Discriminator(options).to(device)
        self._optimizers = {
            "generator": torch.optim.Adam(self.generator.parameters(), lr=options.lr, betas=BETAS),
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), lr=options.lr, betas=BETAS),
        }

    def step(self, batch: Mapping[str, Tensor]) -> Losses:
        """Learn from one batch of `data.Batches`: an init step where it holds photos only."""
        pictures = {name: to_signed(part.to(self.device)) for name, part in batch.items()}
        photos = pictures["photos"]
        if "cartoons" not in pictures:
            return self._init_step(photos)
        return self._main_step(photos, pictures["cartoons"], pictures["smoothed"])

    def statistics(self, batches: Iterable[Tensor]) -> dict[str, Tensor]:
        """The generator's batch-norm means and variances over `batches` of photos (uint8), by name.

        For use in the place of its running ones: these follow weights that moved on, and with an average over
        some ten batches they are noisy. Nothing is learned or counted.
        """
        generator = copy.deepcopy(self.generator)
        for module in generator.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # averages over all batches alike
        with torch.no_grad():
            for photos in batches:
                generator(to_signed(photos.to(self.device)))
        kinds = ("running_mean", "running_var")
        return {name: value for name, value in generator.state_dict().items() if name.endswith(kinds)}

    def generate(self, photos: Tensor, statistics: dict[str, Tensor]) -> Tensor:
        """Cartoons of `photos` (uint8) in [-1, 1], as after training: nothing is learned or counted."""
        self.generator.eval()
        with torch.inference_mode():
            signed = to_signed(photos.to(self.device))
            generated = torch.func.functional_call(self.generator, statistics, (signed,))
        self.generator.train()
        return generated

    def states(self) -> dict[str, Any]:
        """All that learning changed: networks with their running means, and optimizers."""
        states: dict[str, Any] = {name: network.state_dict() for name, network in self._networks.items()}
        return states | {f"{name}_optimizer": part.state_dict() for name, part in self._optimizers.items()}

    def restore(self, states: Mapping[str, Any]) -> None:
        """Go back to `states`.

        Raises:
            FramekitError: They belong to other networks.
        """
        try:
            for name, network in self._networks.items():
                network.load_state_dict(states[name])
            for name, optimizer in self._optimizers.items():
                optimizer.load_state_dict(states[f"{name}_optimizer"])
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise FramekitError("the checkpoint belongs to other networks") from error

    @property
    def _networks(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def _init_step(self, photos: Tensor) -> Losses:
        """Teach the generator to keep contents before it has to please anyone (section 3.3 of the paper).

        ω applies here too: gradients, and with them Adam's moments, keep their scale into the main phase.
        """
        content = self._content(self.generator(photos), photos)
        return _losses(self._weights, generator=self._learn("generator", {"content": content}))

    def _main_step(self, photos: Tensor, cartoons: Tensor, smoothed: Tensor) -> Losses:
        generated = self.generator(photos)
        judged = self._discriminator_turn(cartoons, smoothed, generated.detach())
        made = self._generator_turn(photos, generated)
        return _losses(self._weights, discriminator=judged, generator=made)

    def _discriminator_turn(self, cartoons: Tensor, smoothed: Tensor, generated: Tensor) -> dict[str, Tensor]:
        # Three passes, not one: each kind of picture is normalised by its own batch statistics.
        terms = discriminator_losses(
            cartoons=self.discriminator(cartoons),
            smoothed=self.discriminator(smoothed),
            generated=self.discriminator(generated),
        )
        return self._learn("discriminator", terms)

    def _generator_turn(self, photos: Tensor, generated: Tensor) -> dict[str, Tensor]:
        self.discriminator.requires_grad_(False)
        try:
            terms = {
                "adversarial": adversarial_loss(self.discriminator(generated)),
                "content": self._content(generated, photos),
            }
            return self._learn("generator", terms)
        finally:
            self.discriminator.requires_grad_(True)

    def _content(self, generated: Tensor, photos: Tensor) -> Tensor:
        # Photos and VGG ask for no gradient, so the second pass keeps no graph.
        return content_loss(self._features(generated), self._features(photos))

    def _learn(self, name: str, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        optimizer = self._optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        total = sum(
            (self._weights.get(term, 1.0) * value for term, value in terms.items()), torch.tensor(0.0)
        )
        total.backward()
        optimizer.step()
        return {term: value.detach() for term, value in terms.items()}


def _losses(weights: Mapping[str, float], **networks: dict[str, Tensor]) -> Losses:
    raw = {term: float(value) for terms in networks.values() for term, value in terms.items()}
    weighted = {term: weights.get(term, 1.0) * value for term, value in raw.items()}
    totals = {network: sum(weighted[term] for term in terms) for network, terms in networks.items()}
    return Losses(raw, weighted, totals)
