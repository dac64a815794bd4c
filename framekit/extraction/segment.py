"""One segment → one shard of frames and one of pairs. Runs alike in this process, in a pool, anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from framekit.errors import FramekitError, printable
from framekit.extraction.cutting import sizes, squares
from framekit.extraction.plan import Segment, look_of
from framekit.extraction.samples import Sample, Sampler, columns_of, held_drawings
from framekit.extraction.shards import shard_paths
from framekit.extraction.spent import Spent
from framekit.files import fingerprint_of
from framekit.images.crops import Crop
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
from framekit.storage.paths import is_remote

DUPLICATE = "near-duplicate"
SMALL, EMPTY, UNREAD = "smaller than the crop", "no crop with content", "could not be read again"
UNCUTTABLE = (SMALL, EMPTY, UNREAD)
"""Reasons for which a frame gives no pairs, whatever is decided of it."""


@dataclass(frozen=True)
class _Work:
    segment: Segment
    options: ExtractOptions
    root: Path
    tagger: Path | None
    spent: Spent

    def sampler(self) -> Sampler:
        tagger = None if self.segment.later else self.tagger
        return Sampler(self.options, in_time=self.segment.source.kind == "film", tagger=tagger)


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
    work = _Work(segment, options, root, tagger, Spent())
    write = partial(_write_later if segment.later else _write, work)
    if segment.source.kind == "film":
        _go_through_film(segment, options, approach, on_frames, write)
    else:
        decoded = Decoded(on_frames=on_frames)
        write(_stills(segment, decoded), decoded, None)
    return work.spent


def _stills(segment: Segment, decoded: Decoded) -> Iterator[Picture]:
    path, names = segment.source.path, list(segment.source.names)
    if segment.numbers is None:
        stop = len(names) if segment.stop is None else segment.stop
        yield from still_pictures(path, names, start=segment.start, stop=stop, decoded=decoded)
    for number in segment.numbers or ():
        yield from still_pictures(path, names, start=number, stop=number + 1, decoded=decoded)


def _go_through_film(
    segment: Segment,
    options: ExtractOptions,
    approach: Approach,
    on_frames: Callable[[int], None],
    write: Callable[[Iterator[Picture], Decoded, Survey], None],
) -> None:
    """Write a segment of a film, anew after each surprise: each time there is less that can be one."""
    found, source = segment.found, segment.source
    assert found is not None
    interlaced = options.deinterlace == "on" or FilmFacts.from_json(source.facts).interlaced
    approach = replace(approach, timeline=found.timeline, neighbours=interlaced)
    while True:
        decoded = Decoded(on_frames=on_frames)
        try:
            write(_film_pictures(segment, options, found, decoded, approach), decoded, found)
        except Surprise as surprise:
            approach = surprise.approach
            if approach.timeline is None:
                if segment.of > 1:
                    raise OneSegmentOnly(surprise.what, where=source.path) from None
                found = replace(found, timeline=None, why=surprise.what)
        else:
            return


def _film_pictures(
    segment: Segment, options: ExtractOptions, found: Survey, decoded: Decoded, approach: Approach
) -> Iterator[Picture]:
    path, look, numbers = segment.source.path, look_of(options, found), segment.numbers
    if numbers is None or (approach.timeline is None and not segment.later):
        return film_pictures(path, options.sampling(), decoded=decoded, look=look, approach=approach)
    span = None if segment.stop is None else range(segment.start, segment.stop)
    return pictures_at(path, numbers, decoded=decoded, look=look, approach=approach, span=span)


def _write(work: _Work, pictures: Iterator[Picture], decoded: Decoded, found: Survey | None) -> None:
    """Write the shards of a segment; `found` is what was found of a film beforehand."""
    segment, options = work.segment, work.options
    frames_path, pairs_path = shard_paths(work.root, segment.name)
    sampler, spent = work.sampler(), work.spent
    samples = spent.through("measure", sampler.samples(spent.through("decode", pictures)))
    with spent.on("write"), shard(frames_path, FRAMES) as frames:
        with shard(pairs_path, PAIRS) as pairs:
            for run in held_drawings(samples, options):
                _write_run(run, work, frames, pairs)
            _check_unchanged(segment)
            pairs.close({})
        if decoded.frames == 0 or frames.rows == 0:
            pairs_path.unlink()
            raise _nothing(decoded)
        facts: dict[str, Any] = {"hash": hash_name(options.hash), "decoded": decoded.frames}
        facts |= {"damaged": decoded.damaged, "damage": decoded.damage}
        if found:
            film = found.as_json()
            facts["film"] = {"decoder": decoded.decoder} | film | {"frames": film["frames"] or decoded.frames}
            facts["overlay"] = {"box": sampler.overlay.box(), "shots": sampler.overlay.shots}
        frames.close(facts | {"pairs": pairs.written})


def _write_later(work: _Work, pictures: Iterator[Picture], _decoded: Decoded, _found: Survey | None) -> None:
    """Write the pairs of frames that were wanted back; why there are none of some stands in the footer."""
    segment, spent = work.segment, work.spent
    uncuttable = dict.fromkeys((f"{segment.source.id}:{number}" for number in segment.numbers or ()), UNREAD)
    with spent.on("write"), shard(shard_paths(work.root, segment.name)[1], PAIRS) as pairs:
        samples = work.sampler().measured(spent.through("decode", pictures))
        for sample in spent.through("measure", samples):
            with spent.on("cut and encode"):
                reason = _cut(sample, segment, work.options, pairs)
            del uncuttable[_frame_id(segment, sample)]
            if reason:
                uncuttable[_frame_id(segment, sample)] = reason
        _check_unchanged(segment)
        pairs.close({"uncuttable": uncuttable})


def _check_unchanged(segment: Segment) -> None:
    """A film that is being copied, or replaced, while it is read must not give pictures under a false name.

    What lies in a store is taken to be whole: to know it again would be to read 3 MB of it for each segment.

    Raises:
        FramekitError: It is not what it was.
    """
    source = segment.source
    if source.kind != "film" or is_remote(source.path):
        return
    if fingerprint_of(source.path) != source.fingerprint:
        advice = "run the same command again when it is whole"
        raise FramekitError("it changed while it was read", where=source.path, advice=advice)


def _nothing(decoded: Decoded) -> FramekitError:
    if decoded.frames > decoded.damaged:
        return FramekitError(
            f"none of its {decoded.frames:,} frames is taken", advice="see --skip and the rest"
        )
    cause = f" ({decoded.damage[0]})" if decoded.damage else ""
    return FramekitError(f"no picture could be read{cause}", advice="leave it out")


def _write_run(run: list[Sample], work: _Work, frames: ShardWriter, pairs: ShardWriter) -> None:
    segment = work.segment
    best = next((sample for sample in run if sample.image is not None), None)
    for sample in run:
        if best is not None and sample is not best and sample.reason is None:
            sample.reason, sample.duplicate_of = DUPLICATE, _frame_id(segment, best)
    if best is not None:
        with work.spent.on("cut and encode"):
            best.reason = _cut(best, segment, work.options, pairs)
        best.image = None
    for sample in run:
        frames.add(_frame_row(segment, sample))


def _cut(sample: Sample, segment: Segment, options: ExtractOptions, pairs: ShardWriter) -> str | None:
    """Write the sample's pairs; the reason when there are none."""
    assert sample.image is not None
    at = sizes(sample.image, options)
    if min(at[0].image.shape[:2]) < options.crop_size:
        return SMALL
    crops = squares(at, options, segment.source.fingerprint, sample.place.number)
    first = next(crops, None)
    if first is None:
        return EMPTY
    for crop in itertools.chain([first], crops):
        pairs.add(_pair_row(segment, sample, crop, at[crop.index % len(at)].scale, options))
    return None


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
    segment: Segment, sample: Sample, crop: Crop, scale: float | None, options: ExtractOptions
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
