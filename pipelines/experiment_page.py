"""What came of an experiment: arms side by side, means over seeds, as lines and as a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import framekit.manifest
from cartoongan.evaluation_report import COLUMNS, Column
from framekit.files import write_text
from framekit.images.encoding import encode
from framekit.pages import render
from pipelines.gallery import data_uri, spread
from pipelines.recipe import Experiment

SHOWN_PAIRS = 8
WIDTH = 14
"""Characters of a figure on the terminal."""


@dataclass(frozen=True)
class Row:
    """One arm's figures in a table.

    Attributes:
        name: Of the arm, or of what stands beside the arms.
        figures: In words, one for each of `COLUMNS`.
    """

    name: str
    figures: list[str]


@dataclass(frozen=True)
class Table:
    """A group of photos, held against the cartoons of one arm.

    Attributes:
        group: `all` or the name of a group.
        against: The arm whose held-out cartoons are meant.
        gradient: At the lines of these cartoons, in levels a pixel; None where they have none.
        photos: Crops of photos.
    """

    group: str
    against: str
    gradient: float | None
    photos: int
    rows: list[Row]


def tables(experiment: Experiment, root: Path) -> list[Table]:
    """All tables, `all` first, from the evaluation.json of each reference."""
    made = []
    for against in experiment.references:
        path = root / "evaluation" / against / "evaluation.json"
        found = json.loads(path.read_text(encoding="utf-8"))
        runs = {run["name"]: run["groups"] for run in found["runs"]}
        beside, gradient = next(iter(runs)), found["of_cartoons"]["gradient"]
        for group, figures in runs[beside].items():
            rows = [Row(beside, [column.shown(figures[column.name]) for column in COLUMNS])]
            for arm in experiment.arms:
                seeds = [runs[f"{arm}-{seed}"][group] for seed in experiment.seeds]
                rows.append(Row(arm, [_over_seeds(column, seeds) for column in COLUMNS]))
            made.append(Table(group, against, gradient, figures["pictures"], rows))
    return sorted(made, key=lambda table: (table.group != "all", table.group))


def lines(experiment: Experiment, root: Path) -> Iterator[str]:
    """Tables for a terminal."""
    head = "".join(f"{column.title:>{WIDTH}}" for column in COLUMNS)
    for table in tables(experiment, root):
        yield ""
        lines_of = "" if table.gradient is None else f", their lines {table.gradient:.1f} levels a pixel"
        yield f"{table.group}, {table.photos:,} crops of photos; cartoons of arm {table.against}{lines_of}"
        yield " " * 20 + head
        for row in table.rows:
            yield f"{row.name:<20}" + "".join(f"{value.replace(' ', ''):>{WIDTH}}" for value in row.figures)


def write_page(experiment: Experiment, root: Path) -> None:
    """Write index.html into the experiment's folder."""
    page = render(
        "pipelines",
        "experiment.html",
        title=experiment.title,
        seeds=experiment.seeds,
        train=experiment.train,
        tables=tables(experiment, root),
        columns=COLUMNS,
        references=experiment.references,
        arms=[_arm(experiment, root, arm) for arm in experiment.arms],
    )
    write_text(root / "index.html", page)


def _over_seeds(column: Column, seeds: list[dict[str, Any]]) -> str:
    """Mean and standard deviation; of one seed its value."""
    values = [its[column.name] for its in seeds]
    if any(value is None for value in values):
        return column.shown(None)
    if len(values) == 1:
        return column.shown(values[0])
    return f"{column.shown(mean(values))} ± {column.shown(stdev(values))}"


def _arm(experiment: Experiment, root: Path, arm: str) -> dict[str, Any]:
    """What an arm was trained on, with some pictures."""
    manifest = framekit.manifest.open(root / f"cartoons-{arm}").train
    reader = manifest.reader(smoothed=False)
    # Evenly spread, and one on each time: else all would be first crops of their frames, of one size.
    positions = [
        min(position + number, len(reader) - 1)
        for number, position in enumerate(spread(list(range(len(reader))), SHOWN_PAIRS))
    ]
    options = ", ".join(f"{name} = {json.dumps(value)}" for name, value in experiment.arms[arm].items())
    pairs = [reader[position] for position in positions]
    return {
        "name": arm,
        "options": options or "as in [cartoons]",
        "count": len(reader),
        "frames": len(set(manifest.pairs(["frame_id"])["frame_id"].to_pylist())),
        "pictures": [(pair.pair_id, data_uri(encode(pair.image, "jpeg:90"), "jpeg")) for pair in pairs],
    }
