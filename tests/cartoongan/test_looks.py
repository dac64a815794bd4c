"""Strength, the photo's colours, 16 bits, formats, batches, and cartoons in bf16."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from cartoongan.looks import LUMA
from cartoongan.networks import Generator
from cartoongan.options import GeneratorOptions, StylizeOptions
from cartoongan.stylize import Stylizer, stylize_paths
from framekit.errors import CommandError
from tests.cartoongan.test_tiles import generator

CPU = torch.device("cpu")


class Negative(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(photos))
        return -photos


def negative(**options: object) -> Stylizer:
    return Stylizer(Negative(), CPU, StylizeOptions(**options))  # type: ignore[arg-type]


def noise(height: int, width: int, kind: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(kind).max, (height, width, 3), kind, endpoint=True)


def test_strength_goes_from_photo_to_cartoon() -> None:
    photo = noise(9, 7)
    assert np.array_equal(negative(strength=0)(photo), photo)
    assert np.array_equal(negative()(photo), 255 - photo)
    quarter = photo + 0.25 * (255.0 - 2 * photo.astype(float))
    assert np.abs(negative(strength=0.25)(photo) - quarter).max() <= 0.5001


def test_the_photos_colours_stay_and_brightness_is_the_cartoons() -> None:
    photo = np.full((4, 4, 3), (120, 140, 130), np.uint8)
    made = negative(colour_keep=True)(photo)[0, 0].astype(float)
    was = photo[0, 0].astype(float)
    assert np.allclose(made - made @ LUMA, was - was @ LUMA, atol=0.6)
    assert made @ LUMA == pytest.approx(255 - was @ LUMA, abs=0.6)


def test_sixteen_bits_go_through(tmp_path: Path) -> None:
    deep = noise(6, 5, np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep[..., ::-1])
    stylize_paths(negative(), [tmp_path / "deep.png"], tmp_path / "out.png")
    assert np.array_equal(
        cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)[..., ::-1], 65535 - deep
    )
    stylize_paths(negative(), [tmp_path / "deep.png"], tmp_path / "out.webp")
    assert Image.open(tmp_path / "out.webp").size == (5, 6)


def test_sixteen_bits_keep_transparency_and_profile(tmp_path: Path) -> None:
    from PIL import ImageCms

    from cartoongan.pictures import Picture, read_picture, write_picture

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    deep = Picture(noise(6, 5, np.uint16), noise(6, 5, np.uint16)[..., 0].copy(), profile)
    write_picture(tmp_path / "deep.png", deep)
    back = read_picture(tmp_path / "deep.png")
    assert back.alpha is not None and np.array_equal(back.alpha, deep.alpha)
    assert np.array_equal(back.rgb, deep.rgb) and back.profile == profile


@pytest.mark.parametrize(("kind", "name"), [("jpeg", "a.jpg"), ("webp", "a.webp"), ("avif", "a.avif")])
def test_formats(kind: str, name: str, tmp_path: Path) -> None:
    smooth = np.tile(np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None], (48, 1, 3))
    alpha = np.full((48, 64, 1), 255, np.uint8)
    alpha[:8] = 0
    Image.fromarray(np.dstack([smooth, alpha])).save(tmp_path / "a.png")
    for out in (tmp_path / "out", tmp_path / name):
        summary = stylize_paths(negative(format=kind), [tmp_path / "a.png"], out)
        assert summary.written[0].name == name
    made = np.asarray(Image.open(tmp_path / name).convert("RGBA")).astype(int)
    assert np.abs(made[16:, :, :3] - (255 - smooth[16:])).mean() < 2
    if kind == "jpeg":
        assert made[:4].min() > 250  # transparent is white
    else:
        assert made[:4, :, 3].max() == 0 and made[16:, :, 3].min() == 255


def test_heic_where_its_library_is(tmp_path: Path) -> None:
    Image.fromarray(noise(16, 16)).save(tmp_path / "a.png")
    try:
        import pillow_heif  # noqa: F401
    except ImportError:
        with pytest.raises(CommandError, match="pip install pillow-heif"):
            stylize_paths(negative(format="heic"), [tmp_path / "a.png"], tmp_path / "out")
        return
    written = stylize_paths(negative(), [tmp_path / "a.png"], tmp_path / "out.heic").written
    assert stylize_paths(negative(), written, tmp_path / "back.png").written
    assert Image.open(tmp_path / "back.png").size == (16, 16)


def test_pictures_of_one_size_are_computed_together(tmp_path: Path) -> None:
    for number, side in enumerate((8, 8, 12, 8)):
        Image.fromarray(noise(side, 8)).save(tmp_path / f"{number}.png")
    (tmp_path / "4.png").write_bytes(b"damaged")
    stylizer = negative(batch_size=4)
    summary = stylize_paths(stylizer, [tmp_path], tmp_path / "out")
    assert sorted(stylizer._generator.batches) == [1, 3]  # type: ignore[union-attr]
    assert [path.name for path in summary.written] == ["0.png", "1.png", "2.png", "3.png"]
    assert len(summary.failed) == 1


def test_bf16_channels_last_and_compiled_are_near() -> None:
    photo = cv2.GaussianBlur(noise(48, 64), (9, 9), 3)
    made = generator(residual_blocks=1)
    exact = Stylizer(made, CPU)(photo).astype(int)
    last = Stylizer(made, CPU, StylizeOptions(channels_last=True))(photo)
    short = Stylizer(made, CPU, StylizeOptions(precision="bf16"))(photo)
    assert np.abs(exact - last).max() <= 1
    assert np.abs(exact - short).mean() < 4


def test_batches_change_nothing() -> None:
    made = Generator(GeneratorOptions(base_channels=4, residual_blocks=1)).eval()
    stylizer = Stylizer(made, CPU)
    photos = np.stack([noise(20, 24), noise(20, 24)[::-1]])
    together = stylizer.together(photos)
    assert np.abs(together[1].astype(int) - stylizer(photos[1])).max() <= 1
