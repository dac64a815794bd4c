"""A recipe's stages in order: films → datasets → audit → training → stylized photos → gallery.

A stage is skipped when it is done with the same options and inputs. What it was made with stands in a
stamp, RUN/stages/<name>.json.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import framekit.manifest
from framekit import __version__
from framekit.audit.measures import measure_dataset
from framekit.audit.report import report_lines
from framekit.errors import CommandError, FramekitError, printable
from framekit.extraction.extract import extract
from framekit.files import sha256_of, write_text
from framekit.sources.finding import find_sources
from framekit.terminal.commands import say
from framekit.terminal.progress import Progress
from pipelines.gallery import write_gallery
from pipelines.recipe import DEMO_FILM, DEMO_PHOTOS, Recipe, Sources


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


@dataclass(frozen=True)
class Stage:
    """One step of a run.

    Attributes:
        name: Of the stage and its stamp.
        output: File or folder that it makes.
        made_with: Plain JSON values; when they differ from the stamp's the stage has to be made anew.
        make: Makes `output`, or goes on with what an interrupted run left of it. Gives a line for each thing
            that failed while the rest was done.
    """

    name: str
    output: Path
    made_with: dict[str, Any]
    make: Callable[[], list[str] | None]


def carry_out(run: Run, *, overwrite: bool = False) -> Path:
    """Carry out the stages of a run that are not done yet.

    Args:
        run: The recipe and where it goes.
        overwrite: Make stages anew whose options or inputs have changed, deleting what they had made.

    Returns:
        The gallery's index.html.

    Raises:
        CommandError: A stage was made with other options and `overwrite` is off.
        FramekitError: A stage failed.
    """
    stamps = run.root / "stages"
    for stage in stages(run):
        stamp = stamps / f"{stage.name}.json"
        before = _read_stamp(stamp)
        if before and before["made_with"] != _plain(stage.made_with):
            if not overwrite:
                raise _stale(stage, before["made_with"])
            _delete(stage.output)
            before = None
        if before and before["done"] and stage.output.exists():
            say(f"── {stage.name}: done already")
            run.problems += before["problems"]
            continue
        say(f"── {stage.name}")
        stamps.mkdir(parents=True, exist_ok=True)
        _write_stamp(stamp, stage, done=False)
        problems = stage.make() or []
        _write_stamp(stamp, stage, done=True, problems=problems)
        run.problems += problems
    return run.root / "index.html"


def stages(run: Run) -> Iterator[Stage]:
    """The stages of a run. Each is planned when those before it are done: their digests are its inputs."""
    recipe, root = run.recipe, run.root
    demo = [*recipe.cartoons.sources, *recipe.photos.sources, *recipe.stylize.photos]
    if DEMO_FILM in demo:
        film = root / "sources" / "demo-film.mp4"
        yield Stage("demo-film", film, {"framekit": __version__}, lambda: _draw_film(film))
    if DEMO_PHOTOS in demo:
        photos = root / "sources" / "demo-photos"
        yield Stage("demo-photos", photos, {"framekit": __version__}, lambda: _lay_out_photos(photos))
    yield _extraction(run, "cartoons", recipe.cartoons)
    yield _extraction(run, "photos", recipe.photos)
    datasets = {name: framekit.manifest.open(root / name).digest for name in ("cartoons", "photos")}
    yield Stage("audit", root / "audit.json", datasets, lambda: _audit(root))
    options = recipe.train.model_dump(mode="json")
    yield Stage("train", root / "model", datasets | {"options": options}, lambda: _train(run))
    model = sha256_of(root / "model" / "generator.safetensors")
    chosen = _photos_to_stylize(run)
    to_stylize = {"model": model, "photos": [str(path) for path in chosen]}
    yield Stage("stylize", root / "stylized", to_stylize, lambda: _stylize(run, chosen))
    shown = datasets | to_stylize | {"title": recipe.title}
    yield Stage("gallery", root / "index.html", shown, lambda: write_gallery(root, recipe.title, chosen))


def _extraction(run: Run, name: str, sources: Sources) -> Stage:
    words = _located(run, sources.sources)
    found = find_sources(words)
    files = [*found.films, *(folder / still for folder, stills in found.stills.items() for still in stills)]
    made_with = {
        "options": sources.extraction.model_dump(mode="json"),
        "files": [[str(path), path.stat().st_size] for path in sorted(files)],
    }
    return Stage(name, run.root / name, made_with, lambda: _extract(run, name, words, sources))


def _located(run: Run, words: Sequence[str]) -> list[str]:
    places = {DEMO_FILM: "demo-film.mp4", DEMO_PHOTOS: "demo-photos"}
    return [str(run.root / "sources" / places[word]) if word in places else word for word in words]


def _draw_film(path: Path) -> None:
    from pipelines.demo_film import draw_film, film_truth

    path.parent.mkdir(parents=True, exist_ok=True)
    with Progress("draw the demo film", total=film_truth().frames, unit="frames") as progress:
        draw_film(path, progress=lambda done, _total: progress.advance(done - progress.done))


def _lay_out_photos(folder: Path) -> None:
    from pipelines.demo_photos import lay_out_photos

    lay_out_photos(folder)


def _extract(run: Run, name: str, words: Sequence[str], sources: Sources) -> list[str]:
    made = extract(words, run.root / name, sources.extraction, workers=run.workers)
    problems = [f"{problem.path}: {problem.what}" for problem in made.problems]
    if not made.info.totals["pairs"]:
        advice = "see the reasons with: framekit audit " + str(run.root / name)
        for problem in problems:
            say(f"problem: {problem}")
        raise FramekitError("no pictures to train on came out of these sources", where=name, advice=advice)
    return problems


def _audit(root: Path) -> None:
    figures = {name: measure_dataset(framekit.manifest.open(root / name)) for name in ("cartoons", "photos")}
    for figure in figures.values():
        for line in report_lines(figure):
            say(line)
        say("")
    values = {name: figure.as_json() for name, figure in figures.items()}
    write_text(root / "audit.json", json.dumps(values, indent=2, sort_keys=True) + "\n")


def _train(run: Run) -> None:
    from cartoongan import trainer
    from cartoongan.features import load_features
    from cartoongan.run_folder import holds_run

    model, options = run.root / "model", run.recipe.train
    begun = holds_run(model)
    if begun:
        # Weights may have come within reach since; a run keeps the features that it began with.
        before = json.loads((model / "options.json").read_text(encoding="utf-8"))
        options = options.model_copy(update={"untrained_features": before["untrained_features"]})
    elif run.recipe.untrained_features_as_last_resort and options.vgg_weights is None:
        try:
            load_features(options)
        except FramekitError as error:
            say(f"note: {error.what}. So the content loss runs on untrained features:")
            say("      what comes out shows the machinery, not the quality. For quality, give VGG19 weights:")
            say("      --set train.vgg_weights=FILE")
            options = options.model_copy(update={"untrained_features": True})
    trainer.train(run.root / "cartoons", run.root / "photos", model, options, resume=begun)


def _photos_to_stylize(run: Run) -> list[Path]:
    """Photos spread evenly over those there are."""
    words = run.recipe.stylize.photos or run.recipe.photos.sources
    found = find_sources(_located(run, words))
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


def _read_stamp(path: Path) -> dict[str, Any] | None:
    try:
        stamp = json.loads(path.read_text(encoding="utf-8"))
        problems = [str(problem) for problem in stamp["problems"]]
        return {"made_with": stamp["made_with"], "done": stamp["done"] is True, "problems": problems}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_stamp(path: Path, stage: Stage, *, done: bool, problems: Sequence[str] = ()) -> None:
    stamp = {"made_with": stage.made_with, "done": done, "problems": list(problems)}
    write_text(path, json.dumps(stamp, indent=2, sort_keys=True) + "\n")


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _stale(stage: Stage, before: dict[str, Any]) -> CommandError:
    changes = ", ".join(_changes(before, _plain(stage.made_with)))
    return CommandError(
        f"made before with other options or inputs ({changes})",
        where=stage.output,
        advice="run with --overwrite to make it and what follows anew, or with --set out=FOLDER elsewhere",
    )


def _changes(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _changes(old, new)
        elif old != new:
            short = all(isinstance(value, int | float | str | None) for value in (old, new))
            yield f"{name}: {printable(old)} → {printable(new)}" if short else name


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
