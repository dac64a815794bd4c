"""Options of training and stylizing: types, ranges, defaults and docs, for flags and recipes. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Device = Literal["auto", "cpu", "cuda", "mps"]


class GeneratorOptions(BaseModel):
    """What a generator is, whatever it was trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_channels: int = Field(
        default=64,
        ge=2,
        le=1024,
        multiple_of=2,
        description="Channels of the generator's first layer; the discriminator starts with half of them.",
    )
    residual_blocks: int = Field(default=8, ge=0, le=64, description="Residual blocks of the generator.")


class TrainOptions(GeneratorOptions):
    """How a run is trained. The defaults are the paper's (Chen et al., CVPR 2018)."""

    crop_size: int = Field(
        default=256,
        ge=16,
        multiple_of=4,
        description="Side of the training pictures in pixels; larger samples are cropped at random.",
    )
    batch_size: int = Field(default=8, ge=1, description="Pictures of each kind in a step.")
    init_epochs: int = Field(
        default=10, ge=0, description="Epochs in which the generator only learns to give photos back."
    )
    init_steps: int | None = Field(
        default=None, ge=0, description="Exact number of such steps, instead of --init-epochs."
    )
    epochs: int = Field(
        default=100, ge=0, description="Epochs of adversarial training; an epoch is one pass over the photos."
    )
    max_steps: int | None = Field(
        default=None, ge=1, description="Stop after this many steps in all, whatever the epochs say."
    )
    lr: float = Field(default=2e-4, gt=0, allow_inf_nan=False, description="Learning rate of both Adams.")
    omega: float = Field(
        default=10.0,
        ge=0,
        allow_inf_nan=False,
        description="Weight of the content loss: larger keeps more photo.",
    )
    vgg_weights: Path | None = Field(
        default=None,
        description="VGG19 weights with torchvision's key names, .safetensors or .pth; "
        "torchvision's own are downloaded when not given.",
    )
    untrained_features: bool = Field(
        default=False,
        description="Compare contents by a VGG19 with random weights: no file, no network, poorer pictures.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**63,
        description="Seed of the first weights, the order of samples and their crops.",
    )
    device: Device = Field(
        default="auto", description="Where to compute; auto takes a GPU when there is one."
    )
    workers: int = Field(
        default=2, ge=0, le=64, description="Processes that read samples; 0 reads in between steps."
    )
    checkpoint_every: int = Field(default=1000, ge=1, description="Steps between checkpoints.")
    sample_every: int = Field(default=500, ge=1, description="Steps between sample grids.")
    samples: int = Field(default=4, ge=1, le=64, description="Photos in the sample grid.")

    @model_validator(mode="after")
    def _one_source_of_features(self) -> TrainOptions:
        if self.untrained_features and self.vgg_weights:
            raise ValueError("give either vgg_weights or untrained_features, not both")
        return self


FREE_TO_CHANGE = {
    *("max_steps", "epochs", "workers", "device", "checkpoint_every", "sample_every", "samples"),
    *("vgg_weights", "untrained_features"),  # the features themselves are compared
}
"""Options that may differ when a run is resumed; all others are what the run is."""


class StylizeOptions(BaseModel):
    """How photos are stylized."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Device = Field(
        default="auto", description="Where to compute; auto takes a GPU when there is one."
    )
