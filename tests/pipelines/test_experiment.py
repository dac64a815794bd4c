"""A whole small experiment, once; then what running again does, with and without its films."""

import json
import re
import shutil

import pytest
from click.testing import CliRunner

import framekit.manifest
from cartoongan.run_folder import write_options
from framekit.errors import CommandError
from framekit.images.encoding import encode
from pipelines.__main__ import main
from pipelines.experiment import evaluate_options
from pipelines.recipe import Experiment, load_recipe
from tests.cartoongan.datasets import photo
from tests.films import numbered_film

EXPERIMENT = """
title = "Tiny <script>"
out = "run"
seeds = [0, 1]
test = 0.4
[cartoons]
sources = ["films"]
every = 4
crop_size = 64
[photos]
sources = ["photos"]
smooth = false
crops_per_frame = 1
crop_size = 64
[arms.crops]
[arms.squashed]
resize = true
crops_per_frame = 1
[arms.mixed]
second_height = 120
[train]
base_channels = 4
residual_blocks = 1
crop_size = 32
batch_size = 2
init_steps = 1
max_steps = 2
workers = 0
features = "tests.cartoongan.small_features:small"
[evaluate]
against = ["crops", "squashed"]
pictures = 6
"""
ARMS = "crops", "squashed", "mixed"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the experiment, a film and photos; its data were made, and then all the rest."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "films").mkdir()
    numbered_film(folder / "films" / "one.mp4", 64, seed=1, hold=4)
    for group in ("people", "animals"):
        (folder / "photos" / group).mkdir(parents=True)
        for number in range(5):
            path = folder / "photos" / group / f"{number}.png"
            path.write_bytes(encode(photo(number + 10 * len(group), 80)))
    (folder / "experiment.toml").write_text(EXPERIMENT)
    data = run(folder, "--only-data")
    assert data.exit_code == 0, data.output
    assert not (folder / "run/models").exists()
    shutil.move(folder / "films", folder / "elsewhere")  # as on a machine with a GPU and no films
    first = run(folder, "--set", "seeds=[0]", "--set", 'evaluate.against=["crops"]')
    assert first.exit_code == 0, first.output
    done = run(folder)
    assert done.exit_code == 0, done.output
    return folder, done


def run(folder, *words):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return CliRunner().invoke(main, ["run", "experiment.toml", "--workers", "1", *words])


def test_arms_differ_in_their_cartoons_and_in_nothing_else(place):
    root = place[0] / "run"
    options = [framekit.manifest.open(root / f"cartoons-{arm}").info.options for arm in ARMS]
    differ = {name for name in options[0] if len({str(its[name]) for its in options}) > 1}
    assert differ == {"resize", "second_height", "crops_per_frame"}
    frames = [
        set(framekit.manifest.open(root / f"cartoons-{arm}").test.frames()["frame_id"].to_pylist())
        for arm in ARMS
    ]
    assert frames[0] == frames[1] == frames[2], "the same frames are held out"
    trained = [json.loads((root / f"models/{arm}-1/options.json").read_text()) for arm in ARMS]
    for its in trained:
        assert its["seed"] == 1
        its["digests"].pop("cartoons")
    assert trained[0] == trained[1] == trained[2]


def test_data_made_before_need_no_films(place):
    for arm in ARMS:
        assert f"── cartoons-{arm}: made before; its sources are not here" in place[1].stderr


def test_every_arm_and_seed_is_judged_on_the_same_held_out_photos(place):
    root = place[0] / "run"
    for against in ("crops", "squashed"):
        found = json.loads((root / f"evaluation/{against}/evaluation.json").read_text())
        assert [its["name"] for its in found["runs"][1:]] == [
            f"{arm}-{seed}" for arm in ARMS for seed in (0, 1)
        ]
        assert found["cartoons"]["dataset"] == f"cartoons-{against}"
        assert found["photos"]["side"] == found["cartoons"]["side"] == "test"
        assert found["features"]["network"] == "tests.cartoongan.small_features:small"


def test_it_ends_in_one_table_and_one_page(place):
    folder, done = place
    table = done.stdout
    assert len(re.findall(r"^squashed .*±", table, re.MULTILINE)) >= 2
    assert "all, " in table
    page = (folder / "run/index.html").read_text()
    assert page.count("data:image/jpeg") > 3 * 2
    assert "evaluation/squashed/index.html" in page
    assert "Tiny &lt;script&gt;" in page
    assert not re.search(r"<script|https?://", page)
    means = json.loads((folder / "run/evaluation/crops/evaluation.json").read_text())["runs"]
    content = [its["groups"]["all"]["content"] for its in means if its["name"].startswith("mixed")]
    assert f"{sum(content) / 2:.2f} ± " in page


def test_again_it_is_all_done_already(place):
    again = run(place[0])
    assert again.exit_code == 0, again.output
    assert again.stderr.count("done already") == 1 + 6 + 2 + 1, "photos, models, evaluations, page"
    assert again.stdout == place[1].stdout


def test_one_seed_more_trains_that_alone(place):
    assert len(re.findall(r"── train-\w+-1$", place[1].stderr, re.MULTILINE)) == 3
    assert len(re.findall(r"── train-\w+-0: done already", place[1].stderr)) == 3


def test_it_is_judged_by_the_features_of_training(place, tmp_path):
    """Also where training had to take random ones."""
    experiment = load_recipe(place[0] / "experiment.toml")
    write_options(tmp_path, experiment.train, {})
    assert evaluate_options(experiment, tmp_path).features == experiment.train.features
    random_ones = {"features": None, "untrained_features": True}
    write_options(tmp_path, experiment.train.model_copy(update=random_ones), {})
    options = evaluate_options(experiment, tmp_path)
    assert (options.features, options.untrained_features) == (None, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("arms.crops.evry=3", "arms.crops.evry: unknown option"),
        ("arms.squashed.crops_per_frame=4", "arms.squashed.resize: gives one square of each frame"),
        ("arms.crops.smooth=false", "arms.crops: cartoons need their smoothed half"),
        ("evaluate.against=['none']", "no such arm: none"),
        ("seeds=[1, 1]", "one stands there twice"),
        ("stylize.at_most=3", "stylize: unknown option"),
    ],
)
def test_what_an_experiment_cannot_hold_is_refused(tmp_path, change, words):
    (tmp_path / "experiment.toml").write_text(EXPERIMENT)
    with pytest.raises(CommandError) as error:
        load_recipe(tmp_path / "experiment.toml", [change])
    assert words in str(error.value)


def test_the_one_that_comes_with_it_is_the_report_s_question():
    from pathlib import Path

    import pipelines

    folder = Path(pipelines.__file__).parent
    for name in ("crop_vs_resize", "crop_vs_resize_small"):
        experiment = load_recipe(folder / f"{name}.toml")
        assert isinstance(experiment, Experiment)
        squashed, crops = (experiment.cartoons_of(arm) for arm in ("squashed", "crops"))
        assert (squashed.resize, crops.resize) == (True, False)
        assert len(experiment.seeds) == 3


def test_recipes_take_no_flag_of_experiments(tmp_path):
    done = CliRunner().invoke(main, ["run", "demo", "--only-data"])
    assert done.exit_code == 2
    assert "goes with experiments only" in done.stderr
