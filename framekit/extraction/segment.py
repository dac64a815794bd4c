"""One segment → one shard of frames and one of pairs. Runs alike in this process, in a pool, anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from framekit.errors import FramekitError, printable
from framekit.extraction.plan import Segment
from framekit.extraction.samples import Sample, Sampler, columns_of, held_drawings
from framekit.files import sha256_of
from framekit.images.crops import Crop, crop_generator, random_crops
from framekit.images.edges import smooth_edges
from framekit.images.encoding import encode, suffix_of
from framekit.images.hashing import hash_name
from framekit.images.quality import measure
from framekit.manifest.schema import FRAMES, PAIRS
from framekit.manifest.writing import ShardWriter, shard
from framekit.options import ExtractOptions
from framekit.sources.decoding import SEQUENTIAL, Approach, Look, Picture, Surprise, film_pictures
from framekit.sources.film import FilmFacts
from framekit.sources.frames import Decoded
from framekit.sources.stills import group_of, still_pictures
from framekit.sources.survey import survey

DUPLICATE = "near-duplicate"
SMALL, EMPTY = "smaller than the crop", "no crop with content"


def shard_paths(root: Path, segment: Segment) -> tuple[Path, Path]:
    """Paths of the frames shard and the pairs shard; the segment is done when both are whole."""
    return root / "frames" / f"{segment.name}.parquet", root / "pairs" / f"{segment.name}.parquet"


def extract_segment(
    segment: Segment,
    options: ExtractOptions,
    root: Path,
    on_frames: Callable[[int], None] = lambda _: None,
    *,
    approach: Approach = SEQUENTIAL,
    tagger: Path | None = None,
) -> None:
    """Decode, hash, measure, crop and smooth one segment, and write its two shards.

    Args:
        segment: What to do.
        options: How.
        root: The dataset's folder.
        on_frames: Told the number of pictures gone through so far.
        approach: Threads and device of a film's decoder.
        tagger: Folder of the image tagger that the options ask for.

    Raises:
        FramekitError: Nothing could be decoded.
    """
    source = segment.source
    if source.kind == "stills":
        decoded = Decoded(on_frames=on_frames)
        stop = len(source.names) if segment.stop is None else segment.stop
        pictures = still_pictures(
            source.path, list(source.names), start=segment.start, stop=stop, decoded=decoded
        )
        sampler = Sampler(options, in_time=False, tagger=tagger)
        _write(pictures, decoded, segment, options, root, sampler=sampler)
        return
    facts = FilmFacts(**source.facts)
    found = survey(source.path, facts, letterbox=options.letterbox, on_frames=on_frames)
    look = Look(options.deinterlace, options.inverse_telecine, found.box)
    interlaced = options.deinterlace == "on" or facts.interlaced
    approach = replace(approach, timeline=found.timeline, neighbours=interlaced)
    while True:
        decoded = Decoded(on_frames=on_frames)
        pictures = film_pictures(
            source.path, options.sampling(), decoded=decoded, look=look, approach=approach
        )
        sampler = Sampler(options, in_time=True, tagger=tagger)
        try:
            _write(pictures, decoded, segment, options, root, sampler=sampler, film=found.as_json())
        except Surprise as surprise:  # each time there is less that can surprise
            approach = surprise.approach
            if approach.timeline is None:
                found = replace(found, timeline=None, why=surprise.what)
        else:
            return


def _write(
    pictures: Iterator[Picture],
    decoded: Decoded,
    segment: Segment,
    options: ExtractOptions,
    root: Path,
    *,
    sampler: Sampler,
    film: dict[str, Any] | None = None,
) -> None:
    """Write the shards of a segment; `film` is what was found of a film beforehand."""
    frames_path, pairs_path = shard_paths(root, segment)
    with shard(frames_path, FRAMES) as frames:
        with shard(pairs_path, PAIRS) as pairs:
            for run in held_drawings(sampler.samples(pictures), options):
                _write_run(run, segment, options, frames, pairs)
            pairs.close({})
        if decoded.frames == 0 or frames.rows == 0:
            pairs_path.unlink()
            raise _nothing(decoded)
        facts: dict[str, Any] = {"hash": hash_name(options.hash), "decoded": decoded.frames}
        facts |= {"damaged": decoded.damaged, "damage": decoded.damage}
        if film:
            found = {"frames": decoded.frames, "decoder": decoded.decoder, "overlay": sampler.overlay.box()}
            facts |= {"film": film | found}
        written = {"rows": pairs.rows, "bytes": pairs_path.stat().st_size, "sha256": sha256_of(pairs_path)}
        frames.close(facts | {"pairs": written})


def _nothing(decoded: Decoded) -> FramekitError:
    if decoded.frames > decoded.damaged:
        return FramekitError(
            f"none of its {decoded.frames:,} frames is taken", advice="see --skip and the rest"
        )
    cause = f" ({decoded.damage[0]})" if decoded.damage else ""
    return FramekitError(f"no picture could be read{cause}", advice="leave it out")


def _write_run(
    run: list[Sample], segment: Segment, options: ExtractOptions, frames: ShardWriter, pairs: ShardWriter
) -> None:
    best = next((sample for sample in run if sample.image is not None), None)
    for sample in run:
        if best is not None and sample is not best and sample.reason is None:
            sample.reason, sample.duplicate_of = DUPLICATE, _frame_id(segment, best)
    if best is not None:
        best.reason = _cut(best, segment, options, pairs)
        best.image = None
    for sample in run:
        frames.add(_frame_row(segment, sample))


def _cut(sample: Sample, segment: Segment, options: ExtractOptions, pairs: ShardWriter) -> str | None:
    """Write the sample's pairs; the reason when there are none."""
    assert sample.image is not None
    image, scale = scaled(sample.image, options.frame_height)
    if min(image.shape[:2]) < options.crop_size:
        return SMALL
    generator = crop_generator(options.seed, segment.source.fingerprint, sample.place.number)
    crops = random_crops(image, count=options.crops_per_frame, size=options.crop_size, generator=generator)
    first = next(crops, None)
    if first is None:
        return EMPTY
    for crop in itertools.chain([first], crops):
        pairs.add(_pair_row(segment, sample, crop, scale, options))
    return None


def scaled(image: np.ndarray, height: int | None) -> tuple[np.ndarray, float]:
    """Shrink a picture to `height` pixels if it is higher; with the scale used (1.0 when left alone)."""
    if height is None or height >= image.shape[0]:
        return image, 1.0
    scale = height / image.shape[0]
    size = max(1, round(image.shape[1] * scale)), height
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), scale


def _frame_id(segment: Segment, sample: Sample) -> str:
    return f"{segment.source.id}:{sample.place.number}"


def _identity(segment: Segment, sample: Sample) -> dict[str, Any]:
    place = sample.place
    return {
        "frame_id": _frame_id(segment, sample),
        "source": segment.source.id,
        "fingerprint": segment.source.fingerprint,
        "frame_number": place.number,
        "pts": place.pts,
        "seconds": place.seconds,
        "name": printable(place.name) if place.name else None,
        "group": group_of(printable(place.name)) if place.name else None,
        "hash": sample.hash,
    }


def _frame_row(segment: Segment, sample: Sample) -> dict[str, Any]:
    path = f"{segment.source.id}-{sample.place.number:06d}.jpg"
    return _identity(segment, sample) | {
        "width": sample.size[0],
        "height": sample.size[1],
        **columns_of(sample),
        "reason": sample.reason,
        "duplicate_of": sample.duplicate_of,
        "thumbnail": {"bytes": sample.thumbnail, "path": path},
    }


def _pair_row(
    segment: Segment, sample: Sample, crop: Crop, scale: float, options: ExtractOptions
) -> dict[str, Any]:
    stem = f"{segment.source.id}-{sample.place.number:06d}-{crop.index}"
    suffix = suffix_of(options.encoding)
    smoothed = None
    if options.smooth:
        smoothed = {
            "bytes": encode(smooth_edges(crop.image), options.encoding),
            "path": f"{stem}-smoothed{suffix}",
        }
    return _identity(segment, sample) | {
        "pair_id": f"{_frame_id(segment, sample)}#{crop.index}",
        "style": options.style,
        "crop_index": crop.index,
        "crop_x": crop.x,
        "crop_y": crop.y,
        "crop_size": options.crop_size,
        "scale": scale,
        "seed": options.seed,
        **measure(crop.image, scale="native")._asdict(),
        "image": {"bytes": encode(crop.image, options.encoding), "path": f"{stem}{suffix}"},
        "smoothed": smoothed,
    }
