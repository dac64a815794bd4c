"""What the rules leave out of a dataset, from what is stored of its frames and crops alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from framekit.errors import FramekitError
from framekit.extraction.samples import runs_by
from framekit.extraction.segment import DUPLICATE, UNCUTTABLE
from framekit.extraction.shards import footer_of
from framekit.images.duplicates import group_near_identical, sharpest_of_groups
from framekit.images.hashing import hash_name
from framekit.images.likeness import SIZE
from framekit.images.motion import Move
from framekit.images.overlay import covered
from framekit.images.rules import CROP_MEASURES, FRAME_MEASURES, QUALITY, left_out
from framekit.images.runs import Seen
from framekit.manifest.decisions import drop
from framekit.manifest.reading import Manifest
from framekit.manifest.schema import ShardInfo, is_later
from framekit.options import Limits

NOT_CUT = "not cut yet"
"""A frame that these limits take and those of the extraction did not: it has no pairs."""
COMPACTED = "compacted"
"""A frame that had pairs before the shards were compacted."""
CROP_PLACE = ("crop_x", "crop_y", "crop_size", "scale")


class Frames(NamedTuple):
    """What is stored of N frames and decides about them, in source order.

    Attributes:
        ids: frame_ids.
        segments: (N,) int64, number of the shard that each stands in.
        hashes: (N,) uint64.
        signatures: (N, 432) uint8.
        measures: (N,) float of each measure; NaN where there is none.
        cut: (N,) objects: None where pairs were cut, else why not.
    """

    ids: list[str]
    segments: np.ndarray
    hashes: np.ndarray
    signatures: np.ndarray
    measures: dict[str, np.ndarray]
    cut: np.ndarray


def rule_decisions(manifest: Manifest, limits: Limits) -> Iterator[dict[str, Any]]:
    """Decision rows for the frames and crops of a dataset that `limits` leave out.

    With the limits of its extraction, what was a held drawing then is one again, so that every frame that is
    kept has pairs. With others a frame may be wanted that has none: it is left out as `not cut yet`.

    Raises:
        FramekitError: The dataset is damaged.
    """
    frames = stored_frames(manifest)
    yield from frame_decisions(frames, limits)
    yield from _crop_decisions(manifest, limits)


def stored_frames(manifest: Manifest) -> Frames:
    """Read what decides about the frames of a dataset."""
    _refuse_other_hashes(manifest)
    table = manifest.frames(["frame_id", "hash", "signature", "reason", *FRAME_MEASURES])
    shards = sorted((shard for shard in manifest.info.shards if shard.path.startswith("frames/")), key=_path)
    segments = np.repeat(np.arange(len(shards)), [shard.rows for shard in shards])
    signatures = b"".join(table["signature"].drop_null().to_pylist())
    nulls = sum(table[name].null_count for name in ("frame_id", "hash", *QUALITY))
    if nulls or len(segments) != table.num_rows or len(signatures) != table.num_rows * SIZE:
        advice = "see what is damaged with: framekit verify"
        raise FramekitError("its frames are not what was written", where=manifest.root, advice=advice)
    return Frames(
        ids=table["frame_id"].to_pylist(),
        segments=segments,
        hashes=table["hash"].to_numpy(),
        signatures=np.frombuffer(signatures, np.uint8).reshape(-1, SIZE),
        measures={name: _floats(table[name]) for name in FRAME_MEASURES},
        cut=why_not_cut(manifest),
    )


def why_not_cut(manifest: Manifest) -> np.ndarray:
    """(N,) objects, one a frame: None where it has pairs, else why it has none."""
    table = manifest.frames(["frame_id", "reason"])
    ids, reasons = table["frame_id"], table["reason"]
    with_pairs = pc.unique(manifest.undecided.pairs(["frame_id"])["frame_id"])
    cut = np.array(pc.fill_null(reasons, COMPACTED).to_pylist(), object)
    tried: dict[str, str] = {}
    for shard in sorted(manifest.info.shards, key=_path):
        if is_later(shard.path):
            tried |= footer_of(manifest.root / shard.path).get("uncuttable", {})
    for position, id_ in enumerate(ids.to_pylist() if tried else ()):
        cut[position] = tried.get(id_, cut[position])
    cut[pc.is_in(ids, value_set=with_pairs).to_numpy(zero_copy_only=False)] = None
    return cut


def _refuse_other_hashes(manifest: Manifest) -> None:
    expected = hash_name(str(manifest.info.options.get("hash")))
    for shard in manifest.info.shards:
        path = manifest.root / shard.path
        if shard.path.startswith("frames/") and (found := footer_of(path).get("hash")) != expected:
            what = f"its hashes are {found or 'of an unknown kind'}, those of this dataset {expected}"
            advice = "they don't compare; move this shard away and run the same framekit extract again"
            raise FramekitError(what, where=path, advice=advice)


def frame_decisions(frames: Frames, limits: Limits) -> Iterator[dict[str, Any]]:
    """Decision rows for the frames that `limits` leave out."""
    reasons = left_out(frames.measures, limits.frame_rules(), len(frames.ids))
    stands_for = duplicates(frames, reasons != None, limits)  # noqa: E711 - element by element
    for position, id_ in enumerate(frames.ids):
        reason, kept = reasons[position], stands_for[position]
        if reason is not None:
            yield drop(id_, reason, by=_rule(reason))
        elif (cut := frames.cut[kept]) not in (None, COMPACTED):  # nothing stands for these
            reason = cut if cut in UNCUTTABLE else NOT_CUT
            yield drop(id_, reason, by=_rule(reason))
        elif kept != position:
            yield drop(id_, DUPLICATE, by=_rule(DUPLICATE), because_of=frames.ids[kept])


def uncut(frames: Frames, limits: Limits) -> list[str]:
    """frame_ids of those that `limits` want and that have no pairs, though they could have."""
    reasons = left_out(frames.measures, limits.frame_rules(), len(frames.ids))
    stands_for = duplicates(frames, reasons != None, limits)  # noqa: E711 - element by element
    wanted = np.flatnonzero((reasons == None) & (stands_for == np.arange(len(frames.ids))))  # noqa: E711
    return [frames.ids[at] for at in wanted if frames.cut[at] not in (None, *UNCUTTABLE)]


def duplicates(frames: Frames, gone: np.ndarray, limits: Limits) -> np.ndarray:
    """The position of the frame that stands for each frame, its own where it stands for itself.

    First runs of neighbours within a segment, then groups over the whole dataset among what came through.

    Args:
        frames: In source order.
        gone: (N,) bool: frames that a reason of their own leaves out.
        limits: Distance and overlap.

    Returns:
        (N,) int64.
    """
    uncuttable = np.isin(frames.cut.astype(str), UNCUTTABLE)
    sharpness = frames.measures["sharpness"]
    # Other limits may bring together a frame that has pairs and a sharper one that has none.
    sharpness = sharpness + np.where(frames.cut == None, sharpness.max(initial=0) + 1, 0)  # noqa: E711
    of_runs = sharpest_of_groups(first_of_runs(frames, gone, limits), sharpness)
    through = np.flatnonzero((of_runs == np.arange(len(of_runs))) & ~gone & ~uncuttable)
    firsts = group_near_identical(
        frames.hashes[through], limits.dedup_distance, signatures=frames.signatures[through]
    )
    of_groups = np.arange(len(of_runs))
    of_groups[through] = through[sharpest_of_groups(firsts, sharpness[through])]
    return of_groups[of_runs]


def first_of_runs(frames: Frames, gone: np.ndarray, limits: Limits) -> np.ndarray:
    """(N,) int64: the position of the first of each frame's run."""
    moves = zip(*(frames.measures[name].tolist() for name in ("pan_x", "pan_y", "zoom")), strict=True)
    rows = zip(frames.hashes.tolist(), frames.signatures, moves, gone.tolist(), frames.segments, strict=True)
    firsts: list[int] = []
    segment, runs = None, runs_by(limits)
    for position, (hash_, signature, move, alone, of) in enumerate(rows):
        if of != segment:
            segment, runs = of, runs_by(limits)
        moved = Move(*move) if move[2] == move[2] else None  # NaN where there is none
        starts = runs.starts_with(Seen(hash_, signature, moved, alone))
        firsts.append(position if starts else firsts[-1])
    return np.array(firsts, np.int64)


def _crop_decisions(manifest: Manifest, limits: Limits) -> Iterator[dict[str, Any]]:
    rules = limits.crop_rules()
    if not rules:
        return
    table = manifest.undecided.pairs(["pair_id", "frame_id", "source", *CROP_PLACE, *QUALITY])
    measures = {name: _floats(table[name]) for name in QUALITY}
    measures["overlay"] = _overlaid(manifest, table)
    assert set(measures) == set(CROP_MEASURES)
    reasons = left_out(measures, rules, table.num_rows)
    for id_, reason in zip(table["pair_id"].to_pylist(), reasons, strict=True):
        if reason is not None:
            yield drop(id_, reason, by=_rule(reason))


def _overlaid(manifest: Manifest, pairs: pa.Table) -> np.ndarray:
    """(N,) share of each crop that lies under its film's static overlay."""
    boxes = {source.id: source.facts.get("overlay") for source in manifest.info.sources}
    shares = np.zeros(pairs.num_rows)
    if not any(boxes.values()):
        return shares
    frames = manifest.frames(["frame_id", "width", "height"])
    rows = pc.index_in(pairs["frame_id"], value_set=frames["frame_id"])
    sizes = _matrix(frames.select(["width", "height"]).take(rows)) * _matrix(pairs.select(["scale"]))
    crops = _matrix(pairs.select(["crop_x", "crop_y", "crop_size"]))
    sizes = np.where(np.isnan(sizes), crops[:, 2:], sizes)  # squashed frames are as large as their squares
    for source, box in boxes.items():
        if box:
            of = pc.fill_null(pc.equal(pairs["source"], source), False).to_numpy()
            shares[of] = covered(box, crops[of], sizes[of])
    return shares


def _matrix(table: pa.Table) -> np.ndarray:
    """(N, columns) float64."""
    return np.column_stack([column.to_numpy() for column in table.columns]).astype(np.float64)


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    floats: np.ndarray = pc.fill_null(column, float("nan")).to_numpy().astype(np.float64)
    return floats


def _path(shard: ShardInfo) -> str:
    return shard.path


def _rule(reason: str) -> str:
    return "rule:" + reason.replace(" ", "-")
