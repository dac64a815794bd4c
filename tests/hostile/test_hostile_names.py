"""Names that strangers chose: shown as they are to nobody, followed nowhere, and text on every page."""

import html
import json
import os
import re
import shutil
import tarfile
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cartoongan.stylize import Stylizer, stylize_paths
from framekit.cli import main
from framekit.errors import CommandError
from framekit.manifest.exporting import ExportOptions, export
from framekit.manifest.reading import open_manifest
from tests.films import numbered_film, numbered_frame
from tests.framekit.review.serving import serving_here
from tests.hostile import children
from tests.hostile.uses import UNPRINTABLE, files_in, read

MARKUP = "<script>alert(1)</script>".replace("/", "∕")
NAMES = [
    "new\nline", "carriage\rreturn", "tab\tand bell\a", "\x1b[31mred\x1b]0;title\a", "'quote\"s`$(touch x)`",
    "-rf", "--help", "right\u202eleft\u2066", "zero\u200bwidth", MARKUP, "{{7*7}}${7*7}%s%n", "a..", " ", "~",
    "#?&=%2e", "a\\..\\b", "C:", "CON", os.fsdecode(b"bytes\xff\xfe"), "x" * 250, "日" * 80, "*[a]?", "@file",
    ";id", "|id",
]  # fmt: skip
"""Without their endings, which make none longer than 255 bytes."""


def names(ending: str) -> list[str]:
    return [f"{name}{ending}" for name in NAMES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A picture and a film under each of some names."""
    folder = tmp_path_factory.mktemp("named")
    (folder / "pictures" / NAMES[3]).mkdir(parents=True)
    for number, name in enumerate(names(".png")):
        image = numbered_frame(number, width=80, height=48)
        place = folder / "pictures" / (NAMES[3] if number % 2 else "") / name
        Image.fromarray(image).save(place, "PNG")
    (folder / "films").mkdir()
    for number, name in enumerate(names(".mp4")[::5]):
        numbered_film(folder / "films" / name, 4, seed=number)
    return folder


def extracted(folder: Path, out: Path) -> Path:
    sources = (folder / "pictures", *sorted((folder / "films").iterdir()))
    options = ("--every", 2, "--crop-size", 32, "--crops-per-frame", 1, "--workers", 1, "--dedup-distance", 0)
    children.run(children.FRAMEKIT, "extract", *sources, "--out", out, *options, cwd=folder, codes=[0])
    return out


@pytest.fixture(scope="module")
def dataset(folder, tmp_path_factory) -> Path:
    return extracted(folder, tmp_path_factory.mktemp("made") / "dataset")


def assert_is_text(page: str) -> None:
    """Markup of names is written out, and nothing turns the reading direction round."""
    assert MARKUP not in page and html.escape(MARKUP) in page
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page)


def test_all_is_taken_and_what_is_written_has_plain_names(folder, dataset):
    read(dataset)
    manifest = open_manifest(dataset)
    kinds = [source.kind for source in manifest.info.sources]
    assert kinds.count("film") == len(NAMES[::5]) and kinds.count("stills") == 1
    stills = [name for name in manifest.frames(["name"])["name"].to_pylist() if name]
    assert len(stills) == len(set(stills)) == len(NAMES)
    for path in files_in(dataset):
        assert re.fullmatch(r"[a-zA-Z0-9._/-]+", path.relative_to(dataset).as_posix())
    for text in ((dataset / name).read_text(encoding="utf-8") for name in ("dataset.json", "README.md")):
        assert not UNPRINTABLE.search(text.replace("\n", ""))


def test_words_and_pages_about_them_are_text(dataset, tmp_path):
    for words in (
        ["probe", dataset.parent / "none"],
        ["verify", dataset],
        ["dedup", dataset],
        ["compact", dataset],
    ):
        children.run_here(main, *words)
    children.run_here(main, "audit", dataset, "--out", tmp_path / "report", codes=[0])
    assert_is_text((tmp_path / "report" / "index.html").read_text(encoding="utf-8"))
    for path in files_in(tmp_path / "report"):
        assert re.fullmatch(r"[a-zA-Z0-9._/-]+", path.relative_to(tmp_path).as_posix())


def test_what_a_browser_is_told_of_them_is_json_and_no_markup(dataset, tmp_path):
    with serving_here(shutil.copytree(dataset, tmp_path / MARKUP)) as here:
        for address in ("api/dataset", "api/rows?rows=0,1,2,3", "api/frame/0", f"api/view?q={MARKUP[1:5]}"):
            with urllib.request.urlopen(here.url + address) as answer:
                kind, data = answer.headers["content-type"], answer.read()
            assert kind in ("application/json", "application/octet-stream")
            assert answer.headers["x-content-type-options"] == "nosniff"
            if kind == "application/json":
                assert data.isascii() and json.loads(data)
        with urllib.request.urlopen(here.url) as answer:
            assert MARKUP.encode() not in answer.read()


@pytest.mark.parametrize("format_", ["folders", "webdataset", "hf"])
def test_exports_have_names_of_their_own(dataset, tmp_path, format_):
    export(dataset, tmp_path / "out", ExportOptions(format=format_))
    written = [path.relative_to(tmp_path).as_posix() for path in files_in(tmp_path)]
    for path in tmp_path.glob("out/*.tar"):
        with tarfile.open(path) as tar:
            written += tar.getnames()
    assert len(written) > 1
    assert all(re.fullmatch(r"[a-zA-Z0-9._/-]+", name) and ".." not in name for name in written)


class Echo(torch.nn.Module):
    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return photos


def test_cartoons_lie_in_their_folder_under_the_names_of_their_photos(folder, tmp_path):
    stylizer = Stylizer(Echo(), torch.device("cpu"))  # type: ignore[arg-type]
    summary = stylize_paths(stylizer, [folder / "pictures"], tmp_path / "out")
    assert len(summary.written) + len(summary.failed) == len(NAMES)
    assert not any(UNPRINTABLE.search(line) for line in summary.failed)
    assert {path.resolve().is_relative_to(tmp_path / "out") for path in summary.written} == {True}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    for path in files_in(tmp_path / "out"):
        original = np.asarray(Image.open(folder / "pictures" / path.relative_to(tmp_path / "out")))
        assert np.array_equal(np.asarray(Image.open(path)), original)


@pytest.mark.parametrize("name", ["--help.mp4", "-rf.mp4", "http:", "s3:", "concat:a|b", "@a.mp4", "pipe:0"])
def test_a_film_that_is_called_like_an_option_or_an_address_is_a_file(name, tmp_path, monkeypatch):
    numbered_film(tmp_path / "film.mp4", 4)
    (tmp_path / "film.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    ended = children.run_here(main, "probe", "--json", "--", name, codes=[0])
    assert json.loads(ended.stdout)["sources"][0]["path"] == name


# --- what stands where something is to be written ---


def test_a_link_in_the_place_of_what_is_written_is_replaced_and_not_followed(folder, tmp_path):
    mine, out = tmp_path / "mine", tmp_path / "out"
    mine.write_text("precious")
    out.mkdir()
    (out / "photo.png").symlink_to(mine)
    (out / "gone.png").symlink_to(tmp_path / "nothing")
    for name in ("photo.jpg", "gone.jpg"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    stylizer = Stylizer(Echo(), torch.device("cpu"))  # type: ignore[arg-type]
    photos = [tmp_path / "photo.jpg", tmp_path / "gone.jpg"]
    assert len(stylize_paths(stylizer, photos, out).failed) == 2
    assert len(stylize_paths(stylizer, photos, out, overwrite=True).written) == 2
    assert mine.read_text() == "precious" and not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("lead", ["itself", "nowhere", "a file"])
def test_an_output_that_leads_nowhere_is_refused_in_a_line(folder, dataset, tmp_path, lead):
    out = tmp_path / "out"
    (tmp_path / "file").write_text("precious")
    out.symlink_to({"itself": out, "nowhere": tmp_path / "no" / "thing", "a file": tmp_path / "file"}[lead])
    for words in (
        ["extract", folder / "pictures", "--out", out],
        ["audit", dataset, "--out", out],
        ["export", dataset, out, "--format", "hf"],
    ):
        ended = children.run_here(main, *words, codes=[1, 2])
        assert ended.stderr.splitlines()[-1].startswith("error: ")
    assert (tmp_path / "file").read_text() == "precious"
    stylizer = Stylizer(Echo(), torch.device("cpu"))  # type: ignore[arg-type]
    try:
        failed = stylize_paths(stylizer, [folder / "pictures"], out).failed
    except CommandError as error:
        failed = [str(error)]
    assert failed and not any(UNPRINTABLE.search(line) for line in failed)


def test_folders_that_lead_in_circles_are_gone_through_once(tmp_path):
    folder = tmp_path / "photos"
    (folder / "people").mkdir(parents=True)
    Image.fromarray(numbered_frame(1, width=80, height=48)).save(folder / "people" / "a.png")
    (folder / "people" / "again").symlink_to(folder)
    (folder / "self.png").symlink_to(folder / "self.png")
    stylizer = Stylizer(Echo(), torch.device("cpu"))  # type: ignore[arg-type]
    summary = stylize_paths(stylizer, [folder], tmp_path / "out")
    assert summary.written == [tmp_path / "out" / "people" / "a.png"] and len(summary.failed) == 1
    options = ("--crop-size", 32, "--workers", 1)
    children.run_here(main, "extract", folder, "--out", tmp_path / "set", *options, codes=[1])
    names = open_manifest(tmp_path / "set").frames(["name"])["name"].to_pylist()
    assert names == ["people/a.png"]
