"""Extraction from start to end: find, plan, run what is not done yet, decide, write the dataset's papers."""

from __future__ import annotations

import errno
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from framekit import __version__
from framekit.errors import CommandError, FramekitError, printable
from framekit.extraction.executors import Job, default_workers, run_units
from framekit.extraction.plan import (
    LookOver,
    Plan,
    Segment,
    Source,
    Unit,
    in_one_piece,
    make_plan,
    problem_of,
)
from framekit.extraction.segment import OneSegmentOnly
from framekit.extraction.settling import DATASET_LOCK, settle
from framekit.extraction.shards import Shards, footer_of, shard_infos, shard_paths
from framekit.extraction.spent import Spent
from framekit.files import clear_unfinished, sha256_of
from framekit.images.overlay import agreed
from framekit.manifest.decisions import locked
from framekit.manifest.reading import read_info
from framekit.manifest.schema import SCHEMA_VERSION, DatasetInfo, Problem, SourceInfo
from framekit.manifest.writing import write_info
from framekit.options import ExtractOptions, Limits
from framekit.sources.film import check_device
from framekit.sources.finding import Found, find_sources
from framekit.terminal.progress import Progress

CUT_SHORT = 0.8
"""Share of the frames that a header states below which a film seems to be cut short; headers are rough."""


@dataclass
class Extraction:
    """What a run did.

    Attributes:
        root: The dataset's folder.
        info: Its dataset.json.
        options: What it is made of.
        dropped: Frames left out, counted by reason.
        problems: What failed of the sources named in this run; dataset.json keeps earlier ones too.
        done_before: Sources that an earlier run had done.
        spent: CPU seconds of this run by stage.
        notes: Things worth knowing that are no problems.
    """

    root: Path
    info: DatasetInfo
    options: ExtractOptions
    dropped: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    done_before: int = 0
    spent: Spent = field(default_factory=Spent)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {
            "dataset": str(self.root),
            "sources": len(self.info.sources),
            "totals": self.info.totals,
            "dropped": dict(self.dropped),
            "problems": [problem.model_dump() for problem in self.problems],
            "notes": self.notes,
        }


def plan_extraction(
    words: Sequence[str],
    *,
    known: Sequence[SourceInfo] = (),
    is_done: Callable[[str], bool] = lambda _: False,
    quiet: bool = False,
) -> tuple[Plan, list[str]]:
    """Find the sources that `words` name and read their facts; with notes on what was passed over.

    Args:
        words: Films, folders, globs.
        known, is_done: As in `make_plan`.
        quiet: Show no progress.

    Raises:
        CommandError: Nothing is there.
    """
    found = find_sources(words)
    total = len(found.films) + len(found.stills)
    if quiet or total < 2:
        plan = make_plan(found, known=known, is_done=is_done)
        return plan, _notes(found) + plan.copies
    with Progress("probe", total=total, unit="sources") as progress:
        plan = make_plan(
            found, known=known, is_done=is_done, on_source=lambda path: progress.advance(1, path.name)
        )
    return plan, _notes(found) + plan.copies


def look_over(plan: Plan, options: ExtractOptions) -> None:
    """Look over every film of a plan: what is found is added to its facts, films that fail are problems."""
    films = [source for source in plan.sources if source.kind == "film"]
    with Progress("look over", total=len(films), unit="films") as progress:
        for source in films:
            progress.advance(1, source.path.name)
            try:
                source.facts.update(source.look_over(options))
            except FramekitError as error:
                plan.problems.append(problem_of(source.path, error))


def extract(
    words: Sequence[str],
    out: Path,
    options: ExtractOptions,
    *,
    workers: int | None = None,
    hwaccel: str | None = None,
) -> Extraction:
    """Make or extend the dataset in folder `out`.

    What an earlier run finished is not done again. A source that fails is listed and the rest goes on.

    Args:
        words: Films, folders, globs.
        out: The dataset's folder; made when it isn't there.
        options: What the dataset is made of.
        workers: Processes, one film each; as many as there are cores by default.
        hwaccel: Kind of device to decode on, as `cuda`; where it can't be had, a note says so.

    Raises:
        CommandError: Nothing to work on, no such kind of device, or `out` holds something else or a dataset
            with other options.
    """
    check_device(hwaccel)
    info = check_out(out, options)
    tagger = _tagger(options, info)
    shards = Shards(out, info.shards)
    plan, notes = plan_extraction(words, known=info.sources, is_done=shards.are_all_there)
    notes += _moved(info.sources, plan)
    info.sources = _merged(info.sources, (source.info for source in plan.sources))
    _start(out, info)
    pending = [source for source in plan.sources if not shards.are_all_there(source.id)]
    run = Extraction(out, info, options, done_before=len(plan.sources) - len(pending), notes=notes)
    job = Job(options, out, hwaccel, tagger)
    failed = plan.problems + _work_off(pending, job, shards, run.spent, workers or default_workers())
    return _finish(run, plan, failed, hwaccel)


def _work_off(pending: list[Source], job: Job, shards: Shards, spent: Spent, workers: int) -> list[Problem]:
    """Look over and extract all that is pending; what failed."""
    failed: list[Problem] = []
    # Longest first, so that no worker is left alone with a long film at the end.
    waiting: deque[Unit] = deque(map(LookOver, sorted(pending, key=lambda source: -source.pictures)))
    whole: set[str] = set()  # films that are done in one piece after all
    seen: dict[str, int] = {}
    with Progress("extract", total=sum(source.pictures for source in pending), unit="frames") as progress:

        def on_frames(unit: Unit, frames: int) -> None:
            new = frames - seen.get(unit.name, 0)
            seen[unit.name] = frames
            progress.advance(new, unit.source.path.name)

        for unit, result, error in run_units(waiting, job, workers=workers, on_frames=on_frames):
            part_of_whole = unit.source.id in whole and isinstance(unit, Segment) and unit.of > 1
            if part_of_whole:
                continue
            if isinstance(error, OneSegmentOnly) and isinstance(unit, Segment):
                whole.add(unit.source.id)
                others = [other for other in waiting if other.source.id != unit.source.id]
                waiting.clear()
                waiting.extend([in_one_piece(unit), *others])
            elif error is not None:
                failed.append(_failed(unit, error))
            elif isinstance(result, Spent):
                spent.add(result)
            elif result is not None:
                done = {segment.name for segment in result if shards.is_whole(segment.name)}
                for segment in result:
                    if segment.name in done:
                        on_frames(segment, segment.pictures)
                waiting.extendleft(reversed([segment for segment in result if segment.name not in done]))
    return failed


def _moved(known: Sequence[SourceInfo], plan: Plan) -> list[str]:
    """Notes on sources that are not where they were, or not what they were."""
    by_id = {source.id: source for source in known}
    by_path = {source.path: source for source in known}
    notes = []
    for source in plan.sources:
        before, there = by_id.get(source.id), by_path.get(source.info.path)
        if before and before.path != source.info.path:
            notes.append(f"{source.info.path} is what was {before.path}: nothing of it is taken twice")
        if there and there.fingerprint != source.fingerprint and not before:
            changed = f"{source.info.path} has changed: it is taken anew as {source.id}"
            notes.append(f"{changed}, and what was taken of it before stays as {there.id}")
    return notes


def check_out(out: Path, options: ExtractOptions) -> DatasetInfo:
    """The dataset that stands in folder `out`, or a new one's papers; nothing is written.

    Raises:
        CommandError: `out` holds something else, or a dataset with other options.
    """
    if (out / "dataset.json").exists():
        info = read_info(out)
        _refuse_other_options(out, info, options)
        return info
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        advice = "name a new folder for the dataset"
        raise CommandError("is there already and is no dataset", where=out, advice=advice)
    try:
        os.fspath(out).encode()
    except UnicodeEncodeError:
        raise CommandError("a dataset's folder needs a name in UTF-8", where=out) from None
    return DatasetInfo(
        schema_version=SCHEMA_VERSION, framekit_version=__version__, options=options.model_dump(mode="json")
    )


def _tagger(options: ExtractOptions, info: DatasetInfo) -> Path | None:
    """Folder of the image tagger, fetched if need be; `info` remembers what it is.

    Raises:
        FramekitError: It can't be had, or is another one than this dataset was made with.
    """
    if options.tagger is None:
        return None
    from framekit.images.tagging import DEFAULT_TABLE, Groups, Tagger, find_tagger, fingerprints

    folder = find_tagger(options.tagger)
    table = Path(options.content_table) if options.content_table else None
    Tagger.open(str(folder))  # before anything is written: a damaged one is no one's tagger
    Groups.read(table)
    found = fingerprints(folder) | {"content table": sha256_of(table or DEFAULT_TABLE)}
    if info.tagger not in (None, found):
        advice = "use that one, or another --out to make a new dataset"
        raise FramekitError(
            "not the image tagger that this dataset was made with", where=folder, advice=advice
        )
    info.tagger = found
    return folder


def _refuse_other_options(out: Path, info: DatasetInfo, options: ExtractOptions) -> None:
    asked = options.model_dump(mode="json")
    made_with = ExtractOptions().model_dump(mode="json") | info.options
    other = [
        f"--{name.replace('_', '-')} {made_with[name]} → {value}"
        for name, value in asked.items()
        if made_with[name] != value
    ]
    if other:
        raise CommandError(
            f"this dataset was made with other options: {', '.join(other)}",
            where=out,
            advice="give the same options to add to it, or another --out to make a new one",
        )


def _merged(old: Iterable[SourceInfo], new: Iterable[SourceInfo]) -> list[SourceInfo]:
    by_id = {source.id: source for source in [*old, *new]}
    return [by_id[id_] for id_ in sorted(by_id)]


def _start(out: Path, info: DatasetInfo) -> None:
    """Put down what is being made before making it, and clear away what a killed run left half-written."""
    out.mkdir(parents=True, exist_ok=True)
    info.finished = False
    write_info(out, info)
    for name in ("frames", "pairs"):
        (out / name).mkdir(exist_ok=True)
    _clear(out)


def _clear(out: Path) -> None:
    with locked(out):  # someone may be writing decisions
        clear_unfinished(out)
    for folder in (out / "frames", out / "pairs"):
        clear_unfinished(folder)


def _failed(unit: Unit, error: Exception) -> Problem:
    """A source's own fault is listed and the run goes on; a full disk stops it."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        raise FramekitError(
            f"{error.strerror}: the dataset's disk takes no more",
            where=error.filename,
            advice="make room and run the same command again: finished films are kept",
        ) from error
    return problem_of(unit.source.path, error)


def _finish(run: Extraction, plan: Plan, failed: list[Problem], hwaccel: str | None) -> Extraction:
    """Write decisions, dataset.json and the card from the shards that are there."""
    root, info = run.root, run.info
    _clear(root)  # a worker may have died
    decoded, damaged = _collect_shards(root, info)
    now = {source.id for source in plan.sources}
    run.notes += _notes_on_films(info, now, hwaccel)
    run.problems = _in_order([*failed, *(problem for id_, problem in damaged.items() if id_ in now)])
    named_now = {problem.path for problem in failed} | {source.info.path for source in plan.sources}
    settled = named_now | {source.path for source in info.sources}
    earlier = [problem for problem in info.problems if problem.path not in settled]
    info.problems = _in_order([*earlier, *failed, *damaged.values()])

    info.totals["frames"] = decoded
    with locked(root, DATASET_LOCK):
        there = read_info(root)  # it may have been decided or split again meanwhile
        info.split = there.split
        info.options |= {name: there.options[name] for name in Limits.model_fields if name in there.options}
        info.finished = True
        outcome = settle(root, info)
        write_info(root, info)
    run.dropped = outcome.dropped
    run.notes += outcome.notes
    return run


def _collect_shards(root: Path, info: DatasetInfo) -> tuple[int, dict[str, Problem]]:
    """List the shards that are there in `info`, and drop sources that gave none.

    Returns:
        Pictures decoded, and a problem for each source of which something could not be read, by its id.
    """
    decoded, damaged, done = 0, {}, []
    known = {shard.path: shard for shard in info.shards}
    shards, info.shards = Shards(root, info.shards), []
    for source in info.sources:
        for path in shards.superseded(source.id):
            path.unlink(missing_ok=True)
        paths = [shard_paths(root, name)[0] for name in shards.of(source.id)]
        footers = [footer_of(path) for path in paths]
        for path, facts in zip(paths, footers, strict=True):
            info.shards += shard_infos(path, facts, known)
            decoded += facts["decoded"]
            source.facts |= facts.get("film", {})
        overlays = [facts["overlay"] for facts in footers if "overlay" in facts]
        if overlays:
            source.facts["overlay"] = agreed((part["box"], part["shots"]) for part in overlays)
        count = sum(facts["damaged"] for facts in footers)
        if count:
            lines = "; ".join([line for facts in footers for line in facts["damage"]][:3])
            damaged[source.id] = Problem(path=source.path, what=f"{count} could not be read: {lines}")
        if paths:
            done.append(source)
    info.sources = done
    return decoded, damaged


def _notes_on_films(info: DatasetInfo, ids: set[str], hwaccel: str | None) -> list[str]:
    films = [source for source in info.sources if source.id in ids and source.kind == "film"]
    notes = []
    for source in films:
        telecine = source.facts.get("telecine")
        if telecine and not info.options.get("inverse_telecine"):
            how = {"fields": "3:2 pulldown", "frames": "every fifth picture a repeat"}.get(telecine, telecine)
            spread = f"{source.path} is film at 24 frames a second spread over 30 ({how})"
            notes.append(f"{spread}; --inverse-telecine takes it back")
    for source in films:
        stated, there = source.facts.get("stated_frames", 0), source.facts.get("frames", 0)
        if there < CUT_SHORT * stated and not info.options.get("inverse_telecine"):
            short = f"{source.path} holds {there:,} frames where its header states about {stated:,}"
            notes.append(f"{short}: it seems to be cut short")
    in_software = [
        source.path for source in films if hwaccel and hwaccel not in source.facts.get("decoder", "")
    ]
    if in_software:
        notes.append(f"{hwaccel} could not be had; decoded in software: {', '.join(in_software)}")
    return notes


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    once = {(problem.path, problem.what): problem for problem in problems}
    return [once[key] for key in sorted(once)]


def _notes(found: Found) -> list[str]:
    notes = [
        f"{count} pictures beside the films in {printable(folder)} left out; name their folder to take them"
        for folder, count in found.left_out.items()
    ]
    notes += [f"{printable(folder)} holds neither films nor pictures" for folder in found.empty]
    if found.ignored:
        notes.append(f"{found.ignored} files that are neither film nor picture passed over")
    return notes
