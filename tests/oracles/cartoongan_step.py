"""The CartoonGAN step as it is usually written: everything computed, nothing frozen, nothing cut off.

Pictures are made twice, once for the discriminator, whose backward pass runs on through the generator, and
once for the generator, whose backward pass leaves gradients in the discriminator and in VGG too. VGG runs to
its end. All in PyTorch's default precision.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cartoongan.networks import Discriminator, Generator


class ReferenceStep:
    """Copies of both networks, and the steps that move them.

    Args:
        generator: Copied.
        discriminator: Copied.
        features: Copied; what the content loss compares, as `VGG19` below.
        lr: Of both Adams.
        omega: Weight of the content loss.
        criterion: (logits, ones or zeros) → loss.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        features: nn.Module,
        *,
        lr: float,
        omega: float,
        criterion: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        self.generator, self.discriminator = copy.deepcopy(generator), copy.deepcopy(discriminator)
        self.features = copy.deepcopy(features).requires_grad_(True)
        self.adam_g = torch.optim.Adam(self.generator.parameters(), lr=lr, betas=(0.5, 0.999))
        self.adam_d = torch.optim.Adam(self.discriminator.parameters(), lr=lr, betas=(0.5, 0.999))
        self.omega, self.criterion = omega, criterion

    def __call__(self, photos: Tensor, cartoons: Tensor, smoothed: Tensor) -> dict[str, float]:
        """One step of the main phase on (N, 3, P, P) pictures in [-1, 1]; its losses by name."""
        losses = self.discriminator_turn(photos, cartoons, smoothed) | self.generator_turn(photos)
        return {name: loss.item() for name, loss in losses.items()}

    def discriminator_turn(self, photos: Tensor, cartoons: Tensor, smoothed: Tensor) -> dict[str, Tensor]:
        losses = {
            "cartoons": self.judged(cartoons, real=True),
            "smoothed": self.judged(smoothed, real=False),
            "generated": self.judged(self.generator(photos), real=False),
        }
        self.adam_d.zero_grad()
        sum(losses.values()).backward()
        self.adam_d.step()
        return losses

    def generator_turn(self, photos: Tensor) -> dict[str, Tensor]:
        generated = self.generator(photos)
        adversarial = self.judged(generated, real=True)
        content = F.l1_loss(self.features(generated), self.features(photos))
        self.adam_g.zero_grad()
        (adversarial + self.omega * content).backward()
        self.adam_g.step()
        return {"adversarial": adversarial, "content": content}

    def judged(self, pictures: Tensor, *, real: bool) -> Tensor:
        logits = self.discriminator(pictures)
        return self.criterion(logits, torch.full_like(logits, float(real)))


def criterion_of(adversarial: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The criterion that has this name in `TrainOptions.adversarial`."""
    return {"bce": F.binary_cross_entropy_with_logits, "lsgan": F.mse_loss}[adversarial]


class VGG19(nn.Module):
    """All 16 convolutions; gives what conv4_4 gives, before its ReLU.

    Args:
        weights: torchvision's keys up to conv4_4 at least; what comes later is random, as nobody looks at it.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for outputs, count in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
            for _ in range(count):
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.load_state_dict(dict(weights), strict=False)

    def forward(self, pictures: Tensor) -> Tensor:
        mean = pictures.new_tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
        deviation = pictures.new_tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
        x, found = ((pictures + 1) / 2 - mean) / deviation, pictures
        for number, layer in enumerate(self.features):
            x = layer(x)
            found = x if number == 25 else found
        return found
