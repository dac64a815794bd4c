import itertools
from fractions import Fraction

import av
import numpy as np
import pytest

from framekit.errors import FramekitError
from framekit.sources import picture as picture_module
from framekit.sources.film import read_facts
from framekit.sources.picture import matrix_of, quarter_turns, square_size, to_rgb
from tests.films import numbered_frame, write_film
from tests.odd_films import MIRRORS, with_matrix
from tests.oracles.yuv import yuv_planes

LEVELS = (0, 60, 128, 200, 255)
COLOURS = np.array(list(itertools.product(LEVELS, LEVELS, LEVELS)))
PATCH, ACROSS = 16, 16
LOSSLESS = {
    "ffv1": {},
    "libx264": {"qp": "0"},
    # With B-frames, the dts of a film of one frame is whatever stands in x265's memory.
    "libx265": {"x265-params": "lossless=1:bframes=0:log-level=none"},
}


def patches(height: int) -> np.ndarray:
    """(height, 256, 3) RGB with a patch of every colour, then of grey."""
    cells = np.full((height // PATCH, ACROSS, 3), 128)
    cells.reshape(-1, 3)[: len(COLOURS)] = COLOURS
    return np.kron(cells, np.ones((PATCH, PATCH, 1), int))


def middles(image: np.ndarray) -> np.ndarray:
    """The colours in the middles of the patches, where no neighbour's chroma reaches."""
    return image[PATCH // 2 :: PATCH, PATCH // 2 :: PATCH].reshape(-1, 3)[: len(COLOURS)].astype(int)


def frame_of(planes, pixel_format: str, *, tag: int, tagged_range: int) -> av.VideoFrame:
    """A frame of full-size planes, thinned out where `pixel_format` has fewer chroma samples."""
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], pixel_format)
    for target, plane in zip(frame.planes, planes, strict=True):
        dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
        rows = np.frombuffer(memoryview(target), dtype).reshape(target.height, -1)
        thin = plane[:: plane.shape[0] // target.height, :: plane.shape[1] // target.width]
        rows[:, : target.width] = thin
    frame.colorspace, frame.color_range = tag, tagged_range
    return frame


def through_a_file(path, frame: av.VideoFrame, codec: str) -> av.VideoFrame:
    """Encode without loss, tagged as the frame is, and decode again."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24, options=LOSSLESS[codec])
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
        stream.codec_context.colorspace = int(frame.colorspace)
        stream.codec_context.color_range = int(frame.color_range)
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    return first_frame(path)


def first_frame(path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


FORMATS = [
    ("ffv1", "yuv444p"),
    ("ffv1", "yuv422p"),
    ("ffv1", "yuv420p"),
    ("ffv1", "yuv420p10le"),
    ("ffv1", "yuv422p10le"),
    ("ffv1", "yuv444p12le"),
    ("libx264", "yuv420p"),
    ("libx264", "yuv444p10le"),
    ("libx265", "yuv420p10le"),
    ("libx265", "yuv422p10le"),
]


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", [1, 4, 5, 6, 7, 9])
@pytest.mark.parametrize(("codec", "pixel_format"), FORMATS)
def test_colours_come_out_of_a_film_as_they_went_in(tmp_path, codec, pixel_format, matrix, full):
    bits = av.VideoFormat(pixel_format, 64, 64).components[0].bits
    planes = yuv_planes(patches(PATCH * 8), matrix=matrix, bits=bits, full=full)
    frame = frame_of(planes, pixel_format, tag=matrix, tagged_range=2 if full else 1)
    decoded = through_a_file(tmp_path / "a.mkv", frame, codec)
    assert (int(decoded.colorspace), decoded.color_range) == (matrix, 2 if full else 1)
    assert np.abs(middles(to_rgb(decoded)) - COLOURS).max() <= (2 if bits == 8 else 1)


@pytest.mark.parametrize(("height", "matrix"), [(720, 1), (704, 5), (576, 5), (1088, 1)])
@pytest.mark.parametrize("tag", [2, 3], ids=["unspecified", "reserved"])
def test_untagged_is_709_from_720_lines_up_and_601_below(height, matrix, tag):
    planes = yuv_planes(patches(height), matrix=matrix, bits=8, full=False)
    frame = frame_of(planes, "yuv420p", tag=tag, tagged_range=0)
    assert np.abs(middles(to_rgb(frame)) - COLOURS).max() <= 2


def test_formats_that_are_full_range_by_name_need_no_tag():
    planes = yuv_planes(patches(PATCH * 8), matrix=5, bits=8, full=True)
    frame = frame_of(planes, "yuvj420p", tag=2, tagged_range=0)
    assert np.abs(middles(to_rgb(frame)) - COLOURS).max() <= 2


def test_more_than_eight_bits_are_rounded_to_the_nearest_level_without_dither():
    ramp = np.linspace(0, 255, 877)  # every step of 10 bits in limited range
    planes = yuv_planes(np.tile(ramp[None, :, None], (8, 1, 3)), matrix=1, bits=10, full=False)
    rgb = to_rgb(frame_of(planes, "yuv444p10le", tag=1, tagged_range=1))
    assert (rgb == rgb[0]).all()
    assert np.abs(rgb[0] - ramp[:, None]).max() < 0.52


@pytest.mark.parametrize(("pixel_format", "bits"), [("gbrp", 8), ("gbrp10le", 10), ("gbrp12le", 12)])
def test_films_in_rgb_are_taken_as_they_are(tmp_path, pixel_format, bits):
    rgb = patches(PATCH * 8)
    planes = [np.rint(rgb[..., channel] * ((2**bits - 1) / 255)).astype(np.uint16) for channel in (1, 2, 0)]
    frame = frame_of(planes, pixel_format, tag=0, tagged_range=2)
    decoded = through_a_file(tmp_path / "a.mkv", frame, "libx265" if bits == 8 else "ffv1")
    assert decoded.format.name == pixel_format
    assert np.abs(to_rgb(decoded).astype(int) - rgb).max() <= (0 if bits == 8 else 1)


@pytest.mark.parametrize(("pixel_format", "step"), [("gray", 1), ("gray10le", 4)])
@pytest.mark.parametrize(("full", "levels"), [(False, (16, 125.5, 235)), (True, (0, 127.5, 255))])
def test_grey_films_keep_their_range(tmp_path, pixel_format, step, full, levels):
    top = 256 * step - 1
    scaled = np.minimum(np.rint(np.array(levels) * (top / 255 if full else step)), top).astype(np.uint16)
    plane = np.repeat(scaled, 32)[None].repeat(64, axis=0)
    frame = frame_of([plane], pixel_format, tag=2, tagged_range=2 if full else 1)
    rgb = to_rgb(through_a_file(tmp_path / "a.mkv", frame, "ffv1")).astype(int)
    assert np.abs(rgb[:, 16::32] - np.array([0, 127.5, 255])[:, None]).max() <= 1


def test_transparent_pixels_are_laid_on_white(tmp_path):
    alpha = np.repeat([0, 51, 255], 32)[None].repeat(32, axis=0)
    rgb = np.full((32, 96, 3), (200, 0, 100))
    planes = [*yuv_planes(rgb, matrix=5, bits=8, full=False), alpha]
    frame = frame_of(planes, "yuva444p", tag=5, tagged_range=1)
    seen = to_rgb(through_a_file(tmp_path / "a.mkv", frame, "ffv1")).astype(int)[16, [8, 48, 88]]
    assert np.abs(seen - [(255, 255, 255), (244, 204, 224), (200, 0, 100)]).max() <= 2


@pytest.mark.parametrize("tag", [8, 11, 14], ids=["YCgCo", "YDzDx", "ICtCp"])
def test_a_matrix_that_cannot_be_converted_is_said_to_be_one(tag):
    planes = yuv_planes(patches(PATCH * 8), matrix=1, bits=8, full=False)
    with pytest.raises(FramekitError, match=f"matrix {tag}"):
        to_rgb(frame_of(planes, "yuv444p", tag=tag, tagged_range=1))


@pytest.mark.parametrize(("tag", "matrix"), [(10, 9), (13, 9), (12, 5), (0, 5), (6, 6)])
def test_rare_tags_get_the_nearest_matrix(tag, matrix):
    planes = yuv_planes(patches(PATCH * 8), matrix=1, bits=8, full=False)
    assert matrix_of(frame_of(planes, "yuv444p", tag=tag, tagged_range=1)) == matrix


def test_converting_leaves_the_frame_as_it_was():
    planes = yuv_planes(patches(PATCH * 8), matrix=1, bits=8, full=False)
    frame = frame_of(planes, "yuv420p", tag=2, tagged_range=0)
    assert (to_rgb(frame) == to_rgb(frame)).all()
    assert (int(frame.colorspace), frame.color_range) == (2, 0)


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(1), (720, 576)),
        (Fraction(16, 15), (768, 576)),
        (Fraction(8, 9), (640, 576)),
        (Fraction(1280, 1281), (720, 576)),
        (Fraction(135, 134), (720, 576)),
    ],
)
def test_pixels_are_made_square_but_not_for_a_rounding_error(aspect, size):
    assert square_size(720, 576, aspect) == size


@pytest.mark.parametrize(("aspect", "width"), [(Fraction(16, 15), 256), (Fraction(8, 9), 216)])
def test_a_circle_stored_in_oblong_pixels_comes_out_round(tmp_path, aspect, width):
    columns, rows = np.meshgrid((np.arange(240) + 0.5) * float(aspect), np.arange(240) + 0.5)
    inside = np.hypot(columns - width / 2, rows - 120) < 80
    image = np.where(inside[..., None], 235, 20).astype(np.uint8).repeat(3, axis=2)
    path = write_film(tmp_path / "a.mkv", [image], pixel_aspect=aspect)
    with av.open(str(path)) as container:
        seen = to_rgb(next(container.decode(video=0)), container.streams.video[0].sample_aspect_ratio)
    assert seen.shape == (240, round(240 * aspect), 3)
    bright = seen[..., 1] > 128
    assert abs(bright.any(axis=0).sum() - 160) <= 2
    assert abs(bright.any(axis=1).sum() - 160) <= 2


@pytest.mark.parametrize(
    ("degrees", "turns"), [(0, 0), (90, 1), (-90, 3), (180, 2), (-180, 2), (270, 3), (-2147483648, 0)]
)
def test_rotation_is_whole_quarter_turns_and_nonsense_is_none(degrees, turns):
    assert quarter_turns(degrees) == turns


def shown(image: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """Each pixel put where a display matrix (ISO 14496-12 8.3.2) takes it, beginning at the top left."""
    a, b, c, d = matrix
    rows, columns = np.indices(image.shape[:2])
    x, y = a * columns + c * rows, b * columns + d * rows
    x, y = x - x.min(), y - y.min()
    placed = np.zeros((y.max() + 1, x.max() + 1, 3), image.dtype)
    placed[y, x] = image
    return placed


ONE = (-1, 1)
MATRICES = [(a, 0, 0, d) for a in ONE for d in ONE] + [(0, b, c, 0) for b in ONE for c in ONE]


@pytest.mark.parametrize("matrix", MATRICES)
def test_a_display_matrix_turns_and_mirrors(tmp_path, matrix):
    plain = write_film(tmp_path / "plain.mp4", [numbered_frame(5)], options={"qp": "1"})
    seen = to_rgb(first_frame(plain))
    turned = to_rgb(first_frame(with_matrix(plain, matrix)))
    assert np.array_equal(turned, shown(seen, matrix))


@pytest.mark.parametrize("name", MIRRORS)
def test_the_facts_of_a_mirrored_film_have_the_size_of_its_pictures(odd_film, name):
    facts = read_facts(odd_film(name))
    image = to_rgb(first_frame(odd_film(name)))
    assert image.shape == (facts.height, facts.width, 3)


def test_a_real_rotated_film_stands_upright(real_data):
    frame = first_frame(real_data / "oddities/rotated.mp4")
    plain = frame.reformat(format="rgb24").to_ndarray().astype(int)
    assert frame.rotation == 90
    upright = to_rgb(frame)
    assert upright.shape == (frame.width, frame.height, 3)
    assert np.abs(upright[0, 0] - plain[0, -1]).max() <= 8  # the top right corner is now the top left one
    assert np.abs(upright - np.rot90(plain)).mean() < 2


def test_a_drawing_keeps_its_colours_through_an_ordinary_film(tmp_path):
    drawing = numbered_frame(7)
    path = write_film(tmp_path / "a.mp4", [drawing], options={"qp": "1"})
    seen = to_rgb(first_frame(path))
    assert np.abs(seen.astype(int) - drawing).mean() < 4


def test_frames_of_all_kinds_in_turn_come_out_as_each_alone(odd_film):
    """One scaler serves all of a pixel format: nothing of a frame must stay for the next."""
    names = "h264_defaults h264_444 rotated_90 size_changes aspect_changes prores vp9 hevc_open_gop".split()
    frames = [frame for name in names for frame in some_frames(odd_film(name))]
    tags = itertools.cycle((1, 5, 9, 6, 2))
    for frame in frames:
        frame.colorspace, frame.color_range = next(tags), 1 + len(frames) % 2
    orders = (range(len(frames)), np.random.default_rng(0).permutation(len(frames)))
    alone = []
    for frame in frames:
        picture_module._scalers.__dict__.clear()
        alone.append(to_rgb(frame, Fraction(16, 15)))
    for order in orders:
        for number in order:
            assert np.array_equal(to_rgb(frames[number], Fraction(16, 15)), alone[number])


def some_frames(path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(itertools.islice(container.decode(video=0), 0, None, 30))
