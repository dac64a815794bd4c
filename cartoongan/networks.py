"""The two networks of CartoonGAN, layer by layer as in figure 2 of Chen et al., CVPR 2018.

In the comments k is the kernel's side, n the feature maps at 64 base channels, s the stride. Pictures are
(N, 3, H, W) float RGB in [-1, 1] on both sides. A convolution has a bias only where no norm follows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.amp import is_autocast_available
from torch.utils.checkpoint import checkpoint

from cartoongan.options import GeneratorOptions, TrainOptions

SIZE_MULTIPLE = 4
"""Both networks halve pictures twice: heights and widths must be multiples of this."""
WEIGHT_DEVIATION = 0.02
LEAK = 0.2


class Generator(nn.Module):
    """Photo to cartoon; any height and width that are multiples of 4. 11.1 M parameters, 1.3 M when light.

    Args:
        options: Width, depth and kinds of its layers; the paper's when None.

    Attributes:
        options: As given.
        recompute: Remember only what passes between its stages, and compute the rest again for gradients.
    """

    def __init__(self, options: GeneratorOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or GeneratorOptions()
        make, padding, n = _Layers(options), options.padding, options.base_channels
        n2, n4 = 2 * n, 4 * n
        self.recompute = False
        flat = make.conv_norm(3, n, kernel=7, padding=padding)  # k7 n64 s1
        self.flat = nn.Sequential(*flat, nn.ReLU(inplace=True))
        self.down = nn.Sequential(
            make.conv(n, n2, stride=2),  # k3 n128 s2
            *make.conv_norm(n2, n2),  # k3 n128 s1
            nn.ReLU(inplace=True),
            make.conv(n2, n4, stride=2),  # k3 n256 s2
            *make.conv_norm(n4, n4),  # k3 n256 s1
            nn.ReLU(inplace=True),
        )
        blocks = (ResidualBlock(n4, options) for _ in range(options.residual_blocks))
        self.residual = nn.Sequential(*blocks)  # k3 n256 s1, twice
        self.up = nn.Sequential(
            make.up(n4, n2),  # k3 n128 s1/2
            *make.conv_norm(n2, n2),  # k3 n128 s1
            nn.ReLU(inplace=True),
            make.up(n2, n),  # k3 n64 s1/2
            *make.conv_norm(n, n),  # k3 n64 s1
            nn.ReLU(inplace=True),
        )
        self.out = nn.Sequential(make.conv(n, 3, kernel=7, padding=padding), nn.Tanh())  # k7 n3 s1
        self.apply(_first_weights)

    def forward(self, photos: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → the same shape and range."""
        x = photos
        for stage in (self.flat, self.down, *self.residual, self.up, self.out):
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(stage, x, use_reentrant=False, preserve_rng_state=False)
            else:
                x = stage(x)
        return x


class ResidualBlock(nn.Module):
    """k3 n256 s1, k3 n256 s1, and the input added."""

    def __init__(self, channels: int, options: GeneratorOptions) -> None:
        super().__init__()
        make = _Layers(options)
        self.body = nn.Sequential(
            *make.conv_norm(channels, channels, padding=options.padding),
            nn.ReLU(inplace=True),
            *make.conv_norm(channels, channels, padding=options.padding),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same shape."""
        return x + self.body(x)


class Discriminator(nn.Module):
    """Picture to a map of logits, each about one patch: above 0 is a real cartoon. 1.13 M parameters.

    It is never used outside training, so its norms keep no running statistics.

    Args:
        options: Width, norm, spectral norm; the paper's when None.
    """

    def __init__(self, options: TrainOptions | None = None) -> None:
        super().__init__()
        options = options or TrainOptions()
        # Always dense: a light one could not keep a generator honest.
        make = _Layers(options.model_copy(update={"generator": "normal"}), running=False)
        n = options.base_channels // 2
        n2, n4, n8 = 2 * n, 4 * n, 8 * n
        self.layers = nn.Sequential(
            *(make.conv(3, n), _leaky()),  # k3 n32 s1
            *(make.conv(n, n2, stride=2), _leaky()),  # k3 n64 s2
            *(*make.conv_norm(n2, n4), _leaky()),  # k3 n128 s1
            *(make.conv(n4, n4, stride=2), _leaky()),  # k3 n128 s2
            *(*make.conv_norm(n4, n8), _leaky()),  # k3 n256 s1
            *(*make.conv_norm(n8, n8), _leaky()),  # k3 n256 s1
            make.conv(n8, 1),  # k3 n1 s1
        )
        self.apply(_first_weights)
        if options.spectral_norm:  # Miyato et al., ICLR 2018
            for layer in self.layers:
                if isinstance(layer, nn.Conv2d):
                    nn.utils.parametrizations.spectral_norm(layer)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, 1, H/4, W/4) logits."""
        return self.layers(pictures)


class BatchNorm(nn.BatchNorm2d):
    """Norm over a batch, where `shared` that of all processes together. torch's own does so on GPUs only.

    Attributes:
        shared: In training, take means and variances over all processes, which must call it alike, with
            batches of one size.
    """

    shared = False

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same shape and dtype."""
        if not (self.shared and self.training):
            return super().forward(x)
        values = x.float()
        mean = _over_processes(values.mean((0, 2, 3)))
        variance = _over_processes((values - mean[:, None, None]).square().mean((0, 2, 3)))
        if self.running_mean is not None and self.running_var is not None and self.momentum is not None:
            count = x.numel() // x.shape[1] * torch.distributed.get_world_size()
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return (values * scale[:, None, None] + shift[:, None, None]).to(x.dtype)


class GroupNorm(nn.GroupNorm):
    """Norm over each picture's groups of feature maps: as many as maps is instance norm, one is layer norm.

    torch's own would bring 16-bit pictures to float32 under autocast, and refuses maps of one pixel, which
    photos of 4×4 come to. Means and variances are float32 inside in any case.

    Attributes:
        fixed: Mean and variance, (N, groups), to be used in place of the picture's own; see `statistics_of`.
        measuring: Whether a picture's own become the fixed ones.
    """

    fixed: tuple[Tensor, Tensor] | None = None
    measuring = False

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same shape and dtype."""
        if self.measuring:
            values = x.float().reshape(len(x), self.num_groups, -1)
            self.fixed = values.mean(2), values.var(2, correction=0)
        if self.fixed is not None:
            return self._by_fixed(x, *self.fixed)
        weight, bias = (None if value is None else value.to(x.dtype) for value in (self.weight, self.bias))
        kind = x.device.type
        without = torch.autocast(kind, enabled=False) if is_autocast_available(kind) else nullcontext()
        with without:
            return torch.group_norm(x, self.num_groups, weight, bias, self.eps)

    def _by_fixed(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        values = x.float().reshape(len(x), self.num_groups, -1)
        normal = ((values - mean[..., None]) * (variance[..., None] + self.eps).rsqrt()).reshape(x.shape)
        if self.weight is not None:
            normal = normal * self.weight[:, None, None] + self.bias[:, None, None]
        return normal.to(x.dtype)


class ReflectingConv(nn.Conv2d):
    """A convolution whose input is mirrored at its borders; repeated, where it is too small for that."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, outputs, H, W)."""
        side = self.kernel_size[0] // 2
        mode = "reflect" if min(x.shape[-2:]) > side else "replicate"
        padded = F.pad(x, (side,) * 4, mode=mode)
        return F.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)


@contextmanager
def statistics_of(network: nn.Module, photos: Tensor) -> Iterator[None]:
    """Norms of `network` that measure each picture use what they measure on `photos` while this lasts.

    Args:
        network: A generator.
        photos: (N, 3, H, W) in [-1, 1]; what the network is then given must be N parts of these.
    """
    norms = [module for module in network.modules() if isinstance(module, GroupNorm)]
    try:
        for norm in norms:
            norm.measuring = True
        if norms:
            network(photos)
        for norm in norms:
            norm.measuring = False
        yield
    finally:
        for norm in norms:
            norm.measuring, norm.fixed = False, None


def parameter_count(network: nn.Module) -> int:
    """Number of learned values in `network`."""
    return sum(parameter.numel() for parameter in network.parameters())


def to_signed(pictures: Tensor) -> Tensor:
    """uint8 in [0, 255] → float32 in [-1, 1], the range of both networks."""
    return pictures.float().div_(127.5).sub_(1.0)


def to_bytes(pictures: Tensor) -> Tensor:
    """Float in [-1, 1] → uint8 in [0, 255], rounded; undoes `to_signed` exactly."""
    return pictures.add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


class _Layers:
    """Makes layers of the kinds that `options` ask for.

    Args:
        options: Norm, upsampling, and whether 3×3 convolutions are depthwise separable.
        running: Whether batch norms keep running statistics.
    """

    def __init__(self, options: GeneratorOptions, *, running: bool = True) -> None:
        self._options, self._running = options, running

    def conv(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        bias: bool = True,
        padding: str = "zero",
    ) -> nn.Module:
        kind = ReflectingConv if padding == "reflect" else nn.Conv2d
        if self._options.generator == "light" and kernel == 3:
            depthwise = kind(inputs, inputs, kernel, stride, kernel // 2, groups=inputs, bias=False)
            return nn.Sequential(depthwise, nn.Conv2d(inputs, outputs, 1, bias=bias))
        return kind(inputs, outputs, kernel, stride, kernel // 2, bias=bias)

    def conv_norm(
        self, inputs: int, outputs: int, *, kernel: int = 3, padding: str = "zero"
    ) -> tuple[nn.Module, nn.Module]:
        conv = self.conv(inputs, outputs, kernel=kernel, bias=False, padding=padding)
        return conv, self._norm(outputs)

    def up(self, inputs: int, outputs: int) -> nn.Module:
        if self._options.upsampling == "resize":  # Odena et al., Distill 2016
            return nn.Sequential(nn.Upsample(scale_factor=2), self.conv(inputs, outputs))
        if self._options.generator == "light":
            depthwise = nn.ConvTranspose2d(inputs, inputs, 3, 2, 1, 1, groups=inputs, bias=False)
            return nn.Sequential(depthwise, nn.Conv2d(inputs, outputs, 1))
        return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)

    def _norm(self, channels: int) -> nn.Module:
        match self._options.norm:
            case "batch":
                return BatchNorm(channels, track_running_stats=self._running)
            case "layer":
                return GroupNorm(1, channels)
            case norm:
                return GroupNorm(channels, channels, affine=norm == "instance-affine")


def _over_processes(values: Tensor) -> Tensor:
    """Their mean over all processes; gradients find their way back through all of them."""
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(values) / torch.distributed.get_world_size()


def _leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(LEAK, inplace=True)


def _first_weights(module: nn.Module) -> None:
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        return
    separable = module.groups > 1 or module.kernel_size == (1, 1)
    # The paper gives none; these are the usual ones since DCGAN. Separable pairs need larger ones: they sum
    # over few values, and what goes into a norm would be smaller than its epsilon.
    deviation = module.weight[0].numel() ** -0.5 if separable else WEIGHT_DEVIATION
    nn.init.normal_(module.weight, 0.0, deviation)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
