"""Generators judged on held-out photos against cartoons: figures for each group of photos and for all.

Pictures are read one by one; what stays of each are a vector and a few numbers. docs/evaluate.md says what
every figure means.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cartoongan import measures
from cartoongan.devices import pick_device
from cartoongan.distances import distance, pooled
from cartoongan.features import Features, load_features
from cartoongan.judged import ALL, Chosen, choose, groups
from cartoongan.networks import to_signed
from cartoongan.options import EvaluateOptions, StylizeOptions
from cartoongan.stylize import Stylizer
from cartoongan.stylize import load as load_stylizer
from framekit import __version__
from framekit.errors import FramekitError, printable
from framekit.terminal.progress import Progress

PHOTOS = "photos as they are"
"""What stands beside the generators: one that gives photos back."""
JPEG_QUALITY = 88


@dataclass(frozen=True)
class Figures:
    """What was found of a generator on some photos; None where it cannot be told.

    Attributes:
        pictures: Number of photos.
        content: Distance in features from a cartoon to its photo; 1 is that between two photos.
        style: Distance in features' statistics from cartoons; 1 is that of the photos.
        fid: Fréchet distance to the cartoons, of the stated features.
        kid: Kernel distance to them.
        kid_deviation: Over KID's subsets.
        clarity: Gradient at edges over that of the cartoons.
        noise: Standard deviation in flat areas, in levels.
        colour_shift: ΔE between the mean colours of a cartoon and its photo.
        checkerboard: Power at the generator's stride over that beside it, in decibels.
    """

    pictures: int
    content: float | None
    style: float | None
    fid: float | None
    kid: float | None
    kid_deviation: float | None
    clarity: float | None
    noise: float | None
    colour_shift: float | None
    checkerboard: float | None


@dataclass(frozen=True)
class Evaluated:
    """One generator.

    Attributes:
        groups: Figures by group of photos, `all` first.
        scores: (N,) content + style of each photo, less is better.
    """

    name: str
    groups: dict[str, Figures]
    scores: np.ndarray


@dataclass(frozen=True)
class Shown:
    """A photo and what each generator made of it, as JPEG.

    Attributes:
        place: `best` or `worst` of its group.
        name: Of the photo's file, where it is known.
        scores: Of each generator, in their order.
    """

    group: str
    place: str
    name: str
    photo: bytes
    cartoons: list[bytes]
    scores: list[float]


@dataclass(frozen=True)
class Evaluation:
    """All that was found.

    Attributes:
        photos: What was looked at.
        cartoons: The same of cartoons.
        of_cartoons: Their own `gradient` (levels a pixel), `noise` and `checkerboard`.
        features: Which network, in words, with its digest.
        grouped_by: `content`, `folder` or `source`.
        runs: The generators; before them the photos as they are.
        failed: A line for each generator that could not be loaded.
    """

    photos: dict[str, Any]
    cartoons: dict[str, Any]
    of_cartoons: dict[str, float | None]
    features: dict[str, str]
    grouped_by: str
    seed: int
    runs: list[Evaluated]
    shown: list[Shown] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Plain values, without pictures."""
        plain = {
            name: getattr(self, name)
            for name in ("photos", "cartoons", "of_cartoons", "features", "grouped_by", "seed", "failed")
        }
        runs = [
            {"name": run.name, "groups": {name: asdict(its) for name, its in run.groups.items()}}
            for run in self.runs
        ]
        return plain | {"framekit_version": __version__, "runs": runs}


def evaluate(
    models: Mapping[str, str | Path],
    photos: str | Path,
    cartoons: str | Path,
    options: EvaluateOptions,
) -> Evaluation:
    """Judge generators on the test side of `photos` (all of it where it is not split) against `cartoons`.

    Args:
        models: Run folders, checkpoints or .safetensors files, by the names that they go by.
        photos: Dataset of photos.
        cartoons: Dataset of cartoons.
        options: How.

    Raises:
        FramekitError: A dataset or the features cannot be read, or none of the generators.
    """
    chosen_photos, chosen_cartoons = choose(photos, options.pictures), choose(cartoons, options.pictures)
    features = load_features(options.of_features()).to(pick_device(options.device))
    look = _Look(features, options)
    stylizers, failed = _load(models, options)
    grouped_by, places = groups(chosen_photos)
    with Progress("cartoons", total=len(chosen_cartoons), unit="pictures") as progress:
        found_cartoons = look.over(chosen_cartoons, progress)
    beside, tables = _go_over_photos(look, chosen_photos, stylizers, failed)
    judged = _Judged(beside, found_cartoons, {ALL: np.arange(len(chosen_photos)), **places}, options)
    runs = []
    with Progress("figures", total=1 + len(tables), unit="generators") as progress:
        for name, table in [(PHOTOS, beside), *tables.items()]:
            runs.append(judged.evaluated(name, table))
            progress.advance(note=name)
    return Evaluation(
        photos=chosen_photos.as_json(),
        cartoons=chosen_cartoons.as_json(),
        of_cartoons={
            name: _mean(found_cartoons.column(name)) for name in ("gradient", "noise", "checkerboard")
        },
        features={"network": _words(options), "digest": features.digest},
        grouped_by=grouped_by,
        seed=options.seed,
        runs=runs,
        shown=list(_shown(chosen_photos, stylizers, runs[1:], places, options.shown)),
        failed=failed,
    )


def _words(options: EvaluateOptions) -> str:
    """The network, without where on this machine its weights lie."""
    if options.features:
        return options.features
    weights = options.vgg_weights.name if options.vgg_weights else "torchvision's weights"
    weights = "random weights" if options.untrained_features else printable(weights)
    return f"VGG19 ({weights}), conv4_4 before its ReLU, means over all places: 512 numbers"


def _load(
    models: Mapping[str, str | Path], options: EvaluateOptions
) -> tuple[dict[str, Stylizer], list[str]]:
    stylizers, failed = {}, []
    for name, model in models.items():
        try:
            stylizers[name] = load_stylizer(model, StylizeOptions(device=options.device))
        except FramekitError as error:
            failed.append(str(error))
    if not stylizers:
        raise FramekitError("; ".join(failed) or "no generators to evaluate")
    return stylizers, failed


class _Table:
    """What is kept of pictures: a row of numbers and a vector each.

    Attributes:
        vectors: (C,) pooled features of each.
        statistics: (2C,) float64 means and deviations of each.
    """

    def __init__(self) -> None:
        self.vectors: list[Tensor] = []
        self.statistics: list[np.ndarray] = []
        self.rows: list[dict[str, float | None]] = []

    def add(self, features: Tensor, row: dict[str, float | None]) -> None:
        self.vectors.append(pooled(features)[0].cpu())
        self.statistics.append(_statistics(features))
        self.rows.append(row)

    def column(self, name: str) -> np.ndarray:
        """(N,) float64, NaN where there is nothing."""
        return np.array([np.nan if row[name] is None else row[name] for row in self.rows], np.float64)


class _Look:
    """Looks at pictures: features, and what is measured of pixels."""

    def __init__(self, features: Features, options: EvaluateOptions) -> None:
        self._features, self._device = features, pick_device(options.device)

    def at(self, image: np.ndarray) -> Tensor:
        """(1, C, h, w) float of an (H, W, 3) uint8 RGB picture."""
        picture = torch.from_numpy(image).to(self._device).permute(2, 0, 1)[None]
        with torch.inference_mode():
            return self._features(to_signed(picture)).float()

    def over(self, chosen: Chosen, progress: Progress) -> _Table:
        """What is found of pictures as they stand."""
        table = _Table()
        for pair in chosen.pairs():
            table.add(self.at(pair.image), _of_pixels(pair.image))
            progress.advance()
        return table


def _of_pixels(image: np.ndarray) -> dict[str, float | None]:
    return {
        "gradient": measures.edge_gradient(image),
        "noise": measures.flat_noise(image),
        "checkerboard": measures.checkerboard(image),
    }


def _go_over_photos(
    look: _Look, chosen: Chosen, stylizers: dict[str, Stylizer], failed: list[str]
) -> tuple[_Table, dict[str, _Table]]:
    """A table for the photos and one for each generator; `content` is not yet divided by anything.

    A generator that fails at a photo is moved from `stylizers` to `failed`.
    """
    beside, tables = _Table(), {name: _Table() for name in stylizers}
    before: tuple[str, Tensor] | None = None
    other: Tensor | None = None
    with Progress("photos", total=len(chosen), unit="photos") as progress:
        for frame, pair in zip(chosen.frames, chosen.pairs(), strict=True):
            seen = look.at(pair.image)
            if before is not None and before[0] != frame:
                other = before[1]
            apart = None if other is None or other.shape != seen.shape else _apart(seen, other)
            none: dict[str, float | None] = {"content": 0.0, "colour_shift": 0.0, "other": apart}
            beside.add(seen, _of_pixels(pair.image) | none)
            for name, stylizer in list(stylizers.items()):
                try:
                    made = stylizer(pair.image)
                except FramekitError as error:
                    failed.append(str(error))
                    del stylizers[name], tables[name]
                    continue
                features = look.at(made)
                moved: dict[str, float | None] = {
                    "content": _apart(features, seen),
                    "colour_shift": measures.colour_shift(made, pair.image),
                }
                tables[name].add(features, _of_pixels(made) | moved)
            before = frame, seen
            progress.advance()
    if not tables:
        raise FramekitError("; ".join(failed))
    return beside, tables


class _Judged:
    """Figures of tables, against those of photos and cartoons."""

    def __init__(
        self, photos: _Table, cartoons: _Table, places: Mapping[str, np.ndarray], options: EvaluateOptions
    ) -> None:
        self._places, self._seed = places, options.seed
        self._cartoons = torch.stack(cartoons.vectors)
        self._gradient = _mean(cartoons.column("gradient"))
        self._style = np.mean(cartoons.statistics, axis=0)
        self._others_apart = _mean(photos.column("other"))
        self._photos_style = _mean(self._style_distances(photos))

    def evaluated(self, name: str, table: _Table) -> Evaluated:
        """The figures of one."""
        content = _over(table.column("content"), self._others_apart)
        style = _over(self._style_distances(table), self._photos_style)
        vectors = torch.stack(table.vectors)
        pixels = {name: table.column(name) for name in ("gradient", "noise", "colour_shift", "checkerboard")}
        found = {}
        for group, at in self._places.items():
            apart = distance(vectors[at], self._cartoons, seed=self._seed)
            gradient = _mean(pixels["gradient"][at])
            found[group] = Figures(
                pictures=len(at),
                content=_mean(content[at]),
                style=_mean(style[at]),
                fid=apart.fid if apart else None,
                kid=apart.kid if apart else None,
                kid_deviation=apart.kid_deviation if apart else None,
                clarity=gradient / self._gradient if gradient and self._gradient else None,
                **{its: _mean(pixels[its][at]) for its in ("noise", "colour_shift", "checkerboard")},
            )
        return Evaluated(name, found, np.nan_to_num(content) + np.nan_to_num(style))

    def _style_distances(self, table: _Table) -> np.ndarray:
        return np.linalg.norm(np.stack(table.statistics) - self._style, axis=1)


def _shown(
    chosen: Chosen,
    stylizers: Mapping[str, Stylizer],
    runs: Sequence[Evaluated],
    places: Mapping[str, np.ndarray],
    count: int,
) -> Iterable[Shown]:
    """The best and the worst of each group by the mean score of all generators, made once more."""
    scores = np.stack([run.scores for run in runs])
    names = chosen.manifest.pairs(["name"])["name"]
    for group, at in places.items():
        order = at[np.argsort(scores[:, at].mean(0), kind="stable")]
        best, worst = min(count, -(-len(order) // 2)), min(count, len(order) // 2)  # none is both
        ends = order[:best], order[len(order) - worst :][::-1]
        for place, photos in zip(("best", "worst"), ends, strict=True):
            for photo in photos:
                pair = chosen.manifest.reader(smoothed=False).alone(int(chosen.positions[photo]))
                yield Shown(
                    group,
                    place,
                    printable(names[int(chosen.positions[photo])].as_py() or pair.pair_id),
                    _jpeg(pair.image),
                    [_jpeg(stylizer(pair.image)) for stylizer in stylizers.values()],
                    scores[:, photo].tolist(),
                )


def _statistics(features: Tensor) -> np.ndarray:
    """(2C,) float64: mean and deviation of each channel of (1, C, h, w) features, over all places."""
    values = features[0].flatten(1).double() if features.device.type != "mps" else features[0].flatten(1)
    return torch.cat([values.mean(1), values.std(1, correction=0)]).cpu().double().numpy()


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().mean())


def _over(values: np.ndarray, whole: float | None) -> np.ndarray:
    return values / whole if whole else np.full(len(values), np.nan)


def _mean(values: np.ndarray) -> float | None:
    there = values[np.isfinite(values)]
    return float(there.mean()) if len(there) else None


def _jpeg(image: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(image).save(data, format="JPEG", quality=JPEG_QUALITY)
    return data.getvalue()
