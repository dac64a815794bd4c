"""Crops against their films: every kind of dataset fits its own; what was moved or changed is found."""

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from framekit.cli import main
from framekit.extraction.extract import extract
from framekit.extraction.verifying import Verified, verify
from framekit.files import sha256_of
from framekit.images.edges import smooth_edges
from framekit.images.encoding import decode, encode
from framekit.manifest.schema import FRAMES, PAIRS
from framekit.manifest.writing import ShardWriter
from framekit.options import ExtractOptions
from pipelines.demo_film import draw_film
from tests.films import numbered_film, numbered_frame
from tests.odd_films import ODD_FILMS

SIDE = 64


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return numbered_film(tmp_path_factory.mktemp("film") / "film.mp4", 48, seed=4)


@pytest.fixture(scope="module")
def made(film):
    """A dataset of 4 frames and 8 stored pairs."""
    return extracted(film.parent / "set", film, every=12)


@pytest.fixture
def root(made, tmp_path):
    shutil.copytree(made, tmp_path / "set")
    return tmp_path / "set"


def extracted(out: Path, *films: Path, **options) -> Path:
    chosen = ExtractOptions(**{"crops_per_frame": 2, "crop_size": SIDE} | options)
    run = extract([str(film) for film in films], out, chosen, workers=1)
    assert run.info.totals["pairs"] > 0
    return out


def compared(root: Path, **more) -> Verified:
    return verify(root, with_films=True, **more)


def assert_all_fits(root: Path) -> None:
    found = compared(root)
    assert found.faults == []
    assert found.compared == found.pairs > 0


def change(root: Path, table: str, number: int, edit) -> str:
    """Edit a row of a shard, put down sums and sizes as if it had been made so; the row's file and id."""
    path = next((root / table).glob("*.parquet"))
    rows = pq.read_table(path).to_pylist()
    edit(rows[number])
    with ShardWriter(path, PAIRS if table == "pairs" else FRAMES) as writer:
        for row in rows:
            writer.add(row)
        writer.close({})
    papers = json.loads((root / "dataset.json").read_text())
    for shard in papers["shards"]:
        if shard["path"] == f"{table}/{path.name}":
            shard |= {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    papers["totals"]["bytes"] = sum(shard["bytes"] for shard in papers["shards"])
    (root / "dataset.json").write_text(json.dumps(papers))
    return f"{table}/{path.name}: {rows[number]['pair_id' if table == 'pairs' else 'frame_id']}"


OPTIONS = [
    {},
    {"frame_height": 120},
    {"second_height": 120},
    {"resize": True, "crops_per_frame": 1},
    {"encoding": "jpeg:90"},
    {"encoding": "webp:70"},
    {"smooth": False},
    {"letterbox": "200:160:40:30"},
    {"seed": 5, "hash": "dhash", "style": "dots"},
    {"inverse_telecine": True},
    {"every": None, "keyframes": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_extract_made_is_what_the_film_shows(film, tmp_path, options):
    assert_all_fits(extracted(tmp_path / "set", film, **{"every": 12} | options))


KINDS = [
    "rotated_90",
    "sar_16_15",
    "size_changes",
    "vfr_mkv",
    "mpeg2_interlaced",
    "full_range",
    "vp9_hidden_frames",
]


@pytest.mark.parametrize("kind", KINDS)
def test_films_of_every_kind_fit_their_datasets(tmp_path, kind):
    assert_all_fits(extracted(tmp_path / "set", ODD_FILMS[kind](tmp_path), every=25))


def test_a_film_with_black_bars_fits_its_dataset(tmp_path):
    draw_film(tmp_path / "bars.mkv", seconds=12, letterbox=True, size=(640, 360))
    root = extracted(tmp_path / "set", tmp_path / "bars.mkv", every=48)
    facts = json.loads((root / "dataset.json").read_text())["sources"][0]["facts"]
    assert facts["letterbox"]
    assert_all_fits(root)


@pytest.fixture
def photos(tmp_path):
    for name in ("people/a.png", "b.png", "c\n.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "photos" / name), numbered_frame(len(name), seed=9)[..., ::-1])
    (tmp_path / "photos/bad.jpg").write_bytes(b"\xff\xd8\xff")
    return tmp_path / "photos"


def test_pictures_of_a_folder_are_compared_each_by_its_name(photos, tmp_path):
    root = extracted(tmp_path / "set", photos)
    assert_all_fits(root)
    (photos / "new.png").write_bytes((photos / "b.png").read_bytes())  # of which the dataset does not speak
    assert_all_fits(root)
    shutil.copy(photos / "people/a.png", photos / "b.png")
    (photos / "people/a.png").unlink()
    found = compared(root)
    assert found.compared == 4
    assert any("its hash differs from its film's in" in line for line in found.faults)
    assert sum("image is not its place in the film" in line for line in found.faults) == 2
    assert sum("gives no picture 3: 2 crops were not compared" in line for line in found.faults) == 1


# What does not fit


@pytest.mark.parametrize("encoding", ["png", "jpeg:95", "webp:95"])
def test_a_crop_that_was_cut_a_pixel_beside_its_place_is_found(film, tmp_path, encoding):
    root = extracted(tmp_path / "set", film, every=12, encoding=encoding)

    def shift(row):
        image = decode(row["image"]["bytes"])
        beside = np.concatenate([image[:, 1:], image[:, -1:]], axis=1)
        row["image"]["bytes"] = encode(beside, encoding)
        row["smoothed"]["bytes"] = encode(smooth_edges(beside), encoding)

    what = change(root, "pairs", 5, shift)
    found = compared(root)
    assert found.faults[0].startswith(f"{what}: image is not its place in the film: ")
    assert all(line.startswith(what) for line in found.faults)
    assert found.compared == found.pairs
    assert verify(root).faults == []  # the folder alone does not show it


def test_a_row_that_names_the_place_beside_its_own_is_found(root):
    what = change(root, "pairs", 3, lambda row: row.update(crop_x=row["crop_x"] ^ 1))
    place, picture = compared(root).faults
    assert place.startswith(f"{what}: stands at (")
    assert "where its seed gives (" in place
    assert picture.startswith(f"{what}: image is not its place in the film: ")


def test_one_level_of_one_pixel_is_found(root):
    def touch(row):
        image = decode(row["image"]["bytes"])
        image[0, 0, 0] ^= 1
        row["image"]["bytes"] = encode(image)

    what = change(root, "pairs", 0, touch)
    assert compared(root).faults == [
        f"{what}: image is not its place in the film: 0.0% of its pixels are up to 1 levels away"
    ]


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"hash": 0}, "its hash differs from its film's in "),
        ({"pts": 7}, "its pts is 7, in its film "),
        ({"seconds": 0.25}, "its seconds is 0.25, in its film 0.5"),
        ({"width": 640}, "its size is 640×240, in its film 320×240"),
    ],
)
def test_a_frame_that_is_not_what_its_film_shows_is_found(root, columns, fault):
    what = change(root, "frames", 1, lambda row: row.update(columns))
    assert any(line.startswith(f"{what}: {fault}") for line in compared(root).faults)


def test_a_frame_that_the_film_does_not_have_is_found(root):
    number = {"frame_number": 4800}
    frame = change(root, "frames", 2, lambda row: row.update(number))
    change(root, "pairs", 4, lambda row: row.update(number))
    faults = compared(root).faults
    assert any(line.startswith(frame) and "gives no picture 4800: 1 crops" in line for line in faults)


# Where films are


def test_a_film_that_is_not_at_hand_is_one_fault_and_hides_no_other(film, made, tmp_path):
    other = numbered_film(tmp_path / "gone.mp4", 24, seed=5)
    root = extracted(tmp_path / "set", film, other, every=12)
    other.rename(tmp_path / "kept.mp4")
    found = compared(root)
    (line,) = found.faults
    assert line == f"{other}: not at hand (looked for {other}): its 4 crops were not compared"
    assert found.compared == 8
    numbered_film(tmp_path / "gone.mp4", 24, seed=6)
    assert "another film is there" in compared(root).faults[0]
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "kept.mp4").rename(tmp_path / "elsewhere/deep/gone.mp4")
    assert compared(root, films=tmp_path / "elsewhere").faults == []


def test_films_are_looked_for_from_here_and_from_beside_the_dataset(film, tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(film, tmp_path / "home/film.mp4")
    monkeypatch.chdir(tmp_path / "home")
    extracted(Path("set"), Path("film.mp4"), every=12)
    assert_all_fits(Path("set"))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert_all_fits(tmp_path / "home/set")


def test_films_with_names_that_no_terminal_shows_are_found(film, tmp_path, monkeypatch):
    names = [b"new\nline.mp4", b"bad\xff\xfe.mp4", b"back\\slash.mp4", b"-rf.mp4"]
    folder = tmp_path / "odd\tfolder"
    folder.mkdir()
    films = [folder / os.fsdecode(name) for name in names]
    for number, place in enumerate(films):
        place.write_bytes(film.read_bytes() + bytes(number + 1))
    monkeypatch.chdir(tmp_path)
    root = extracted(tmp_path / "set", *(place.relative_to(tmp_path) for place in films), every=24)
    assert_all_fits(root)
    (folder / os.fsdecode(names[0])).unlink()
    (fault,) = compared(root).faults
    assert fault.startswith(r"odd\tfolder/new\nline.mp4: not at hand")


def test_shards_that_cannot_be_read_are_said_once(root):
    next((root / "pairs").glob("*.parquet")).write_bytes(b"PAR1 nothing PAR1")
    found = compared(root)
    assert [line.partition(": ")[2][:12] for line in found.faults] == ["has other by", "cannot be re"]
    assert found.compared == 0


def test_the_command_line(root, film, tmp_path):
    def run(*words):
        return CliRunner(catch_exceptions=False).invoke(main, ["verify", str(root), *map(str, words)])

    done = run("--against-films")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:2] == [
        "no faults in 4 frames and 8 stored pairs",
        "8 crops compared with their films",
    ]
    assert json.loads(run("--against-films", "--films", tmp_path, "--json").stdout)["compared"] == 8
    done = run("--films", tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--against-films" in done.stderr
