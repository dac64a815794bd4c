"""The command `cartoongan`: parse, call, print."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cartoongan.options import EvaluateOptions, StylizeOptions, TrainOptions
from cartoongan.presets import preset_lines
from framekit import __version__
from framekit.errors import printable
from framekit.terminal.commands import Program, print_json, say
from framekit.terminal.flags import Here, Place, flags_of

if TYPE_CHECKING:
    from cartoongan.planning import Plan


@click.group(cls=Program, extra="train", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Photos in, cartoons out: train CartoonGAN on framekit datasets and use what was trained.

    \b
    cartoongan train --cartoons DATASET --photos DATASET --out RUN
    cartoongan stylize RUN photo.jpg film.mp4 --out cartoons
    cartoongan export RUN model.onnx
    cartoongan evaluate RUN... --photos DATASET --cartoons DATASET --out report
    """


def _presets() -> str:
    """What `train --help` says of them, as click takes it: \\b keeps the lines as they are."""
    wrapped = textwrap.TextWrapper(76, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    lines = map(wrapped.wrap, preset_lines())
    return "\n".join(["\b", "Presets:", *(part for some in lines for part in some)])


@main.command(epilog=_presets())
@click.option("--cartoons", required=True, type=Place(), help="Dataset with smoothed pairs.")
@click.option("--photos", required=True, type=Place(), help="Dataset of photos.")
@click.option("--out", required=True, type=Here(), help="Run folder to make or resume.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in the run folder.")
@click.option("--dry-run", is_flag=True, help="Check everything, print the plan, train nothing.")
@flags_of(TrainOptions)
def train(
    *, cartoons: Path, photos: Path, out: Path, resume: bool, dry_run: bool, options: TrainOptions
) -> None:
    """Train a generator on a dataset of cartoons and one of photos.

    \b
    cartoongan train --cartoons popeye --photos photos --out runs/popeye
    cartoongan train --cartoons popeye --photos photos --out runs/popeye --resume
    cartoongan train … --dry-run                             what it would do and need
    cartoongan train … --preset authors --lr 2e-5            their settings, but one
    cartoongan train … --devices 4                           on four GPUs
    cartoongan train … --base-channels 16 --crop-size 128 --batch-size 4 --max-steps 500
                                                             a first look, on a CPU

    Ctrl-C saves a checkpoint; the same command with --resume goes on as if nothing had happened. The run
    folder gets log.jsonl, curves.html, samples/, checkpoints/, tensorboard/ and, at the end,
    generator.safetensors with a model card.
    """
    from cartoongan import devices, run_folder, trainer

    plan = trainer.plan(cartoons, photos, out, options, resume=resume)
    if dry_run:
        _show(plan)
        return
    leads = devices.leads()
    for note in plan.notes if leads else ():
        say(f"note: {printable(note)}")
    if leads:
        say(f"computing: {plan.computing.words}")
    try:
        summary = trainer.carry_out(plan)
    except KeyboardInterrupt:
        how = f"stopped. To go on: the same command with --resume (run folder: {printable(out)})"
        if not run_folder.holds_run(out):
            how = "stopped before training began; nothing was left behind"
        raise KeyboardInterrupt(how if leads else "stopped") from None
    if summary is None:
        return
    speed = f", {summary.images_per_second:.3g} images/s" if summary.images_per_second else ""
    click.echo(f"trained {summary.steps:,} steps{speed}: {printable(summary.generator)}")
    if summary.best and summary.best != summary.checkpoint:
        told = ", ".join(f"{name} {value:.2f}" for name, value in summary.score.items())
        click.echo(f"best     {printable(summary.best)} ({told})")
    click.echo(f"look at  {printable(summary.samples)}")
    click.echo(f"         {printable(out / 'curves.html')}")
    click.echo(f"next     cartoongan stylize {printable(out)} PHOTO... --out FOLDER")


def _show(plan: Plan) -> None:
    for line in plan.lines():
        click.echo(printable(line))
    for line in plan.needs():
        click.echo(line)
    click.echo("")
    for name, value in plan.options:
        click.echo(printable(f"{name} = {value}"))


@main.command()
@click.argument("model", type=Here())
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=Here())
@click.option(
    "--out",
    required=True,
    type=Here(),
    help="Folder, or for one file a name, as NAME.png.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there already.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@flags_of(StylizeOptions)
def stylize(
    *,
    model: Path,
    inputs: tuple[Path, ...],
    out: Path,
    overwrite: bool,
    as_json: bool,
    options: StylizeOptions,
) -> int:
    """Make cartoons of photos and videos with MODEL: a run folder, checkpoint, .safetensors or .onnx file.

    \b
    cartoongan stylize runs/popeye photo.jpg --out cartoon.png
    cartoongan stylize runs/popeye holiday/ more/*.jpg --out cartoons --format webp
    cartoongan stylize runs/popeye film.mp4 --out cartoon.mp4 --smooth 0.8
    cartoongan stylize model.onnx photo.jpg --out cartoon.png --colour-keep --strength 0.7

    Pictures keep their size. Videos keep their sound, subtitles and the time of every frame. Folders are
    searched to the bottom and keep their inner paths. A file that is there already is left as it is, without
    --overwrite.

    A picture of more than --tile-size squared pixels is made in tiles that are blended into each other. With
    batch norm they give what the whole picture would give. The other norms (instance, layer) take their
    statistics from the whole picture, shrunk: near, not the same, and --tile-size 0 makes it in one piece.
    """
    from cartoongan import stylize as stylizing

    try:
        summary = stylizing.stylize_paths(stylizing.load(model, options), inputs, out, overwrite=overwrite)
    except KeyboardInterrupt:
        how = "stopped. What was made is whole and stays: the same command makes the rest"
        raise KeyboardInterrupt(how) from None
    for line in summary.failed:
        say(f"failed: {line}")
    if as_json:
        print_json(summary.as_json())
        return 1 if summary.failed else 0
    for place, figures in summary.videos.items():
        click.echo(f"{printable(place)}: {figures.words}")
        for note in figures.notes:
            say(f"note: {printable(place)}: {note}")
    click.echo(f"made {len(summary.written)} cartoons in {printable(out)}")
    return 1 if summary.failed else 0


@main.command()
@click.argument("model", type=Here())
@click.argument("out", type=Here())
@click.option("--overwrite", is_flag=True, help="Replace files that are there already.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def export(*, model: Path, out: Path, overwrite: bool, as_json: bool) -> None:
    """Write the generator of MODEL, a run folder, checkpoint or .safetensors file, for use elsewhere.

    \b
    cartoongan export runs/popeye popeye.onnx            for ONNX Runtime; any height and width, by 4
    cartoongan export runs/popeye popeye.safetensors     weights alone
    cartoongan export runs/popeye popeye-model           a folder for the Hugging Face hub, with a card

    An ONNX file is run beside the generator before it is put in its place, and refused where the two differ.
    """
    from cartoongan import exporting

    done = exporting.export(model, out, overwrite=overwrite)
    if as_json:
        print_json({"written": [str(path) for path in done.written], "difference": done.difference})
        return
    for path in done.written:
        click.echo(printable(path))
    if done.difference is not None:
        click.echo(f"differs from PyTorch by {done.difference:.1e} at most, of [-1, 1]")


@main.command()
@click.argument("models", nargs=-1, required=True, metavar="RUN|CHECKPOINT...", type=Here())
@click.option(
    "--photos", required=True, type=Place(), help="Dataset of photos; its test side if it is split."
)
@click.option("--cartoons", required=True, type=Place(), help="Dataset of cartoons; likewise.")
@click.option("--out", type=Here(), help="Folder for index.html and evaluation.json.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
@flags_of(EvaluateOptions)
def evaluate(
    *,
    models: tuple[Path, ...],
    photos: Path,
    cartoons: Path,
    out: Path | None,
    as_json: bool,
    options: EvaluateOptions,
) -> int:
    """Judge generators on held-out photos: run folders, checkpoints or .safetensors files, side by side.

    \b
    cartoongan evaluate runs/popeye --photos photos --cartoons popeye --out report
    cartoongan evaluate runs/a runs/b --photos photos --cartoons popeye --json > figures.json
    cartoongan evaluate runs/a/checkpoints/*.pt --photos photos --cartoons popeye --pictures 100

    For each group of photos and for all: distance of contents, FID and KID in VGG19's features, clarity of
    lines, noise, colour shift, checkerboard. The page shows the best and the worst photos of each group.
    """
    from cartoongan import evaluating, evaluation_report

    if out is not None:
        evaluation_report.check_out(out)
    named = {str(model): model for model in models}
    try:
        found = evaluating.evaluate(named, photos, cartoons, options)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; nothing was kept: the same command begins anew") from None
    for line in found.failed:
        say(f"failed: {line}")
    if as_json:
        print_json(found.as_json())
    else:
        for line in evaluation_report.lines(found):
            click.echo(line)
    if out is not None:
        say(f"report: {printable(evaluation_report.write(found, out))}")
    return 1 if found.failed else 0
