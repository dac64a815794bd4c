"""An audit from start to end: a dataset is read, measured, held against rules, and its report written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

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
from framekit.errors import printable
from framekit.terminal.progress import Progress

SCHEMA = 1
"""Version of what `audit.json` holds; docs/audit.md tells it."""
STEPS = ("frames and pairs", "other datasets", "near-duplicates", "leaks", "what resizing costs", "colours")


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
        notes: One line for each thing that was not as it should be.
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
    root: Path,
    *,
    rules: Sequence[DatasetRule] = (),
    photos: Path | None = None,
    against: Path | None = None,
) -> Audit:
    """Audit the dataset in folder `root`.

    Args:
        root: The dataset's folder.
        rules: Are answered.
        photos: The dataset of photos that it is trained with: is something in both?
        against: Another dataset, or an earlier state of this one, to compare with.

    Raises:
        FramekitError: A dataset is not there, or its papers or decisions cannot be read.
    """
    with Progress("audit", total=len(STEPS), unit="steps") as progress:
        done: Callable[[], None] = lambda: progress.advance(1, _note(progress))  # noqa: E731
        progress.advance(0, STEPS[0])
        rows = read_rows(root)
        spent = [0]
        pictures = Pictures(rows, spent)
        done()
        others = {
            name: (its, Pictures(its, spent))
            for name, path in (("photos", photos), ("against", against))
            if path is not None
            for its in [read_rows(path)]
        }
        compared = {name: compare(rows, its) for name, (its, _) in others.items()}
        done()
        near = sameness.find_near_duplicates(rows)
        done()
        leaks = sameness.find_leaks(rows)
        done()
        cost = resizing(rows, rows.notes)
        done()
        colours = palettes(rows, pictures)
        done()
    overlap = compared["photos"].common if "photos" in compared else None
    counts, sources = measures.count(rows), measures.source_figures(rows)
    crops_in = measures.np.ones(len(rows.crops), bool)
    of_frames = measures.distributions(rows.frames.measures, rows.frames.kept)
    of_crops = measures.distributions(rows.crops.measures, crops_in)
    medians = {name: its.quantiles[3] for name, its in of_frames.items()}
    medians |= {f"crop.{name}": its.quantiles[3] for name, its in of_crops.items()}
    named = named_figures(rows, counts, sources, near, leaks=leaks, overlap=overlap)
    problems = [printable(f"{problem.path}: {problem.what}") for problem in rows.manifest.info.problems]
    known = Known(
        rows=rows,
        counts=counts,
        sources=sources,
        balance=measures.balance(sources),
        named=named,
        leaks=leaks,
        overlap=overlap,
        photos=others["photos"][0] if "photos" in others else None,
        problems=problems,
    )
    found = checks(known, medians)
    figures = Figures(
        dataset=str(root),
        digest=rows.manifest.digest,
        finished=rows.manifest.info.finished,
        counts=counts,
        measures=of_frames,
        crop_measures=of_crops,
        balance=known.balance,
        sources=sources,
        shots=measures.shots(rows),
        named=named,
        near_duplicates=near,
        palettes=colours,
        resizing=cost,
        leaks=leaks,
        photos=compared.get("photos"),
        against=compared.get("against"),
        verdict=verdict(known, found),
        advice=advise(known, found),
        checks=found,
        rules=[answer(rule, rows, named, medians) for rule in rules],
        problems=problems,
        notes=rows.notes,
    )
    return Audit(figures, rows, pictures, others)


def _note(progress: Progress) -> str:
    step = int(progress.done) + 1
    return STEPS[step] if step < len(STEPS) else ""


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
