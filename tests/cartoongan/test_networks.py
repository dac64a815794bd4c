"""The networks are the paper's: layer counts by hand from its table, sizes, ranges; and their other kinds."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cartoongan.networks import (
    Discriminator,
    Generator,
    GroupNorm,
    ReflectingConv,
    ResidualBlock,
    parameter_count,
    to_bytes,
    to_signed,
)
from cartoongan.options import GeneratorOptions, TrainOptions

NORMS = get_args(GeneratorOptions.model_fields["norm"].annotation)
SMALL = {"base_channels": 4, "residual_blocks": 2}


def weights(inputs: int, outputs: int, kernel: int = 3) -> int:
    return inputs * outputs * kernel * kernel


def normed(inputs: int, outputs: int, kernel: int = 3) -> int:
    """A convolution without bias, and a scale and a shift for each feature map."""
    return weights(inputs, outputs, kernel) + 2 * outputs


def biased(inputs: int, outputs: int, kernel: int = 3) -> int:
    return weights(inputs, outputs, kernel) + outputs


def small(**options: object) -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorOptions(**{**SMALL, **options}))


def test_generator_has_the_parameters_of_the_table() -> None:
    table = (
        normed(3, 64, 7)
        + biased(64, 128)
        + normed(128, 128)
        + biased(128, 256)
        + normed(256, 256)
        + 8 * 2 * normed(256, 256)
        + biased(256, 128)
        + normed(128, 128)
        + biased(128, 64)
        + normed(64, 64)
        + biased(64, 3, 7)
    )
    assert parameter_count(Generator()) == table == 11_124_931
    assert parameter_count(Generator(GeneratorOptions(upsampling="resize"))) == table


def test_discriminator_has_the_parameters_of_the_table() -> None:
    table = (
        biased(3, 32)
        + biased(32, 64)
        + normed(64, 128)
        + biased(128, 128)
        + normed(128, 256)
        + normed(256, 256)
        + biased(256, 1)
    )
    assert parameter_count(Discriminator()) == table == 1_129_025


def test_a_light_generator_has_1_3_million_parameters() -> None:
    def separable(inputs: int, outputs: int) -> int:
        """9 weights for each map, then 1×1."""
        return 9 * inputs + inputs * outputs

    table = (
        normed(3, 64, 7)
        + (separable(64, 128) + 128)
        + (separable(128, 128) + 2 * 128)
        + (separable(128, 256) + 256)
        + (separable(256, 256) + 2 * 256)
        + 8 * 2 * (separable(256, 256) + 2 * 256)
        + (separable(256, 128) + 128)
        + (separable(128, 128) + 2 * 128)
        + (separable(128, 64) + 64)
        + (separable(64, 64) + 2 * 64)
        + biased(64, 3, 7)
    )
    assert parameter_count(Generator(GeneratorOptions(generator="light"))) == table == 1_308_995


@pytest.mark.parametrize(("height", "width"), [(4, 4), (32, 32), (36, 20), (4, 64)])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    "kinds",
    [{}, {"padding": "reflect"}, {"generator": "light", "padding": "reflect"}, {"upsampling": "resize"}],
    ids=str,
)
def test_generator_keeps_the_size_and_stays_in_range(
    height: int, width: int, norm: str, kinds: dict[str, str]
) -> None:
    generator = small(norm=norm, **kinds)
    made = generator(torch.rand(2, 3, height, width) * 2 - 1)
    assert made.shape == (2, 3, height, width)
    assert made.isfinite().all() and made.abs().max() <= 1
    assert generator.eval()(torch.zeros(1, 3, height, width)).shape == (1, 3, height, width)


@pytest.mark.parametrize("generator", ["normal", "light"])
@pytest.mark.parametrize("norm", NORMS)
def test_photos_reach_the_other_end(generator: str, norm: str) -> None:
    """First weights neither drown nor blow up what goes through; a small change of the photo is seen."""
    network = small(generator=generator, norm=norm)
    photos = torch.rand(2, 3, 32, 32) * 2 - 1
    made = network(photos)
    assert 0.01 < made.std() < 0.9
    made.square().mean().backward()
    sizes = [float(value.grad.norm()) for value in network.parameters() if value.grad is not None]
    assert len(sizes) == len(list(network.parameters()))
    assert sizes[0] > 1e-6


@pytest.mark.parametrize("norm", sorted(set(NORMS) - {"batch"}))
def test_all_norms_but_batch_treat_every_picture_by_itself(norm: str) -> None:
    photos = torch.rand(3, 3, 16, 16) * 2 - 1
    judge = Discriminator(TrainOptions(**SMALL, norm=norm))
    for network in (small(norm=norm), judge):
        alone = torch.cat([network(photo[None]) for photo in photos])
        assert torch.allclose(network(photos), alone, atol=1e-5)


def by_hand(x: Tensor, groups: int) -> Tensor:
    maps = x.double().numpy().reshape(x.shape[0], groups, -1)
    centred = maps - maps.mean(2, keepdims=True)
    return torch.from_numpy((centred / np.sqrt(maps.var(2, keepdims=True) + 1e-5)).reshape(x.shape)).float()


@pytest.mark.parametrize("groups", [1, 6])
def test_group_norm_by_hand(groups: int) -> None:
    x = torch.rand(2, 6, 5, 4) * 3 + 1
    assert torch.allclose(GroupNorm(groups, 6, affine=False)(x), by_hand(x, groups), atol=1e-5)
    affine = GroupNorm(groups, 6)
    nn.init.constant_(affine.weight, 2.0)
    nn.init.constant_(affine.bias, 0.5)
    assert torch.allclose(affine(x), 2 * by_hand(x, groups) + 0.5, atol=1e-5)
    assert torch.allclose(GroupNorm(6, 6, affine=False)(x), F.instance_norm(x), atol=1e-5)


def test_group_norm_stays_in_16_bits_under_autocast() -> None:
    x = torch.rand(2, 6, 5, 4)
    with torch.autocast("cpu", torch.bfloat16):
        normed = GroupNorm(6, 6)(x.bfloat16())
    assert normed.dtype == torch.bfloat16
    assert torch.allclose(normed.float(), by_hand(x, 6), atol=0.05)


def test_a_reflecting_convolution_mirrors_its_input() -> None:
    conv, x = ReflectingConv(2, 3, 3), torch.rand(1, 2, 5, 6)
    mirrored = torch.from_numpy(np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect"))
    assert torch.allclose(conv(x), F.conv2d(mirrored, conv.weight, conv.bias), atol=1e-6)
    point = x[..., :1, :1]
    assert torch.allclose(conv(point), F.conv2d(point.expand(1, 2, 3, 3), conv.weight, conv.bias), atol=1e-6)


def test_padding_is_of_7x7_and_residual_convolutions() -> None:
    kinds = {
        name: type(module)
        for name, module in small(padding="reflect").named_modules()
        if isinstance(module, nn.Conv2d)
    }
    mirrored = {name for name, kind in kinds.items() if kind is ReflectingConv}
    assert mirrored == {"flat.0", "out.0"} | {f"residual.{i}.body.{j}" for i in (0, 1) for j in (0, 3)}


def test_resizing_leaves_no_checkerboard() -> None:
    """Over a flat area a transposed convolution has a grid of 2×2 pixels even with all weights alike."""
    grids = {}
    for kind in ("transposed", "resize"):
        up = small(upsampling=kind).up[0]
        for value in up.parameters():
            nn.init.constant_(value, 1.0)
        with torch.no_grad():
            inside = up(torch.ones(1, 16, 8, 8))[0, 0, 4:-4, 4:-4]
        grids[kind] = float(inside.std())
    assert grids["transposed"] > 1 and grids["resize"] == 0


def test_spectral_norm_holds_the_largest_singular_value_at_1() -> None:
    torch.manual_seed(0)
    judge = Discriminator(TrainOptions(**SMALL, spectral_norm=True))
    convolutions = [layer for layer in judge.layers if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 7
    for _ in range(30):  # one power iteration a pass
        judge(torch.rand(1, 3, 16, 16))
    for layer in convolutions:
        assert torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_recomputing_gives_the_same_gradients(norm: str) -> None:
    generator, photos = small(norm=norm), torch.rand(2, 3, 16, 16) * 2 - 1
    found = []
    for recompute in (False, True):
        generator.recompute = recompute
        generator.zero_grad()
        generator(photos).square().mean().backward()
        found.append([value.grad.clone() for value in generator.parameters() if value.grad is not None])
    assert len(found[0]) == len(found[1]) > 10
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_discriminator_judges_patches_at_a_quarter_of_the_size() -> None:
    assert Discriminator(TrainOptions(**SMALL))(torch.zeros(3, 3, 64, 32)).shape == (3, 1, 16, 8)


def test_discriminator_judges_by_patches_not_by_the_whole_picture() -> None:
    judge = Discriminator(TrainOptions(**SMALL))
    norms = torch.nn.BatchNorm2d  # these look at the whole batch
    judge.layers = torch.nn.Sequential(*(part for part in judge.layers if not isinstance(part, norms)))
    picture = torch.zeros(1, 3, 128, 128)
    changed = picture.clone()
    changed[..., :8, :8] = 1
    difference = (judge(picture) - judge(changed)).abs()[0, 0]
    assert difference[:3, :3].max() > 0
    assert difference[16:, 16:].max() == 0


def test_bytes_survive_the_way_there_and_back() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    signed = to_signed(values)
    assert (signed.min(), signed.max()) == (-1, 1)
    assert torch.equal(to_bytes(signed), values)


def test_down_convolutions_come_in_pairs_with_one_norm_and_one_activation() -> None:
    kinds = [type(part).__name__ for part in small().down]
    assert kinds == ["Conv2d", "Conv2d", "BatchNorm", "ReLU"] * 2


def test_a_residual_block_adds_to_its_input() -> None:
    block, x = ResidualBlock(4, GeneratorOptions()), torch.rand(1, 4, 8, 8)
    assert not torch.equal(block(x), x)
    torch.nn.init.zeros_(block.body[-1].weight)
    assert torch.equal(block(x), x)
