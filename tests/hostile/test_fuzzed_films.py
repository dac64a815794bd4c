"""Films of strangers: spoilt ones give pictures or are refused in a line, the sound one beside is done."""

import multiprocessing
import resource
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from framekit.cli import main
from framekit.errors import FramekitError
from framekit.manifest.reading import open_manifest
from framekit.sources.decoding import Approach, timeline_of
from framekit.sources.film import read_facts
from framekit.sources.sampling import Sampling
from framekit.sources.survey import survey
from tests.hostile import children
from tests.hostile.spoiling import WAYS, spoilt
from tests.hostile.uses import assert_is_a_line
from tests.odd_films import MPEG2, drawings, encode
from tests.oracles.sampled_pictures import sampled_pictures

FRAMES, SIZE = 12, (96, 64)
X264 = {"x264-params": "keyint=6"}
VP = {"b": "200k", "deadline": "realtime", "cpu-used": "8"}
FILMS = {
    "h264.mp4": ("libx264", X264),
    "h264.mkv": ("libx264", X264),
    "h264.avi": ("libx264", X264 | {"x264-params": "bframes=0"}),
    "h264.flv": ("libx264", X264),
    "h264.264": ("libx264", X264),
    "hevc.mp4": ("libx265", {"preset": "ultrafast", "x265-params": "keyint=6:log-level=none"}),
    "mpeg2.ts": ("mpeg2video", MPEG2 | {"b": "1M"}),
    "mpeg2.mpg": ("mpeg2video", MPEG2 | {"b": "1M"}),
    "mpeg4.avi": ("mpeg4", {"b": "1M", "bf": "2"}),
    "vp9.webm": ("libvpx-vp9", VP),
    "ffv1.mkv": ("ffv1", {}),
    "gif.gif": ("gif", {}),
}
"""Of many containers and codecs; those of H.264, HEVC and MPEG-2 have their packets' headers read by us."""
SEEDS = range(3 * len(WAYS))
LONGEST = 60
"""Seconds for all that is done with the variants of a film, which takes a few: beyond it hangs."""
MEMORY = 6 << 30


def film(folder: Path, name: str) -> Path:
    codec, options = FILMS[name]
    pixels = "rgb8" if codec == "gif" else "yuv420p"
    return encode(folder / name, codec, images=drawings(FRAMES, SIZE), options=options, pixels=pixels)


def looked_through(path: Path, sampling: Sampling) -> int:
    """Pictures of a film that may be spoilt; 0 where it is refused in a line."""
    try:
        facts = read_facts(path)
        survey(path, facts, letterbox="auto")
        found = sampled_pictures(path, sampling, Approach(timeline=timeline_of(path)[0])).pictures
    except FramekitError as error:
        assert_is_a_line(str(error))
        return 0
    assert all(picture.image.dtype == np.uint8 and picture.image.shape[2] == 3 for picture in found)
    return len(found)


def look_through_all(folder: Path, name: str) -> int:
    """Runs in a process of its own with little memory: pictures of all variants of a film."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sound, path = film(folder, name), folder / f"spoilt-{name}"
    assert looked_through(sound, Sampling(every=1)) == FRAMES
    pictures = 0
    for seed, data in enumerate(spoilt(sound.read_bytes(), name, SEEDS)):
        path.write_bytes(data)
        pictures += looked_through(path, Sampling(keyframes=True) if seed % 3 else Sampling(every=2))
    return pictures


def test_a_spoilt_film_gives_pictures_or_is_refused_in_a_line(tmp_path):
    look = partial(look_through_all, tmp_path)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = {name: pool.apply_async(look, (name,)) for name in FILMS}
        assert all(result.get(timeout=LONGEST) for result in found.values())


def test_extraction_of_a_folder_of_spoilt_films_takes_the_sound_one(tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    for name in FILMS:
        data = film(tmp_path, name).read_bytes()
        for number, found in enumerate(spoilt(data, f"folder {name}", range(0, len(WAYS), 3))):
            (folder / f"{number}-{name}").write_bytes(found)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "loop.mkv").symlink_to(folder / "loop.mkv")
    (folder / "nowhere.mkv").symlink_to(folder / "nothing.mkv")
    (folder / "home").symlink_to(folder)
    shutil.copy(tmp_path / "h264.mp4", folder / "sound.mp4")
    options = ("--every", 2, "--crop-size", 32, "--crops-per-frame", 1, "--workers", 2, "--dedup-distance", 0)
    out = tmp_path / "dataset"
    ended = children.run(children.FRAMEKIT, "extract", folder, "--out", out, *options, codes=[1])
    problems = [line for line in ended.stderr.splitlines() if line.startswith("problem: ")]
    assert all(any(name in line for line in problems) for name in ("empty.mp4", "loop.mkv", "nowhere.mkv"))
    manifest = open_manifest(out)
    (sound,) = (source.id for source in manifest.info.sources if source.path.endswith("sound.mp4"))
    numbers = [
        row["frame_number"]
        for row in manifest.frames(["source", "frame_number"]).to_pylist()
        if row["source"] == sound
    ]
    assert numbers == list(range(0, FRAMES, 2)) and manifest.info.finished


@pytest.mark.parametrize("name", ["h264.mp4", "vp9.webm"])
def test_probing_a_spoilt_film_ends_in_a_line(tmp_path, name):
    path = tmp_path / f"spoilt-{name}"
    path.write_bytes(next(spoilt(film(tmp_path, name).read_bytes(), name, range(1, 2))))
    assert path.name in children.run_here(main, "probe", path).output
