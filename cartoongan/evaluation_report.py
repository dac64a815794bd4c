"""What `cartoongan evaluate` found, as lines for a terminal, as JSON and as a page that opens from disk."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cartoongan.evaluating import PHOTOS, Evaluation, Figures
from cartoongan.judged import ALL
from framekit.errors import CommandError, printable
from framekit.files import write_text
from framekit.pages import render

HTML, JSON = "index.html", "evaluation.json"
FEW = 100
"""Pictures below which a figure of a group says little, and FID next to nothing."""
BUDGET = 12_000_000
"""Bytes that the pictures of a page may take; what would be more is left out, and said."""
NAME_WIDTH = 28


@dataclass(frozen=True)
class Column:
    """A figure as it is shown.

    Attributes:
        name: Of the field in `Figures`.
        title: Short.
        meaning: One sentence, with what is good.
        digits: Behind the point.
    """

    name: str
    title: str
    meaning: str
    digits: int = 2

    def of(self, figures: Figures) -> str:
        """The figure in words."""
        return self.shown(getattr(figures, self.name))

    def shown(self, value: float | None) -> str:
        """A value in words."""
        return "–" if value is None else f"{value:z.{self.digits}f}"


COLUMNS = (
    Column("content", "content", "how far from the photo, in features; 0 the photo itself, 1 another photo"),
    Column("style", "style", "how far from the cartoons, in features' statistics; 1 as far as the photos"),
    Column("fid", "FID", "Fréchet distance to the cartoons; less is nearer", 1),
    Column("kid", "KID", "kernel distance to the cartoons; less is nearer, 0 is no difference", 3),
    Column("clarity", "clarity", "gradient at lines over the cartoons' own; 1 as clear as theirs"),
    Column("noise", "noise", "deviation in flat areas, levels; 0 is clean", 2),
    Column("colour_shift", "colours ΔE", "how far mean colours move from the photo's; 2 can just be seen", 1),
    Column("checkerboard", "checker dB", "power at the stride over that beside it, decibels; 0 is none", 1),
)


def check_out(out: Path) -> None:
    """Refuse a folder that cannot take the report.

    Raises:
        CommandError: It is a file, or holds something else.
    """
    if out.exists() and not out.is_dir():
        raise CommandError("is a file", where=out, advice="name a folder for the report")
    if out.is_dir() and any(out.iterdir()) and not (out / JSON).is_file():
        advice = "name a new folder for the report"
        raise CommandError("holds something else than an evaluation", where=out, advice=advice)


def write(found: Evaluation, out: Path) -> Path:
    """Write evaluation.json and index.html into folder `out`; gives the page's path."""
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / JSON, json.dumps(found.as_json(), indent=2, sort_keys=True, allow_nan=False) + "\n")
    write_text(out / HTML, page(found))
    return out / HTML


def about(found: Evaluation) -> list[str]:
    """What was looked at, and by what, a sentence each."""
    lines = []
    for name, its in (("photos", found.photos), ("cartoons", found.cartoons)):
        side = "of the test side" if its["side"] == "test" else "of all (the dataset is not split)"
        lines.append(
            f"{its['pictures']:,} {name}: crops from {its['frames']:,} pictures, {side} in {its['dataset']}"
        )
    lines.append(f"Features: {found.features['network']}. FID and KID are not those of Inception.")
    if min(found.photos["pictures"], found.cartoons["pictures"]) < 2 * 512:
        lines.append(
            "FID has a bias that shrinks as pictures grow in number: compare figures of equal numbers only."
        )
    gradient = found.of_cartoons["gradient"]
    if gradient is not None:
        lines.append(f"Lines of the cartoons: a gradient of {gradient:.1f} levels a pixel, clarity 1.")
    lines.append(f"Groups of photos: by {found.grouped_by}.")
    return lines


def lines(found: Evaluation) -> Iterator[str]:
    """Tables for a terminal, one for each group."""
    yield from about(found)
    head = "".join(f"{column.title:>11}" for column in COLUMNS)
    for group in found.runs[0].groups:
        count = found.runs[0].groups[group].pictures
        yield ""
        yield f"{_short(group, 12)}, {count:,} photos".ljust(NAME_WIDTH) + head
        for run in found.runs:
            figures = "".join(f"{column.of(run.groups[group]):>11}" for column in COLUMNS)
            yield _short(run.name).ljust(NAME_WIDTH) + figures
        if group == ALL:
            own = "".join(f"{_of_cartoons(found, column):>11}" for column in COLUMNS)
            yield "cartoons themselves".ljust(NAME_WIDTH) + own
        if count < FEW:
            yield f"(fewer than {FEW} crops: FID tells next to nothing here, and differences may be chance)"


def page(found: Evaluation) -> str:
    """One HTML file that needs no other, light or dark as its reader likes it."""
    pictures, left_out = _pictures(found)
    return render(
        "cartoongan",
        "evaluation.html",
        found=found,
        about=about(found),
        columns=COLUMNS,
        groups=list(found.runs[0].groups),
        all=ALL,
        few=FEW,
        photos=PHOTOS,
        names=[run.name for run in found.runs[1:]],
        own=[_of_cartoons(found, column) for column in COLUMNS],
        pictures=pictures,
        left_out=left_out,
    )


def _of_cartoons(found: Evaluation, column: Column) -> str:
    own = {**found.of_cartoons, "clarity": 1.0 if found.of_cartoons["gradient"] else None}
    return column.shown(own.get(column.name))


def _pictures(found: Evaluation) -> tuple[dict[str, list[dict[str, Any]]], int]:
    """Rows of pictures by group, and how many had no room."""
    rows: dict[str, list[dict[str, Any]]] = {}
    spent = left_out = 0
    for shown in found.shown:
        size = sum(map(len, (shown.photo, *shown.cartoons))) * 4 // 3
        if spent + size > BUDGET:
            left_out += 1
            continue
        spent += size
        made = zip(map(_uri, shown.cartoons), shown.scores, strict=True)
        row = {"place": shown.place, "id": shown.name, "photo": _uri(shown.photo), "made": list(made)}
        rows.setdefault(shown.group, []).append(row)
    return rows, left_out


def _uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _short(name: str, width: int = NAME_WIDTH) -> str:
    name = printable(name)
    return name if len(name) < width else "…" + name[-(width - 2) :]
