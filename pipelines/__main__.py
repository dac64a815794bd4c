"""The `cartoon-pipeline` command: one recipe, the whole way. Also: python -m pipelines."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from framekit import __version__
from framekit.errors import CommandError, printable
from framekit.terminal.commands import Program, say

if TYPE_CHECKING:
    from pipelines.recipe import Experiment


@click.group(cls=Program, extra="demo", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """From films to a gallery of stylized photos, by one recipe.

    \b
    cartoon-pipeline run demo            a film that is drawn here, minutes on a CPU
    cartoon-pipeline run shinkai         three films of yours, on a GPU
    cartoon-pipeline run MY_RECIPE.toml
    cartoon-pipeline run crop_vs_resize  an experiment: three datasets, three seeds, one table
    """


@main.command()
@click.argument("recipe")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change an option of the recipe.")
@click.option(
    "--films", help="Films, folders or globs in place of the recipe's, as one text; quote blanks in names."
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes that extract.  [default: one a core]")
@click.option("--overwrite", is_flag=True, help="Make stages anew whose options or inputs have changed.")
@click.option("--only-data", is_flag=True, help="Of an experiment: make the datasets, train nothing.")
def run(
    *,
    recipe: str,
    changes: tuple[str, ...],
    films: str | None,
    workers: int | None,
    overwrite: bool,
    only_data: bool,
) -> None:
    """Carry out RECIPE, a TOML file or one that comes with the program (demo, shinkai, miyazaki).

    It runs extract, audit, train, stylize and makes a gallery. Stages that are done with the same options
    are skipped; an interrupted one goes on where it was. A file with a table `arms` is an experiment, such as
    crop_vs_resize: it makes a dataset for each arm, trains each with each seed, and judges all alike.

    \b
    cartoon-pipeline run demo
    cartoon-pipeline run demo --films "one.mkv two.mkv" --set out=mine
    cartoon-pipeline run my.toml --set train.batch_size=4
    cartoon-pipeline run crop_vs_resize --only-data
    """
    from pipelines import stages
    from pipelines.recipe import Experiment, find_recipe, load_recipe

    chosen = load_recipe(find_recipe(recipe), changes, films=None if films is None else _words(films))
    if not only_data:
        import torch  # noqa: F401 - better missed now than after hours of extraction
    if isinstance(chosen, Experiment):
        sys.exit(_run_experiment(chosen, workers=workers, overwrite=overwrite, only_data=only_data))
    if only_data:
        raise CommandError("--only-data goes with experiments only")
    going = stages.Run(chosen, Path(chosen.out), workers=workers)
    gallery = stages.make_gallery(going, overwrite=overwrite)
    for problem in going.problems:
        say(f"problem: {printable(problem)}")
    out = printable(chosen.out)
    click.echo(f"\nthe gallery: {printable(gallery.resolve())}")
    click.echo("try next:")
    click.echo(f"  cartoongan stylize {out}/model YOUR_PHOTO.jpg --out cartoon.png")
    click.echo(f"  framekit audit {out}/cartoons")
    click.echo("  framekit extract YOUR_FILM.mkv --out dataset")
    click.echo(f'  cartoon-pipeline run {printable(recipe)} --films "YOUR_FILM.mkv" --set out=mine')
    sys.exit(1 if going.problems else 0)


def _run_experiment(experiment: Experiment, *, workers: int | None, overwrite: bool, only_data: bool) -> int:
    from pipelines.experiment import carry_out_experiment
    from pipelines.experiment_page import lines

    page, problems = carry_out_experiment(
        experiment, workers=workers, overwrite=overwrite, only_data=only_data
    )
    for problem in problems:
        say(f"problem: {printable(problem)}")
    if page is None:
        click.echo(f"the datasets are in {printable(experiment.out)}")
    else:
        for line in lines(experiment, page.parent):
            click.echo(line)
        click.echo(f"\nthe page: {printable(page.resolve())}")
    return 1 if problems else 0


def _words(text: str) -> tuple[str, ...]:
    """One file as it stands, or several as a shell would split them."""
    if Path(text).exists():
        return (text,)
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise CommandError(f"--films: {error}", advice="quote names with blanks") from None
    if not words:
        raise CommandError("--films names nothing", advice="leave it out to take the recipe's")
    return words


if __name__ == "__main__":
    main()
