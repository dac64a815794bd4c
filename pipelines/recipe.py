"""Recipes: one TOML file that says what to make of which films, from frames to gallery."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cartoongan.options import StylizeOptions, TrainOptions
from framekit.errors import CommandError, FramekitError
from framekit.options import WAYS_TO_SAMPLE, ExtractOptions
from framekit.validating import validated

DEMO_FILM = "demo:film"
DEMO_PHOTOS = "demo:photos"


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


class Recipe(BaseModel):
    """A whole run. Unknown options are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    title: str = Field(max_length=200, description="Heads the gallery.")
    out: str = Field(min_length=1, description="The run's folder, from where the command is given.")
    untrained_features_as_last_resort: bool = Field(
        False, description="Train on random VGG features when the weights can't be had; says so. For demos."
    )
    cartoons: Sources
    photos: Sources
    train: TrainOptions = TrainOptions()
    stylize: Stylizing = Stylizing()

    @model_validator(mode="after")
    def _pairs_for_the_discriminator(self) -> Recipe:
        if not self.cartoons.smooth:
            raise ValueError("cartoons need their smoothed half: leave smooth at its default")
        return self


def find_recipe(word: str) -> Path:
    """A recipe's file, or the one of that name that comes with the program (demo, shinkai, miyazaki)."""
    own = Path(word)
    packaged = Path(__file__).with_name(f"{word}.toml")
    known = {path.stem for path in packaged.parent.glob("*.toml")}
    return packaged if word in known and not own.is_file() else own


def load_recipe(path: Path, changes: Sequence[str] = (), *, films: Sequence[str] | None = None) -> Recipe:
    """Read a recipe and apply changes to it.

    Args:
        path: A TOML file.
        changes: `train.max_steps=100` and the like; the value is TOML, or text where it isn't.
        films: In place of the recipe's cartoon sources.

    Raises:
        CommandError: There is no such file, it is not TOML, or an option is unknown or out of range.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CommandError(
            "no such recipe", where=path, advice="give a TOML file, or demo, shinkai or miyazaki"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise CommandError(f"not a recipe that can be read ({error})", where=path) from None
    for change in changes:
        _apply(values, change)
    if films is not None:
        values.setdefault("cartoons", {})["sources"] = list(films)
    try:
        recipe: Recipe = validated(Recipe, values)
    except FramekitError as error:
        raise CommandError(error.what, where=path) from None
    return recipe


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
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
