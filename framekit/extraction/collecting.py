"""What lies in a dataset's folder after work on it: shards, facts of films, damage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from framekit.extraction.shards import Shards, footer_of, shard_paths
from framekit.images.overlay import agreed
from framekit.manifest.schema import DatasetInfo, Problem, sound_facts

CUT_SHORT = 0.8
"""Share of the frames that a header states below which a film seems to be cut short; headers are rough."""


@dataclass
class Collected:
    """What the shards that are there tell.

    Attributes:
        decoded: Pictures that were decoded.
        damaged: A problem for each source that is damaged, by its id.
        unfinished: The same for each of which only a part is done, by runs that were stopped.
    """

    decoded: int = 0
    damaged: dict[str, Problem] = field(default_factory=dict)
    unfinished: dict[str, Problem] = field(default_factory=dict)


def collect_shards(root: Path, info: DatasetInfo) -> Collected:
    """List the shards that are there in `info`, and drop sources that gave none."""
    found, done = Collected(), []
    for path in Shards(root, info.shards).superseded():
        path.unlink(missing_ok=True)
    shards, info.shards = Shards(root, info.shards), []
    for source in info.sources:
        footers = [footer_of(shard_paths(root, name)[0]) for name in shards.of(source.id)]
        info.shards += shards.infos(source.id) if footers else []
        for facts in footers:
            found.decoded += facts.get("decoded", 0)
            source.facts |= sound_facts(facts.get("film", {}))
        overlays = [facts["overlay"] for facts in footers if facts.get("overlay")]
        if overlays:
            source.facts["overlay"] = agreed((part["box"], part["shots"]) for part in overlays)
        count = sum(facts.get("damaged", 0) for facts in footers)
        if count:
            places = "place" if count == 1 else "places"
            lines = "; ".join([line for facts in footers for line in facts.get("damage", ())][:3])
            found.damaged[source.id] = Problem(path=source.path, what=f"damaged in {count} {places}: {lines}")
        missing, of = shards.missing(source.id)
        if missing:
            what = f"{missing} of its {of} segments are not done: name it again to go on"
            found.unfinished[source.id] = Problem(path=source.path, what=what)
        if footers:
            done.append(source)
    info.sources = done
    return found


def notes_on_films(info: DatasetInfo, ids: set[str], hwaccel: str | None) -> list[str]:
    """What is worth knowing of the films `ids`: telecine, a film cut short, a device that was not had."""
    films = [source for source in info.sources if source.id in ids and source.kind == "film"]
    notes = []
    for source in films:
        telecine = source.facts.get("telecine")
        if telecine and not info.options.get("inverse_telecine"):
            how = {"fields": "3:2 pulldown", "frames": "every fifth picture a repeat"}.get(telecine, telecine)
            spread = f"{source.path} is film at 24 frames a second spread over 30 ({how})"
            notes.append(f"{spread}; --inverse-telecine takes it back")
    for source in films:
        stated, there = source.facts.get("stated_frames", 0), source.facts.get("frames") or 0
        if there < CUT_SHORT * stated and not info.options.get("inverse_telecine"):
            short = f"{source.path} holds {there:,} frames where its header states about {stated:,}"
            notes.append(f"{short}: it seems to be cut short")
    in_software = [
        source.path for source in films if hwaccel and hwaccel not in source.facts.get("decoder", "")
    ]
    if in_software:
        notes.append(f"{hwaccel} could not be had; decoded in software: {', '.join(in_software)}")
    return notes


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Each problem once, by path."""
    once = {(problem.path, problem.what): problem for problem in problems}
    return [once[key] for key in sorted(once)]
