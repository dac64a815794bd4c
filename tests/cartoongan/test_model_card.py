"""The README.md of a run tells what it was trained on and with, and nobody's paths."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cartoongan.curves import read_history
from cartoongan.model_card import model_card
from cartoongan.options import TrainOptions
from cartoongan.planning import plan
from cartoongan.trainer import RunSummary


@pytest.fixture
def card(finished: RunSummary) -> str:
    return (finished.run / "README.md").read_text()


def test_it_begins_as_the_hub_reads_it(card: str) -> None:
    head = card.split("---\n")[1]
    assert head.startswith("library_name: cartoongan\npipeline_tag: image-to-image\ntags:\n- cartoongan\n")


def test_it_tells_data_figures_and_options(card: str, finished: RunSummary, small: TrainOptions) -> None:
    summary = json.loads((finished.run / "run.json").read_text())
    for digest in summary["digests"].values():
        assert f"`{digest}`" in card
    assert "6 steps of 2 photos" in card and "| cartoons | 5 |" in card and "| photos | 7 |" in card
    assert f"lowest score, after step {int(re.findall('[0-9]+', finished.best.stem)[0])}" in card
    options = json.loads(re.findall(r"```json\n(.*?)```", card, re.DOTALL)[0])
    assert options["omega"] == small.omega and options["precision"] == "fp32"
    assert "Licence" in card


def test_it_names_no_place_of_the_person_who_trained(card: str, finished: RunSummary) -> None:
    assert str(finished.run.parent) not in card and "small_features" not in card


def test_a_style_from_a_stranger_is_text(
    cartoons: Path, photos: Path, small: TrainOptions, finished: RunSummary, tmp_path: Path
) -> None:
    todo = plan(cartoons, photos, tmp_path / "run", small)
    todo.cartoons.info.options["style"] = "<script>|`\n# evil"
    history = read_history(finished.run / "log.jsonl")
    digests = dict.fromkeys(("cartoons", "photos", "features"), "0")
    card = model_card(todo, digests, history, None)
    assert "# &lt;script>\\|'\\n# evil\n" in card and "<script" not in card
