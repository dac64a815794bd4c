"""Every command and every Python block of the documentation runs, in a small world where its files exist.

Each runs by itself, where what it needs is there and what it makes is not. It runs as it stands, but for
this: training, judging and stylizing get flags after their own (the last of a flag counts) that make
networks and runs small and need no VGG19; `ponyo-0a1b2c3d:1200` becomes a frame of the dataset; what
goes to another file, or is set for the environment, does not. Python blocks find small options in
training's place, small features in VGG19's, and no hub to push to. What is not run here stands in
`ELSEWHERE`.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

import framekit.manifest
from cartoongan.exporting import export as export_model
from cartoongan.features import load_features
from cartoongan.options import TrainOptions
from cartoongan.trainer import plan, train
from framekit.extraction.extract import extract
from framekit.extraction.settling import split
from framekit.manifest.exporting import ExportOptions, export
from framekit.manifest.schema import Split
from framekit.options import ExtractOptions
from tests.cartoongan.small_features import PLACE
from tests.docs.pages import PROGRAMS, ROOT, blocks, command_lines
from tests.films import numbered_frame, write_film
from tests.stores import filled_store
from tests.taggers import colour_tagger

VGG19 = "vgg19.safetensors"
A_FRAME = "ponyo-0a1b2c3d:1200"
SMALL = {
    "base_channels": 4,
    "residual_blocks": 1,
    "crop_size": 32,
    "batch_size": 2,
    "init_steps": 1,
    "max_steps": 3,
    "workers": 0,
}
FLAGS = {
    "cartoongan train": [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()],
    "cartoongan evaluate": ["--pictures", "6"],
    "cartoongan stylize": ["--no-compile"],
}
NEED_FEATURES = ("cartoongan train", "cartoongan evaluate")

ELSEWHERE = {
    # the beginning of a command: the test that runs what it does, or why none can
    "make demo": "tests/pipelines/test_stages.py",
    "FILMS=": "tests/pipelines/test_stages.py",
    "cartoon-pipeline run demo": "tests/pipelines/test_stages.py",
    "cartoon-pipeline run shinkai": "tests/pipelines/test_stages.py",
    "cartoon-pipeline run crop_vs_resize": "tests/pipelines/test_experiment.py",
    "framekit review": "tests/framekit/review/test_page.py",
    "framekit extract ~/films --out cartoons --executor ray": "tests/framekit/extraction/test_ray.py",
    "framekit extract /mnt/studio/films": "tests/framekit/extraction/test_ray.py",
    "framekit extract s3://studio/films": "tests/framekit/extraction/test_ray.py",
    "framekit extract film1.mkv --out cartoons --tagger SmilingWolf": "tests/framekit/images/test_tagging.py",
    "torchrun": "tests/cartoongan/test_processes.py",
    "pip install": "",  # it would change the environment that it is tested in
    "make test": "",  # this is it
    "tensorboard": "",  # somebody else's
}


class World(NamedTuple):
    """A folder where all files lie that the documentation speaks of, and the id of a frame in its dataset."""

    root: Path
    frame_id: str


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    root = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        draw_sources(root)
        make_datasets(root)
        make_models(root)
    return World(root, framekit.manifest.open(root / "cartoons").frames(["frame_id"])["frame_id"][0].as_py())


def draw_sources(root: Path) -> None:
    """Films, photos, a tagger, a network of one's own."""
    for folder in ("home/films", "home/episodes", "home/Pictures/photos", "holiday", "more"):
        (root / folder).mkdir(parents=True)
    for seed, name in enumerate(("film1.mkv", "film2.mkv", "film3.mkv")):
        write_film(root / name, [numbered_frame(n, width=384, height=320, seed=seed) for n in range(130)])
    for name in ("film.mkv", "film.mp4"):
        write_film(root / name, [numbered_frame(n, width=384, height=320, seed=7) for n in range(60)])
    shutil.copy(root / "film1.mkv", root / "home/films")
    minutes = [numbered_frame(n, width=384, height=320, seed=8) for n in range(300)]
    write_film(root / "home/episodes/first.mkv", minutes, rate=1)
    chance = np.random.default_rng(0)
    for number in range(8):
        photo = cv2.resize(chance.integers(0, 256, (12, 12, 3), np.uint8), (300, 280))
        noisy = np.clip(photo + chance.normal(0, 9, photo.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(root / f"home/Pictures/photos/{number}.jpg"), noisy)
    for place in ("holiday.jpg", "holiday/a.jpg", "holiday/b.jpg", "more/one.jpg"):
        shutil.copy(root / "home/Pictures/photos/0.jpg", root / place)
    colour_tagger(root / "home/taggers/wd-vit-tagger-v3")
    (root / "my_features.py").write_text("from tests.cartoongan.small_features import small as network\n")


def make_datasets(root: Path) -> None:
    (root / "demo").mkdir()
    films = [f"film{number}.mkv" for number in (1, 2, 3)]
    extract(films, "cartoons", ExtractOptions(every=10, style="shinkai"), workers=1)
    split(root / "cartoons", Split(by="scene", test=0.2))
    photos = ExtractOptions(smooth=False, crops_per_frame=2)
    extract(["home/Pictures/photos"], root / "photos", photos, workers=1)
    for copy, of in (("popeye", "cartoons"), ("demo/cartoons", "cartoons"), ("demo/photos", "photos")):
        shutil.copytree(root / of, root / copy)
    for place, kind in (("shards", "webdataset"), ("hub", "hf")):
        export("cartoons", place, ExportOptions(format=kind, shard_rows=60))


def make_models(root: Path) -> None:
    """Runs that are finished, what is exported of them, weights in VGG19's place."""
    import torch
    from safetensors.torch import save_file

    from cartoongan.features import VGGFeatures

    options = TrainOptions(**SMALL, features=PLACE, checkpoint_every=1, sample_every=3, samples=2)
    train("cartoons", "photos", "run", options)
    for name in ("a", "b", "popeye"):
        shutil.copytree(root / "run", root / "runs" / name)
    checkpoint = next((root / "runs/a/checkpoints").glob("step-*.pt"))
    shutil.copy(checkpoint, checkpoint.with_name("step-001000.pt"))
    export_model(root / "run", root / "model.onnx")
    export_model(root / "run", root / "my-model")
    torch.manual_seed(0)
    save_file({name: value.half() for name, value in VGGFeatures(None).state_dict().items()}, VGG19)


@pytest.fixture
def here(world, tmp_path, monkeypatch) -> Path:
    """A copy of the world to work in; `~` is its home."""
    root = tmp_path / "world"
    shutil.copytree(world.root, root, copy_function=shutil.copy)
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.setenv("HOME", str(root / "home"))
    return root


def runs_elsewhere(line: str) -> bool:
    return any(line.startswith(start) for start in ELSEWHERE)


def lines(*, remote: bool) -> list[str]:
    """The distinct commands that are run here."""
    found = dict.fromkeys(line for _, line in command_lines() if not runs_elsewhere(line))
    return [line for line in found if ("s3://" in line) == remote]


def run(line: str, frame_id: str) -> int:
    """Run a command of the documentation in this process; its exit code."""
    words = shlex.split(line.replace(A_FRAME, frame_id), comments=True)
    words = words[: words.index(">")] if ">" in words else words
    words = [word for word in words if not re.match(r"[A-Z_]+=", word)]
    words = [str(Path(word).expanduser()) if word.startswith("~") else word for word in words]
    name = " ".join(words[:2])
    words += FLAGS.get(name, [])
    if "--devices" in words:
        words += ["--devices", "2"]
    if name in NEED_FEATURES and not {"--features", "--vgg-weights"} & set(words):
        words += ["--features", PLACE]
    with pytest.raises(SystemExit) as end:
        PROGRAMS[words[0]].main(words[1:], prog_name=words[0])
    return int(end.value.code or 0)


def clear_for(line: str) -> None:
    """What another command has made lies where this one makes its own: away with it."""
    words = shlex.split(line, comments=True)
    if line.startswith("cartoongan export"):
        clear(words[-1])
    elif line.startswith("framekit export"):
        clear(words[3])
    elif line.startswith(("framekit extract", "cartoongan train")) and "--resume" not in words:
        clear(words[words.index("--out") + 1])


def clear(name: str) -> None:
    place = Path(name)
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


@pytest.mark.parametrize("line", lines(remote=False))
def test_commands_run(line, here, world):
    clear_for(line)
    asks = "--fail-on" in line  # and the answer may be yes
    assert run(line, world.frame_id) in ((0, 1) if asks else (0,))


def test_the_weekend_goes_from_step_to_step(here, world):
    for made in ("cartoons", "photos", "run", "my-model"):
        clear(made)
    for page, line in command_lines():
        if page == "docs/weekend.md" and not runs_elsewhere(line):
            assert run(line, world.frame_id) == 0, line


@pytest.fixture(scope="module")
def store(world) -> Iterator[None]:
    """The documentation's buckets."""
    pytest.importorskip("boto3")
    films = {"ponyo.mkv": world.root / "film1.mkv", "shorts/first.mkv": world.root / "film2.mkv"}
    with filled_store({"my-films": films, "my-data": {}}):
        yield


def test_commands_on_a_store_run_one_after_the_other(store, here, world):
    for line in lines(remote=True):
        clear_for(line)
        assert run(line, world.frame_id) == 0, line


@pytest.mark.parametrize(("page", "text"), blocks("python"))
def test_python_runs(page, text, here, world, monkeypatch):
    for name in re.findall(r"^import (datasets|webdataset|duckdb|pandas|polars)", text, re.MULTILINE):
        pytest.importorskip(name)
    if "import datasets" in text:
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", here)
    monkeypatch.setattr("PIL.Image.Image.show", lambda _image: None)
    monkeypatch.setattr("cartoongan.trainer.plan", small_plan)
    monkeypatch.setattr("cartoongan.hub.HubGenerator.push_to_hub", lambda *_: None)  # it is nobody's to fill
    shutil.copy(ROOT / "hubconf.py", here)
    small_features = load_features(TrainOptions(features=PLACE))
    monkeypatch.setattr(
        "cartoongan.evaluating.load_features", lambda _: small_features
    )  # VGG19 takes its time
    for made in re.findall(r'(?:extract|train)\(.*"(\w+)"', text):
        clear(made)
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(text.replace(A_FRAME, world.frame_id), page, "exec"), names)
    assert names.keys() > {"__name__", "__builtins__"}, "it made something"


def small_plan(cartoons, photos, out, options, *, resume):
    return plan(cartoons, photos, out, options.model_copy(update=SMALL | {"features": PLACE}), resume=resume)


@pytest.mark.parametrize(("start", "test"), ELSEWHERE.items())
def test_what_is_run_elsewhere_is_in_the_docs_and_has_its_test(start, test):
    assert any(line.startswith(start) for _, line in command_lines())
    assert not test or (ROOT / test).is_file()
