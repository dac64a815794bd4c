"""What a dataset is made of: one options model a stage. Flags and recipes both fill these."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from framekit.sources.sampling import Sampling, parse_skip

WAYS_TO_SAMPLE = ("every", "seconds", "count", "keyframes", "scenes")
EVERY = 50
LETTERBOX = re.compile(r"auto|off|[1-9]\d{0,4}:[1-9]\d{0,4}:\d{1,5}:\d{1,5}", re.ASCII)


class ExtractOptions(BaseModel):
    """Everything that decides the bytes of a dataset, beside its sources."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: int | None = Field(
        EVERY, ge=1, description="Take frames 0, N, 2N, … of a film. Image folders give every picture."
    )
    seconds: float | None = Field(
        None,
        gt=0,
        le=86_400,
        allow_inf_nan=False,
        description="Instead: the first frame at or after each of 0, S, 2S, … seconds.",
    )
    count: int | None = Field(None, ge=1, description="Instead: N frames of each film, evenly spread.")
    keyframes: bool = Field(False, strict=True, description="Instead: the film's keyframes.")
    scenes: bool = Field(
        False, strict=True, description="Instead: frames from each shot, away from its cuts."
    )
    pictures_per_scene: int = Field(1, ge=1, le=1000, description="With --scenes: frames from each shot.")
    skip: tuple[str, ...] = Field(
        (),
        description="Leave out frames in a time range START-END, openings and credits: 0-1:30, 21:10-22:40, "
        "-2:00-end (a minus counts from the end). May be repeated.",
    )
    letterbox: str = Field(
        "auto",
        description="Black bars: auto finds and cuts them, off leaves them, W:H:X:Y keeps that box.",
    )
    deinterlace: Literal["auto", "on", "off"] = Field(
        "auto", description="Deinterlace the frames marked as interlaced (auto), all (on) or none (off)."
    )
    inverse_telecine: bool = Field(False, description="Bring telecined film back to its own frames.")
    crops_per_frame: int = Field(4, ge=1, le=256, description="Random squares to cut from each kept frame.")
    crop_size: int = Field(
        256, ge=16, le=4096, description="Side of a square in pixels. Frames are never resized."
    )
    frame_height: int | None = Field(
        None, ge=16, le=16384, description="Shrink frames to this height before cutting; recorded as scale."
    )
    smooth: bool = Field(True, description="Store the edge-smoothed half of each pair; photos do without.")
    encoding: str = Field("png", description="How pictures are stored: png, jpeg[:Q] or webp[:Q].")
    dedup_distance: int = Field(
        6,
        ge=0,
        le=64,
        description="Frames whose hashes differ in at most this many of 64 bits are near-duplicates.",
    )
    hash: Literal["phash", "dhash", "whash", "average"] = Field("phash", description="Perceptual hash.")
    min_contrast: float = Field(
        4.0,
        ge=0,
        le=128,
        description="Leave out frames whose luma deviates less than this: black, white, fades.",
    )
    style: str | None = Field(None, max_length=200, description="Name of the style, kept with every pair.")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="Seed of the random crops.")

    @model_validator(mode="before")
    @classmethod
    def _every_unless_another_way(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("every") is not None:
            return values
        return values | {"every": None if any(values.get(way) for way in WAYS_TO_SAMPLE) else EVERY}

    @field_validator(*WAYS_TO_SAMPLE[1:])
    @classmethod
    def _one_way(cls, value: Any, info: ValidationInfo) -> Any:
        other = next((way for way in WAYS_TO_SAMPLE if info.data.get(way)), None)
        if value and other:
            raise ValueError(f"does not go with --{other}: each says which frames to take")
        return value

    @field_validator("pictures_per_scene")
    @classmethod
    def _of_scenes(cls, pictures: int, info: ValidationInfo) -> int:
        if pictures > 1 and not info.data.get("scenes"):
            raise ValueError("goes with --scenes only")
        return pictures

    @field_validator("skip")
    @classmethod
    def _time_ranges(cls, skip: tuple[str, ...]) -> tuple[str, ...]:
        for text in skip:
            parse_skip(text)
        return skip

    @field_validator("letterbox")
    @classmethod
    def _known_letterbox(cls, letterbox: str) -> str:
        if not LETTERBOX.fullmatch(letterbox):
            raise ValueError("must be auto, off or W:H:X:Y in pixels, as in 1280:544:0:88")
        return letterbox

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        from framekit.images.encoding import parse_encoding

        parse_encoding(encoding)
        return encoding

    def sampling(self) -> Sampling:
        """Which frames of a film to take."""
        return Sampling(
            every=self.every,
            # As it was written: the shortest decimals that mean this float.
            seconds=None if self.seconds is None else Fraction(str(self.seconds)),
            count=self.count,
            keyframes=self.keyframes,
            scenes=self.scenes,
            pictures_per_scene=self.pictures_per_scene,
            skip=tuple(parse_skip(text) for text in self.skip),
        )
