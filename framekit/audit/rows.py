"""What an audit reads of a dataset: all frames, and the pairs that are in, in columns; no pictures yet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from framekit.errors import FramekitError, printable, shortened
from framekit.images.likeness import SIZE
from framekit.images.overlay import Box, covered
from framekit.images.rules import FRAME_MEASURES, QUALITY
from framekit.manifest import Manifest, ManifestError
from framekit.manifest import open as open_manifest
from framekit.manifest.reading import SHOTS, TEST, TRAIN, read_scenes
from framekit.manifest.schema import FRAMES, PAIRS, SCENES, ShardInfo, SourceInfo
from framekit.manifest.tables import open_table
from framekit.options import ExtractOptions
from framekit.validating import validated

SIDES = (TRAIN, TEST)
OF_FRAMES = [
    *(
        "frame_id",
        "source",
        "frame_number",
        "seconds",
        "name",
        "group",
        "width",
        "height",
        "hash",
        "signature",
    ),
    *("content", "duplicate_of"),
    *FRAME_MEASURES,
]
PLACE = ("crop_x", "crop_y", "crop_size", "scale")
OF_PAIRS = ["pair_id", "frame_id", "source", "group", *PLACE, *QUALITY]


@dataclass
class Frames:
    """All N sampled frames of a dataset, in the order of `Manifest.frames()`.

    Attributes:
        ids: frame_ids.
        names: Paths of stills in their folders; None for films.
        source: (N,) int64, place of each in the list of sources.
        number: (N,) int64 frame numbers.
        seconds: (N,) float64; NaN for stills.
        sizes: (N, 2) float64 width and height; NaN where they are not known.
        groups: Subfolders of stills; None for films.
        kept: (N,) bool, what no decision leaves out.
        reasons: (N,) objects: why they are left out; None for those that are kept.
        hashes: (N,) uint64.
        signatures: (N, 432) uint8; None where one of them is missing.
        comparable: (N,) bool, those that have a hash.
        measures: (N,) float64 of each measure that was taken of one frame at least; NaN where it was not.
        content: (N,) bool of each content group: what shows it; None where no tagger looked at any frame.
        told: (N,) bool, those that a tagger looked at.
        side: (N,) objects: train, test or None; None where the dataset is not split.
        likes: `frame_id` and `duplicate_of`.
    """

    ids: list[str]
    names: list[str | None]
    source: np.ndarray
    number: np.ndarray
    seconds: np.ndarray
    sizes: np.ndarray
    groups: np.ndarray
    kept: np.ndarray
    reasons: np.ndarray
    hashes: np.ndarray
    signatures: np.ndarray | None
    comparable: np.ndarray
    measures: dict[str, np.ndarray]
    content: dict[str, np.ndarray] | None
    told: np.ndarray
    side: np.ndarray | None
    likes: pa.Table

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """frame_id → place."""
        return {id_: row for row, id_ in enumerate(self.ids)}


@dataclass
class Crops:
    """The P pairs that are in, in the order of `Manifest.pairs()` and of its reader.

    Attributes:
        ids: (P,) pair_ids.
        frame: (P,) int64, place of their frames among all; -1 for pairs of none.
        source: (P,) int64, place of each in the list of sources.
        groups: (P,) objects: subfolders of stills; None for films.
        places: (P, 3) float64 left and top edge and side, in pixels of the frame at the size it was cut at.
        scale: (P,) float64, that size over the frame's.
        measures: (P,) float64 of each measure that was taken of one crop at least.
    """

    ids: pa.ChunkedArray
    frame: np.ndarray
    source: np.ndarray
    groups: np.ndarray
    places: np.ndarray
    scale: np.ndarray
    measures: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.frame)


@dataclass
class Rows:
    """A dataset as it is audited.

    Attributes:
        manifest: The dataset, without shards that cannot be read.
        options: What it was made with; the defaults where dataset.json says nonsense.
        sources: All that it has rows of, those of dataset.json first.
        scenes: `schema.SCENES`; empty where shots are not known.
        damaged: What cannot be read, and so is not counted, one line each.
        notes: What else was not as it should be, one line each.
    """

    manifest: Manifest
    options: ExtractOptions
    sources: list[SourceInfo]
    frames: Frames
    crops: Crops
    scenes: pa.Table
    damaged: list[str]
    notes: list[str]

    @property
    def films(self) -> bool:
        """Whether any of it comes from films."""
        return any(source.kind == "film" for source in self.sources)

    @property
    def root(self) -> Path:
        """The dataset's folder."""
        return self.manifest.root


def read_rows(root: str | Path) -> Rows:
    """Read a dataset. Shards that cannot be read are passed over and noted.

    Raises:
        FramekitError: There is no dataset, or its papers or its decisions cannot be read: without these
            nothing that could be said of it would be true.
    """
    manifest = open_manifest(root)
    try:
        return _rows(manifest, [])
    except ManifestError:
        readable, damaged = _readable(manifest)
        if not damaged:
            raise
        info = manifest.info.model_copy(update={"shards": readable})
        return _rows(Manifest(manifest.root, info), damaged)


def _readable(manifest: Manifest) -> tuple[list[ShardInfo], list[str]]:
    """The shards that can be read, and a line about each other one."""
    readable, damaged = [], []
    for shard in manifest.info.shards:
        alone = Manifest(manifest.root, manifest.info.model_copy(update={"shards": [shard]})).undecided
        try:
            if shard.path.startswith("frames/"):
                alone.frames(OF_FRAMES)
            else:
                alone.pairs(OF_PAIRS)
            readable.append(shard)
        except ManifestError as error:
            damaged.append(f"{shard.path}: {error.what}; its {shard.rows:,} rows are not counted")
    return readable, damaged


def _rows(manifest: Manifest, damaged: list[str]) -> Rows:
    notes: list[str] = []
    frames = manifest.frames(OF_FRAMES).combine_chunks()
    pairs = manifest.pairs(OF_PAIRS).combine_chunks()
    sources = _sources(manifest, frames, pairs, notes)
    places = pa.array([source.id for source in sources], pa.string())
    of_frames = _frames(manifest, frames, places)
    try:
        of_frames.side = _sides(manifest)
    except FramekitError as error:
        damaged.append(str(error))
    crops = _crops(sources, pairs, frames, places)
    if strangers := int((crops.frame < 0).sum()):
        notes.append(f"{strangers:,} pairs are of frames that have no row")
    notes += _unknown_columns(manifest)
    try:
        scenes = read_scenes(manifest.root / SHOTS)
    except FramekitError as error:
        damaged.append(str(error))
        scenes = SCENES.empty_table()
    return Rows(manifest, _options(manifest, notes), sources, of_frames, crops, scenes, damaged, notes)


def _options(manifest: Manifest, notes: list[str]) -> ExtractOptions:
    known = {name: its for name, its in manifest.info.options.items() if name in ExtractOptions.model_fields}
    try:
        return validated(ExtractOptions, known)
    except FramekitError as error:
        notes.append(f"dataset.json has options that are none, so commands here lack them: {error.what}")
        return ExtractOptions()


def _sources(manifest: Manifest, frames: pa.Table, pairs: pa.Table, notes: list[str]) -> list[SourceInfo]:
    known = {source.id: source for source in manifest.info.sources}
    there = dict.fromkeys([*frames["source"].unique().to_pylist(), *pairs["source"].unique().to_pylist()])
    unknown = [str(name) for name in there if name is not None and name not in known]
    if unknown:
        what = f"rows of sources that dataset.json does not know: {shortened(', '.join(unknown))}"
        notes.append(f"{what}. See what else is wrong with: framekit verify")
    # Not checked as those of the papers are: an id may be anything here.
    strangers = [
        SourceInfo.model_construct(id=name, path=name, kind="film", fingerprint="", facts={})
        for name in unknown
    ]
    return [*known.values(), *strangers]


def _frames(manifest: Manifest, table: pa.Table, sources: pa.Array) -> Frames:
    ids = pc.fill_null(table["frame_id"], "").to_pylist()
    words = [manifest.dropped.get(id_) for id_ in ids]
    content, told = _content(table["content"])
    hashed = table["hash"].is_valid().to_numpy()
    return Frames(
        ids=ids,
        names=table["name"].to_pylist(),
        source=_places(table["source"], sources),
        number=pc.fill_null(table["frame_number"], -1).to_numpy(),
        seconds=_floats(table["seconds"]),
        sizes=np.column_stack([_floats(table["width"]), _floats(table["height"])]),
        groups=np.array(table["group"].to_pylist(), object),
        kept=np.array([word is None for word in words], bool),
        reasons=np.array([None if word is None else word.reason or "by hand" for word in words], object),
        hashes=pc.fill_null(table["hash"], 0).to_numpy(),
        signatures=_signatures(table["signature"]),
        comparable=hashed,
        measures=_measures(table, FRAME_MEASURES),
        content=content,
        told=told,
        side=None,
        likes=table.select(["frame_id", "duplicate_of"]),
    )


def _crops(sources: list[SourceInfo], pairs: pa.Table, frames: pa.Table, names: pa.Array) -> Crops:
    frame, source = _places(pairs["frame_id"], frames["frame_id"]), _places(pairs["source"], names)
    places = np.column_stack([_floats(pairs[name]) for name in PLACE[:3]])
    scale = _floats(pairs["scale"])
    sizes = np.column_stack([_floats(frames["width"]), _floats(frames["height"])])
    overlay = np.zeros(len(frame))
    for number, facts in enumerate(its.facts for its in sources):
        box = _box(facts.get("overlay"))
        if box is not None:
            of = np.flatnonzero((source == number) & (frame >= 0))
            squashed = np.isnan(scale[of, None])
            cut_from = np.where(squashed, places[of, 2:], sizes[frame[of]] * scale[of, None])
            overlay[of] = covered(box, places[of], cut_from)
    return Crops(
        ids=pc.fill_null(pairs["pair_id"], ""),
        frame=frame,
        source=source,
        groups=np.array(pairs["group"].to_pylist(), object),
        places=places,
        scale=scale,
        measures=_measures(pairs, QUALITY) | ({"overlay": np.nan_to_num(overlay)} if len(frame) else {}),
    )


def _box(stated: object) -> Box | None:
    """An overlay as a film's facts state it, unless that is nonsense."""
    if not isinstance(stated, list) or len(stated) != 4:
        return None
    if not all(isinstance(side, int | float) and 0 <= side <= 1 for side in stated):
        return None
    left, top, width, height = stated
    return left, top, width, height


def _sides(manifest: Manifest) -> np.ndarray | None:
    return np.array(manifest.split["split"].to_pylist(), object) if manifest.info.split else None


def _content(column: pa.ChunkedArray) -> tuple[dict[str, np.ndarray] | None, np.ndarray]:
    """Group → (N,) bool, and (N,) bool: what a tagger looked at."""
    lists = column.combine_chunks()
    told = lists.is_valid().to_numpy(zero_copy_only=False)
    if not told.any():
        return None, told
    rows, names = pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists)
    content = {}
    for name in sorted(filter(None, names.unique().to_pylist())):
        shows = np.zeros(len(told), bool)
        shows[rows[pc.fill_null(pc.equal(names, name), False).to_numpy(zero_copy_only=False)]] = True
        content[name] = shows
    return content, told


def _signatures(column: pa.ChunkedArray) -> np.ndarray | None:
    if column.null_count or not len(column):
        return None
    data = b"".join(column.to_pylist())
    if len(data) != len(column) * SIZE:
        return None
    return np.frombuffer(data, np.uint8).reshape(-1, SIZE)


def _unknown_columns(manifest: Manifest) -> list[str]:
    """A line about columns that a newer framekit wrote, for each table."""
    notes = []
    for name, schema in (("frames", FRAMES), ("pairs", PAIRS)):
        unknown: dict[str, None] = {}
        for shard in manifest.info.shards:
            if shard.path.startswith(name):
                with open_table(manifest.root / shard.path) as file:
                    unknown |= dict.fromkeys(set(file.schema_arrow.names) - set(schema.names))
        if unknown:
            named = ", ".join(map(printable, sorted(unknown)))
            notes.append(f"{name} have columns that this framekit does not know; passed over: {named}")
    return notes


def _measures(table: pa.Table, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    values = {name: _floats(table[name]) for name in names}
    return {name: column for name, column in values.items() if np.isfinite(column).any()}


def _places(column: pa.ChunkedArray, among: pa.Array) -> np.ndarray:
    """(N,) int64: where each value stands among others; -1 for those that do not."""
    places: np.ndarray = pc.fill_null(pc.index_in(column, value_set=among), -1).to_numpy().astype(np.int64)
    return places


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    """NaN for null, and for what is without end."""
    floats: np.ndarray = pc.fill_null(pc.cast(column, pa.float64()), float("nan")).to_numpy()
    return np.where(np.isfinite(floats), floats, np.nan)
