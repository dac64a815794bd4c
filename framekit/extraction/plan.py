"""The plan of a run: which sources there are, and the segments that they are worked in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from framekit.errors import FramekitError, printable, reason_of
from framekit.files import fingerprint_of
from framekit.manifest.schema import Problem, SourceInfo
from framekit.options import ExtractOptions
from framekit.sources.decoding import Look, sampler_of
from framekit.sources.film import FilmFacts, read_facts
from framekit.sources.finding import Found
from framekit.sources.survey import Survey, pictures_to_expect, survey

STILLS_PER_SEGMENT = 1_000
FRAMES_PER_SEGMENT = 4_000
"""Of a film, about: some three minutes, so that two hours spread over many workers."""


@dataclass(frozen=True)
class Source:
    """A film or an image folder.

    Attributes:
        id: Name and 8 digits of the fingerprint: two films of one name never collide.
        names: Pictures inside an image folder, sorted; empty for a film.
        pictures: Stated number of pictures, for progress; 0 when unknown.
    """

    id: str
    path: Path
    kind: Literal["film", "stills"]
    fingerprint: str
    facts: dict[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    @property
    def pictures(self) -> int:
        """Stated number of pictures, for progress; 0 when unknown."""
        return len(self.names) or int(self.facts.get("stated_frames", 0))

    def look_over(self, options: ExtractOptions) -> dict[str, Any]:
        """What a look over a film finds, and `samples`: how many of its frames `options` would take.

        Raises:
            FramekitError: It cannot be read.
        """
        facts = FilmFacts.from_json(self.facts)
        found = survey(self.path, facts, letterbox=options.letterbox)
        return found.as_json() | {"samples": pictures_to_expect(found, facts, options.sampling())}

    @property
    def info(self) -> SourceInfo:
        """What dataset.json keeps of it."""
        return SourceInfo(
            id=self.id,
            path=printable(self.path),
            kind=self.kind,
            fingerprint=self.fingerprint,
            facts=self.facts,
        )


@dataclass(frozen=True)
class LookOver:
    """A source that is to be cut into segments; a film is looked over for that.

    Attributes:
        wanted: Frames that are wanted back of a source that is done; none for one that is not.
        later: Number of the shard that they are cut into.
        in_one_piece: It was decoded from start to end, whatever its packets promise.
    """

    source: Source
    wanted: tuple[int, ...] = ()
    later: int = 0
    in_one_piece: bool = False

    @property
    def name(self) -> str:
        """Its own among all units of work."""
        return f"look-over-{self.source.id}"

    @property
    def pictures(self) -> int:
        """Stated number of pictures."""
        return self.source.pictures


@dataclass(frozen=True)
class Segment:
    """The unit of work, of parallelism and of resume: a part of a source that becomes one shard.

    Segments follow from the source and the options alone, never from the number of workers.

    Attributes:
        index, of: Its place among the segments of its source.
        start, stop: Its pictures; `stop` is None for a film that is decoded to its end, whatever there is.
        found: By the look over a film; None for stills.
        numbers: Frames to take; None where only decoding tells.
        later: Number of the shard of pairs that frames wanted back later become; 0 for a part of a source.
    """

    source: Source
    index: int
    of: int
    start: int = 0
    stop: int | None = None
    found: Survey | None = field(default=None, repr=False)
    numbers: tuple[int, ...] | None = field(default=None, repr=False)
    later: int = 0

    @property
    def name(self) -> str:
        """Its shards' file name, without suffix."""
        if self.later:
            return f"{self.source.id}-later-{self.later:05d}"
        return f"{self.source.id}-{self.index:05d}-of-{self.of:05d}"

    @property
    def pictures(self) -> int:
        """Stated number of pictures, for progress."""
        return self.source.pictures if self.stop is None else self.stop - self.start


Unit = LookOver | Segment
"""What a worker is given to do."""


@dataclass
class Plan:
    """Sources in the order of their ids, what could not be used, and what was given twice."""

    sources: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)


def make_plan(
    found: Found,
    *,
    known: Iterable[SourceInfo] = (),
    is_done: Callable[[str], bool] = lambda _: False,
    on_source: Callable[[Path], None] = lambda _: None,
) -> Plan:
    """Read the facts of every source; unreadable ones become problems, copies of a film are taken once.

    Args:
        found: Films and image folders.
        known: Sources of the dataset: their ids stay.
        is_done: Says of a source that is known, by its id, that nothing has to be read of it any more.
        on_source: Called with each path before it is read.
    """
    plan = Plan(problems=[problem_of(path, error) for path, error in found.closed])
    by_content = {source.fingerprint: source for source in known}
    done = {content: source for content, source in by_content.items() if is_done(source.id)}
    copies: dict[str, list[Source]] = {}
    makers: list[tuple[Path, Callable[[], Source]]] = []
    makers += [(path, partial(film_source, path, done)) for path in found.films]
    makers += [(root, partial(stills_source, root, names)) for root, names in found.stills.items()]
    for path, make in makers:
        on_source(path)
        try:
            source = make()
        except (FramekitError, OSError) as error:
            plan.problems.append(problem_of(path, error))
            continue
        copies.setdefault(source.fingerprint, []).append(source)
    for same in copies.values():
        first, *others = sorted(same, key=lambda source: (source.id, source.path))
        plan.sources.append(first)
        plan.copies += [f"{printable(o.path)} has the content of {printable(first.path)}" for o in others]
    ids = {content: source.id for content, source in by_content.items()}
    plan.sources = [replace(source, id=ids.get(source.fingerprint, source.id)) for source in plan.sources]
    plan.sources.sort(key=lambda source: source.id)
    return plan


def problem_of(path: Path, error: BaseException) -> Problem:
    """A source that failed, in one line."""
    if isinstance(error, FramekitError):
        what = str(FramekitError(error.what, advice=error.advice))
    elif isinstance(error, OSError):
        what = printable(reason_of(error))
    else:
        what = printable(error) or type(error).__name__
    return Problem(path=printable(path), what=what)


def film_source(path: Path, done: Mapping[str, SourceInfo]) -> Source:
    """A film as a source; where its content is done, by its fingerprint, it is not opened.

    Raises:
        FramekitError: It cannot be used.
    """
    fingerprint = fingerprint_of(path)
    before = done.get(fingerprint)
    facts = before.facts if before else read_facts(path).as_json()
    return Source(_id(path.stem, fingerprint), path, "film", fingerprint, facts)


def stills_source(root: Path, names: list[str]) -> Source:
    """The pictures `names` of a folder as a source; its fingerprint covers their names and content."""
    digest = hashlib.blake2b(digest_size=16)
    for name in names:
        try:
            content = fingerprint_of(root / name)
        except OSError:
            content = "unreadable"  # said when its turn comes; the others are still pictures
        digest.update(f"{printable(name)}\0{content}\0".encode())
    fingerprint = digest.hexdigest()
    return Source(_id(root.resolve().name, fingerprint), root, "stills", fingerprint, {}, tuple(names))


def cut_up(unit: LookOver, options: ExtractOptions, *, on_frames: Callable[[int], None]) -> list[Segment]:
    """The segments that a unit leads to; see `segments_of`."""
    source = unit.source
    if not unit.later:
        return segments_of(source, options, on_frames=on_frames)
    if source.kind == "stills":
        return [Segment(source, 0, 1, numbers=unit.wanted, later=unit.later)]
    facts = FilmFacts.from_json(source.facts)
    found = survey(source.path, facts, letterbox=options.letterbox, on_frames=on_frames)
    if unit.in_one_piece:
        found = replace(found, timeline=None)
    stop = found.timeline.frames if found.timeline else None
    return [Segment(source, 0, 1, stop=stop, found=found, numbers=unit.wanted, later=unit.later)]


def segments_of(
    source: Source, options: ExtractOptions, *, on_frames: Callable[[int], None] = lambda _: None
) -> list[Segment]:
    """The segments of a source.

    A film whose packets tell what a frame needs decoded is cut at keyframes; any other is one segment. A
    part of a film of which nothing is taken is none.

    Args:
        source: A film is looked over.
        options: What is taken of it.
        on_frames: Told 0 now and then, as a sign of life.

    Raises:
        FramekitError: A film cannot be read, or nothing of it is taken.
    """
    if source.kind == "stills":
        starts = range(0, len(source.names), STILLS_PER_SEGMENT)
        ends = [(start, min(start + STILLS_PER_SEGMENT, len(source.names))) for start in starts]
        return [Segment(source, i, len(ends), *each) for i, each in enumerate(ends)]
    facts = FilmFacts.from_json(source.facts)
    found = survey(source.path, facts, letterbox=options.letterbox, on_frames=on_frames)
    if found.timeline is None or options.inverse_telecine:
        return [Segment(source, 0, 1, found=found)]
    sampling = options.sampling()
    takes = sampler_of(source.path, sampling, found.timeline, look_of(options, found), on_frames=on_frames)
    numbers = [time.number for time in found.timeline.times() if takes(time)]
    if not numbers:
        what = f"none of its {found.timeline.frames:,} frames is taken"
        raise FramekitError(what, where=source.path, advice="see --skip and the rest")
    spans = found.timeline.spans(FRAMES_PER_SEGMENT)
    parts = [(span, tuple(numbers[slice(*np.searchsorted(numbers, span))])) for span in spans]
    parts = [(span, taken) for span, taken in parts if taken]
    return [
        Segment(source, index, len(parts), *span, found=found, numbers=taken)
        for index, (span, taken) in enumerate(parts)
    ]


def in_one_piece(segment: Segment) -> Segment:
    """All of the film that `segment` is a part of, to be decoded from start to end."""
    assert segment.found is not None
    # Always the same words: which of its parts showed it first depends on the workers.
    why = "what comes of its packets is not what they promise"
    return Segment(segment.source, 0, 1, found=replace(segment.found, timeline=None, why=why))


def look_of(options: ExtractOptions, found: Survey) -> Look:
    """How frames of a film become pictures."""
    return Look(options.deinterlace, options.inverse_telecine, found.box)


def _id(name: str, fingerprint: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    return f"{plain or 'source'}-{fingerprint[:8]}"
