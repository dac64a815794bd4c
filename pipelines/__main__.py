"""The `cartoon-pipeline` command: one recipe, the whole way. Also: python -m pipelines."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from framekit import __version__
from framekit.errors import CommandError, printable
from framekit.terminal.commands import Program, say


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """From films to a gallery of stylized photos, by one recipe.

    \b
    cartoon-pipeline run demo            a film that is drawn here, minutes on a CPU
    cartoon-pipeline run shinkai         three films of yours, on a GPU
    cartoon-pipeline run MY_RECIPE.toml
    """


@main.command()
@click.argument("recipe")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change an option of the recipe.")
@click.option(
    "--films", help="Films, folders or globs in place of the recipe's, as one text; quote blanks in names."
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes that extract.  [default: one a core]")
@click.option("--overwrite", is_flag=True, help="Make stages anew whose options or inputs have changed.")
def run(
    recipe: str, changes: tuple[str, ...], films: str | None, workers: int | None, overwrite: bool
) -> None:
    """Carry out RECIPE, a TOML file or one that comes with the program (demo, shinkai, miyazaki).

    It runs extract, audit, train, stylize and makes a gallery. Stages that are done with the same options
    are skipped; an interrupted one goes on where it was.

    \b
    cartoon-pipeline run demo
    cartoon-pipeline run demo --films "one.mkv two.mkv" --set out=mine
    cartoon-pipeline run my.toml --set train.batch_size=4
    """
    from pipelines import stages
    from pipelines.recipe import find_recipe, load_recipe

    chosen = load_recipe(find_recipe(recipe), changes, films=None if films is None else _words(films))
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
