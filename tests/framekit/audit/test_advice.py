"""Advice: what matters comes first, and its commands are commands that do it."""

import os
import shlex
import shutil
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import cartoongan.cli
import framekit.cli
import framekit.manifest
from framekit.audit import commands
from framekit.audit.advice import verdict
from framekit.audit.auditing import audit
from framekit.audit.rows import read_rows
from framekit.audit.rules import ISSUES
from framekit.extraction.extract import extract
from framekit.manifest.reading import read_info
from framekit.manifest.writing import write_info
from framekit.options import ExtractOptions
from tests.framekit.audit.datasets import HOSTILE, drawing, varied

PROGRAMS = {"framekit": framekit.cli.main, "cartoongan": cartoongan.cli.main}


def parsed(line):
    """The command of a command line, and its values."""
    program, name, *rest = shlex.split(line)
    command = PROGRAMS[program].commands[name]
    return command.name, command.make_context(name, rest, resilient_parsing=False).params


def options_of(line):
    _, values = parsed(line)
    given = {name: values[name] for name in ExtractOptions.model_fields if values[name] not in (None, ())}
    return ExtractOptions.model_validate(given)


def test_there_are_three_things_to_do_and_each_command_is_one(audited):
    assert len(audited.figures.advice) == 3
    for advice in audited.figures.advice:
        assert parsed(advice.command)
        assert advice.what
        assert advice.why.endswith(".")
    matters = [advice.matters for advice in audited.figures.advice]
    assert matters == sorted(matters, reverse=True)


def test_each_check_that_holds_is_in_the_verdict(audited):
    figures = audited.figures
    bad = [check for check in figures.checks if check.holds]
    assert figures.verdict.state == "mend"
    assert all(check.what in figures.verdict.words for check in bad)
    assert str(len(bad)) in figures.verdict.headline


def test_what_is_advised_to_be_left_out_is_left_out(films, tmp_path):
    root = shutil.copytree(films, tmp_path / "dataset")
    line = commands.dedup(read_rows(root), leave_out="crop.edge_density<=0.07")
    before = audit(root).rows.crops.measures["edge_density"]
    done = CliRunner(catch_exceptions=False).invoke(framekit.cli.main, shlex.split(line)[1:])
    assert done.exit_code == 0, done.output
    after = audit(root).rows.crops.measures["edge_density"]
    assert len(after) == (before > 0.07).sum() < len(before)
    assert "--leave-out 'crop.edge_density<=0.07' --leave-out 'noise>6'" in commands.dedup(
        read_rows(root), leave_out="noise>6"
    )


def test_to_go_on_with_an_extraction_takes_its_own_options(films):
    options = options_of(commands.extract_again(read_rows(films)))
    made_with = read_info(films).options
    assert options.model_dump(mode="json") == ExtractOptions().model_dump(mode="json") | made_with
    assert parsed(commands.extract_again(read_rows(films)))[1]["sources"] == tuple(
        source.path for source in read_info(films).sources
    )


@pytest.mark.parametrize(
    "changes",
    [{"every": 2}, {"count": 7}, {"tagger": "owner/name"}, {"deinterlace": "on"}],
)
def test_to_make_another_dataset_changes_what_is_named_alone(films, changes):
    line = commands.extract_anew(read_rows(films), "-other", changes)
    options = options_of(line).model_dump(mode="json")
    expected = read_info(films).options | changes | ({"every": None} if "count" in changes else {})
    assert options == ExtractOptions().model_dump(mode="json") | expected
    assert str(parsed(line)[1]["out"]) == f"{films}-other"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash to paste into")
def test_names_of_strangers_are_quoted():
    hostile = [f"{HOSTILE}.mkv", "a b'c.mkv", "-x.mkv", "$(reboot).mkv"]
    hostile += [
        "line\nbreak's $(x) \\.mkv",
        "right\u202eleft.mkv",
        "紅の\t豚.mkv",
        os.fsdecode(b"byte\xff.mkv"),
    ]
    info = SimpleNamespace(sources=[SimpleNamespace(path=path) for path in hostile])
    options = ExtractOptions(style="a; b")
    rows = SimpleNamespace(manifest=SimpleNamespace(info=info), options=options, root="data set")
    line = commands.extract_again(rows)
    assert line.isprintable()
    printed = subprocess.run(
        ["bash", "-c", line.replace("framekit extract", "printf '%s\\0'", 1)], capture_output=True, check=True
    ).stdout
    words = os.fsdecode(printed).split("\0")[:-1]
    assert words == [*(name if name[0] != "-" else f"./{name}" for name in hostile), *words[-4:]]
    assert words[-4:] == ["--out", "data set", "--style", "a; b"]


def test_of_many_sources_the_folders_are_named():
    sources = [SimpleNamespace(path=f"films/{number % 2}/{number}.mkv") for number in range(99)]
    manifest = SimpleNamespace(info=SimpleNamespace(sources=sources))
    rows = SimpleNamespace(manifest=manifest, options=ExtractOptions(), root="d")
    assert commands.extract_again(rows) == "framekit extract films/0 films/1 --out d"


def changed(root, **changes):
    info = read_info(root)
    for name, value in changes.items():
        setattr(info, name, value)
    write_info(root, info)
    return audit(root).figures


def test_an_unfinished_extraction_comes_before_all_else(dataset):
    figures = changed(dataset, finished=False)
    assert figures.verdict.state == "not ready"
    assert figures.advice[0].what == "Finish the extraction"
    assert parsed(figures.advice[0].command)[0] == "extract"


def test_what_failed_is_named(dataset, monkeypatch):
    monkeypatch.setattr("framekit.audit.advice.THINGS", 99)
    figures = audit(dataset).figures
    advice = next(its for its in figures.advice if its.what == "See to what failed")
    assert parsed(advice.command)[1]["sources"] == ("films/broken.mkv",)
    assert "films/broken.mkv: not a film" in figures.problems


def test_photos_are_asked_for_pictures_and_not_for_films(tmp_path):
    chance = np.random.default_rng(0)
    for group in ("people", "cats"):
        (tmp_path / "photos" / group).mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(tmp_path / "photos" / group / f"{number}.png"), drawing(chance, 90, 120))
    options = ExtractOptions(smooth=False, crop_size=64, crops_per_frame=2)
    extract([str(tmp_path / "photos")], tmp_path / "d", options, workers=1)
    figures = audit(tmp_path / "d").figures
    assert figures.named["people"].share == 0.5
    assert {check.name for check in figures.checks}.isdisjoint(
        {"films", "lineless", "combed", "largest-film"}
    )
    assert figures.advice[0].what == "Add pictures"
    assert "--no-smooth" in figures.advice[0].command
    assert figures.counts.groups == {"cats": 6, "people": 6}


def test_nobody_is_told_to_leave_out_most_of_it(films, monkeypatch):
    monkeypatch.setattr("framekit.audit.advice.THINGS", 99)
    monkeypatch.setitem(ISSUES, "blurred", "sharpness>0")
    told = next(its for its in audit(films).figures.advice if "blurred" in its.what)
    assert told.what == "Look at blurred frames"
    assert parsed(told.command)[0] == "review"


def test_frames_that_two_datasets_share_are_named_to_be_dropped(films, tmp_path):
    photos = shutil.copytree(films, tmp_path / "photos")
    figures = audit(films, photos=photos).figures
    advice = next(its for its in figures.advice if "photos" in its.what)
    name, values = parsed(advice.command)
    assert (name, values["drop"], values["dataset"]) == ("decide", True, photos)
    assert not framekit.manifest.open(photos).unknown(values["items"])


def test_a_dataset_without_fault_is_ready(audited):
    known = SimpleNamespace(rows=audited.rows, counts=audited.figures.counts, sources=audited.figures.sources)
    fine = [replace(check, holds=False) for check in audited.figures.checks]
    assert verdict(known, fine).state == "ready"


def test_a_small_dataset_of_one_film_is_told_to_grow(films):
    figures = audit(films).figures
    assert [advice.what for advice in figures.advice][:2] == ["Take more pairs", "Add films"]
    every = read_info(films).options["every"]
    assert options_of(figures.advice[0].command).every < every


def test_help_of_the_command_names_rules():
    context = click.Context(framekit.cli.main)
    assert "--fail-on" in framekit.cli.main.commands["audit"].get_help(context)


def test_varied_has_what_the_others_count_on(tmp_path):
    assert audit(varied(tmp_path / "d", frames=2)).figures.counts.sampled == 6
