from pathlib import Path
from typing import Literal

import click
import pytest
from click.testing import CliRunner
from pydantic import BaseModel, ConfigDict, Field

from framekit.errors import CommandError
from framekit.terminal.commands import Program
from framekit.terminal.flags import flags_of
from framekit.validating import validated


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    deep: int = 1


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    crop_size: int = Field(default=256, ge=16, description="Side.")
    ratio: float | None = Field(default=None, gt=0, description="Ratio.")
    smooth: bool = Field(default=True, description="Smooth.")
    kind: Literal["a", "b"] = Field(default="a", description="Kind.")
    paths: tuple[Path, ...] = Field(default=(), description="Paths.")
    inner: Inner = Inner()


class Flat(BaseModel):
    crop_size: int = Field(default=256, ge=16, description="Side.")
    ratio: float | None = Field(default=None, gt=0, description="Ratio.")
    smooth: bool = Field(default=True, description="Smooth.")
    kind: Literal["a", "b"] = Field(default="a", description="Kind.")
    paths: tuple[Path, ...] = Field(default=(), description="Paths.")


@click.group(cls=Program)
def program():
    pass


@program.command()
@flags_of(Flat)
def show(options):
    click.echo(options.model_dump_json())


def run(*words: str):
    return CliRunner().invoke(program, ["show", *words])


def test_defaults_are_the_model_s():
    assert Flat.model_validate_json(run().output) == Flat()


def test_every_kind_of_flag():
    words = [
        "--crop-size",
        "64",
        "--ratio",
        "0.5",
        "--no-smooth",
        "--kind",
        "b",
        "--paths",
        "x",
        "--paths",
        "y",
    ]
    expected = Flat(crop_size=64, ratio=0.5, smooth=False, kind="b", paths=(Path("x"), Path("y")))
    assert Flat.model_validate_json(run(*words).output) == expected


def test_help_shows_what_the_model_says():
    text = run("--help").output
    for words in (
        "--crop-size INTEGER",
        "Side.",
        "[default: 256]",
        "--smooth / --no-smooth",
        "[default: on]",
        "[a|b]",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--crop-size", "4"], "--crop-size: must be greater than or equal to 16 (got 4)"),
        (["--crop-size", "x"], "'x' is not a valid integer"),
        (["--kind", "c"], "'c' is not one of"),
        (["--nothing"], "No such option"),
    ],
)
def test_a_wrong_value_is_a_wrong_command_and_names_the_flag(words, said):
    done = run(*words)
    assert done.exit_code == 2
    assert said in done.stderr


def test_unknown_options_are_refused_with_those_that_are_known():
    with pytest.raises(CommandError, match=r"inner\.depth: unknown option; known here: deep"):
        validated(Options, {"inner": {"depth": 2}})
    with pytest.raises(CommandError, match="cropsize: unknown option; known here: crop_size, ratio"):
        validated(Options, {"cropsize": 2})


def test_all_faults_are_named_at_once():
    with pytest.raises(CommandError) as error:
        validated(Options, {"crop_size": 1, "ratio": -1.0})
    assert "crop_size" in str(error.value) and "ratio" in str(error.value)
