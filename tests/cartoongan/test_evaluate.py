"""`cartoongan evaluate`: figures on a run, what they must be where that is known, and its page."""

import json
import re

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from cartoongan import evaluating, evaluation_report, judged
from cartoongan.cli import main
from cartoongan.options import EvaluateOptions
from framekit.errors import FramekitError
from framekit.extraction.extract import extract
from framekit.extraction.settling import split
from framekit.images.encoding import encode
from framekit.manifest.schema import Split
from framekit.options import ExtractOptions
from tests.cartoongan.datasets import drawing, photo, write_dataset
from tests.cartoongan.small_features import PLACE

OPTIONS = EvaluateOptions(features=PLACE, device="cpu")
ODD = "<b>animals"


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    images = [drawing(number, 64) for number in range(6)]
    return write_dataset(tmp_path_factory.mktemp("drawings"), images, smooth=True)


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    """A real dataset of photos in two subfolders, two crops each, a third of them on the test side."""
    folder = tmp_path_factory.mktemp("grouped")
    for group in ("people", ODD):
        (folder / "photos" / group).mkdir(parents=True)
        for number in range(6):
            path = folder / "photos" / group / f"{number}.png"
            path.write_bytes(encode(photo(number + 10 * len(group), 80)))
    options = ExtractOptions(crop_size=64, crops_per_frame=2, smooth=False, dedup_distance=0)
    extract([str(folder / "photos")], folder / "dataset", options, workers=1)
    split(folder / "dataset", Split(by="duplicate-group", test=0.34, seed=0))
    return folder / "dataset"


@pytest.fixture
def filters(monkeypatch):
    """Generators by name that are no networks but known operations on pictures."""
    known = {
        "same": lambda image: image,
        "blurred": lambda image: cv2.GaussianBlur(image, (0, 0), 1.5),
        "noisy": lambda image: _noisy(image, 12),
        "tinted": lambda image: np.clip(image + np.array([30, 0, -30]), 0, 255).astype(np.uint8),
        "tiled": _tiled,
        "drawing": lambda image: drawing(2, len(image)),
    }
    monkeypatch.setattr(evaluating, "load_stylizer", lambda name, _options: known[str(name)])
    return list(known)


def _noisy(image, sigma):
    noise = np.random.default_rng(0).normal(0, sigma, image.shape[:2])[..., None]
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def _tiled(image):
    made = image.astype(int)
    made[::4, ::4] += 25
    return np.clip(made, 0, 255).astype(np.uint8)


@pytest.fixture
def found(filters, drawings, tmp_path):
    """Known operations on drawings, that stand for photos too: their lines and flat areas are clean."""
    images = [drawing(number, 64) for number in range(5, 11)]
    photos = write_dataset(tmp_path / "photos", images, smooth=False)
    return evaluating.evaluate({name: name for name in filters}, photos, drawings, OPTIONS)


def test_every_figure_moves_as_it_must(found):
    of = {run.name: run.groups["all"] for run in found.runs}
    same = of["same"]
    assert same == of[evaluating.PHOTOS], "giving photos back is what the line beside the generators shows"
    assert (same.content, same.style, same.colour_shift) == (0, pytest.approx(1), 0)
    assert same.clarity == pytest.approx(1, abs=0.15), "these photos are drawings as the cartoons are"
    assert of["blurred"].clarity < 0.6 * same.clarity
    assert of["noisy"].noise > same.noise + 5
    assert of["tinted"].colour_shift > 10 > of["blurred"].colour_shift
    assert of["tiled"].checkerboard > same.checkerboard + 3
    for name in ("blurred", "noisy", "tinted", "tiled", "drawing"):
        assert of[name].content > 0
        assert of[name].fid > same.fid, "these photos are drawings of the same kind"


def test_who_draws_like_the_cartoons_gets_nearer_to_them_than_photos_are(filters, drawings, photos):
    found = evaluating.evaluate({"drawing": "drawing"}, photos, drawings, OPTIONS)
    beside, drawn = (run.groups["all"] for run in found.runs)
    assert drawn.style < 0.5 * beside.style
    assert drawn.fid < 0.5 * beside.fid
    assert drawn.kid < 0.5 * beside.kid
    assert drawn.content > 0.3


def test_scores_are_content_and_style_of_each_photo(found):
    scores = found.runs[1].scores
    assert scores == pytest.approx([1] * 6, abs=0.5)
    assert all(run.groups["all"].pictures == 6 for run in found.runs)


@pytest.mark.real
def test_real_features_are_named_and_tell_photos_from_drawings(filters, drawings, photos, tmp_path, vgg_file):
    options = EvaluateOptions(vgg_weights=vgg_file, device="cpu")
    others = [drawing(number, 64) for number in range(20, 26)]
    like = write_dataset(tmp_path / "like", others, smooth=False)
    apart = evaluating.evaluate({"same": "same"}, photos, drawings, options)
    near = evaluating.evaluate({"same": "same"}, like, drawings, options)
    named = apart.as_json()["features"]
    assert named["network"].startswith(f"VGG19 ({vgg_file.name}), conv4_4")
    assert len(named["digest"]) == 64
    assert near.runs[1].groups["all"].fid < 0.5 * apart.runs[1].groups["all"].fid
    assert near.runs[1].groups["all"].kid < 0.5 * apart.runs[1].groups["all"].kid


def test_the_same_twice(filters, drawings, photos):
    def once():
        return evaluating.evaluate({"noisy": "noisy"}, photos, drawings, OPTIONS).as_json()

    assert once() == once()


def test_groups_are_folders_and_only_the_test_side_is_seen(filters, grouped, drawings):
    chosen = judged.choose(grouped, 500)
    assert chosen.side == "test"
    assert set(chosen.frames) <= set(chosen.manifest.test.frames(["frame_id"])["frame_id"].to_pylist())
    found = evaluating.evaluate({"same": "same"}, grouped, drawings, OPTIONS)
    counts = {name: its.pictures for name, its in found.runs[0].groups.items()}
    assert found.grouped_by == "folder"
    assert set(counts) == {"all", "people", ODD}
    assert counts["all"] == counts["people"] + counts[ODD] == len(chosen)


def test_every_photo_once_before_any_twice(grouped):
    whole = judged.choose(grouped, 500)
    frames = len(set(whole.frames))
    assert len(whole) > frames
    few = judged.choose(grouped, frames)
    assert len(set(few.frames)) == len(few) == frames


def test_groups_by_content_where_it_was_told(grouped, monkeypatch):
    chosen = judged.choose(grouped, 500)
    tagged = chosen.manifest.frames(["frame_id", "content"])
    told = [["people", "city"], ["all"], [], *[None] * (tagged.num_rows - 3)]
    table = tagged.set_column(1, tagged.schema.field("content"), [told])
    monkeypatch.setattr(type(chosen.manifest), "frames", lambda *_: table)
    by, places = judged.groups(chosen)
    assert by == "content"
    assert set(places) == {"people", "city", "content all", judged.OTHER, judged.UNTAGGED}
    assert places["people"].tolist() == places["city"].tolist()


def test_many_groups_are_put_together(grouped, monkeypatch):
    monkeypatch.setattr(judged, "MOST_GROUPS", 1)
    _, places = judged.groups(judged.choose(grouped, 500))
    assert len(places) == 2
    assert judged.OTHER in places


def run(*words):
    return CliRunner().invoke(main, ["evaluate", *map(str, words), "--features", PLACE, "--device", "cpu"])


def test_runs_side_by_side_on_the_command_line(finished, grouped, drawings, tmp_path):
    checkpoint = finished.checkpoint
    words = (finished.generator, checkpoint, "--photos", grouped, "--cartoons", drawings)
    done = run(*words, "--out", tmp_path / "report", "--shown", "1")
    assert done.exit_code == 0, done.output
    assert "not those of Inception" in done.stdout
    assert done.stdout.count(evaluating.PHOTOS) == 3, "for all and for two groups"
    figures = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    names = [its["name"] for its in figures["runs"]]
    assert names == [evaluating.PHOTOS, str(finished.generator), str(checkpoint)]
    first, second = (its["groups"] for its in figures["runs"][1:])
    assert first == second, "the same weights"
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count("data:image/jpeg") == 2 * 2 * 3, (
        "best and worst of two groups; a photo and two cartoons"
    )
    assert "&lt;b&gt;animals" in page
    assert not re.search("<b>|<script|https?://", page)


def test_json_and_what_cannot_be_loaded(finished, photos, drawings, tmp_path):
    (tmp_path / "junk.pt").write_bytes(b"junk")
    words = (tmp_path / "junk.pt", finished.generator, "--photos", photos, "--cartoons", drawings, "--json")
    done = run(*words)
    assert done.exit_code == 1
    assert "failed:" in done.stderr
    figures = json.loads(done.stdout)
    assert [its["name"] for its in figures["runs"]] == [evaluating.PHOTOS, str(finished.generator)]
    assert len(figures["failed"]) == 1
    assert figures["photos"]["pictures"] == 7
    done = run(tmp_path / "junk.pt", "--photos", photos, "--cartoons", drawings)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)


def test_a_generator_that_fails_at_a_photo_is_listed_and_the_others_judged(
    filters, drawings, photos, monkeypatch
):
    def failing(image):
        raise FramekitError("could not be run", where="model.onnx")

    known = {"bad": failing, evaluating.PHOTOS: lambda image: image, "same": lambda image: image}
    monkeypatch.setattr(evaluating, "load_stylizer", lambda name, _options: known[str(name)])
    found = evaluating.evaluate(
        {name: name for name in known}, photos, drawings, EvaluateOptions(features=PLACE)
    )
    assert [run.name for run in found.runs] == [evaluating.PHOTOS, evaluating.PHOTOS, "same"]
    assert found.failed == ["model.onnx: could not be run"]
    with pytest.raises(FramekitError, match="could not be run"):
        evaluating.evaluate({"bad": "bad"}, photos, drawings, OPTIONS)


def test_nothing_of_somebody_s_is_written_over(finished, photos, drawings, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    done = run(finished.generator, "--photos", photos, "--cartoons", drawings, "--out", tmp_path)
    assert done.exit_code == 2
    assert "holds something else" in done.stderr


def test_an_empty_dataset(tmp_path):
    empty = write_dataset(tmp_path / "empty", [], smooth=False)
    with pytest.raises(FramekitError, match="no pictures"):
        judged.choose(empty, 5)


def test_a_page_stays_small(filters, drawings, photos, monkeypatch):
    found = evaluating.evaluate({"same": "same"}, photos, drawings, OPTIONS)
    monkeypatch.setattr(evaluation_report, "BUDGET", 6_000)
    page = evaluation_report.page(found)
    assert "left out to keep this page small" in page
    assert len(page) < 20_000
