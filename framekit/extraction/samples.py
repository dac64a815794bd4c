"""Samples: sampled pictures with all that is measured of them, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from framekit.images.encoding import encode
from framekit.images.hashing import perceptual_hash, small_grey
from framekit.images.likeness import signature
from framekit.images.motion import Move, camera_move
from framekit.images.overlay import Overlay
from framekit.images.quality import Quality, at_fixed_width, measure
from framekit.images.rules import left_out
from framekit.images.runs import Runs, Seen
from framekit.images.tagging import Groups, Tagger
from framekit.images.transitions import Transition, transition
from framekit.options import ExtractOptions, Limits
from framekit.sources.decoding import Picture, Place

THUMBNAIL_SIDE = 256
THUMBNAIL_ENCODING = "jpeg:85"

LONGEST_RUN = 1_000
"""Samples after which a held drawing is taken up anew, so that memory stays bounded: what is the same in both
halves is found again among the near-duplicates of the whole dataset."""

NO_TRANSITION = Transition(0.0, 0.0)


@dataclass
class Sample:
    """A sampled picture with what was measured of it; `image` is let go as soon as nothing needs it.

    Figures are rounded to what Parquet keeps of them, so that deciding again from there decides the same.
    """

    place: Place
    size: tuple[int, int]  # width, height
    image: np.ndarray | None
    small: np.ndarray
    hash: int
    signature: np.ndarray
    quality: Quality
    thumbnail: bytes
    transition: Transition = NO_TRANSITION
    move: Move | None = None
    tags: dict[str, float] | None = None
    content: list[str] | None = None
    reason: str | None = None
    duplicate_of: str | None = None

    @property
    def measures(self) -> dict[str, float]:
        """All figures, by column."""
        move = self.move or (None, None, None)
        moved = dict(zip(("pan_x", "pan_y", "zoom"), move, strict=True))
        return self.quality._asdict() | self.transition._asdict() | moved

    @property
    def seen(self) -> Seen:
        """What tells it from others."""
        return Seen(self.hash, self.signature, self.move, self.reason is not None)


class Sampler:
    """Makes samples of pictures.

    Args:
        options: Hash, limits, table of content.
        in_time: Whether pictures follow on each other, as a film's do and those of a folder don't.
        tagger: Folder of an image tagger, or None.

    Attributes:
        overlay: Gathers what every picture shows at the same place.
    """

    def __init__(self, options: ExtractOptions, *, in_time: bool, tagger: Path | None = None) -> None:
        self._options, self._in_time = options, in_time
        self._rules = options.frame_rules()
        self._tagger = Tagger.open(str(tagger)) if tagger else None
        table = Path(options.content_table) if options.content_table else None
        self._groups = Groups.read(table) if tagger else None
        self.overlay = Overlay()

    def samples(self, pictures: Iterable[Picture]) -> Iterator[Sample]:
        """Samples in order; each waits for the next, which tells whether it stands between two shots."""
        before: Sample | None = None
        now: Sample | None = None
        for after in self.measured(pictures):
            if now is not None:
                yield self._judged(before, now, after)
            before, now = now, after
        if now is not None:
            yield self._judged(before, now, None)

    def measured(self, pictures: Iterable[Picture]) -> Iterator[Sample]:
        """Samples in order, each as it stands alone, whatever the limits say of it."""
        for picture in pictures:
            image = picture.image
            view = at_fixed_width(image)  # shared: to shrink a large picture costs more than what follows
            small = small_grey(view)
            if self._in_time:
                self.overlay.add(view)
            yield Sample(
                place=picture.place,
                size=(image.shape[1], image.shape[0]),
                image=image,
                small=small,
                hash=perceptual_hash(small, self._options.hash),
                signature=signature(view),
                quality=Quality(*_as_kept(measure(image, small=view))),
                thumbnail=thumbnail(view),
            )

    def _judged(self, before: Sample | None, now: Sample, after: Sample | None) -> Sample:
        if self._in_time:
            _place_in_time(before, now, after)
        measures = {name: np.array([value], float) for name, value in now.measures.items()}
        now.reason = left_out(measures, self._rules, 1)[0]
        if self._tagger is not None and self._groups is not None and now.image is not None:
            now.tags = self._tagger.tag([now.image])[0]
            now.content = self._groups.of(now.tags)
        if now.reason:
            now.image = None
        return now


def _place_in_time(before: Sample | None, now: Sample, after: Sample | None) -> None:
    around = (before.small if before else None, now.small, after.small if after else None)
    now.transition = Transition(*_as_kept(transition(*around)))
    move = camera_move(before.small, now.small) if before is not None else None
    now.move = None if move is None else Move(*_as_kept(move))


def held_drawings(samples: Iterable[Sample], limits: Limits) -> Iterator[list[Sample]]:
    """Group neighbours that show the drawing of the first of their run; only the sharpest keeps its image.

    Samples that already have a reason to be left out stand alone.
    """
    runs = runs_by(limits)
    run: list[Sample] = []
    best: Sample | None = None
    for sample in samples:
        if runs.starts_with(sample.seen):
            if run:
                yield run
            run, best = [], None
        run.append(sample)
        if sample.reason:
            continue
        if best is None:
            best = sample
        elif sample.quality.sharpness > best.quality.sharpness:
            best.image, best = None, sample
        else:
            sample.image = None
    if run:
        yield run


def runs_by(limits: Limits) -> Runs:
    """Tells where runs start in a segment."""
    return Runs(limits.dedup_distance, limits.pan_overlap, longest=LONGEST_RUN)


def thumbnail(image: np.ndarray) -> bytes:
    """A JPEG of an (H, W, 3) uint8 RGB picture, at most 256 pixels a side."""
    scale = min(1.0, THUMBNAIL_SIDE / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return encode(cv2.resize(image, size, interpolation=cv2.INTER_AREA), THUMBNAIL_ENCODING)


def columns_of(sample: Sample) -> dict[str, Any]:
    """What a row of frames keeps of a sample's content and measures."""
    return {
        "hash": sample.hash,
        "signature": sample.signature.tobytes(),
        **sample.measures,
        "tags": None if sample.tags is None else json.dumps(sample.tags, sort_keys=True),
        "content": sample.content,
    }


def _as_kept(figures: Iterable[float]) -> Iterator[float]:
    return (float(np.float32(figure)) for figure in figures)
