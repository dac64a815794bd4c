"""The report as one HTML page that opens from disk: no network, no script but its own, all names escaped."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from pathlib import PurePath
from typing import Any

from framekit import __version__
from framekit.audit import commands
from framekit.audit.answers import number, percent
from framekit.audit.sections import beside, colours, content, left_out, pairs, quality, sources
from framekit.audit.sheet import Sheet
from framekit.errors import printable
from framekit.terminal.progress import Progress, clock

SECTIONS = (
    sources.sources,
    left_out.left_out,
    left_out.duplicates,
    quality.quality,
    content.content,
    colours.colours,
    pairs.pairs,
    pairs.resizing,
    beside.split,
    beside.others,
)
TITLES = {
    "verdict": "Verdict",
    "sources": "Sources",
    "left-out": "Left out",
    "duplicates": "Near-duplicates",
    "quality": "Quality",
    "content": "Content",
    "colours": "Colours",
    "pairs": "Pairs",
    "resizing": "Resizing",
    "split": "Train and test",
    "photos": "Photos",
    "against": "Against",
}
"""Sections by the names of their templates and places on the page."""


def render(sheet: Sheet) -> str:
    """The page of a report; fills the sheet's plots."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Names of films and stills, reasons and paths come from strangers: everything is escaped.
    environment = Environment(
        loader=PackageLoader("framekit.audit"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        "n": lambda count: f"{count:,}",
        "number": number,
        "percent": percent,
        "clock": clock,
        "span": lambda seconds: f"{seconds} s" if seconds < 60 else f"{seconds // 60} min",
        "option": _option,
    }
    values = _frame(sheet)
    with Progress("report", total=len(SECTIONS), unit="sections") as progress:
        for section in SECTIONS:
            values |= section(sheet)
            progress.advance()
    return environment.get_template("index.html").render(values | _pictures(sheet))


def _frame(sheet: Sheet) -> dict[str, Any]:
    """What stands around the sections, and in more than one."""
    figures, rows = sheet.audit.figures, sheet.rows
    absent = {name for name in ("photos", "against") if getattr(figures, name) is None}
    if not rows.films and figures.leaks is None:
        absent.add("split")
    style, script = (_template(name) for name in ("report.css", "report.js"))
    return {
        "figures": figures,
        "counts": figures.counts,
        "version": __version__,
        "name": printable(PurePath(str(rows.root)).name or rows.root),
        "minutes": sum(source.seconds or 0 for source in figures.sources) / 60,
        "titles": {name: title for name, title in TITLES.items() if name not in absent},
        "smooth": rows.manifest.has_smoothed,
        "split_command": f"framekit split {commands.place(rows)} --by scene",
        "review_command": f"framekit review {commands.place(rows)} --open",
        "style": style,
        "script": script,
        "style_hash": _csp_hash(style),
        "script_hash": _csp_hash(script),
    }


def _pictures(sheet: Sheet) -> dict[str, int]:
    """How many pictures are missing on the page."""
    all_of_them = [sheet.pictures, *(pictures for _, pictures in sheet.audit.others.values())]
    return {what: sum(getattr(pictures, what) for pictures in all_of_them) for what in ("unread", "over")}


def _option(value: Any) -> str:
    """The value of an option in words."""
    if value is None or value in ([], ()):
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _template(name: str) -> str:
    return (resources.files("framekit.audit") / "templates" / name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
