"""A dataset against its films: every frame is decoded again and every crop cut again, film by film."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from framekit.errors import FramekitError, printable
from framekit.extraction.at_hand import film_among, places_of
from framekit.extraction.cutting import Size, sizes, squares
from framekit.extraction.executors import MOST_THREADS
from framekit.extraction.workers import default_workers
from framekit.images.edges import smooth_edges
from framekit.images.encoding import decode, encode
from framekit.images.hashing import distance, perceptual_hash, small_grey
from framekit.images.quality import at_fixed_width
from framekit.manifest.reading import Manifest
from framekit.manifest.schema import SourceInfo, source_of
from framekit.manifest.tables import open_table
from framekit.options import ExtractOptions
from framekit.sources.decoding import Approach, Look, Picture, Surprise, pictures_at, timeline_of
from framekit.sources.frames import Decoded
from framekit.sources.letterbox import Box
from framekit.sources.stills import still_pictures
from framekit.terminal.progress import Progress

ENCODER_TOLERANCE = 2
"""Grey levels, in lossy encodings, that a stored picture may differ by from the film's, encoded anew, where
the bytes are not equal: encoders of other versions round otherwise."""
CACHED_ROW_GROUPS = 4
EVERYTHING = "everything"
"""What facts of a film say under `decoding` where its packets did not tell enough."""


@dataclass
class Comparison:
    """What came of it.

    Attributes:
        faults: One line each.
        crops: That were compared.
    """

    faults: list[str] = field(default_factory=list)
    crops: int = 0


def against_films(manifest: Manifest, options: ExtractOptions, *, films: Path | None = None) -> Comparison:
    """Hold every frame and every crop of a dataset against the film or the picture that it is from.

    What verifying the folder alone finds, as shards that cannot be read, is not said again.

    Args:
        manifest: The dataset.
        options: What it was made with.
        films: A folder to look for films and image folders in, by name.
    """
    whole = Comparison()
    stored = _stored(manifest)
    total = sum(len(rows.frames) for rows in stored.values())
    with Progress("against films", total=total, unit="frames") as progress:
        for source in manifest.info.sources:
            rows = stored[source.id]
            try:
                found = _Source(source, rows, options, progress).compared(manifest.root, films)
            except (FramekitError, OSError, ValueError) as error:
                what = error.what if isinstance(error, FramekitError) else error
                found = Comparison([f"{source.path}: {what}: {_left(rows)}"])
            whole.faults += map(printable, found.faults)
            whole.crops += found.crops
    return whole


class _Row(NamedTuple):
    """A row of frames, and the shard that it stands in."""

    shard: str
    frame_id: str
    frame_number: int
    name: str | None
    width: int
    height: int
    pts: int | None
    seconds: float | None
    hash: int


@dataclass
class _Rows:
    """What is stored of a source: rows of frames, and where those of its pairs stand, by frame number."""

    root: Path
    frames: dict[int, list[_Row]] = field(default_factory=lambda: defaultdict(list))
    places: dict[int, list[tuple[str, int, int]]] = field(default_factory=lambda: defaultdict(list))
    _groups: OrderedDict[tuple[str, int], pa.Table] = field(default_factory=OrderedDict)
    _footer: tuple[str, pq.FileMetaData | None] = "", None

    @property
    def crops(self) -> int:
        """Number of pairs."""
        return sum(map(len, self.places.values()))

    def pairs(self, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """The pairs of a frame, with their shards; those that cannot be read are said elsewhere."""
        for shard, group, row in self.places.get(number, ()):
            try:
                table = self._group(shard, group)
            except _UNREADABLE:
                continue
            yield shard, table.slice(row, 1).to_pylist()[0]

    def _group(self, shard: str, group: int) -> pa.Table:
        key = shard, group
        if key not in self._groups:
            footer = self._footer[1] if self._footer[0] == shard else None
            with open_table(self.root / shard, footer=footer) as file:
                self._footer = shard, file.metadata
                self._groups[key] = file.read_row_group(group, columns=_PAIR, use_threads=False)
            if len(self._groups) > CACHED_ROW_GROUPS:
                self._groups.popitem(last=False)
        self._groups.move_to_end(key)
        return self._groups[key]


_UNREADABLE = (OSError, ValueError, KeyError, pa.ArrowException)
_PAIR = ["pair_id", "crop_index", "crop_x", "crop_y", "crop_size", "image", "smoothed"]


def _stored(manifest: Manifest) -> dict[str, _Rows]:
    stored = {source.id: _Rows(manifest.root) for source in manifest.info.sources}
    for shard in sorted(manifest.info.shards, key=lambda shard: shard.path):
        try:
            _add_shard(stored, manifest.root, shard.path)
        except _UNREADABLE:
            continue  # said of the shard
    return stored


def _add_shard(stored: dict[str, _Rows], root: Path, path: str) -> None:
    of_frames = path.startswith("frames/")
    columns = ["source", *_Row._fields[1:]] if of_frames else ["source", "frame_number"]
    with open_table(root / path) as file:
        for group in range(file.metadata.num_row_groups):
            table = file.read_row_group(group, columns=columns, use_threads=False)
            for row, (source, *values) in enumerate(
                zip(*(table[name].to_pylist() for name in columns), strict=True)
            ):
                rows = stored.get(source, stored.get(source_of(path)))
                if rows is None or None in (source, *values[:2]):
                    continue
                if of_frames:
                    frame = _Row(path, *values)
                    rows.frames[frame.frame_number].append(frame)
                else:
                    rows.places[values[0]].append((path, group, row))


def _left(rows: _Rows) -> str:
    return f"its {rows.crops:,} crops were not compared"


class _Source:
    """One source, compared picture by picture."""

    def __init__(self, info: SourceInfo, rows: _Rows, options: ExtractOptions, progress: Progress) -> None:
        self._info, self._rows, self._options = info, rows, options
        self._progress = progress

    def compared(self, root: Path, films: Path | None) -> Comparison:
        """Compare all of it.

        Raises:
            FramekitError: It is not at hand, or cannot be read.
        """
        places = places_of(self._info, root, films)
        there = film_among(places, self._info)
        if self._info.kind == "stills":
            there = next((place for place in places if place.is_dir()), None)
        if there is None:
            others = "; another film is there" if any(place.is_file() for place in places) else ""
            looked = " and ".join(map(str, places))
            raise FramekitError(f"not at hand (looked for {looked}{others})")
        if self._info.kind == "stills":
            return self._compared(lambda: self._stills(there))
        return self._film(there)

    @cached_property
    def _numbers(self) -> list[int]:
        return sorted({*self._rows.frames, *self._rows.places})

    def _film(self, path: Path) -> Comparison:
        facts, options = self._info.facts, self._options
        box = Box.parse(str(facts["letterbox"])) if facts.get("letterbox") else None
        look = Look(options.deinterlace, options.inverse_telecine, box)
        told = not str(facts.get("decoding")).startswith(EVERYTHING)
        timeline = timeline_of(path)[0] if told and not options.inverse_telecine else None
        beside = options.deinterlace == "on" or bool(facts.get("interlaced"))
        threads = min(default_workers(), MOST_THREADS)
        approach = Approach(timeline=timeline, neighbours=beside, threads=threads)
        while True:
            began = self._progress.done
            try:
                return self._compared(
                    lambda way=approach: pictures_at(  # type: ignore[misc]
                        path, self._numbers, decoded=Decoded(), look=look, approach=way
                    )
                )
            except Surprise as surprise:  # each time there is less that can surprise
                approach = surprise.approach
                self._progress.advance(began - self._progress.done)

    def _stills(self, root: Path) -> Iterator[Picture]:
        names = {number: rows[0].name for number, rows in self._rows.frames.items()}
        odd = any("\\" in (name or "") for name in names.values())  # as `printable` shows it
        shown = (
            {printable(path.relative_to(root).as_posix()): path for path in root.rglob("*")} if odd else {}
        )
        for number in self._numbers:
            name = names.get(number) or ""
            there = shown.get(name, root / name).relative_to(root).as_posix()
            for picture in still_pictures(root, [there], start=0, stop=1, decoded=Decoded()):
                yield Picture(replace(picture.place, number=number), picture.image)

    def _compared(self, pictures: Callable[[], Iterator[Picture]]) -> Comparison:
        found, left = Comparison(), dict.fromkeys(self._numbers)
        for picture in islice(pictures(), len(self._numbers)):  # what follows the last one is not decoded
            number = picture.place.number
            del left[number]
            self._progress.advance(1 if number in self._rows.frames else 0, Path(self._info.path).name)
            for shard, id_, fault in self._faults(picture, found):
                found.faults.append(f"{shard}: {id_}: {fault}")
        for number in left:
            crops = len(self._rows.places.get(number, ()))
            what = f"{self._info.path} gives no picture {number}: {crops} crops were not compared"
            for row in self._rows.frames.get(number, ()):
                found.faults.append(f"{row.shard}: {row.frame_id}: {what}")
        return found

    def _faults(self, picture: Picture, found: Comparison) -> Iterator[tuple[str, str, str]]:
        """Shard, id and fault of what does not fit a picture; crops are counted in `found`."""
        number = picture.place.number
        for row in self._rows.frames.get(number, ()):
            for fault in _frame_faults(row, picture, self._options.hash):
                yield row.shard, row.frame_id, fault
        if number not in self._rows.places:
            return
        at = sizes(picture.image, self._options)
        drawn = self._drawn(at, number)
        for shard, pair in self._rows.pairs(number):
            found.crops += 1
            image = at[(pair["crop_index"] or 0) % len(at)].image
            for fault in _crop_faults(pair, image, drawn, self._options):
                yield shard, str(pair["pair_id"]), fault

    def _drawn(self, at: list[Size], number: int) -> dict[int, tuple[int, int]]:
        """Crop index → left and top edge, as the seed gives them."""
        if min(at[0].image.shape[:2]) < self._options.crop_size:
            return {}
        crops = squares(at, self._options, self._info.fingerprint, number)
        return {crop.index: (crop.x, crop.y) for crop in crops}


def _frame_faults(row: _Row, picture: Picture, hash_kind: Any) -> Iterator[str]:
    place, (height, width) = picture.place, picture.image.shape[:2]
    if (row.width, row.height) != (width, height):
        yield f"its size is {row.width}×{row.height}, in its film {width}×{height}"
    for name in ("pts", "seconds"):
        stated, there = getattr(row, name), getattr(place, name)
        if stated != there:
            yield f"its {name} is {stated}, in its film {there}"
    found = perceptual_hash(small_grey(at_fixed_width(picture.image)), hash_kind)
    if row.hash is not None and row.hash != found:
        yield f"its hash differs from its film's in {distance(row.hash, found)} bits"


def _crop_faults(
    pair: Mapping[str, Any], image: np.ndarray, drawn: dict[int, tuple[int, int]], options: ExtractOptions
) -> Iterator[str]:
    """What is wrong with a crop, given its frame at the size it was cut at, (H, W, 3) uint8 RGB."""
    x, y, size = pair["crop_x"], pair["crop_y"], pair["crop_size"]
    if None in (x, y, size):
        return  # which is said of the row
    seeds = drawn.get(pair["crop_index"])
    if (x, y) != seeds:
        given = f"({seeds[0]}, {seeds[1]})" if seeds else "no such crop"
        yield f"stands at ({x}, {y}), where its seed gives {given}"
    height, width = image.shape[:2]
    if not (0 <= x <= width - size and 0 <= y <= height - size):
        yield f"its crop of {size}×{size} at ({x}, {y}) lies outside the film's picture of {width}×{height}"
        return
    crop = image[y : y + size, x : x + size]
    yield from _picture_faults("image", pair["image"], crop, options.encoding)
    if options.smooth and options.encoding != "png":  # else held against the crop already
        yield from _picture_faults("smoothed", pair["smoothed"], smooth_edges(crop), options.encoding)


def _picture_faults(
    name: str, stored: dict[str, Any] | None, expected: np.ndarray, encoding: str
) -> Iterator[str]:
    try:
        there = decode(stored["bytes"] if stored else None)
    except FramekitError:
        return  # no picture, which is said of the row
    if there.shape != expected.shape:
        return  # as its size is
    tolerance = 0
    if encoding != "png":
        anew = encode(expected, encoding)
        if stored and stored["bytes"] == anew:
            return
        expected, tolerance = decode(anew), ENCODER_TOLERANCE
    away = np.abs(there.astype(np.int16) - expected).max(axis=2)
    if away.max() > tolerance:
        share = f"{(away > tolerance).mean():.1%} of its pixels"
        yield f"{name} is not its place in the film: {share} are up to {away.max()} levels away"
