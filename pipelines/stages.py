"""A recipe's stages in order: films → datasets → audit → training → stylized photos → gallery.

A stage is skipped when it is done with the same options and inputs: see stage.py.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import framekit.manifest
from cartoongan.options import TrainOptions
from framekit import __version__
from framekit.audit.auditing import audit
from framekit.audit.report import report_lines
from framekit.audit.writing import write_report
from framekit.errors import CommandError, FramekitError, printable
from framekit.extraction.extract import extract
from framekit.extraction.settling import split as split_dataset
from framekit.files import fingerprint_of, sha256_of
from framekit.manifest.schema import Split
from framekit.sources.finding import find_sources
from framekit.terminal.commands import say
from framekit.terminal.progress import Progress
from pipelines.gallery import write_gallery
from pipelines.recipe import DEMO_FILM, DEMO_PHOTOS, Recipe, Sources
from pipelines.stage import Stage, carry_out, clear_discarded, refuse_what_is_not_ours, stamped


@dataclass
class Run:
    """A recipe under way.

    Attributes:
        root: The run's folder.
        workers: Processes for extraction; None for one a core.
        problems: One line for each thing that failed while the rest went on.
    """

    recipe: Recipe
    root: Path
    workers: int | None = None
    problems: list[str] = field(default_factory=list)


OUTPUTS = {
    "cartoons": "cartoons",
    "photos": "photos",
    "audit": "audit",
    "train": "model",
    "stylize": "stylized",
    "gallery": "index.html",
}
"""What each stage makes, in the run's folder."""


def make_gallery(run: Run, *, overwrite: bool = False) -> Path:
    """Carry out the stages of a run that are not done yet.

    Args:
        run: The recipe and where it goes; its `problems` are filled.
        overwrite: Make stages anew whose options or inputs have changed, deleting what they had made.

    Returns:
        The gallery's index.html.

    Raises:
        CommandError: A stage was made with other options and `overwrite` is off, or the run's folder holds
            something that is not this recipe's.
        FramekitError: A stage failed.
    """
    clear_discarded(run.root)
    for name, output in OUTPUTS.items():
        if not stamped(name, run.root):
            refuse_what_is_not_ours(run.root / output)
    for stage in stages(run):
        run.problems += carry_out(stage, run.root, overwrite=overwrite)
    return run.root / "index.html"


def stages(run: Run) -> Iterator[Stage]:
    """The stages of a run. Each is planned when those before it are done: their digests are its inputs."""
    recipe, root = run.recipe, run.root
    yield from demo_sources(root, [*recipe.cartoons.sources, *recipe.photos.sources, *recipe.stylize.photos])
    yield extraction(root, "cartoons", recipe.cartoons, workers=run.workers)
    yield extraction(root, "photos", recipe.photos, workers=run.workers)
    datasets = {name: framekit.manifest.open(root / name).digest for name in ("cartoons", "photos")}
    yield Stage("audit", root / OUTPUTS["audit"], datasets, lambda: _audit(root), quick=True)
    last_resort = recipe.untrained_features_as_last_resort
    data = root / "cartoons", root / "photos"
    yield training("train", *data, root / OUTPUTS["train"], recipe.train, last_resort=last_resort)
    model = sha256_of(root / "model" / "generator.safetensors")
    chosen = _photos_to_stylize(run)
    to_stylize = {"model": model, "photos": _fingerprints(chosen)}
    yield Stage("stylize", root / OUTPUTS["stylize"], to_stylize, lambda: _stylize(run, chosen), quick=True)
    shown = datasets | to_stylize | {"title": recipe.title}
    gallery = root / OUTPUTS["gallery"]
    yield Stage("gallery", gallery, shown, lambda: write_gallery(root, recipe.title, chosen), quick=True)


def demo_sources(root: Path, words: Sequence[str]) -> Iterator[Stage]:
    """The stages that make what `words` ask for of demo:film and demo:photos."""
    version = {"framekit": __version__}
    if DEMO_FILM in words:
        film = root / "sources" / "demo-film.mp4"
        yield Stage("demo-film", film, version, lambda: _draw_film(film), quick=True)
    if DEMO_PHOTOS in words:
        photos = root / "sources" / "demo-photos"
        yield Stage("demo-photos", photos, version, lambda: _lay_out_photos(photos), quick=True)


def extraction(
    root: Path, name: str, sources: Sources, *, workers: int | None, split: Split | None = None
) -> Stage:
    """The stage that makes dataset `name` in a run's folder, and splits it where that is asked for."""
    words = _located(root, sources.sources)
    for word in words:
        if Path(word).is_dir() and Path(os.path.realpath(root)).is_relative_to(os.path.realpath(word)):
            advice = "choose another folder for the run with --set out=FOLDER"
            raise CommandError("lies inside a folder that pictures are taken from", where=root, advice=advice)
    found = find_sources(words)
    files = [*found.films, *(folder / still for folder, stills in found.stills.items() for still in stills)]
    made_with = {"options": sources.extraction.model_dump(mode="json"), "files": _fingerprints(sorted(files))}
    if split is not None:
        made_with["split"] = split.model_dump()
    return Stage(name, root / name, made_with, lambda: _extract(root / name, words, sources, workers, split))


def training(
    name: str, cartoons: Path, photos: Path, model: Path, options: TrainOptions, *, last_resort: bool
) -> Stage:
    """The stage that trains a model on the train sides of two datasets.

    Args:
        name: Of the stage.
        cartoons: Dataset.
        photos: Dataset.
        model: Its folder.
        options: How.
        last_resort: Take random features where VGG19's weights can't be had.
    """
    datasets = {
        which: framekit.manifest.open(root).train.digest
        for which, root in (("cartoons", cartoons), ("photos", photos))
    }
    values = options.model_dump(mode="json")
    # Other features are another model, though the trainer could tell them by their digest only.
    features = {name: values[name] for name in ("vgg_weights", "features", "untrained_features")}
    made_with = datasets | {"options": options.fixed() | features}
    goal = {name: values[name] for name in ("epochs", "max_steps")}
    return Stage(name, model, made_with, lambda: _train(cartoons, photos, model, options, last_resort), goal)


def _fingerprints(paths: Sequence[Path]) -> list[list[str]]:
    """Name and fingerprint of files: where they lie does not matter."""
    return [[printable(path.name), fingerprint_of(path) if path.is_file() else ""] for path in paths]


def _located(root: Path, words: Sequence[str]) -> list[str]:
    places = {DEMO_FILM: "demo-film.mp4", DEMO_PHOTOS: "demo-photos"}
    return [str(root / "sources" / places[word]) if word in places else word for word in words]


def _draw_film(path: Path) -> None:
    from pipelines.demo_film import draw_film, film_truth

    path.parent.mkdir(parents=True, exist_ok=True)
    with Progress("draw the demo film", total=film_truth().frames, unit="frames") as progress:
        draw_film(path, progress=lambda done, _total: progress.advance(done - progress.done))


def _lay_out_photos(folder: Path) -> None:
    from pipelines.demo_photos import lay_out_photos

    lay_out_photos(folder)


def _extract(
    out: Path, words: Sequence[str], sources: Sources, workers: int | None, split: Split | None
) -> list[str]:
    made = extract(words, out, sources.extraction, workers=workers)
    problems = [f"{problem.path}: {problem.what}" for problem in made.problems]
    if not made.info.totals["pairs"]:
        advice = f"see the reasons with: framekit audit {out}"
        for problem in problems:
            say(f"problem: {problem}")
        raise FramekitError(
            "no pictures to train on came out of these sources", where=out.name, advice=advice
        )
    if split is not None:
        split_dataset(out, split)
    return problems


def _audit(root: Path) -> None:
    for name, photos in (("cartoons", root / "photos"), ("photos", None)):
        made = audit(root / name, photos=photos)
        for line in report_lines(made.figures):
            say(line)
        say(f"report: {printable(write_report(made, root / OUTPUTS['audit'] / name))}")
        say("")


def _train(cartoons: Path, photos: Path, model: Path, options: TrainOptions, last_resort: bool) -> None:
    from cartoongan import trainer
    from cartoongan.features import load_features
    from cartoongan.run_folder import holds_run, read_options

    begun = holds_run(model)
    if begun:
        # Weights may have come within reach since; a run keeps the features that it began with.
        before, _ = read_options(model)
        options = options.model_copy(update={"untrained_features": before.untrained_features})
    elif last_resort and options.vgg_weights is None:
        try:
            load_features(options)
        except FramekitError as error:
            say(f"note: {error.what}. So the content loss runs on untrained features:")
            say("      what comes out shows the machinery, not the quality. For quality, give VGG19 weights:")
            say("      --set train.vgg_weights=FILE")
            options = options.model_copy(update={"untrained_features": True})
    trainer.train(cartoons, photos, model, options, resume=begun)


def _photos_to_stylize(run: Run) -> list[Path]:
    """Photos spread evenly over those there are."""
    words = run.recipe.stylize.photos or run.recipe.photos.sources
    found = find_sources(_located(run.root, words))
    photos = [folder / name for folder, names in found.stills.items() for name in names]
    if not photos:
        raise CommandError("no photos to stylize", advice="name some in the recipe under [stylize] photos")
    count = min(run.recipe.stylize.at_most, len(photos))
    return [photos[index * len(photos) // count] for index in range(count)]


def _stylize(run: Run, photos: list[Path]) -> list[str]:
    from cartoongan.stylize import load, stylize_paths

    if (run.root / "stylized").exists():
        shutil.rmtree(run.root / "stylized")
    summary = stylize_paths(load(run.root / "model", run.recipe.stylize), photos, run.root / "stylized")
    return summary.failed
