"""A whole small run, once; then what running again does."""

import html.parser
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import framekit.manifest
from pipelines.__main__ import main
from tests.films import numbered_film

NAME = "<img src=x onerror=alert(1)>"
RECIPE = """
title = "Tiny <script>alert(1)</script>"
out = "run"
[cartoons]
sources = ["films"]
every = 4
crop_size = 64
[photos]
sources = ["photos"]
smooth = false
crop_size = 64
[train]
base_channels = 4
residual_blocks = 1
crop_size = 32
batch_size = 2
init_steps = 2
max_steps = 5
sample_every = 5
checkpoint_every = 2
workers = 0
untrained_features = true
[stylize]
at_most = 3
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a recipe, two films, a file that is none, and photos; the recipe has been run."""
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "films").mkdir()
    numbered_film(folder / "films" / f"{NAME}.mp4", 48, seed=1, hold=8)
    numbered_film(folder / "films" / "two.mp4", 48, seed=2, hold=8)
    (folder / "films" / "broken.mp4").write_bytes(b"no film")
    for group in ("people", "animals"):
        (folder / "photos" / group).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(_photo(number + 10 * len(group))).save(
                folder / "photos" / group / f"{number}.png"
            )
    (folder / "recipe.toml").write_text(RECIPE)
    done = run(folder)
    assert done.exit_code == 1, done.output  # one film is broken, and listed
    return folder, done


def _photo(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (8, 10, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((101, 83), Image.Resampling.BICUBIC))


def run(folder: Path, *words: str):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return CliRunner().invoke(main, ["run", "recipe.toml", "--workers", "1", *words])


def page_of(folder: Path) -> str:
    return (folder / "run/index.html").read_text()


def test_one_bad_film_is_reported_and_the_rest_done(place):
    folder, done = place
    assert "problem: films/broken.mp4: not a film" in done.stderr
    assert len(framekit.manifest.open(folder / "run/cartoons").info.sources) == 2


def test_it_ends_with_the_gallery_and_what_to_try_next(place):
    folder, done = place
    assert str(folder / "run/index.html") in done.stdout
    assert "cartoongan stylize run/model YOUR_PHOTO.jpg" in done.stdout


def test_every_stage_says_that_it_runs_and_leaves_what_it_made(place):
    folder, done = place
    for stage in ("cartoons", "photos", "audit", "train", "stylize", "gallery"):
        assert f"── {stage}" in done.stderr
        assert json.loads((folder / f"run/stages/{stage}.json").read_text())["done"]
    for name in ("cartoons", "photos"):
        assert json.loads((folder / f"run/audit/{name}/audit.json").read_text())["kept"] > 0
        assert f'href="audit/{name}/index.html"' in page_of(folder)
        assert (folder / f"run/audit/{name}/index.html").is_file()
    assert len((folder / "run/model/log.jsonl").read_text().splitlines()) == 5
    assert len(list((folder / "run/stylized").rglob("*.png"))) == 3


def test_the_gallery_shows_frames_pairs_curves_and_photos(place):
    page = page_of(place[0])
    for words in (
        "Photos and their cartoons",
        "Frames kept",
        "Frames left out",
        "near-duplicate",
        "Content loss",
    ):
        assert words in page
    assert page.count("<polyline") == 2 * 5
    assert page.count("data:image/") > 20
    assert "This shows the machinery, not the quality" in page


class Tags(html.parser.HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_the_gallery_needs_no_network_and_runs_no_stranger_s_code(place):
    page = page_of(place[0])
    tags = Tags(page).tags
    assert not [tag for tag, _ in tags if tag in ("script", "link", "iframe", "object")]
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert all(attributes["src"].startswith("data:image/") for tag, attributes in tags if tag == "img")
    assert all(attributes.get("alt") for tag, attributes in tags if tag == "img")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_a_browser_opens_the_gallery(place, tmp_path):
    page = place[0] / "run/index.html"
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
    ]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,900"]
    shot = tmp_path / "shot.png"
    command = ["chromium", *flags, f"--screenshot={shot}", "--enable-logging=stderr", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    picture = np.asarray(Image.open(shot).convert("RGB"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000, "pictures are shown"
    dom = subprocess.run(
        ["chromium", *flags, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    assert re.search(r"<title>Tiny &lt;script&gt;alert\(1\)", dom)


def test_running_again_does_nothing_again(place):
    folder, _ = place
    before = {path: path.stat().st_mtime_ns for path in (folder / "run").rglob("*") if path.is_file()}
    done = run(folder)
    assert done.stderr.count("done already") == 6
    assert before == {path: path.stat().st_mtime_ns for path in (folder / "run").rglob("*") if path.is_file()}


def test_problems_are_still_told_when_nothing_is_left_to_do(place):
    done = run(place[0])
    assert done.exit_code == 1
    assert "broken.mp4" in done.stderr


def test_changed_options_are_refused_by_name_and_nothing_is_touched(place):
    folder, _ = place
    done = run(folder, "--set", "train.lr=0.1")
    assert done.exit_code == 2
    assert "lr: 0.0002 → 0.1" in done.stderr and "--overwrite" in done.stderr
    assert len((folder / "run/model/log.jsonl").read_text().splitlines()) == 5


def test_overwrite_makes_a_stage_and_what_follows_anew(place, tmp_path):
    folder = copy_of(place, tmp_path)
    done = run(folder, "--set", "train.lr=0.1", "--overwrite")
    assert done.stderr.count("done already") == 3
    assert '"lr": 0.1' in (folder / "run/model/options.json").read_text()
    assert not (folder / "run/.discarded").exists()


def test_more_steps_go_on_from_those_that_are_done(place, tmp_path):
    folder = copy_of(place, tmp_path)
    before = (folder / "run/model/log.jsonl").read_text()
    done = run(folder, "--set", "train.max_steps=7")
    assert done.exit_code == 1, done.stderr
    log = (folder / "run/model/log.jsonl").read_text()
    assert log.startswith(before) and len(log.splitlines()) == 7
    assert "after 7 steps" in page_of(folder)


def test_options_that_only_say_how_to_run_change_nothing(place, tmp_path):
    folder = copy_of(place, tmp_path)
    done = run(folder, "--set", "train.workers=1", "--set", "train.checkpoint_every=9")
    assert done.stderr.count("done already") == 6


def test_a_photo_that_was_replaced_under_its_name_is_noticed(place, tmp_path):
    folder = copy_of(place, tmp_path)
    Image.fromarray(_photo(99)).save(folder / "photos/people/0.png")
    done = run(folder)
    assert done.exit_code == 2
    assert "run/photos: made before with other options or inputs (files)" in done.stderr


@pytest.mark.parametrize(
    "lost",
    ["cartoons/dataset.json", "model/generator.safetensors", "stylized/1.png", "audit/cartoons/index.html"],
)
def test_what_was_lost_is_made_again(place, tmp_path, lost):
    folder = copy_of(place, tmp_path)
    path = folder / "run" / lost
    before = path.read_bytes()
    path.unlink()
    done = run(folder)
    assert done.exit_code in (1, 2), done.stderr
    if lost == "cartoons/dataset.json":
        assert "is there already and is no dataset" in done.stderr
    else:
        assert path.read_bytes() == before


def test_nothing_of_somebody_else_s_is_ever_touched(place, tmp_path):
    folder = copy_of(place, tmp_path, ignore="run")
    precious = {"stylized/mine.txt": "a", "index.html": "b", "audit/mine.txt": "c"}
    for name, text in precious.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    for words in ([], ["--overwrite"], ["--set", "photos.every=3", "--overwrite"]):
        done = run(folder, "--set", "out=.", *words)
        assert done.exit_code == 2
        assert "was not made by this recipe" in done.stderr
    assert {name: (folder / name).read_text() for name in precious} == precious
    assert len(list((folder / "photos").rglob("*.png"))) == 4
    assert not (folder / "cartoons").exists(), "refused before anything was made"


def test_a_run_inside_its_own_sources_is_refused(place, tmp_path):
    folder = copy_of(place, tmp_path, ignore="run")
    done = run(folder, "--set", "out=photos/out")
    assert done.exit_code == 2
    assert "lies inside a folder that pictures are taken from" in done.stderr


def test_a_run_may_be_called_from_elsewhere(place, tmp_path):
    folder = copy_of(place, tmp_path)
    words = [f"cartoons.sources={[str(folder / 'films')]}", f"photos.sources={[str(folder / 'photos')]}"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(folder / "recipe.toml", elsewhere)
    flags = [flag for word in [*words, f"out={folder / 'run'}"] for flag in ("--set", word)]
    assert run(elsewhere, *flags).stderr.count("done already") == 6


def copy_of(place, tmp_path: Path, ignore: str = "") -> Path:
    return shutil.copytree(place[0], tmp_path / "copy", ignore=shutil.ignore_patterns(ignore))


def test_a_gallery_that_was_deleted_is_made_again(place, tmp_path):
    folder = copy_of(place, tmp_path)
    (folder / "run/index.html").unlink()
    assert run(folder).stderr.count("done already") == 5
    assert page_of(folder) == page_of(place[0])


def test_an_interrupted_training_goes_on(place, tmp_path):
    folder = copy_of(place, tmp_path)
    stamp = folder / "run/stages/train.json"
    stamp.write_text(stamp.read_text().replace('"done": true', '"done": false'))
    for name in ("step-00000005.pt", "step-000005.pt"):
        (folder / "run/model/checkpoints" / name).unlink(missing_ok=True)
    done = run(folder)
    assert done.exit_code == 1, done.stderr
    whole = place[0] / "run/model/generator.safetensors"
    assert (folder / "run/model/generator.safetensors").read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ("cartoons.sources=['nowhere']", 2, "no such file or folder"),
        ("photos.sources=['films/two.mp4']", 2, "no photos to stylize"),
        ("train.vgg_weights=nothing.safetensors", 2, "not both"),
        ("cartoons.crop_size=512", 1, "no pictures to train on"),
    ],
)
def test_bad_input_is_one_clear_line(place, tmp_path, change, code, words):
    folder = copy_of(place, tmp_path, ignore="run")
    done = run(folder, "--set", change)
    assert done.exit_code == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
