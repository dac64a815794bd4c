import numpy as np
import pytest
from PIL import Image

from framekit.errors import FramekitError
from framekit.sources.decoding import Decoded
from framekit.sources.stills import group_of, read_still, still_pictures
from tests.framekit.images.test_edges import drawing

RGB = drawing(32, 48)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    stored = Image.fromarray(RGB)
    backwards = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    if orientation in backwards:
        stored = stored.transpose(backwards[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_still(tmp_path / "a.png"), RGB)


def test_other_kinds_of_pixels_become_rgb(tmp_path):
    grey = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert (read_still(tmp_path / "grey.png") == grey[..., None]).all()
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16bit.png")
    assert (read_still(tmp_path / "16bit.png") == grey[..., None]).all()
    Image.fromarray(RGB).convert("P", palette=Image.Palette.ADAPTIVE, colors=256).save(
        tmp_path / "palette.png"
    )
    assert np.abs(read_still(tmp_path / "palette.png").astype(int) - RGB).mean() < 6
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "cmyk.tif")
    assert np.abs(read_still(tmp_path / "cmyk.tif").astype(int) - RGB).max() <= 2


def test_transparency_is_laid_on_white(tmp_path):
    pixels = np.dstack([RGB, np.zeros((32, 48), np.uint8)])
    pixels[:, 24:, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = read_still(tmp_path / "a.png")
    assert (read[:, :24] == 255).all()
    assert (read[:, 24:] == RGB[:, 24:]).all()


def test_what_is_no_picture_is_said_and_the_rest_read(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "b.png")
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "c.png").write_bytes((tmp_path / "b.png").read_bytes()[:-40])
    decoded = Decoded()
    names = ["a.png", "b.png", "c.png"]
    pictures = list(still_pictures(tmp_path, names, start=0, stop=3, decoded=decoded))
    assert [(picture.place.number, picture.place.name) for picture in pictures] == [(1, "b.png")]
    assert decoded.damaged == 2
    assert decoded.damage[0].startswith("a.png: ")


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(FramekitError, match="400000000 pixels"):
        read_still(tmp_path / "bomb.png")


def test_the_group_is_the_first_subfolder():
    assert group_of("people/a.jpg") == "people"
    assert group_of("people/asia/a.jpg") == "people"
    assert group_of("a.jpg") is None
