"""A run's curves, from its log: charts, an HTML file of them that opens from disk, and a PNG."""

from __future__ import annotations

import base64
import io
import itertools
import json
from array import array
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from framekit.files import whole_file, write_text
from framekit.pages import render

HTML, PNG = "curves.html", "curves.png"
SMOOTHED_OVER = 0.05
"""Share of a run that a point of a smoothed curve looks back on."""
POINTS = 600
"""At most, of a curve that is drawn."""
GRID_SIDE = 1600
"""Pixels: a larger sample grid is shown smaller in the page."""


@dataclass(frozen=True)
class Curve:
    """A line of a chart.

    Attributes:
        name: What it is of.
        last: Its smoothed value at the end, in three digits.
        points: (N, 2) in the unit square, from the top left; every value, as far as it can be drawn.
        smoothed: (N, 2), the mean of each and of those shortly before.
    """

    name: str
    last: str
    points: np.ndarray
    smoothed: np.ndarray


@dataclass(frozen=True)
class Chart:
    """Curves in one plot.

    Attributes:
        low: What the lower edge stands for.
        high: What the upper edge stands for; a few values may lie beyond.
        last_step: What the right edge stands for; the left one is the first step.
        init_until: Where the init phase ends, in [0, 1].
    """

    title: str
    meaning: str
    curves: tuple[Curve, ...]
    low: str
    high: str
    last_step: int
    init_until: float


@dataclass(frozen=True)
class _Kind:
    title: str
    meaning: str
    part: str  # of a line of the log
    names: tuple[str, ...] = ()  # in that part; all that there are when empty
    alone: bool = False  # each in a chart of its own
    smooth: bool = True


KINDS = (
    _Kind("Content loss", "how far the cartoon's features are from the photo's", "raw", ("content",)),
    _Kind(
        "Generator: adversarial loss",
        "how easily its pictures are told from the film's",
        "raw",
        ("adversarial",),
    ),
    _Kind("Discriminator: film crops", "its error in calling them real", "raw", ("cartoons",)),
    _Kind("Discriminator: smoothed crops", "its error in calling them fake", "raw", ("smoothed",)),
    _Kind("Discriminator: generated pictures", "its error in calling them fake", "raw", ("generated",)),
    _Kind("Loss: {name}", "before its weight", "raw", alone=True),
    _Kind("Discriminator: right answers", "share of patches that it calls what they are", "accuracy"),
    _Kind(
        "Score",
        "1 is a photo, as far from the cartoons (style) or as another photo from itself (content)",
        "score",
    ),
    _Kind("Gradient norms", "before any clipping", "gradient_norm"),
    _Kind("Learning rates", "of both Adams", "learning_rate", smooth=False),
    _Kind("Speed", "photos a second, without grids and checkpoints", "images_per_second"),
    _Kind("Memory", "GB at most until then", "memory_gb", smooth=False),
)
"""What there are charts of, in order, where the log has it."""


class History:
    """What a log tells, value by value: cheap to add to and to draw from, however long it is.

    Args:
        lines: Of the log, as dicts.
    """

    def __init__(self, lines: Iterable[Mapping[str, Any]] = ()) -> None:
        self.last_step = self.last_init_step = 0
        self._series: dict[str, dict[str, tuple[array, array]]] = {}
        for line in lines:
            self.add(line)

    def add(self, line: Mapping[str, Any]) -> None:
        """Take in a line of the log."""
        self.last_step = step = line["step"]
        if line["phase"] == "init":
            self.last_init_step = step
        for part, values in line.items():
            if part not in ("step", "phase", "epoch"):
                named = values if isinstance(values, Mapping) else {part: values}
                series = self._series.setdefault(part, {})
                for name, value in named.items():
                    steps, found = series.setdefault(name, (array("q"), array("d")))
                    if value is not None:  # an infinite one
                        steps.append(step)
                        found.append(value)

    def of(self, part: str) -> dict[str, np.ndarray]:
        """(N, 2) steps and values by name, of a part of the lines."""
        return {
            name: np.stack([np.array(steps, np.float64), np.array(values)], axis=1)
            for name, (steps, values) in self._series.get(part, {}).items()
        }


def read_history(path: Path) -> History:
    """The history in a `log.jsonl`."""
    with path.open(encoding="utf-8") as lines:
        return History(json.loads(line) for line in lines)


def charts(history: History, parts: Container[str] | None = None) -> list[Chart]:
    """Charts of a run's history; of some `parts` of its log's lines only, where they are given."""
    found, shown = [], set()
    for kind in (kind for kind in KINDS if parts is None or kind.part in parts):
        there = history.of(kind.part)
        names = [name for name in kind.names or there if name in there and (kind.part, name) not in shown]
        shown |= {(kind.part, name) for name in names}
        series = {name: there[name] for name in names if len(there[name]) > 1}
        for group in [{name: its} for name, its in series.items()] if kind.alone else filter(None, [series]):
            found.append(_chart(kind, group, history))
    return found


def write_curves(run: Path, history: History, grid: Path | None = None) -> None:
    """Write curves.html and curves.png into the run's folder; `grid` is a sample grid to show in the page."""
    drawn = charts(history)
    write_text(run / HTML, page(drawn, title=run.resolve().name, grid=grid))
    with whole_file(run / PNG) as temporary:
        picture(drawn).save(temporary, format="PNG", optimize=True)


def page(drawn: Sequence[Chart], *, title: str, grid: Path | None = None) -> str:
    """One HTML file that needs no other, light or dark as its reader likes it."""
    shown = None if grid is None else {"name": grid.stem, "picture": _data_uri(grid)}
    steps = max((chart.last_step for chart in drawn), default=0)
    return render(
        "cartoongan", "curves.html", title=title, charts=drawn, polyline=polyline, steps=steps, grid=shown
    )


def polyline(points: np.ndarray, width: float, height: float) -> str:
    """`points` of an SVG polyline in a plot of that size."""
    return " ".join(f"{x * width:.1f},{y * height:.1f}" for x, y in points)


def picture(drawn: Sequence[Chart]) -> Image.Image:
    """The charts side by side, for where no browser is."""
    columns = 3
    rows = max(-(-len(drawn) // columns), 1)
    size = columns * CELL[0], rows * CELL[1]
    canvas = Image.new("RGB", (size[0] * OVERSAMPLED, size[1] * OVERSAMPLED), GROUND)
    draw = ImageDraw.Draw(canvas)
    for number, chart in enumerate(drawn):
        row, column = divmod(number, columns)
        _draw_chart(draw, chart, column * CELL[0], row * CELL[1])
    return canvas.resize(size, Image.Resampling.LANCZOS)


CELL, PLOT, MARGIN = (400, 230), (310, 130), (16, 46)
"""In pixels: a chart with its words, its plot alone, and where that begins."""
OVERSAMPLED = 2
"""Pillow draws lines without smoothing their edges: larger first, then shrunk."""
GROUND, INK, QUIET, FRAME, INIT = "#ffffff", "#1d1c1a", "#6b675f", "#dcd8cf", "#efece5"
COLOURS = ("#2f6f9f", "#c2382f", "#4f7f2e", "#8a5aa0")
"""Of the curves of a chart, in order; the page has its own."""


def _draw_chart(draw: ImageDraw.ImageDraw, chart: Chart, left: int, top: int) -> None:
    def at(x: float, y: float) -> tuple[float, float]:
        return (left + MARGIN[0] + x) * OVERSAMPLED, (top + MARGIN[1] + y) * OVERSAMPLED

    def write(where: tuple[float, float], text: str, size: int, colour: str, *, end: bool = False) -> float:
        font = ImageFont.load_default(size * OVERSAMPLED)
        draw.text(at(*where), text, fill=colour, font=font, anchor="ra" if end else "la")
        return draw.textlength(text, font) / OVERSAMPLED

    width, height = PLOT
    if chart.init_until:
        draw.rectangle([*at(0, 0), *at(chart.init_until * width, height)], fill=INIT)
    draw.rectangle([*at(0, 0), *at(width, height)], outline=FRAME, width=OVERSAMPLED)
    coloured = list(zip(chart.curves, itertools.cycle(COLOURS), strict=False))
    for curve, colour in coloured:
        line = [at(x * width, y * height) for x, y in curve.points]
        draw.line(line, fill=_paler(colour), width=OVERSAMPLED)
    for curve, colour in coloured:
        line = [at(x * width, y * height) for x, y in curve.smoothed]
        draw.line(line, fill=colour, width=OVERSAMPLED * 2, joint="curve")
    write((0, -38), chart.title, 14, INK)
    across = 0.0
    for curve, colour in coloured:
        across += write((across, -19), f"{curve.name} {curve.last}", 11, colour) + 12
    write((width + 5, -3), chart.high, 10, QUIET)
    write((width + 5, height - 9), chart.low, 10, QUIET)
    write((width, height + 4), f"step {chart.last_step:,}", 10, QUIET, end=True)


def _paler(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return 255 - (255 - red) // 3, 255 - (255 - green) // 3, 255 - (255 - blue) // 3


def _chart(kind: _Kind, series: Mapping[str, np.ndarray], history: History) -> Chart:
    values = np.concatenate([points[:, 1] for points in series.values()])
    low, high = float(values.min()), float(np.quantile(values, 0.995))  # a few spikes may lie beyond
    last_step = history.last_step
    window = max(1, round(last_step * SMOOTHED_OVER)) if kind.smooth else 1
    box = low, high, last_step
    return Chart(
        title=kind.title.format(name=next(iter(series))),
        meaning=kind.meaning,
        curves=tuple(_curve(name, points, box, window) for name, points in series.items()),
        low=f"{low:.3g}",
        high=f"{high:.3g}",
        last_step=last_step,
        init_until=min(history.last_init_step / last_step, 1.0),
    )


def _curve(name: str, points: np.ndarray, box: tuple[float, float, int], window: int) -> Curve:
    steps, values = points.T
    low, high, last_step = box
    smoothed = _smoothed(steps, values, window)
    keep = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), POINTS)).astype(int))
    across, span = steps[keep] / last_step, max(high - low, 1e-12)

    def placed(heights: np.ndarray) -> np.ndarray:
        return np.stack([across, 1 - (np.clip(heights[keep], low, high) - low) / span], axis=1)

    return Curve(name, f"{smoothed[-1]:.3g}", placed(values), placed(smoothed))


def _smoothed(steps: np.ndarray, values: np.ndarray, window: int) -> np.ndarray:
    """Mean of each value and those at most `window` steps before it."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.searchsorted(steps, steps - window, side="right")
    return (sums[ends] - sums[starts]) / (ends - starts)


def _data_uri(grid: Path) -> str:
    with Image.open(grid) as image:
        shown = image.convert("RGB")
    shown.thumbnail((GRID_SIDE, GRID_SIDE))
    data = io.BytesIO()
    shown.save(data, format="JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
