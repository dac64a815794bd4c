"""Pictures of strangers: spoilt ones and bombs are refused in a line, the sound one beside them is done."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cartoongan.checkpoints import write_weights
from cartoongan.networks import Generator
from cartoongan.options import GeneratorOptions
from cartoongan.pictures import read_picture
from framekit.errors import FramekitError
from framekit.images.encoding import LARGEST, claimed_size, decode, encode
from framekit.manifest.reading import open_manifest
from framekit.sources.stills import read_still
from tests.films import numbered_frame
from tests.hostile import bombs, children
from tests.hostile.spoiling import spoilt
from tests.hostile.uses import assert_is_a_line

KINDS = {
    "a.png": bombs.encoded("PNG"),
    "a.jpg": bombs.encoded("JPEG"),
    "b.jpg": bombs.encoded("JPEG", progressive=True),
    "a.webp": bombs.encoded("WEBP"),
    "b.webp": bombs.encoded("WEBP", lossless=True),
    "a.gif": bombs.encoded("GIF"),
    "a.tif": bombs.encoded("TIFF"),
    "b.tif": bombs.encoded("TIFF", compression="tiff_lzw"),
    "a.bmp": bombs.encoded("BMP"),
    "a.ppm": bombs.encoded("PPM"),
}
SEEDS = range(48)
STORED = ("a.png", "a.jpg", "b.jpg", "a.webp", "b.webp")
"""What a dataset may hold."""


def readable(path: Path) -> int:
    """How many of the two readers of pictures take it; what they refuse they refuse in a line."""
    count = 0
    for reader in (read_still, lambda path: read_picture(path).rgb):
        try:
            image = reader(path)
        except FramekitError as error:
            assert_is_a_line(str(error))
        else:
            assert image.ndim == 3 and image.shape[2] == 3 and image.dtype in (np.uint8, np.uint16)
            count += 1
    return count


@pytest.mark.parametrize("name", KINDS)
def test_a_spoilt_picture_is_a_picture_or_refused_in_a_line(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(KINDS[name])
    assert readable(path) == 2
    for data in spoilt(KINDS[name], name, SEEDS):
        path.write_bytes(data)
        readable(path)


@pytest.mark.parametrize("name", STORED)
def test_what_a_dataset_holds_as_a_picture_is_one_or_refused_in_a_line(name):
    assert decode(KINDS[name]).shape == (32, 48, 3)
    for data in spoilt(KINDS[name], name, SEEDS):
        try:
            assert decode(data).shape[2] == 3
        except FramekitError as error:
            assert_is_a_line(str(error))


@pytest.mark.parametrize("name", [name for name in KINDS if name not in STORED])
def test_no_other_kinds_are_taken_from_a_dataset(name):
    with pytest.raises(FramekitError, match="no picture"):
        decode(KINDS[name])


@pytest.mark.parametrize("name", STORED)
def test_a_claim_of_size_is_read_as_the_decoder_reads_it(name):
    assert claimed_size(KINDS[name]) == decode(KINDS[name]).shape[:2]


@pytest.mark.parametrize("name", bombs.CLAIMS)
def test_a_picture_that_claims_too_much_is_refused(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(bombs.CLAIMS[name])
    assert readable(path) == 0
    with pytest.raises(FramekitError, match="no picture"):
        decode(bombs.CLAIMS[name])


def test_a_picture_larger_than_any_crop_is_not_decoded_from_a_dataset():
    side = 9_000
    assert side * side > LARGEST
    with pytest.raises(FramekitError, match="9000×9000 pixels are no picture of a dataset"):
        decode(bombs.flat_png(side))
    assert decode(bombs.flat_png(500)).shape == (500, 500, 3)


def test_a_jpeg_hides_its_size_behind_nothing():
    data = bombs.jpeg_of(bombs.HUGE, bombs.HUGE)
    frame = data.index(b"\xff\xc0")
    for between in (b"garbage", b"\xff\xff\xff", b"\xff\x00", b"\xff\xe5\x00\x04ab", b"\xff\xd0"):
        assert claimed_size(data[:frame] + between + data[frame:]) == (bombs.HUGE, bombs.HUGE)


def test_no_program_is_started_for_a_picture(tmp_path):
    """Pillow gives EPS to Ghostscript, whatever the file is called."""
    Image.new("RGB", (30, 20), "red").save(tmp_path / "drawing.eps")
    path = (tmp_path / "drawing.eps").rename(tmp_path / "photo.png")
    assert readable(path) == 0


@pytest.fixture
def hostile_folder(tmp_path):
    """Bombs, spoilt pictures, and one that is sound."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, data in (bombs.CLAIMS | bombs.PACKED).items():
        (folder / name).write_bytes(data)
    for name, data in KINDS.items():
        picture = name.replace(".gif", "-gif.png")  # by its name a GIF is a film
        for number, found in enumerate(spoilt(data, name, range(4))):
            (folder / f"{number}-{picture}").write_bytes(found)
    Image.fromarray(numbered_frame(1, width=96, height=64)).save(folder / "sound.png")
    return folder


def test_extraction_of_a_folder_of_bombs_takes_the_sound_picture(hostile_folder, tmp_path):
    out = tmp_path / "dataset"
    options = ("--crop-size", 32, "--crops-per-frame", 1, "--workers", 1, "--dedup-distance", 0)
    ended = children.run(children.FRAMEKIT, "extract", hostile_folder, "--out", out, *options, codes=[1])
    assert "damaged in" in ended.stderr
    names = open_manifest(out).frames(["name"])["name"].to_pylist()
    assert "sound.png" in names and not any(name.startswith("claims") for name in names)


def test_stylizing_a_folder_of_bombs_makes_the_sound_picture(hostile_folder, tmp_path):
    options = GeneratorOptions(base_channels=4, residual_blocks=1)
    with torch.random.fork_rng():
        write_weights(tmp_path / "model.safetensors", Generator(options).state_dict(), options)
    out = tmp_path / "out"
    words = ("stylize", tmp_path / "model.safetensors", hostile_folder, "--out", out, "--device", "cpu")
    ended = children.run(children.CARTOONGAN, *words, codes=[1])
    failed = [line for line in ended.stderr.splitlines() if line.startswith("failed: ")]
    assert sum("claims" in line for line in failed) == len(bombs.CLAIMS)
    assert (out / "sound.png").is_file() and not list(out.glob("claims*"))


def test_damaged_pictures_are_told_of_by_us_alone(tmp_path):
    """OpenCV would tell of each in lines of its own."""
    script = tmp_path / "decoding.py"
    (tmp_path / "cut.png").write_bytes(encode(numbered_frame(1))[:500])
    lines = [
        "import sys",
        "from pathlib import Path",
        "from framekit.errors import FramekitError",
        "from framekit.images.encoding import decode",
        "try:",
        "    decode(Path(sys.argv[1]).read_bytes())",
        "except FramekitError as error:",
        "    print(error)",
    ]
    script.write_text("\n".join(lines))
    shutil.copy(script, tmp_path / "decoding_once.py")
    ended = children.run("decoding_once", tmp_path / "cut.png", cwd=tmp_path, codes=[0])
    assert ended.stdout == "500 bytes that are no picture\n" and not ended.stderr
