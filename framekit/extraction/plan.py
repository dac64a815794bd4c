"""The plan of a run: which sources there are, and the segments that they are worked in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from framekit.errors import FramekitError, printable
from framekit.files import fingerprint_of
from framekit.manifest.schema import Problem, SourceInfo
from framekit.options import ExtractOptions
from framekit.sources.film import FilmFacts, read_facts
from framekit.sources.finding import Found
from framekit.sources.survey import pictures_to_expect, survey

STILLS_PER_SEGMENT = 1_000


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
        facts = FilmFacts(**self.facts)
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
class Segment:
    """The unit of work, of parallelism and of resume: pictures [start, stop) of a source become one shard.

    Segments follow from the source alone, never from the number of workers. A film is one segment.
    """

    source: Source
    index: int
    start: int
    stop: int | None

    @property
    def name(self) -> str:
        """Its shards' file name, without suffix."""
        return f"{self.source.id}-{self.index:04d}"

    @property
    def pictures(self) -> int:
        """Stated number of pictures, for progress."""
        return self.source.pictures if self.stop is None else self.stop - self.start


@dataclass
class Plan:
    """Sources in the order of their ids, what could not be used, and what was given twice."""

    sources: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)

    def take_names_of(self, known: Iterable[SourceInfo]) -> None:
        """Give films and folders that a dataset knows by their content the ids that they have there."""
        ids = {source.fingerprint: source.id for source in known}
        self.sources = [replace(source, id=ids.get(source.fingerprint, source.id)) for source in self.sources]
        self.sources.sort(key=lambda source: source.id)

    @property
    def segments(self) -> list[Segment]:
        """All segments, in source order."""
        return [segment for source in self.sources for segment in segments_of(source)]


def make_plan(found: Found, *, on_source: Callable[[Path], None] = lambda _: None) -> Plan:
    """Read the facts of every source; unreadable ones become problems, copies of a film are taken once."""
    plan = Plan()
    copies: dict[str, list[Source]] = {}
    makers: list[tuple[Path, Callable[[], Source]]] = []
    makers += [(path, partial(film_source, path)) for path in found.films]
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
    plan.sources.sort(key=lambda source: source.id)
    return plan


def problem_of(path: Path, error: BaseException) -> Problem:
    """A source that failed, in one line."""
    if isinstance(error, FramekitError):
        what = str(FramekitError(error.what, advice=error.advice))
    else:
        what = printable(error) or type(error).__name__
    return Problem(path=printable(path), what=what)


def film_source(path: Path) -> Source:
    """A film as a source.

    Raises:
        FramekitError: It cannot be used.
    """
    facts = read_facts(path)
    fingerprint = fingerprint_of(path)
    return Source(_id(path.stem, fingerprint), path, "film", fingerprint, facts.as_json())


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


def segments_of(source: Source) -> list[Segment]:
    """The segments of a source."""
    if source.kind == "film":
        return [Segment(source, 0, 0, None)]
    starts = range(0, len(source.names), STILLS_PER_SEGMENT)
    stops = [min(start + STILLS_PER_SEGMENT, len(source.names)) for start in starts]
    return [
        Segment(source, i, start, stop) for i, (start, stop) in enumerate(zip(starts, stops, strict=True))
    ]


def _id(name: str, fingerprint: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    return f"{plain or 'source'}-{fingerprint[:8]}"
