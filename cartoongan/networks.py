"""The two networks of CartoonGAN, layer by layer as in figure 2 of Chen et al., CVPR 2018.

In the comments k is the kernel's side, n the feature maps at 64 base channels, s the stride. Pictures are
(N, 3, H, W) float RGB in [-1, 1] on both sides. A convolution has a bias only where no norm follows it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIZE_MULTIPLE = 4
"""Both networks halve pictures twice: heights and widths must be multiples of this."""
WEIGHT_DEVIATION = 0.02
LEAK = 0.2


class Generator(nn.Module):
    """Photo to cartoon; any height and width that are multiples of 4. 11.1 M parameters.

    Args:
        channels: Feature maps of the first layer.
        residual_blocks: Blocks between the down and the up half.
    """

    def __init__(self, channels: int = 64, residual_blocks: int = 8) -> None:
        super().__init__()
        n, n2, n4 = channels, 2 * channels, 4 * channels
        self.flat = nn.Sequential(*_conv_norm(3, n, kernel=7), nn.ReLU(inplace=True))  # k7 n64 s1
        self.down = nn.Sequential(
            _conv(n, n2, stride=2),  # k3 n128 s2
            *_conv_norm(n2, n2),  # k3 n128 s1
            nn.ReLU(inplace=True),
            _conv(n2, n4, stride=2),  # k3 n256 s2
            *_conv_norm(n4, n4),  # k3 n256 s1
            nn.ReLU(inplace=True),
        )
        self.residual = nn.Sequential(
            *(ResidualBlock(n4) for _ in range(residual_blocks))
        )  # k3 n256 s1, twice
        self.up = nn.Sequential(
            _up(n4, n2),  # k3 n128 s1/2
            *_conv_norm(n2, n2),  # k3 n128 s1
            nn.ReLU(inplace=True),
            _up(n2, n),  # k3 n64 s1/2
            *_conv_norm(n, n),  # k3 n64 s1
            nn.ReLU(inplace=True),
        )
        self.out = nn.Sequential(_conv(n, 3, kernel=7), nn.Tanh())  # k7 n3 s1
        self.apply(_first_weights)

    def forward(self, photos: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → the same shape and range."""
        return self.out(self.up(self.residual(self.down(self.flat(photos)))))


class ResidualBlock(nn.Module):
    """k3 n256 s1, k3 n256 s1, and the input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_norm(channels, channels), nn.ReLU(inplace=True), *_conv_norm(channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same shape."""
        return x + self.body(x)


class Discriminator(nn.Module):
    """Picture to a map of logits, each about one patch: above 0 is a real cartoon. 1.13 M parameters.

    It is never used outside training, so its norms keep no running statistics.

    Args:
        channels: Feature maps of the first layer.
    """

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        n, n2, n4, n8 = channels, 2 * channels, 4 * channels, 8 * channels
        self.layers = nn.Sequential(
            *(_conv(3, n), _leaky()),  # k3 n32 s1
            *(_conv(n, n2, stride=2), _leaky()),  # k3 n64 s2
            *(*_conv_norm(n2, n4, running=False), _leaky()),  # k3 n128 s1
            *(_conv(n4, n4, stride=2), _leaky()),  # k3 n128 s2
            *(*_conv_norm(n4, n8, running=False), _leaky()),  # k3 n256 s1
            *(*_conv_norm(n8, n8, running=False), _leaky()),  # k3 n256 s1
            _conv(n8, 1),  # k3 n1 s1
        )
        self.apply(_first_weights)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, 1, H/4, W/4) logits."""
        return self.layers(pictures)


def parameter_count(network: nn.Module) -> int:
    """Number of learned values in `network`."""
    return sum(parameter.numel() for parameter in network.parameters())


def to_signed(pictures: Tensor) -> Tensor:
    """uint8 in [0, 255] → float32 in [-1, 1], the range of both networks."""
    return pictures.float().div_(127.5).sub_(1.0)


def to_bytes(pictures: Tensor) -> Tensor:
    """Float in [-1, 1] → uint8 in [0, 255], rounded; undoes `to_signed` exactly."""
    return pictures.add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def _conv(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=bias)


def _conv_norm(
    inputs: int, outputs: int, *, kernel: int = 3, running: bool = True
) -> tuple[nn.Module, nn.Module]:
    norm = nn.BatchNorm2d(outputs, track_running_stats=running)
    return _conv(inputs, outputs, kernel=kernel, bias=False), norm


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)


def _leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(LEAK, inplace=True)


def _first_weights(module: nn.Module) -> None:
    # The paper gives none; these are the usual ones since DCGAN.
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, WEIGHT_DEVIATION)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
