"""The networks are the paper's: layer counts by hand from its table, sizes, ranges."""

from __future__ import annotations

import pytest
import torch

from cartoongan.networks import Discriminator, Generator, ResidualBlock, parameter_count, to_bytes, to_signed


def weights(inputs: int, outputs: int, kernel: int = 3) -> int:
    return inputs * outputs * kernel * kernel


def normed(inputs: int, outputs: int, kernel: int = 3) -> int:
    """A convolution without bias, and a scale and a shift for each feature map."""
    return weights(inputs, outputs, kernel) + 2 * outputs


def biased(inputs: int, outputs: int, kernel: int = 3) -> int:
    return weights(inputs, outputs, kernel) + outputs


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


@pytest.mark.parametrize(("height", "width"), [(4, 4), (32, 32), (36, 20), (4, 64)])
def test_generator_keeps_the_size_and_stays_in_range(height: int, width: int) -> None:
    generator = Generator(4, 2)
    made = generator(torch.rand(2, 3, height, width) * 2 - 1)
    assert made.shape == (2, 3, height, width)
    assert made.abs().max() <= 1


def test_discriminator_judges_patches_at_a_quarter_of_the_size() -> None:
    assert Discriminator(2)(torch.zeros(3, 3, 64, 32)).shape == (3, 1, 16, 8)


def test_discriminator_judges_by_patches_not_by_the_whole_picture() -> None:
    judge = Discriminator(2)
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
    kinds = [type(part).__name__ for part in Generator(4, 1).down]
    assert kinds == ["Conv2d", "Conv2d", "BatchNorm2d", "ReLU"] * 2


def test_a_residual_block_adds_to_its_input() -> None:
    block, x = ResidualBlock(4), torch.rand(1, 4, 8, 8)
    assert not torch.equal(block(x), x)
    torch.nn.init.zeros_(block.body[-1].weight)
    assert torch.equal(block(x), x)
