"""An audit from start to end: a dataset is read, measured, held against rules, and its report written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from framekit import __version__
from framekit.audit import measures, sameness
from framekit.audit.advice import Advice, Check, Known, Verdict, advise, checks, verdict
from framekit.audit.answers import Answer, Figure, answer, named_figures
from framekit.audit.comparison import Comparison, compare
from framekit.audit.measures import Balance, Counts, Distribution, Share, Shots, SourceFigures
from framekit.audit.palette import Palette, palettes
from framekit.audit.pictures import Pictures
from framekit.audit.resizing import Cost, Resizing, resizing
from framekit.audit.rows import Rows, read_rows
from framekit.audit.rules import DatasetRule
from framekit.audit.sameness import Common, NearDuplicates
from framekit.errors import CommandError, printable
from framekit.terminal.progress import Progress

SCHEMA = 1
"""Version of what `audit.json` holds; docs/audit.md tells it."""
STEPS = ("frames and pairs", "other datasets", "near-duplicates", "what resizing costs", "colours")


@dataclass(frozen=True)
class Figures:
    """All that an audit found. `audit.json` holds it, with the counts at its top.

    Attributes:
        dataset: Its folder.
        digest: Changes when a shard, an option or a decision does.
        finished: Whether the extraction ran to its end; if not there is more than is counted here.
        named: What rules may ask for, by name.
        leaks: Test frames that are near-duplicates of train frames; None where the dataset is not split.
        photos, against: Other datasets beside this one, where they were named.
        rules: Answers to the rules that were given.
        problems: One line for each source that failed in whole or in part.
        damaged: One line for each thing that cannot be read and so is not counted.
        notes: One line for each thing that else was not as it should be.
    """

    dataset: str
    digest: str
    finished: bool
    counts: Counts
    measures: dict[str, Distribution]
    crop_measures: dict[str, Distribution]
    balance: Balance
    sources: list[SourceFigures]
    shots: Shots | None
    named: dict[str, Figure]
    near_duplicates: NearDuplicates
    palettes: list[Palette]
    resizing: Resizing | None
    leaks: Common | None
    photos: Comparison | None
    against: Comparison | None
    verdict: Verdict
    advice: list[Advice]
    checks: list[Check]
    rules: list[Answer]
    problems: list[str]
    damaged: list[str]
    notes: list[str]

    @property
    def failed(self) -> list[Answer]:
        """The rules that hold."""
        return [rule for rule in self.rules if rule.holds]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        values: dict[str, Any] = plain(self)
        return {"schema": SCHEMA, "framekit": __version__, **values.pop("counts"), **values}


@dataclass(frozen=True)
class Audit:
    """An audited dataset: its figures, and the rows and pictures that a report shows."""

    figures: Figures
    rows: Rows
    pictures: Pictures
    others: dict[str, tuple[Rows, Pictures]]


def audit(
    root: str | Path,
    *,
    rules: Sequence[DatasetRule] = (),
    photos: str | Path | None = None,
    against: str | Path | None = None,
) -> Audit:
    """Audit the dataset in folder `root`.

    Args:
        root: The dataset's folder.
        rules: Are answered.
        photos: The dataset of photos that it is trained with: is something in both?
        against: Another dataset, or an earlier state of this one, to compare with.

    Raises:
        CommandError: A rule asks about photos, and there are none.
        FramekitError: A dataset is not there, or its papers or decisions cannot be read.
    """
    if photos is None and (asked := [rule.text for rule in rules if rule.name == "overlap"]):
        raise CommandError("compares with photos", where=asked[0], advice="name their dataset by --photos")
    with Progress("audit", total=len(STEPS), unit="steps") as progress:
        steps = _steps(progress)
        next(steps)
        rows = read_rows(root)
        spent = [0]
        pictures = Pictures(rows, spent)
        next(steps)
        named = {name: read_rows(path) for name, path in (("photos", photos), ("against", against)) if path}
        compared = {name: compare(rows, its) for name, its in named.items()}
        next(steps)
        near = sameness.find_near_duplicates(rows)
        leaks = sameness.find_leaks(rows)
        next(steps)
        cost = resizing(rows, rows.notes)
        next(steps)
        found = _Found(near, leaks, cost, palettes(rows, pictures), compared)
        progress.advance()
    figures = _figures(rows.manifest.root, rows, found, rules, named)
    return Audit(figures, rows, pictures, {name: (its, Pictures(its, spent)) for name, its in named.items()})


def _steps(progress: Progress) -> Iterator[None]:
    """Say which step begins; the one before it is done."""
    for number, name in enumerate(STEPS):
        progress.advance(min(number, 1), name)
        yield


class _Found(NamedTuple):
    """What takes long to find."""

    near: NearDuplicates
    leaks: Common | None
    resizing: Resizing | None
    palettes: list[Palette]
    compared: dict[str, Comparison]


def _figures(
    root: Path, rows: Rows, found: _Found, rules: Sequence[DatasetRule], others: Mapping[str, Rows]
) -> Figures:
    """What follows from rows and from what was found."""
    info = rows.manifest.info
    counts, sources = measures.count(rows), measures.source_figures(rows)
    of_frames = measures.distributions(rows.frames.measures, rows.frames.kept)
    of_crops = measures.distributions(rows.crops.measures, np.ones(len(rows.crops), bool))
    medians = {name: its.median for name, its in of_frames.items()}
    medians |= {f"crop.{name}": its.median for name, its in of_crops.items()}
    photos = others.get("photos")
    # What cannot be read may be what both have.
    overlap = None if photos is None or photos.damaged else found.compared["photos"].common
    named = named_figures(rows, counts, sources, found.near, leaks=found.leaks, overlap=overlap)
    known = Known(
        rows=rows,
        counts=counts,
        sources=sources,
        balance=measures.balance(sources),
        named=named,
        leaks=found.leaks,
        overlap=overlap,
        photos=photos,
        problems=[printable(f"{problem.path}: {problem.what}") for problem in info.problems],
    )
    checked = checks(known, medians)
    return Figures(
        dataset=str(root),
        digest=rows.manifest.digest,
        finished=info.finished,
        counts=counts,
        measures=of_frames,
        crop_measures=of_crops,
        balance=known.balance,
        sources=sources,
        shots=measures.shots(rows),
        named=named,
        near_duplicates=found.near,
        palettes=found.palettes,
        resizing=found.resizing,
        leaks=found.leaks,
        photos=found.compared.get("photos"),
        against=found.compared.get("against"),
        verdict=verdict(known, checked),
        advice=advise(known, checked),
        checks=checked,
        rules=[answer(rule, rows, named, medians) for rule in rules],
        problems=known.problems,
        damaged=[
            *(printable(line) for line in rows.damaged),
            *(printable(f"{name}: {line}") for name, its in others.items() for line in its.damaged),
        ],
        notes=[printable(line) for line in rows.notes],
    )


def plain(value: object) -> Any:
    """Plain JSON values of dataclasses and what is in them; shares and costs with what follows from them."""
    if is_dataclass(value) and not isinstance(value, type):
        values = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        if isinstance(value, Share):
            values["share"] = measures.rounded(value.share)
        if isinstance(value, Cost):
            values["left"] = measures.rounded(value.left)
        return values
    if isinstance(value, dict):
        return {str(name): plain(its) for name, its in value.items()}
    if isinstance(value, list | tuple):
        return [plain(its) for its in value]
    return value
