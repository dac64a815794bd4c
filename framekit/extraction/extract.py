"""Extraction from start to end: find, plan, run what is not done yet, decide, write the dataset's papers."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from framekit.errors import FramekitError, printable, reason_of
from framekit.extraction.collecting import collect_shards, in_order, notes_on_films
from framekit.extraction.executors import Executor, Job, executor_of
from framekit.extraction.later import wanted_back
from framekit.extraction.opening import (
    alone,
    check_out,
    clear_for_overwriting,
    has_other_options,
    with_limits_of,
)
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
from framekit.extraction.settling import DATASET_LOCK, Settled, limits_of, settle
from framekit.extraction.shards import Shards, footer_of
from framekit.extraction.spent import Spent
from framekit.files import NO_ROOM, UNWRITABLE, clear_unfinished, sha256_of
from framekit.images.hashing import hash_name
from framekit.manifest.decisions import NAME as DECISIONS
from framekit.manifest.decisions import locked, state
from framekit.manifest.reading import SPLIT, Manifest, read_info
from framekit.manifest.schema import DatasetInfo, Problem, SourceInfo
from framekit.manifest.writing import write_info
from framekit.options import ExtractOptions, Limits
from framekit.sources.film import check_device
from framekit.sources.finding import Found, find_sources
from framekit.storage.paths import only_here, path_of
from framekit.terminal.progress import Progress

TOTALS = {"frames", "frames_kept", "frames_sampled", "pairs", "bytes"}
"""What is told at the end of a run."""
REST = "everything else"
"""What is spent outside the stages of a segment: starting up, looking films over, deciding."""


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
            "cpu_seconds": {stage: round(seconds, 2) for stage, seconds in self.spent.seconds.items()},
        }


def plan_extraction(words: Sequence[str], *, quiet: bool = False) -> tuple[Plan, list[str]]:
    """Find the sources that `words` name and read their facts; with notes on what was passed over.

    Raises:
        CommandError: Nothing is there.
    """
    return read_plan(find_sources(words), quiet=quiet)


def read_plan(
    found: Found,
    *,
    known: Sequence[SourceInfo] = (),
    is_done: Callable[[str], bool] = lambda _: False,
    quiet: bool = False,
) -> tuple[Plan, list[str]]:
    """Read the facts of the sources that were found; with notes on what was passed over.

    Args:
        found: Films and image folders.
        known, is_done: As in `make_plan`.
        quiet: Show no progress.
    """
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
    out: str | Path,
    options: ExtractOptions,
    *,
    workers: int | None = None,
    hwaccel: str | None = None,
    overwrite: bool = False,
    executor: str | None = None,
    ray_address: str | None = None,
) -> Extraction:
    """Make or extend the dataset in folder `out`.

    What an earlier run finished is not done again; frames that decisions have come to want since, and of
    which nothing was cut, are cut now. A source that fails is listed and the rest goes on.

    Args:
        words: Films, folders, globs.
        out: The dataset's folder; made when it isn't there.
        options: What the dataset is made of.
        workers: Processes, one segment of a film each; as many as there are cores by default.
        hwaccel: Kind of device to decode on, as `cuda`; where it can't be had, a note says so.
        overwrite: If the dataset has other options, make it anew; what persons decided stays.
        executor: `local` or `ray`; by default local, or Ray if it has an address.
        ray_address: Of a Ray cluster; without one, Ray is started on this machine.

    Raises:
        CommandError: Nothing to work on, no such kind of device, or `out` holds something else or a dataset
            with other options.
        FramekitError: Another run is at work on it, or its disk takes no more.
    """
    out = path_of(out)
    check_device(hwaccel)
    if only_here(out) or any(map(only_here, words)):
        executor, workers, ray_address = "local", 1, None
    run_units = executor_of(executor, workers=workers, ray_address=ray_address)
    info = check_out(out, options, overwrite=overwrite)
    tagger = _tagger(options, info)
    found = find_sources(words)
    with alone(out):
        there = check_out(out, options, overwrite=overwrite)  # nobody else changes it any more
        there.tagger = info.tagger
        if has_other_options(out, options):
            clear_for_overwriting(out)
        job = Job(with_limits_of(there, options), out, hwaccel, tagger)
        return _extract(found, job, there, run_units)


def _extract(found: Found, job: Job, info: DatasetInfo, run_units: Executor) -> Extraction:
    out, shards, bill = job.root, Shards(job.root, info.shards), _Bill(info.spent)
    plan, notes = read_plan(found, known=info.sources, is_done=shards.are_all_there)
    pending = [source for source in plan.sources if not shards.are_all_there(source.id)]
    merged = _merged(info.sources, (source.info for source in plan.sources))
    run = Extraction(out, info, job.options, done_before=len(plan.sources) - len(pending), spent=bill.spent)
    notes += _moved(info.sources, plan)
    if job.options.resize:
        notes.append(
            "--resize: whole frames were squashed; such a dataset is only there to compare with crops"
        )
    if merged == info.sources and not (pending or plan.problems) and _is_settled(out, info):
        return _as_it_was(run, plan, notes)
    info.sources = merged
    _start(out, info)
    failed = plan.problems + _work_off(_looks(pending), job, shards, run.spent, run_units)
    settled = _take_stock(run, plan, failed, bill)
    later = wanted_back(Manifest(out, info), limits_of(info), plan.sources)
    if later:
        failed += _work_off(later, job, shards, run.spent, run_units)
        settled = _take_stock(run, plan, failed, bill)
    run.dropped = settled.dropped
    ids = {source.id for source in plan.sources}
    run.notes = [*notes, *notes_on_films(info, ids, job.hwaccel), *settled.notes]
    return run


def _is_settled(out: Path, info: DatasetInfo) -> bool:
    """Whether all that follows from the shards is there, and nothing is wanted that was not cut."""
    follow = [DECISIONS, "README.md", *([SPLIT] if info.split else [])]
    if (
        not info.finished
        or not set(info.totals) >= TOTALS
        or info.totals.get("frames_to_cut")
        or not all((out / name).exists() for name in follow)
    ):
        return False
    state(out)  # else damaged decisions would go unnoticed
    frames = next((shard.path for shard in info.shards if shard.path.startswith("frames/")), None)
    return frames is None or footer_of(out / frames).get("hash") == hash_name(str(info.options.get("hash")))


def _as_it_was(run: Extraction, plan: Plan, notes: list[str]) -> Extraction:
    """A run that found all of it done."""
    paths = {source.info.path for source in plan.sources}
    run.dropped, run.notes = Counter(run.info.dropped), notes
    run.problems = [problem for problem in run.info.problems if problem.path in paths]
    return run


class _Bill:
    """What a dataset has cost: the runs before this one, and this one so far."""

    def __init__(self, before: dict[str, float]) -> None:
        self._before, self._since = before, sum(os.times()[:4])
        self.spent = Spent()

    def sum_up(self) -> dict[str, float]:
        """CPU seconds by stage, of this process and of workers that have ended."""
        self.spent.seconds.pop(REST, None)
        stages = sum(self.spent.seconds.values())
        self.spent.seconds[REST] = max(0.0, sum(os.times()[:4]) - self._since - stages)
        names = sorted({*self._before, *self.spent.seconds})
        return {name: round(self._before.get(name, 0) + self.spent.seconds.get(name, 0), 2) for name in names}


def _looks(sources: Iterable[Source]) -> list[LookOver]:
    """Longest first, so that no worker is left alone with a long film at the end."""
    return [LookOver(source) for source in sorted(sources, key=lambda source: -source.pictures)]


def _work_off(
    looks: list[LookOver], job: Job, shards: Shards, spent: Spent, run_units: Executor
) -> list[Problem]:
    """Look sources over and extract what there is in them; what failed."""
    failed: list[Problem] = []
    waiting: deque[Unit] = deque(looks)
    whole: set[str] = set()  # films that are done in one piece after all
    seen: dict[str, int] = {}
    with Progress("extract", total=sum(look.pictures for look in looks), unit="frames") as progress:

        def on_frames(unit: Unit, frames: int) -> None:
            new = frames - seen.get(unit.name, 0)
            seen[unit.name] = frames
            progress.advance(new, unit.source.path.name)

        for unit, result, error in run_units(waiting, job, on_frames=on_frames):
            part_of_whole = unit.source.id in whole and isinstance(unit, Segment) and unit.of > 1
            if part_of_whole:
                continue
            if isinstance(error, OneSegmentOnly) and isinstance(unit, Segment):
                whole.add(unit.source.id)
                others = [other for other in waiting if other.source.id != unit.source.id]
                waiting.clear()
                waiting.extend([in_one_piece(unit), *others])
            elif error is not None:
                failed.append(_failed(unit, error, job.root))
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


def _failed(unit: Unit, error: Exception, root: Path) -> Problem:
    """A source's own fault is listed and the run goes on; a dataset that cannot be written to stops it."""
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        why, kept = reason_of(error), "run the same command again: finished films are kept"
        if error.errno in NO_ROOM:
            what = f"{why}: the dataset's disk takes no more"
            raise FramekitError(what, where=error.filename, advice=f"make room and {kept}") from error
        if error.filename and Path(error.filename).absolute().is_relative_to(root.absolute()):
            raise FramekitError(why, where=error.filename, advice=f"see to it and {kept}") from error
    return problem_of(unit.source.path, error)


def _take_stock(run: Extraction, plan: Plan, failed: list[Problem], bill: _Bill) -> Settled:
    """Write decisions, dataset.json and the card from the shards that are there."""
    root, info = run.root, run.info
    _clear(root)  # a worker may have died
    found = collect_shards(root, info)
    now = {source.id for source in plan.sources}
    run.problems = in_order([*failed, *(problem for id_, problem in found.damaged.items() if id_ in now)])
    failed_now = {problem.path for problem in failed}
    known = failed_now | {source.path for source in [*(one.info for one in plan.sources), *info.sources]}
    earlier = [problem for problem in info.problems if problem.path not in known]
    unfinished = [problem for problem in found.unfinished.values() if problem.path not in failed_now]
    info.problems = in_order([*earlier, *failed, *found.damaged.values(), *unfinished])

    info.totals["frames"] = found.decoded
    with locked(root, DATASET_LOCK):
        there = read_info(root)  # it may have been decided or split again meanwhile
        info.split = there.split
        info.options |= {name: there.options[name] for name in Limits.model_fields if name in there.options}
        info.finished = True
        settled = settle(root, info)
        info.spent = bill.sum_up()
        write_info(root, info)
    settled.notes += [f"{problem.path}: {problem.what}" for problem in unfinished]
    return settled


def _notes(found: Found) -> list[str]:
    notes = [
        f"{count} pictures beside the films in {printable(folder)} left out; name their folder to take them"
        for folder, count in found.left_out.items()
    ]
    notes += [f"{printable(folder)} holds neither films nor pictures" for folder in found.empty]
    if found.ignored:
        notes.append(f"{found.ignored} files that are neither film nor picture passed over")
    return notes
