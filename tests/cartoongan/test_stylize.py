"""Photos of every size, shape and colour mode come back as cartoons of the same size."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cartoongan.networks import Generator
from cartoongan.options import GeneratorOptions, StylizeOptions
from cartoongan.pictures import read_picture
from cartoongan.stylize import Stylizer, load, stylize_paths
from cartoongan.trainer import RunSummary
from framekit.errors import CommandError, FramekitError

ORIENTATION = 0x0112


class Echo(torch.nn.Module):
    """A generator that gives photos back, and remembers what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        self.seen.append(photos)
        return photos


@pytest.fixture
def echo() -> Stylizer:
    return Stylizer(Echo(), torch.device("cpu"))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def stylizer(finished: RunSummary) -> Stylizer:
    return load(finished.run, StylizeOptions(device="cpu"))


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, channels), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, mode: str = "RGB", **more: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path, **more)
    return path


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (1, 9), (4, 4), (37, 50), (64, 33)])
def test_any_size_comes_back_as_it_went_in(height: int, width: int, stylizer: Stylizer) -> None:
    made = stylizer(noise(height, width))
    assert (made.shape, made.dtype) == ((height, width, 3), np.uint8)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (37, 50), (8, 4)])
def test_padding_moves_no_pixel(height: int, width: int, echo: Stylizer) -> None:
    image = noise(height, width)
    assert np.array_equal(echo(image), image)
    seen = echo._generator.seen[0].shape  # type: ignore[union-attr]
    assert seen[2] % 4 == seen[3] % 4 == 0 and seen[2] - height < 4 and seen[3] - width < 4


def test_padding_brings_no_colour_of_its_own(echo: Stylizer) -> None:
    echo(np.full((5, 3, 3), 204, np.uint8))
    assert echo._generator.seen[0].unique().tolist() == pytest.approx([0.6])  # type: ignore[union-attr]


def test_the_same_photo_gives_the_same_cartoon(stylizer: Stylizer) -> None:
    assert np.array_equal(stylizer(noise(20, 20)), stylizer(noise(20, 20)))


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_arrays_of_another_kind_are_refused(wrong: np.ndarray, stylizer: Stylizer) -> None:
    with pytest.raises(ValueError, match="image must be"):
        stylizer(wrong)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright(orientation: int, echo: Stylizer, tmp_path: Path) -> None:
    upright = noise(6, 10)
    undo = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a.transpose(1, 0, 2), 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    photo = save(tmp_path / "photo.png", np.ascontiguousarray(undo(upright)), exif=exif)
    stylize_paths(echo, [photo], tmp_path / "out")
    made = Image.open(tmp_path / "out" / "photo.png")
    assert np.array_equal(np.asarray(made), upright)
    assert made.getexif().get(ORIENTATION, 1) == 1


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr"])
def test_colour_modes_become_rgb(mode: str, tmp_path: Path) -> None:
    grey = np.repeat(noise(8, 8, 1) // 255 * 255, 3, axis=2)
    suffix = {"CMYK": "tiff", "YCbCr": "tiff"}.get(mode, "png")
    picture = read_picture(save(tmp_path / f"photo.{suffix}", grey, mode))
    assert picture.rgb.shape == (8, 8, 3) and picture.alpha is None
    assert np.abs(picture.rgb.astype(int) - grey).max() <= 2


def test_sixteen_bits_are_scaled_not_cut(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 16).astype(np.uint16).reshape(4, 4)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.array_equal(read_picture(tmp_path / "deep.png").rgb[..., 1], np.rint(deep / 257))


def test_transparency_is_kept(echo: Stylizer, tmp_path: Path) -> None:
    pixels = noise(5, 7, 4)
    stylize_paths(
        echo, [save(tmp_path / "logo.webp", pixels, "RGBA", lossless=True, exact=True)], tmp_path / "out"
    )
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "logo.png")), pixels)


def test_folders_keep_their_inner_paths(echo: Stylizer, tmp_path: Path) -> None:
    for name in ("a.jpg", "deep/er/b.webp", ".hidden/c.png"):
        save(tmp_path / "in" / name, noise(8, 8))
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    summary = stylize_paths(echo, [tmp_path / "in"], tmp_path / "in" / "out")
    wanted = [tmp_path / "in" / "out" / name for name in ("a.png", "deep/er/b.png")]
    assert (summary.written, summary.failed) == (wanted, [])
    again = stylize_paths(echo, [tmp_path / "in"], tmp_path / "in" / "out", overwrite=True)
    assert again.written == wanted  # cartoons of cartoons are not made


def test_pictures_of_one_name_get_names_of_their_own(echo: Stylizer, tmp_path: Path) -> None:
    files = [
        save(tmp_path / name, noise(8, 8 + n)) for n, name in enumerate(("x/a.jpg", "x/a.bmp", "y/A.png"))
    ]
    summary = stylize_paths(echo, [tmp_path / "x", files[2], files[0]], tmp_path / "out")
    assert [path.name for path in summary.written] == ["a.png", "a-2.png", "A-3.png"]
    assert [Image.open(path).width for path in summary.written] == [9, 8, 10]


def test_one_photo_may_go_to_one_file(echo: Stylizer, tmp_path: Path) -> None:
    photo = save(tmp_path / "photo.jpg", noise(8, 8))
    assert stylize_paths(echo, [photo], tmp_path / "cartoon.png").written == [tmp_path / "cartoon.png"]
    assert Image.open(tmp_path / "cartoon.png").size == (8, 8)
    with pytest.raises(CommandError, match=r"\.png"):
        stylize_paths(echo, [photo], tmp_path / "cartoon.gif")


def test_bad_pictures_are_told_and_the_others_made(echo: Stylizer, tmp_path: Path) -> None:
    good = save(tmp_path / "in" / "good.png", noise(8, 8))
    whole = save(tmp_path / "in" / "cut.jpg", noise(64, 64)).read_bytes()
    (tmp_path / "in" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in" / "bad\nname.png").write_bytes(b"no picture")
    (tmp_path / "in" / "empty.png").write_bytes(b"")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "in" / "float.tiff")
    summary = stylize_paths(echo, [tmp_path / "in"], tmp_path / "out")
    assert summary.written == [tmp_path / "out" / good.name]
    assert len(summary.failed) == 4 and not any("\n" in line for line in summary.failed)
    assert all(any(name in line for line in summary.failed) for name in ("cut.jpg", "bad", "empty", "float"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]


def test_photos_too_large_for_the_memory_are_told(
    echo: Stylizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hungry(_photos: torch.Tensor) -> torch.Tensor:
        return torch.empty(2**55, dtype=torch.uint8)

    monkeypatch.setattr(echo._generator, "forward", hungry)
    summary = stylize_paths(echo, [save(tmp_path / "huge.png", noise(8, 12))], tmp_path / "out")
    assert summary.failed == [f"{tmp_path}/huge.png: no memory for 12×8 pixels. try a smaller --tile-size"]


def test_files_that_are_there_are_replaced_on_request_only(echo: Stylizer, tmp_path: Path) -> None:
    photos = [save(tmp_path / "in" / name, noise(8, 8)) for name in ("a.jpg", "b.jpg")]
    other = save(tmp_path / "in" / "a.png", noise(4, 4))
    before = other.read_bytes()
    summary = stylize_paths(echo, photos, tmp_path / "in")
    assert [path.name for path in summary.written] == ["b.png"]
    assert summary.failed == [f"{other}: is there already. replace with --overwrite"]
    assert other.read_bytes() == before
    summary = stylize_paths(echo, photos, tmp_path / "in", overwrite=True)
    assert not summary.failed and Image.open(other).size == (8, 8)


def test_a_name_that_cannot_be_written_is_that_pictures_failure(echo: Stylizer, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_text("a file, where a folder is needed")
    for name in ("x/a.jpg", "y.jpg"):
        save(tmp_path / "in" / name, noise(8, 8))
    summary = stylize_paths(echo, [tmp_path / "in"], tmp_path / "out")
    assert [path.name for path in summary.written] == ["y.png"]
    assert len(summary.failed) == 1 and str(tmp_path / "out" / "x" / "a.png") in summary.failed[0]


def test_a_picture_that_its_format_cannot_hold_is_told_and_the_others_made(
    echo: Stylizer, tmp_path: Path
) -> None:
    wide, small = save(tmp_path / "wide.png", noise(1, 17_000)), save(tmp_path / "small.png", noise(4, 4))
    echo.options = StylizeOptions(format="webp")
    done = stylize_paths(echo, [wide, small], tmp_path / "out")
    assert [place.name for place in done.written] == ["small.webp"]
    (line,) = done.failed
    assert "wide.webp: webp cannot hold 17000×1 pixels" in line


def test_a_file_that_appears_meanwhile_is_left(echo: Stylizer, tmp_path: Path) -> None:
    photo, place = save(tmp_path / "photo.png", noise(4, 4)), tmp_path / "cartoon.png"

    class Late(Echo):
        def forward(self, photos: torch.Tensor) -> torch.Tensor:
            place.write_text("somebody else's")
            return photos

    done = stylize_paths(Stylizer(Late(), torch.device("cpu")), [photo], place)  # type: ignore[arg-type]
    assert done.failed == [f"{place}: File exists"]
    assert place.read_text() == "somebody else's"
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_is_closed_is_told(echo: Stylizer, tmp_path: Path) -> None:
    save(tmp_path / "in" / "open.png", noise(4, 4))
    closed = tmp_path / "in" / "closed"
    closed.mkdir(mode=0)
    done = stylize_paths(echo, [tmp_path / "in"], tmp_path / "out")
    closed.chmod(0o700)
    assert [place.name for place in done.written] == ["open.png"]
    assert done.failed == [f"{closed}: cannot be looked into"]


def test_a_pipe_is_not_waited_for(echo: Stylizer, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    done = stylize_paths(echo, [tmp_path / "pipe.png"], tmp_path / "out")
    assert done.failed == [f"{tmp_path / 'pipe.png'}: not a file"]


class Choosy(Echo):
    """A generator that takes one picture of one size at a time, as an ONNX file may."""

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        if photos.shape != (1, 3, 8, 8):
            raise FramekitError("could not be run", where="model.onnx")
        return photos


def test_a_picture_that_the_model_refuses_is_told_and_the_others_made(tmp_path: Path) -> None:
    options = StylizeOptions(batch_size=3)
    stylizer = Stylizer(Choosy(), torch.device("cpu"), options)  # type: ignore[arg-type]
    places = [save(tmp_path / f"{side}-{copy}.png", noise(side, side)) for side in (8, 12) for copy in "ab"]
    done = stylize_paths(stylizer, places, tmp_path / "out")
    assert [place.name for place in done.written] == ["8-a.png", "8-b.png"]
    assert done.failed == [f"{place}: model.onnx: could not be run" for place in places[2:]]


def test_a_full_disk_ends_it_and_tells_what_failed(
    echo: Stylizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [save(tmp_path / "in" / name, noise(8, 8)) for name in ("a.jpg", "b.jpg")]

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("cartoongan.stylize.write_picture", full)
    summary = stylize_paths(echo, photos, tmp_path / "out")
    assert summary.failed == [f"{tmp_path}/out/a.png: No space left on device"]


@pytest.mark.parametrize(
    "error", [struct.error("odd"), RuntimeError("odd"), NotImplementedError(), IndexError()]
)
def test_a_file_that_breaks_its_reader_is_told(
    error: Exception, echo: Stylizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [save(tmp_path / name, noise(8, 8)) for name in ("bad.png", "good.png")]
    real = Image.open

    def breaking(path: Path, **more: Any) -> Image.Image:
        if path.name == "bad.png":
            raise error
        return real(path, **more)

    monkeypatch.setattr(Image, "open", breaking)
    summary = stylize_paths(echo, photos, tmp_path / "out")
    assert [path.name for path in summary.written] == ["good.png"]
    assert summary.failed == [f"{tmp_path}/bad.png: cannot be read ({str(error) or type(error).__name__})"]


def test_a_folders_name_may_have_a_dot(echo: Stylizer, tmp_path: Path) -> None:
    summary = stylize_paths(echo, [save(tmp_path / "photo.jpg", noise(8, 8))], tmp_path / "run.1")
    assert summary.written == [tmp_path / "run.1" / "photo.png"]


@pytest.mark.parametrize("count", [1, 2])
def test_a_file_is_no_folder_to_write_to(count: int, echo: Stylizer, tmp_path: Path) -> None:
    photos = [save(tmp_path / f"{number}.jpg", noise(8, 8)) for number in range(count)]
    (tmp_path / "f.txt").write_text("mine")
    with pytest.raises(CommandError, match=r"f\.txt: is a file\. give a folder"):
        stylize_paths(echo, photos, tmp_path / "f.txt")


def test_links_that_lead_nowhere_are_told(echo: Stylizer, tmp_path: Path) -> None:
    save(tmp_path / "in" / "good.png", noise(8, 8))
    (tmp_path / "in" / "gone.jpg").symlink_to(tmp_path / "nothing.jpg")
    (tmp_path / "in" / "loop.jpg").symlink_to(tmp_path / "in" / "loop.jpg")
    summary = stylize_paths(echo, [tmp_path / "in"], tmp_path / "out")
    assert [path.name for path in summary.written] == ["good.png"]
    assert all(name in line for name, line in zip(("gone.jpg", "loop.jpg"), summary.failed, strict=True))


def test_a_grey_that_stands_for_nothing_is_transparent(tmp_path: Path) -> None:
    deep = np.array([[0, 1000], [1001, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png", transparency=1000)
    picture = read_picture(tmp_path / "deep.png")
    assert picture.alpha is not None and picture.alpha.tolist() == [[255, 0], [255, 255]]


def test_kinds_that_are_no_photos_are_tried_when_named_only(echo: Stylizer, tmp_path: Path) -> None:
    for name in ("a.gif", "b.tga", "c.jfif"):
        save(tmp_path / "in" / name, noise(8, 8))
    summary = stylize_paths(echo, [tmp_path / "in"], tmp_path / "out")
    assert [path.name for path in summary.written] == ["c.png"]
    assert stylize_paths(echo, [tmp_path / "in" / "a.gif"], tmp_path / "out").written


@pytest.mark.parametrize("out", ["in", "in/a.png"])
def test_inputs_are_never_written_over(out: str, echo: Stylizer, tmp_path: Path) -> None:
    photo = save(tmp_path / "in" / "a.png", noise(8, 8))
    before = photo.read_bytes()
    with pytest.raises(CommandError, match="another --out"):
        stylize_paths(echo, [photo], tmp_path / out)
    with pytest.raises(CommandError, match="another --out"):
        stylize_paths(echo, [tmp_path / "in"], tmp_path / "in")
    assert photo.read_bytes() == before


@pytest.mark.parametrize(("name", "words"), [("none", "no such file"), ("empty", "no pictures")])
def test_inputs_that_hold_nothing_are_refused(name: str, words: str, echo: Stylizer, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match=words):
        stylize_paths(echo, [tmp_path / name], tmp_path / "out")


def test_runs_checkpoints_and_exports_make_the_same_cartoon(finished: RunSummary) -> None:
    photo = noise(16, 16)
    made = [load(str(path))(photo) for path in (finished.run, finished.checkpoint, finished.generator)]
    assert np.array_equal(made[0], made[1]) and np.array_equal(made[0], made[2])
    assert made[0].std() > 1


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FramekitError, match="no such file"):
        load(tmp_path / "none.pt")


def test_running_means_are_used_so_that_pictures_do_not_influence_each_other() -> None:
    with torch.random.fork_rng():
        generator = Generator(GeneratorOptions(base_channels=4, residual_blocks=1)).eval()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    Stylizer(generator, torch.device("cpu"))(noise(16, 16))
    assert all(torch.equal(before[name], value) for name, value in generator.state_dict().items())
