"""Tiles give what the whole picture gives where they can, and no seam in any case."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from cartoongan.networks import Generator, statistics_of, to_bytes
from cartoongan.options import GeneratorOptions, StylizeOptions
from cartoongan.stylize import Stylizer
from cartoongan.tiles import BAND, in_tiles, reach_of, spans
from framekit.errors import CommandError

CPU = torch.device("cpu")


def generator(**more: object) -> Generator:
    """Weights that pass much on, so that far inputs show."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = Generator(GeneratorOptions(base_channels=4, **more)).eval()  # type: ignore[arg-type]
        for value in made.parameters():
            if value.ndim == 4:
                torch.nn.init.kaiming_uniform_(value)
    return made.requires_grad_(False)


@pytest.mark.parametrize("blocks", [0, 1, 3])
@pytest.mark.parametrize(
    "more", [{}, {"upsampling": "resize"}, {"padding": "reflect"}, {"generator": "light"}], ids=str
)
def test_no_output_sees_further_than_said(blocks: int, more: dict[str, str]) -> None:
    made = generator(residual_blocks=blocks, **more).double()
    reach, side = reach_of(made.options), 4 * reach_of(made.options)
    for offset in range(4):  # the strides' grid
        photos = torch.zeros(2, 3, 8, side, dtype=torch.float64)
        photos[1, :, :, side // 2 + offset] = 0.5
        made_of = made(photos)
        columns = torch.nonzero((made_of[0] - made_of[1]).abs().amax((0, 1)) > 0)[:, 0]
        far = max(side // 2 + offset - int(columns.min()), int(columns.max()) - side // 2 - offset)
        assert reach - 12 <= far <= reach


@pytest.mark.parametrize("length", [4, 100, 160, 164, 200, 1000, 1004])
def test_spans_cover_all_and_stay_away_from_edges(length: int) -> None:
    size, reach = 160, 16
    found = spans(length, size, reach)
    assert found[0].first == found[0].start == 0 and found[-1].last == found[-1].stop == length
    assert all(span.start % 4 == 0 and span.stop - span.start <= size for span in found)
    for left, right in pairwise(found):
        assert left.last - right.first == BAND
        assert left.stop - left.last >= reach and right.first - right.start >= reach


@pytest.mark.parametrize(("height", "width"), [(250, 333), (120, 400), (128, 128)])
def test_with_batch_norm_tiles_are_the_whole(height: int, width: int) -> None:
    made = generator(residual_blocks=1)
    photo = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    whole = Stylizer(made, CPU, StylizeOptions(tile_size=0))(photo)
    tiled = Stylizer(made, CPU, StylizeOptions(tile_size=172))(photo)
    assert whole.std() > 5
    assert np.abs(whole.astype(int) - tiled).max() <= 1  # floats are added in another order


def test_tiles_pass_into_each_other_in_a_line() -> None:
    """Tiles that are each of one grey: no step is larger than the difference over the band."""
    greys = iter(torch.linspace(-1, 1, 6).tolist())

    def grey(rows: slice, columns: slice) -> torch.Tensor:
        return torch.full((1, 3, rows.stop - rows.start, columns.stop - columns.start), next(greys))

    made = torch.cat(list(in_tiles(grey, 160, 500, 160, 16)), dim=2)
    assert made.shape == (1, 3, 160, 500)
    steps = made.diff(dim=3).abs()
    assert float(steps.max()) == pytest.approx(0.4 / BAND, rel=1e-3)


def test_tiles_too_small_are_refused_at_once() -> None:
    small = Stylizer(generator(residual_blocks=1), CPU, StylizeOptions(tile_size=64))
    with pytest.raises(CommandError, match=r"--tile-size 64 is too small.* give at least 168"):
        small.check_tiles()


@pytest.mark.parametrize("norm", ["instance", "instance-affine", "layer"])
def test_other_norms_take_the_whole_pictures_statistics(norm: str) -> None:
    """Left dark, right bright: a tile's own statistics would make both alike."""
    made = generator(residual_blocks=1, norm=norm)
    photo = np.random.default_rng(1).integers(0, 60, (172, 500, 3), dtype=np.uint8)
    photo[:, 250:] += 190
    photo = cv2.GaussianBlur(photo, (0, 0), 2)
    whole = Stylizer(made, CPU, StylizeOptions(tile_size=0))(photo).astype(int)
    stylizer = Stylizer(made, CPU, StylizeOptions(tile_size=172))
    tiled = stylizer(photo)
    strips = [made(stylizer._signed(photo[None, :, left : left + 172])) for left in (0, 328)]
    own = np.abs(
        to_bytes(torch.cat(strips, 3))[0].permute(1, 2, 0).numpy() - np.delete(whole, range(172, 328), 1)
    )
    assert np.abs(tiled - whole).mean() < own.mean() / 3
    assert not [norm for norm in made.modules() if getattr(norm, "fixed", None) is not None]
    assert np.array_equal(stylizer(photo[:100, :100]), Stylizer(made, CPU)(photo[:100, :100]))


def test_fixed_statistics_are_those_of_the_picture() -> None:
    """Measured on a picture and used on it, the norms give what they give by themselves."""
    for norm in ("instance", "instance-affine", "layer"):
        made = generator(residual_blocks=1, norm=norm)
        photos = torch.rand(2, 3, 24, 32) * 2 - 1
        with statistics_of(made, photos):
            fixed = made(photos)
        assert torch.allclose(fixed, made(photos), atol=1e-4)
