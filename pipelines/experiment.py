"""An experiment's stages: one dataset an arm, one model an arm and seed, all judged alike, one page.

Stages are stamped and skipped as those of a recipe are. Where a dataset was made before and its films are not
at hand, as on a rented GPU, it is taken as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import framekit.manifest
from cartoongan.options import EvaluateOptions
from framekit.errors import CommandError
from framekit.files import sha256_of
from framekit.manifest.schema import Split
from framekit.terminal.commands import say
from pipelines.experiment_page import write_page
from pipelines.recipe import Experiment, Sources
from pipelines.stage import Stage, carry_out, clear_discarded, is_done, refuse_what_is_not_ours, stamped
from pipelines.stages import demo_sources, extraction, training

PAGE = "index.html"


def carry_out_experiment(
    experiment: Experiment, *, workers: int | None = None, overwrite: bool = False, only_data: bool = False
) -> tuple[Path | None, list[str]]:
    """Carry out the stages of an experiment that are not done yet.

    Args:
        experiment: What is compared.
        workers: Processes for extraction; None for one a core.
        overwrite: Make stages anew whose options or inputs have changed, deleting what they had made.
        only_data: Make the datasets and stop.

    Returns:
        The page, None when it was not made; and a line for each thing that failed while the rest went on.

    Raises:
        CommandError: A stage was made with other options and `overwrite` is off, or the folder holds
            something that is not this experiment's.
        FramekitError: A stage failed.
    """
    root = Path(experiment.out)
    clear_discarded(root)
    problems: list[str] = []
    parts = [_datasets(experiment, root, workers)]
    if not only_data:
        parts += [_models(experiment, root), _evaluations(experiment, root), _report(experiment, root)]
    for part in parts:
        for stage in part:
            if not stamped(stage.name, root):
                refuse_what_is_not_ours(stage.output)
            problems += carry_out(stage, root, overwrite=overwrite)
    return None if only_data else root / PAGE, problems


def dataset_name(arm: str) -> str:
    """Of an arm's cartoons: its folder in the run's, and its stage."""
    return f"cartoons-{arm}"


def model_name(arm: str, seed: int) -> str:
    """Of a model, as figures name it."""
    return f"{arm}-{seed}"


def _datasets(experiment: Experiment, root: Path, workers: int | None) -> Iterator[Stage]:
    yield from demo_sources(root, [*experiment.cartoons.sources, *experiment.photos.sources])
    split = Split(by="duplicate-group", test=experiment.test)
    wanted = {dataset_name(arm): experiment.cartoons_of(arm) for arm in experiment.arms}
    for name, sources in {**wanted, "photos": experiment.photos}.items():
        try:
            yield extraction(root, name, sources, workers=workers, split=split)
        except CommandError:
            if not _made_before(root, name, sources, split):
                raise
            say(f"── {name}: made before; its sources are not here")


def _made_before(root: Path, name: str, sources: Sources, split: Split) -> bool:
    made_with = {"options": sources.extraction.model_dump(mode="json"), "split": split.model_dump()}
    return is_done(name, root, root / name, made_with)


def _models(experiment: Experiment, root: Path) -> Iterator[Stage]:
    for seed in experiment.seeds:  # so that all arms have been seen before any is seen twice
        for arm in experiment.arms:
            name = model_name(arm, seed)
            options = experiment.train.model_copy(update={"seed": seed})
            yield training(
                f"train-{name}",
                root / dataset_name(arm),
                root / "photos",
                root / "models" / name,
                options,
                last_resort=experiment.untrained_features_as_last_resort,
            )


def _evaluations(experiment: Experiment, root: Path) -> Iterator[Stage]:
    models = {
        model_name(arm, seed): root / "models" / model_name(arm, seed)
        for arm in experiment.arms
        for seed in experiment.seeds
    }
    options = evaluate_options(experiment, next(iter(models.values())))
    weights = {name: sha256_of(model / "generator.safetensors") for name, model in models.items()}
    for arm in experiment.references:
        cartoons, photos = root / dataset_name(arm), root / "photos"
        digests = {its.name: framekit.manifest.open(its).test.digest for its in (cartoons, photos)}
        made_with = {"models": weights, "options": options.model_dump(mode="json"), **digests}
        out = root / "evaluation" / arm
        make = partial(_evaluate, models, photos, cartoons, options, out)
        yield Stage(f"evaluate-{arm}", out, made_with, make, quick=True)


def evaluate_options(experiment: Experiment, model: Path) -> EvaluateOptions:
    """Those of the experiment, with the features that its models were trained with unless it names others."""
    names = ("vgg_weights", "features", "untrained_features")
    options = {name: getattr(experiment.evaluate, name) for name in EvaluateOptions.model_fields}
    if not any(options[name] for name in names):
        options |= {name: getattr(experiment.train, name) for name in names}
        from cartoongan.run_folder import read_options

        if read_options(model)[0].untrained_features:
            options |= {"vgg_weights": None, "features": None, "untrained_features": True}
    return EvaluateOptions.model_validate(options)


def _evaluate(
    models: Mapping[str, Path], photos: Path, cartoons: Path, options: EvaluateOptions, out: Path
) -> list[str]:
    from cartoongan import evaluating, evaluation_report

    found = evaluating.evaluate(models, photos, cartoons, options)
    evaluation_report.write(found, out)
    return found.failed


def _report(experiment: Experiment, root: Path) -> Iterator[Stage]:
    files = {arm: root / "evaluation" / arm / "evaluation.json" for arm in experiment.references}
    made_with: dict[str, Any] = {arm: sha256_of(path) for arm, path in files.items()}
    made_with |= {"title": experiment.title, "arms": experiment.arms, "seeds": list(experiment.seeds)}
    for name in map(dataset_name, experiment.arms):
        made_with[name] = framekit.manifest.open(root / name).train.digest
    yield Stage("report", root / PAGE, made_with, lambda: write_page(experiment, root), quick=True)
