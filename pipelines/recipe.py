"""Recipes: one TOML file that says what to make of which films, from frames to gallery."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cartoongan.options import EvaluateOptions, StylizeOptions, TrainOptions
from framekit.errors import CommandError, FramekitError
from framekit.options import WAYS_TO_SAMPLE, ExtractOptions
from framekit.validating import validated

DEMO_FILM = "demo:film"
DEMO_PHOTOS = "demo:photos"
LARGEST = 1 << 16
"""Bytes of a recipe; to read it takes time that grows with their square."""


class Sources(ExtractOptions):
    """A dataset of a recipe: where its pictures come from, and the options of `framekit extract`."""

    sources: tuple[str, ...] = Field(
        min_length=1,
        description="Films, image folders, globs; demo:film and demo:photos come with the program.",
    )

    @field_validator("sources", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def extraction(self) -> ExtractOptions:
        """The options alone."""
        return ExtractOptions.model_validate(self.model_dump(exclude={"sources"}))


class Stylizing(StylizeOptions):
    """What the trained model is shown at the end."""

    photos: tuple[str, ...] = Field(
        default=(), description="Photos or folders; those that it was trained with when empty."
    )
    at_most: int = Field(default=12, ge=1, le=1000, description="Photos to stylize, evenly chosen.")


class Base(BaseModel):
    """What recipes and experiments share. Unknown options are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    title: str = Field(max_length=200, description="Heads the page at the end.")
    out: str = Field(min_length=1, description="The run's folder, from where the command is given.")
    untrained_features_as_last_resort: bool = Field(
        False, description="Train on random VGG features when the weights can't be had; says so. For demos."
    )
    cartoons: Sources
    photos: Sources
    train: TrainOptions = TrainOptions()

    @model_validator(mode="after")
    def _pairs_for_the_discriminator(self) -> Base:
        if not self.cartoons.smooth:
            raise ValueError("cartoons need their smoothed half: leave smooth at its default")
        return self


class Recipe(Base):
    """A whole run: one model."""

    stylize: Stylizing = Stylizing()


class Evaluating(EvaluateOptions):
    """How the arms of an experiment are judged; by the features of training unless others are named."""

    against: tuple[str, ...] = Field(
        default=(),
        description="Arms whose held-out cartoons all are held against; the first by default.",
    )


class Experiment(Base):
    """The same run for several datasets of cartoons and several seeds, and all of them judged alike."""

    seeds: tuple[int, ...] = Field(
        default=(0, 1, 2), min_length=1, description="Of training: each arm is trained once with each."
    )
    test: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the frames and photos that no arm sees in training."
    )
    arms: dict[str, dict[str, Any]] = Field(
        min_length=2, description="By name: options of framekit extract in the place of those of [cartoons]."
    )
    evaluate: Evaluating = Evaluating()

    @model_validator(mode="after")
    def _arms_that_can_be_made(self) -> Experiment:
        for arm in self.arms:
            if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", arm):
                raise ValueError(f"arms.{arm}: a name is made of a-z, 0-9 and hyphens")
            self.cartoons_of(arm)
        unknown = set(self.evaluate.against) - set(self.arms)
        if unknown:
            raise ValueError(f"evaluate.against: no such arm: {', '.join(sorted(unknown))}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: one stands there twice")
        return self

    def cartoons_of(self, arm: str) -> Sources:
        """What the dataset of an arm is made of."""
        try:
            made: Sources = validated(Sources, self.cartoons.model_dump(mode="json") | self.arms[arm])
        except FramekitError as error:
            raise ValueError(f"arms.{arm}.{error.what}") from None
        if not made.smooth:
            raise ValueError(f"arms.{arm}: cartoons need their smoothed half")
        return made

    @property
    def references(self) -> tuple[str, ...]:
        """Arms that all are held against."""
        return self.evaluate.against or (next(iter(self.arms)),)


def find_recipe(word: str) -> Path:
    """A recipe's file, or the one of that name that comes with the program (demo, shinkai, miyazaki, …)."""
    own = Path(word)
    packaged = {path.stem: path for path in Path(__file__).parent.glob("*.toml")}
    return own if own.is_file() else packaged.get(word, own)


def load_recipe(
    path: Path, changes: Sequence[str] = (), *, films: Sequence[str] | None = None
) -> Recipe | Experiment:
    """Read a recipe, or an experiment (which has a table `arms`), and apply changes to it.

    Args:
        path: A TOML file.
        changes: `train.max_steps=100` and the like; the value is TOML, or text where it isn't.
        films: In place of the recipe's cartoon sources.

    Raises:
        CommandError: There is no such file, it is not TOML, or an option is unknown or out of range.
    """
    try:
        values = tomllib.loads(_text(path))
    except FileNotFoundError:
        raise CommandError(
            "no such recipe",
            where=path,
            advice="give a TOML file, or a name such as demo, shinkai or miyazaki",
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CommandError(f"not a recipe that can be read ({error})", where=path) from None
    for change in changes:
        _apply(values, change)
    if films is not None:
        values.setdefault("cartoons", {})["sources"] = list(films)
    try:
        recipe: Recipe | Experiment = validated(Experiment if "arms" in values else Recipe, values)
    except FramekitError as error:
        raise CommandError(error.what, where=path) from None
    return recipe


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"larger than {LARGEST >> 10} kB")
    return content.decode()


def _apply(values: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    if not equals or not re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", key):
        raise CommandError(f"--set takes key=value, as in train.max_steps=100 (got {change!r})")
    *tables, last = key.split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise CommandError(f"--set {key}: {table} holds a value, no options")
    if last in WAYS_TO_SAMPLE:  # one way takes the place of another
        for way in WAYS_TO_SAMPLE:
            values.pop(way, None)
    values[last] = _toml_value(value)


def _toml_value(text: str) -> Any:
    if "\n" in text:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
