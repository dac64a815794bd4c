"""What a dataset is made of: one options model a stage. Flags and recipes both fill these."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from framekit.errors import FramekitError
from framekit.images.rules import Condition, Rule, parse_rule
from framekit.sources.sampling import Sampling, parse_skip

WAYS_TO_SAMPLE = ("every", "seconds", "count", "keyframes", "scenes")
EVERY = 50
LETTERBOX = re.compile(r"auto|off|[1-9]\d{0,4}:[1-9]\d{0,4}:\d{1,5}:\d{1,5}", re.ASCII)


TEXT_ALONE = 4.0
"""Entropy of luma in bits below which a picture with text shows little else. Real pictures with text had 5.98
and more: subtitles over a scene are no credits."""


def _rule(text: str) -> Rule:
    try:
        return parse_rule(text)
    except FramekitError as error:
        raise ValueError(str(error)) from None


class Limits(BaseModel):
    """What is left out of a dataset. From what is stored it can be decided again without any film."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dedup_distance: int = Field(
        6,
        ge=0,
        le=64,
        description="Frames whose hashes differ in at most this many of 64 bits, and whose colours agree, "
        "are near-duplicates.",
    )
    pan_overlap: float = Field(
        0.7,
        ge=0.35,
        le=1,
        allow_inf_nan=False,
        description="A frame that shows at least this share of an earlier one, seen through a moved camera, "
        "is a near-duplicate.",
    )
    min_contrast: float = Field(
        6.0,
        ge=0,
        le=128,
        description="Leave out frames whose luma deviates less than this: black, white.",
    )
    max_fade: float = Field(
        0.5, ge=0, le=1, description="Leave out frames that have faded further than this to black or white."
    )
    max_dissolve: float = Field(
        1.0, ge=0, le=1, description="Leave out frames that mix two shots to more than this share."
    )
    max_text: float = Field(
        0.002,
        ge=0,
        le=1,
        description="Leave out frames with a larger share than this under lines of text and little else: "
        "credits.",
    )
    leave_out: tuple[str, ...] = Field(
        (),
        description="Leave out frames or crops by any measure: 'noise>6', 'crop.sharpness<20'. "
        "May be repeated; 'none' takes them back.",
    )

    @field_validator("leave_out", mode="before")
    @classmethod
    def _none(cls, leave_out: Any) -> Any:
        return () if leave_out in (("none",), ["none"]) else leave_out

    @field_validator("leave_out")
    @classmethod
    def _readable_rules(cls, leave_out: tuple[str, ...]) -> tuple[str, ...]:
        for text in leave_out:
            _rule(text)
        return leave_out

    def frame_rules(self) -> list[Rule]:
        """What leaves a frame out, in the order in which reasons are told."""
        credits = Condition("text", ">", self.max_text), Condition("entropy", "<", TEXT_ALONE)
        return [
            Rule("flat", (Condition("contrast", "<", self.min_contrast),)),
            Rule("fade", (Condition("fade", ">", self.max_fade),)),
            Rule("dissolve", (Condition("dissolve", ">", self.max_dissolve),)),
            Rule("credits", credits),
            *(rule for rule in map(_rule, self.leave_out) if not rule.of_crops),
        ]

    def crop_rules(self) -> list[Rule]:
        """What leaves a crop out of a frame that is kept."""
        return [rule for rule in map(_rule, self.leave_out) if rule.of_crops]


class ExtractOptions(Limits):
    """Everything that decides the bytes of a dataset, beside its sources."""

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
        256,
        ge=16,
        le=4096,
        description="Side of a square in pixels. Frames are never resized, unless --resize asks for it.",
    )
    frame_height: int | None = Field(
        None, ge=16, le=16384, description="Shrink frames to this height before cutting; recorded as scale."
    )
    second_height: int | None = Field(
        None,
        ge=16,
        le=16384,
        description="Cut every second crop from the frame shrunk to this height: two sizes of things.",
    )
    resize: bool = Field(
        False,
        strict=True,
        description="Squash whole frames to one --crop-size square each, instead of cutting crops: only "
        "there to be compared with crops. It softens lines and bends shapes.",
    )
    smooth: bool = Field(True, description="Store the edge-smoothed half of each pair; photos do without.")
    encoding: str = Field("png", description="How pictures are stored: png, jpeg[:Q] or webp[:Q].")
    hash: Literal["phash", "dhash", "whash", "average"] = Field("phash", description="Perceptual hash.")
    style: str | None = Field(None, max_length=200, description="Name of the style, kept with every pair.")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="Seed of the random crops.")
    tagger: str | None = Field(
        None,
        max_length=1000,
        description="Tell what frames show by an image tagger: a folder with model.onnx and "
        "selected_tags.csv, or its name on the Hugging Face hub, as SmilingWolf/wd-vit-tagger-v3.",
    )
    content_table: str | None = Field(
        None,
        max_length=1000,
        description="CSV file that says which tags mean people, animals, scenery, city, greenery.",
    )

    @model_validator(mode="before")
    @classmethod
    def _every_unless_another_way(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("every") is not None:
            return values
        return values | {"every": None if any(values.get(way) for way in WAYS_TO_SAMPLE) else EVERY}

    @model_validator(mode="before")
    @classmethod
    def _one_square_of_a_squashed_frame(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("resize") is not True:
            return values
        return {"crops_per_frame": 1} | values

    @field_validator("resize")
    @classmethod
    def _nothing_to_cut(cls, resize: bool, info: ValidationInfo) -> bool:
        if resize and info.data.get("crops_per_frame") != 1:
            raise ValueError("gives one square of each frame: leave out --crops-per-frame")
        for name in ("frame_height", "second_height"):
            if resize and info.data.get(name) is not None:
                raise ValueError(f"does not go with --{name.replace('_', '-')}: whole frames are squashed")
        return resize

    @model_validator(mode="after")
    def _crops_at_the_second_height(self) -> Self:
        if self.second_height is not None and self.crops_per_frame < 2:
            raise ValueError("--second-height is for every second crop: take 2 or more --crops-per-frame")
        if self.second_height is not None and self.second_height < self.crop_size:
            least = f"--crop-size {self.crop_size}"
            raise ValueError(
                f"--second-height {self.second_height} is less than {least}: nothing fits into it"
            )
        return self

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
