"""Options of training and stylizing: types, ranges, defaults and docs, for flags and recipes. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cartoongan.presets import PRESETS, Preset


def _weight(description: str) -> Any:
    """A loss that is off unless it is given a weight."""
    return Field(default=0.0, ge=0, allow_inf_nan=False, description=description)


Device = Literal["auto", "cpu", "cuda", "mps"]
VggWeights = Annotated[
    Path | None,
    Field(
        description="VGG19 weights with torchvision's key names, .safetensors or .pth; "
        "torchvision's own are downloaded when not given."
    ),
]
FeaturesPlace = Annotated[
    str | None,
    Field(
        description="Compare pictures by another network: MODULE:ATTRIBUTE, a torch module or what makes "
        "one; it takes (N, 3, H, W) RGB in [-1, 1]."
    ),
]
UntrainedFeatures = Annotated[
    bool,
    Field(
        description="Compare pictures by a VGG19 with random weights: no file, no network, poorer results."
    ),
]


class GeneratorOptions(BaseModel):
    """What a generator is, whatever it was trained on: all that is needed to build it again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    generator: Literal["normal", "light"] = Field(
        default="normal",
        description="Light has depthwise separable convolutions: 1.3 instead of 11.1 million weights.",
    )
    base_channels: int = Field(
        default=64,
        ge=2,
        le=1024,
        multiple_of=2,
        description="Channels of the generator's first layer; the discriminator starts with half of them.",
    )
    residual_blocks: int = Field(default=8, ge=0, le=64, description="Residual blocks of the generator.")
    norm: Literal["batch", "instance", "instance-affine", "layer"] = Field(
        default="batch",
        description="What feature maps are normalised over, in both networks; all but batch treat every "
        "picture by itself.",
    )
    padding: Literal["zero", "reflect"] = Field(
        default="zero", description="Borders of the generator's 7×7 and residual convolutions."
    )
    upsampling: Literal["transposed", "resize"] = Field(
        default="transposed",
        description="How the generator enlarges; resize, then convolve, leaves no checkerboard.",
    )


class TrainOptions(GeneratorOptions):
    """How a run is trained. What is not given comes from the preset; the defaults here are the paper's."""

    preset: Preset = Field(
        default="paper", description="Where options come from that are not given; see the list below."
    )
    crop_size: int = Field(
        default=256,
        ge=16,
        multiple_of=4,
        description="Side of the training pictures in pixels; larger samples are cropped at random.",
    )
    scale_jitter: float = Field(
        default=0.0,
        ge=0,
        le=3,
        allow_inf_nan=False,
        description="Photos are cut out up to this share larger and shrunk to the crop; 0 never shrinks.",
    )
    batch_size: int = Field(
        default=8, ge=1, description="Pictures of each kind in a step, over all devices together."
    )
    init_epochs: int = Field(
        default=10, ge=0, description="Epochs in which the generator only learns to give photos back."
    )
    init_decay_epochs: int = Field(
        default=0, ge=0, description="As many more, in which their learning rate falls to 0 in a line."
    )
    init_steps: int | None = Field(
        default=None, ge=0, description="Exact number of such steps, instead of both."
    )
    epochs: int = Field(
        default=100, ge=0, description="Epochs of adversarial training; an epoch is one pass over the photos."
    )
    decay_epochs: int = Field(
        default=0, ge=0, description="As many more, in which their learning rate falls to 0 in a line."
    )
    max_steps: int | None = Field(
        default=None, ge=1, description="Stop after this many steps in all, whatever the epochs say."
    )
    lr: float = Field(default=2e-4, gt=0, allow_inf_nan=False, description="Learning rate of both Adams.")
    lr_init: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Learning rate of the init phase, if another."
    )
    lr_milestones: tuple[int, ...] = Field(
        default=(),
        description="Epochs of the main phase after which the rate is multiplied by --lr-gamma. "
        "May be repeated.",
    )
    lr_gamma: float = Field(
        default=0.1, gt=0, le=1, description="By what the rate is multiplied then; 1 leaves it."
    )
    adversarial: Literal["bce", "lsgan", "hinge"] = Field(
        default="bce",
        description="How the discriminator's answers are judged: cross entropy, squares, hinge.",
    )
    omega: float = Field(
        default=10.0,
        ge=0,
        allow_inf_nan=False,
        description="Weight of the content loss: larger keeps more photo.",
    )
    gram: float = _weight("Weight of AnimeGANv2's style loss: Gram matrices of grey cartoons.")
    colour: float = _weight("Weight of the colour loss: the photo's brightness and tints in YUV.")
    tv: float = _weight("Weight of the total variation loss: smoother areas.")
    r1: float = _weight("Weight of R1, the discriminator's gradient penalty on cartoons.")
    spectral_norm: bool = Field(
        default=False, description="Divide the discriminator's weights by their largest singular value."
    )
    fake_pool: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Generated pictures kept, half of which the discriminator sees instead of new ones.",
    )
    ema: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Decay of a moving average of the generator's weights, used for samples and release; "
        "0 keeps none, 0.999 is usual.",
    )
    clip_gradients: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="Longest gradient of a network, larger ones are scaled down to it; 0 leaves them.",
    )
    vgg_weights: VggWeights = None
    features: FeaturesPlace = None
    untrained_features: UntrainedFeatures = False
    normalise_features: bool = Field(
        default=False,
        description="Divide features by their mean size on some photos, so that omega means the same for "
        "any network.",
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
    devices: int = Field(
        default=1, ge=1, description="How many of them; torchrun's number is taken where it is used."
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="Of the arithmetic; auto is bf16 where the device has it."
    )
    channels_last: bool | None = Field(
        default=None, description="Memory layout of pictures; what suits the device when not given."
    )
    compile: bool = Field(
        default=False, description="torch.compile both networks: a slow start, faster steps on a GPU."
    )
    accumulate: int = Field(
        default=1,
        ge=1,
        description="Parts in which a step's batch is worked through: less memory, and one more pass through "
        "the generator.",
    )
    activation_checkpointing: bool = Field(
        default=False, description="Compute the generator twice instead of remembering: less memory, slower."
    )
    workers: int = Field(
        default=2, ge=0, le=64, description="Processes that read samples; 0 reads in between steps."
    )
    checkpoint_every: int = Field(default=1000, ge=1, description="Steps between checkpoints.")
    keep_last: int = Field(default=3, ge=1, description="Newest checkpoints to keep.")
    keep_best: int = Field(default=1, ge=0, description="Best checkpoints to keep beside them.")
    sample_every: int = Field(default=500, ge=1, description="Steps between sample grids.")
    samples: int = Field(default=4, ge=1, le=64, description="Photos in the sample grid.")

    def fixed(self) -> dict[str, Any]:
        """What the run is, as plain values: all options but those that may differ when it is resumed."""
        # Where rates fall after the last full epoch, the number of epochs says when.
        free = FREE_TO_CHANGE - {"epochs"} if self.decay_epochs else FREE_TO_CHANGE
        return self.model_dump(mode="json", exclude=free)

    @model_validator(mode="before")
    @classmethod
    def _rest_from_preset(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        name = values.get("preset", "paper")
        preset = PRESETS.get(name) if isinstance(name, str) else None  # an unknown one is told of later
        return {**(preset or {}), **values}

    @model_validator(mode="after")
    def _one_source_of_features(self) -> TrainOptions:
        given = {
            "vgg_weights": self.vgg_weights,
            "features": self.features,
            "untrained_features": self.untrained_features,
        }
        given = {name: value for name, value in given.items() if value}
        if len(given) > 1:
            flags = [f"--{name.replace('_', '-')}" for name in given]
            raise ValueError(f"give either {' or '.join(flags)}, not both")
        return self

    @field_validator("features")
    @classmethod
    def _a_module_and_its_attribute(cls, place: str | None) -> str | None:
        module, colon, attribute = (place or "a:b").partition(":")
        if not colon or not all(name.isidentifier() for name in f"{module}.{attribute}".split(".")):
            raise ValueError("must be MODULE:ATTRIBUTE, as in my_features:network")
        return place

    @field_validator("lr_milestones")
    @classmethod
    def _whole_epochs(cls, milestones: tuple[int, ...]) -> tuple[int, ...]:
        if any(epoch < 1 for epoch in milestones):
            raise ValueError("epochs are counted from 1")
        return tuple(sorted(milestones))

    @model_validator(mode="after")
    def _no_more_parts_than_pictures(self) -> TrainOptions:
        if self.accumulate > self.batch_size:
            given = f"--accumulate {self.accumulate} is larger than --batch-size {self.batch_size}"
            raise ValueError(f"{given}: there are no more parts than pictures")
        return self


FREE_TO_CHANGE = {
    "preset",  # a name; what it stands for is compared
    *(
        "max_steps",
        "epochs",
        "workers",
        "checkpoint_every",
        "keep_last",
        "keep_best",
        "sample_every",
        "samples",
    ),
    *("device", "devices", "precision", "channels_last", "compile", "activation_checkpointing"),
    *("vgg_weights", "features", "untrained_features"),  # the features themselves are compared
}
"""Options that may differ when a run is resumed, see `TrainOptions.fixed`; all others are what the run is."""


class StylizeOptions(BaseModel):
    """How photos and videos are stylized."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strength: float = Field(
        default=1.0, ge=0, le=1, description="How far from the photo to the cartoon; 0 is the photo."
    )
    colour_keep: bool = Field(
        default=False, description="Keep the photo's colours: only brightness is the cartoon's."
    )
    format: Literal["png", "jpeg", "webp", "avif", "heic"] = Field(
        default="png", description="Of pictures; a name given as --out says it by its ending."
    )
    smooth: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Videos: how much of the last cartoon stays where the film hardly changed; 0.8 is much.",
    )
    encoder: Literal["auto", "libx264", "libopenh264", "libsvtav1", "libvpx-vp9", "mpeg4"] = Field(
        default="auto", description="Of videos; auto is the first of these that is here and fits."
    )
    crf: int | None = Field(
        default=None, ge=0, le=63, description="Quality of videos as the encoder counts it, 0 is the best."
    )
    tile_size: int = Field(
        default=2048,
        ge=0,
        multiple_of=4,
        description="Pictures with more pixels than a square of this side are made in such tiles; 0 never.",
    )
    batch_size: int = Field(
        default=1, ge=1, le=256, description="Pictures of one size, or frames, that are computed together."
    )
    device: Device = Field(
        default="auto", description="Where to compute; auto takes a GPU when there is one."
    )
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="bf16 is faster where the hardware has it, and differs by a level or two."
    )
    channels_last: bool = Field(default=False, description="Memory layout of pictures; suits bf16 on GPUs.")
    compile: bool = Field(default=False, description="torch.compile the generator: pays for long videos.")


class EvaluateOptions(BaseModel):
    """How generators are measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pictures: int = Field(
        default=500,
        ge=2,
        le=50_000,
        description="Photos, and cartoons, that are looked at; every photo once before any twice.",
    )
    shown: int = Field(
        default=2, ge=0, le=8, description="Best and worst photos of each group that the page shows."
    )
    vgg_weights: VggWeights = None
    features: FeaturesPlace = None
    untrained_features: UntrainedFeatures = False
    seed: int = Field(default=0, ge=0, lt=2**63, description="Of the subsets that KID is estimated from.")
    device: Device = Field(
        default="auto", description="Where to compute; auto takes a GPU when there is one."
    )

    @model_validator(mode="after")
    def _features_that_training_would_take(self) -> EvaluateOptions:
        self.of_features()
        return self

    def of_features(self) -> TrainOptions:
        """The options of training that say where features come from."""
        names = ("vgg_weights", "features", "untrained_features")
        return TrainOptions.model_validate({name: getattr(self, name) for name in names})
