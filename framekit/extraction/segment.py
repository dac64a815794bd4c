"""One segment → one shard of frames and one of pairs. Runs alike in this process, in a pool, anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from framekit.errors import FramekitError, printable
from framekit.extraction.plan import Segment, look_of
from framekit.extraction.samples import Sample, Sampler, columns_of, held_drawings
from framekit.extraction.shards import shard_paths
from framekit.extraction.spent import Spent
from framekit.files import sha256_of
from framekit.images.crops import Crop, crop_generator, random_crops
from framekit.images.edges import smooth_edges
from framekit.images.encoding import encode, suffix_of
from framekit.images.hashing import hash_name
from framekit.images.quality import measure
from framekit.manifest.schema import FRAMES, PAIRS
from framekit.manifest.writing import ShardWriter, shard
from framekit.options import ExtractOptions
from framekit.sources.decoding import SEQUENTIAL, Approach, Picture, Surprise, film_pictures, pictures_at
from framekit.sources.film import FilmFacts
from framekit.sources.frames import Decoded
from framekit.sources.stills import group_of, still_pictures
from framekit.sources.survey import Survey

DUPLICATE = "near-duplicate"
SMALL, EMPTY = "smaller than the crop", "no crop with content"


class _Shards(NamedTuple):
    frames: ShardWriter
    pairs: ShardWriter


class OneSegmentOnly(FramekitError):
    """A film turned out not to be what its packets promise: it has to be decoded from start to end."""


def extract_segment(
    segment: Segment,
    options: ExtractOptions,
    root: Path,
    on_frames: Callable[[int], None] = lambda _: None,
    *,
    approach: Approach = SEQUENTIAL,
    tagger: Path | None = None,
) -> Spent:
    """Decode, hash, measure, crop and smooth one segment, and write its two shards.

    Args:
        segment: What to do.
        options: How.
        root: The dataset's folder.
        on_frames: Told the number of pictures gone through so far.
        approach: Threads and device of a film's decoder.
        tagger: Folder of the image tagger that the options ask for.

    Returns:
        What it cost.

    Raises:
        OneSegmentOnly: Of a film of several segments.
        FramekitError: Nothing could be decoded.
    """
    source, spent = segment.source, Spent()
    if source.kind == "stills":
        decoded = Decoded(on_frames=on_frames)
        stop = len(source.names) if segment.stop is None else segment.stop
        pictures = still_pictures(
            source.path, list(source.names), start=segment.start, stop=stop, decoded=decoded
        )
        sampler = Sampler(options, in_time=False, tagger=tagger)
        _write(pictures, decoded, segment, options, root, sampler=sampler, spent=spent)
        return spent
    found = segment.found
    assert found is not None
    interlaced = options.deinterlace == "on" or FilmFacts(**source.facts).interlaced
    approach = replace(approach, timeline=found.timeline, neighbours=interlaced)
    while True:
        decoded = Decoded(on_frames=on_frames)
        pictures = _film_pictures(segment, options, found, decoded, approach)
        sampler = Sampler(options, in_time=True, tagger=tagger)
        film = found.as_json()
        try:
            _write(pictures, decoded, segment, options, root, sampler=sampler, spent=spent, film=film)
        except Surprise as surprise:  # each time there is less that can surprise
            approach = surprise.approach
            if approach.timeline is None:
                if segment.of > 1:
                    raise OneSegmentOnly(surprise.what, where=source.path) from None
                found = replace(found, timeline=None, why=surprise.what)
        else:
            return spent


def _film_pictures(
    segment: Segment, options: ExtractOptions, found: Survey, decoded: Decoded, approach: Approach
) -> Iterator[Picture]:
    path, look = segment.source.path, look_of(options, found)
    if approach.timeline is None or segment.numbers is None:
        return film_pictures(path, options.sampling(), decoded=decoded, look=look, approach=approach)
    assert segment.stop is not None
    span = range(segment.start, segment.stop)
    return pictures_at(path, segment.numbers, decoded=decoded, look=look, approach=approach, span=span)


def _write(
    pictures: Iterator[Picture],
    decoded: Decoded,
    segment: Segment,
    options: ExtractOptions,
    root: Path,
    *,
    sampler: Sampler,
    spent: Spent,
    film: dict[str, Any] | None = None,
) -> None:
    """Write the shards of a segment; `film` is what was found of a film beforehand."""
    frames_path, pairs_path = shard_paths(root, segment.name)
    samples = spent.through("measure", sampler.samples(spent.through("decode", pictures)))
    with spent.on("write"), shard(frames_path, FRAMES) as frames:
        with shard(pairs_path, PAIRS) as pairs:
            for run in held_drawings(samples, options):
                _write_run(run, segment, options, _Shards(frames, pairs), spent)
            pairs.close({})
        if decoded.frames == 0 or frames.rows == 0:
            pairs_path.unlink()
            raise _nothing(decoded)
        facts: dict[str, Any] = {"hash": hash_name(options.hash), "decoded": decoded.frames}
        facts |= {"damaged": decoded.damaged, "damage": decoded.damage}
        if film:
            facts["film"] = {"decoder": decoded.decoder} | film | {"frames": film["frames"] or decoded.frames}
            facts["overlay"] = {"box": sampler.overlay.box(), "shots": sampler.overlay.shots}
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
    run: list[Sample], segment: Segment, options: ExtractOptions, shards: _Shards, spent: Spent
) -> None:
    best = next((sample for sample in run if sample.image is not None), None)
    for sample in run:
        if best is not None and sample is not best and sample.reason is None:
            sample.reason, sample.duplicate_of = DUPLICATE, _frame_id(segment, best)
    if best is not None:
        with spent.on("cut and encode"):
            best.reason = _cut(best, segment, options, shards.pairs)
        best.image = None
    for sample in run:
        shards.frames.add(_frame_row(segment, sample))


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
