import json
import os
import shlex
import subprocess
import sys

import pytest
from click.testing import CliRunner

from framekit.cli import main
from tests.films import numbered_film
from tests.framekit.manifest.datasets import SOURCES, dataset


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def film(tmp_path):
    return numbered_film(tmp_path / "film.mp4", 60)


def test_from_film_to_audit(film, tmp_path):
    done = run(
        "extract", film, "--out", tmp_path / "set", "--every", 20, "--crop-size", 64, "--style", "test"
    )
    assert done.exit_code == 0, done.stderr
    assert "12 pairs from 3 of 3 sampled frames (of 60) of 1 sources" in done.stdout
    assert f"next: framekit audit {tmp_path / 'set'}" in done.stdout
    done = run("audit", tmp_path / "set")
    assert done.exit_code == 0
    assert "12 pairs from 3 of 3 sampled frames" in done.stdout
    assert "Take more pairs. 12 pairs are few" in done.stdout
    done = run("verify", tmp_path / "set")
    assert (done.exit_code, done.stdout[:9]) == (0, "no faults")


def test_json_is_one_object_and_nothing_else(film, tmp_path):
    out = tmp_path / "set"
    extracted = json.loads(
        run("extract", film, "--out", out, "--every", 20, "--crop-size", 64, "--json").stdout
    )
    assert extracted["totals"]["pairs"] == 12
    assert json.loads(run("probe", film, "--json").stdout)["sources"][0]["pictures"] == 60
    assert json.loads(run("audit", out, "--json").stdout)["kept"] == 3
    verified = json.loads(run("verify", out, "--json").stdout)
    assert verified["faults"] == [] and len(verified["digest"]) == 64
    dry = run("extract", film, "--out", tmp_path / "dry", "--dry-run", "--json")
    assert json.loads(dry.stdout)["options"]["every"] == 50


def test_dry_run_does_nothing(film, tmp_path):
    done = run("extract", film, "--out", tmp_path / "set", "--every", 20, "--dry-run")
    assert "60 frames" in done.stdout
    assert "decodes what is needed; samples: 3" in done.stdout
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("extract nothing.mkv --out set", 2, "no such file or folder"),
        ("extract empty-folder --out set", 2, "neither films nor pictures"),
        ("extract film.mp4", 2, "Missing option '--out'"),
        ("extract film.mp4 --out set --every 0", 2, "--every"),
        ("extract film.mp4 --out set --encoding gif", 2, "must be png, jpeg[:Q] or webp[:Q]"),
        ("extract film.mp4 --out set --encoding jpeg:101", 2, "from 1 to 100"),
        ("extract film.mp4 --out empty.mp4", 2, "is there already"),
        ("extract empty.mp4 --out set", 1, "the file is empty"),
        ("extract text.txt --out set", 1, "not a film that FFmpeg can read"),
        ("probe film.mp4 empty.mp4", 1, "problem: empty.mp4: the file is empty"),
        ("audit nothing", 2, "no dataset here"),
        ("audit film.mp4", 2, "no dataset here"),
        ("verify other-version", 1, "schema version 99"),
        ("extract film.mp4 --out other-version", 1, "schema version 99"),
        ("frobnicate", 2, "No such command"),
    ],
)
def test_bad_input_is_one_clear_line(film, tmp_path, monkeypatch, command, code, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.txt").write_text("text")
    (tmp_path / "empty-folder").mkdir()
    (tmp_path / "other-version").mkdir()
    (tmp_path / "other-version/dataset.json").write_text('{"schema_version": 99}')
    done = run(*shlex.split(command))
    assert done.exit_code == code, done.output
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_hostile_film_names_are_shown_harmlessly(film, tmp_path):
    film.rename(tmp_path / "a\nb\x1b[31m<img src=x onerror=alert(1)>|.mp4")
    done = run("extract", tmp_path, "--out", tmp_path / "set", "--every", 20, "--crop-size", 64)
    assert done.exit_code == 0, done.stderr
    assert "\x1b" not in done.output
    card = (tmp_path / "set/README.md").read_text()
    assert "<img" not in card
    assert "\x1b" not in (tmp_path / "set/dataset.json").read_text()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--keep", "--drop"], "--keep and --drop"),
        (["--drop", "--keep"], "--keep and --drop"),
        (["--undo", "--keep"], "--keep and --undo"),
        (["--undo", "--keep", "--drop"], "--keep and --drop and --undo"),
    ],
)
def test_one_word_at_a_time_is_decided(tmp_path, flags, named):
    root = dataset(tmp_path / "set", 2)
    before = (root / "decisions.parquet").read_bytes()
    done = run("decide", root, f"{SOURCES[0]}:0", *flags)
    assert done.exit_code == 2
    assert f"error: {named} contradict each other. give one of them" in done.stderr
    assert (root / "decisions.parquet").read_bytes() == before
    assert run("decide", root, f"{SOURCES[0]}:0", "--drop", "--drop").exit_code == 0


@pytest.mark.skipif(os.name != "posix", reason="arguments are bytes on POSIX alone")
@pytest.mark.parametrize("word", [[], ["--keep"], ["--undo", "--json"]])
@pytest.mark.parametrize("item", [b"\xff", b"heidi-0000000a:0\xff"])
def test_an_id_that_is_no_text_is_one_clear_line(tmp_path, item, word):
    root = dataset(tmp_path / "set", 2)
    program = [sys.executable, "-m", "framekit.cli", "decide", str(root), item, *word]
    done = subprocess.run(program, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    shown = item.decode("ascii", "surrogateescape").encode("ascii", "backslashreplace").decode()
    assert done.stderr.decode() == f"error: {root}: no frame or pair of this dataset: {shown}\n"
