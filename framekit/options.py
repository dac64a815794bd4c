"""What a dataset is made of: one options model a stage. Flags and recipes both fill these."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class ExtractOptions(BaseModel):
    """Everything that decides the bytes of a dataset, beside its sources."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: int = Field(
        50, ge=1, description="Take frames 0, N, 2N, … of a film. Image folders give every picture."
    )
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

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        from framekit.images.encoding import parse_encoding

        parse_encoding(encoding)
        return encoding
