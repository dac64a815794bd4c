"""Exporting a dataset for other tools: what is in, each side apart, in a layout that they read.

An export is tied to the dataset as it was decided and split: its `export.json` says of which state it is, so
that a run that was stopped can go on, and nothing else is ever written over. Docs: docs/export.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from framekit import __version__
from framekit.errors import CommandError, FramekitError, reason_of
from framekit.files import NO_ROOM, UNFINISHED, clear_unfinished, write_text
from framekit.manifest.card import export_card
from framekit.manifest.layouts import (
    TAR_END,
    Job,
    Parquets,
    Part,
    PicturesJob,
    ShardsJob,
    Tars,
    crop_and_both,
    crop_and_smoothed,
    photo_of,
)
from framekit.manifest.reading import TEST, TRAIN, Manifest, open_manifest
from framekit.terminal.progress import Progress

PAPERS = "export.json"


class ExportOptions(BaseModel):
    """Everything that decides the bytes of an export, beside the datasets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["folders", "webdataset", "hf"]
    pairs: Literal["side-by-side", "smoothed"] = "side-by-side"  # what tgt_data/pair holds
    shard_size: int = Field(500, ge=1, le=1_000_000)  # MB
    shard_rows: int = Field(10_000, ge=1)

    @field_validator("pairs")
    @classmethod
    def _of_folders(cls, pairs: str, info: ValidationInfo) -> str:
        if info.data.get("format") != "folders":
            raise ValueError("goes with --format folders only")
        return pairs

    @field_validator("shard_size", "shard_rows")
    @classmethod
    def _of_shards(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("format") == "folders":
            raise ValueError("goes with --format webdataset and hf only")
        return value


@dataclass
class Export:
    """What an export holds.

    Attributes:
        root: Its folder.
        options: What it was made with.
        counts: Pairs, or pictures, by where they lie in it.
        files: Files in it.
        size: Their bytes.
        notes: Things worth knowing.
        next: What to do with it, a line each.
    """

    root: Path
    options: ExportOptions
    counts: dict[str, int]
    files: int = 0
    size: int = 0
    notes: list[str] = field(default_factory=list)
    next: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        facts = {"counts": self.counts, "files": self.files, "bytes": self.size, "notes": self.notes}
        return {"export": str(self.root), "format": self.options.format, **facts}


def export(
    dataset: str | Path, out: str | Path, options: ExportOptions, *, photos: str | Path | None = None
) -> Export:
    """Write what is in of a dataset to folder `out`; what an earlier run wrote is not written again.

    Args:
        dataset: The dataset's folder.
        out: The export's; made when it isn't there.
        options: How.
        photos: Folder of a dataset of photos, for the format `folders`.

    Raises:
        CommandError: `out` holds something else, or an export of another state; the format can't hold it.
        FramekitError: A dataset that is not there or damaged, or holds no pairs; a disk that is full.
    """
    out = Path(out)
    sets = {"dataset": open_manifest(dataset)} | ({"photos": open_manifest(photos)} if photos else {})
    _check_fit(sets, options)
    parts = {
        name: [Part.of(TRAIN, manifest.train), Part.of(TEST, manifest.test)]
        for name, manifest in sets.items()
    }
    for name, sides in parts.items():
        if not any(len(side) for side in sides):
            raise FramekitError("holds no pairs to export", where=sets[name].root)
    papers = _papers(parts, options)
    check_out(out, papers)
    with _told_of_a_full_disk(out):
        write = _write_folders if options.format == "folders" else _write_shards
        made = write(out, parts, options, papers)
    made.notes = [*_notes(sets, parts, options), *made.notes]
    files = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
    made.files, made.size = len(files), sum(files)
    return made


def check_out(out: Path, papers: dict[str, Any]) -> None:
    """Refuse a folder that holds something else; nothing is written.

    Args:
        out: Where the export goes.
        papers: What its export.json is to say.

    Raises:
        CommandError: It is no folder, not empty, or holds another export.
    """
    try:
        str(out).encode()
    except UnicodeEncodeError:
        raise CommandError("an export's folder needs a name in UTF-8", where=out) from None
    advice = "name a new folder for the export"
    if not out.exists():
        return
    if not out.is_dir():
        raise CommandError("is there already and is no folder", where=out, advice=advice)
    if all(path.match(UNFINISHED) for path in out.iterdir()):
        return
    try:
        there = json.loads((out / PAPERS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise CommandError("is there already and is no export", where=out, advice=advice) from None
    if there != papers:
        what = "holds an export with other options, or of a dataset that has changed since"
        raise CommandError(what, where=out, advice=advice)


def _check_fit(sets: dict[str, Manifest], options: ExportOptions) -> None:
    if options.format != "folders":
        if "photos" in sets:
            raise CommandError("--photos: goes with --format folders only")
        return
    if not sets["dataset"].has_smoothed:
        advice = "photos go in by --photos, beside a dataset of cartoons"
        raise CommandError("has no smoothed halves", where=sets["dataset"].root, advice=advice)


def _papers(parts: dict[str, list[Part]], options: ExportOptions) -> dict[str, Any]:
    """What export.json says: nothing that differs between two exports of the same."""
    return {
        "framekit_version": __version__,
        "options": options.model_dump(mode="json"),
        "pairs": {name: {side.name: len(side) for side in sides} for name, sides in parts.items()},
        "states": {name: {side.name: side.side.digest for side in sides} for name, sides in parts.items()},
    }


@contextmanager
def _told_of_a_full_disk(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise FramekitError(
            f"{reason_of(error)}: the export's disk takes no more",
            where=out,
            advice="make room and run the same command again: what is finished is kept",
        ) from error


def _begin(out: Path, papers: dict[str, Any], folders: list[Path]) -> None:
    """Put down what is being made before making it, and clear away what a killed run left half-written."""
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / PAPERS, json.dumps(papers, indent=2, sort_keys=True) + "\n")
    for folder in dict.fromkeys([out, *folders]):
        folder.mkdir(parents=True, exist_ok=True)
        clear_unfinished(folder)


def _run(jobs: list[Job]) -> list[str]:
    """Do all jobs; with notes."""
    done = sum(job.done for job in jobs)
    total = sum(len(job.part) for job in jobs)
    with Progress("export", total=total, unit="pairs") as progress:
        progress.start_at(done)
        for job in jobs:
            job.run(progress)
    return [f"{done:,} pairs were there already and kept"] if done else []


def _write_folders(
    out: Path, parts: dict[str, list[Part]], options: ExportOptions, papers: dict[str, Any]
) -> Export:
    cartoons = [out / "tgt_data" / name for name in ("train", "pair")]
    photos = {name: out / "src_data" / name for name in (TRAIN, TEST)}
    _begin(out, papers, [*cartoons, *photos.values()])
    pictures_of = crop_and_both if options.pairs == "side-by-side" else crop_and_smoothed
    train = parts["dataset"][0]
    jobs: list[Job] = [PicturesJob(train, cartoons, pictures_of)]
    jobs += [PicturesJob(part, [photos[part.name]], photo_of) for part in parts.get("photos", [])]
    notes = _run(jobs)
    counts = {f"src_data/{part.name}": len(part) for part in parts.get("photos", [])}
    counts |= dict.fromkeys(("tgt_data/train", "tgt_data/pair"), len(train))
    size = train.side.info.options.get("crop_size", 256)
    then = [f"python CartoonGAN.py --src_data src_data --tgt_data tgt_data --input_size {size}"]
    then += [f"in a clone of znxlwm/pytorch-CartoonGAN whose folder data is {out}"]
    return Export(out, options, counts, notes=notes, next=then)


def _write_shards(
    out: Path, parts: dict[str, list[Part]], options: ExportOptions, papers: dict[str, Any]
) -> Export:
    kind = Tars if options.format == "webdataset" else Parquets
    folder = out if kind is Tars else out / "data"
    _begin(out, papers, [folder])
    limits = {"most_bytes": options.shard_size * 1_000_000 - TAR_END, "most_rows": options.shard_rows}
    sides = [side for side in parts["dataset"] if len(side)]
    notes = _run([ShardsJob(side, kind(out, side.name), **limits) for side in sides])
    counts = {side.name: len(side) for side in sides}
    if kind is Parquets:
        sizes = {name: _bytes_of(folder, f"{name}-*.parquet") for name in counts}
        write_text(out / "README.md", export_card(sides[0].side.info, counts, sizes))
        then = [f"hf upload USER/NAME {out} --repo-type dataset --private"]
    else:
        last = len(list(out.glob(f"{sides[0].name}-*.tar"))) - 1
        names = f"{out}/{sides[0].name}-{{000000..{last:06}}}.tar"
        then = [f"in Python: webdataset.WebDataset({names!r}, shardshuffle=False).decode('rgb8')"]
    return Export(out, options, counts, notes=notes, next=then)


def _bytes_of(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern))


def _notes(sets: dict[str, Manifest], parts: dict[str, list[Part]], options: ExportOptions) -> Iterator[str]:
    folders = options.format == "folders"
    if folders and "photos" not in sets:
        yield "src_data is empty: name a dataset of photos by --photos, or put photos there"
    for name, manifest in sets.items():
        train, test = parts[name]
        if not manifest.info.finished:
            yield f"{manifest.root}: its extraction is not finished: run the same framekit extract again"
        if manifest.train is manifest:
            empty = "src_data/test is empty" if name == "photos" else "nothing is held back to test"
            if not folders or name == "photos":
                yield f"{manifest.root} is not split, so {empty}; framekit split would split it"
        neither = len(manifest) - len(train) - len(test)
        if neither:
            yield f"{manifest.root}: {neither:,} pairs on neither side of its split are left out"
        if folders and name == "dataset" and len(test):
            yield f"{manifest.root}: {len(test):,} test pairs are left out: tgt_data has no place for them"
