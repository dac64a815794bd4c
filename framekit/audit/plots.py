"""Plots as SVG: the same drawing stands in the page, which gives it its colours, and in a file of its own."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from xml.etree import ElementTree

from framekit.audit.answers import number
from framekit.audit.comparison import Shift
from framekit.audit.measures import Distribution, SourceFigures, Timeline
from framekit.audit.palette import Palette
from framekit.audit.pictures import Picture
from framekit.terminal.progress import clock

WIDTH = 320
HISTOGRAM, STRIP = 72, 28
"""Heights, in the drawing's own units."""
GAP = 14
"""Height of a line of text below a plot."""
GAP_BETWEEN = 0.6
"""Between bars."""
Box = tuple[float, float, float, float]
"""Left, top, width, height."""
STYLE = """
:root { color-scheme: light dark; }
svg { background: #fff; }
text { font: 10px system-ui, sans-serif; fill: #6b675f; }
.middle { text-anchor: middle; } .end { text-anchor: end; }
.kept { fill: #2f6f9f; } .out { fill: #b9b3a7; } .other { fill: none; stroke: #c2382f; stroke-width: 1.5; }
.ground { fill: #efece5; } .mark { stroke: #1d1c1a; }
@media (prefers-color-scheme: dark) {
  svg { background: #1f1d1a; } text { fill: #a19c92; } .kept { fill: #7bb6e0; } .out { fill: #57534b; }
  .other { stroke: #f0746a; } .ground { fill: #2a2723; } .mark { stroke: #ece9e2; }
}
"""
"""Of a file; in the page these classes have the page's own colours."""


@dataclass(frozen=True)
class Plot:
    """A drawing.

    Attributes:
        name: Of its file, without suffix.
        title: What it shows, in words.
        root: The SVG.
        stretched: In a page it takes any width, so that its text stays out there.
    """

    name: str
    title: str
    root: ElementTree.Element
    stretched: bool

    @property
    def inline(self) -> str:
        """For a page."""
        if not self.stretched:
            return ElementTree.tostring(self.root, encoding="unicode")
        box = {"viewBox": f"0 0 {WIDTH} {STRIP}", "preserveAspectRatio": "none"}
        root = ElementTree.Element("svg", self.root.attrib | box)
        root.extend(element for element in self.root if element.tag != "text")
        return ElementTree.tostring(root, encoding="unicode")

    @property
    def file(self) -> str:
        """For a file of its own."""
        root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg"} | self.root.attrib)
        style = ElementTree.SubElement(root, "style")
        style.text = STYLE
        root.extend(self.root)
        return ElementTree.tostring(root, encoding="unicode") + "\n"


def histogram(name: str, title: str, found: Distribution) -> Plot:
    """How a measure is distributed: what is kept in front of what is left out; lines at 5, 50 and 95 %."""
    plot = _Drawing(name, title, HISTOGRAM + GAP)
    most = max(map(sum, zip(found.kept, found.left_out, strict=True)), default=1) or 1
    width = WIDTH / len(found.kept)
    for at, (kept, left_out) in enumerate(zip(found.kept, found.left_out, strict=True)):
        low, high = found.edges[at], found.edges[at + 1]
        told = f"{number(low)} to {number(high)}: {kept:,} kept, {left_out:,} left out"
        tall, above = kept / most * HISTOGRAM, left_out / most * HISTOGRAM
        plot.bar((at * width, HISTOGRAM - tall, width, tall), told, "kept")
        plot.bar((at * width, HISTOGRAM - tall - above, width, above), told, "out")
    for quantile in found.quantiles[1:6:2]:
        across = _across(quantile, found.edges)
        plot.line(across, 0, across, HISTOGRAM)
    plot.axis(found.edges)
    return plot.done()


def _across(value: float, edges: Sequence[float]) -> float:
    """Where a value stands among bins that are all drawn as wide."""
    at = min(max(bisect_right(edges, value) - 1, 0), len(edges) - 2)
    part = (value - edges[at]) / (edges[at + 1] - edges[at]) if edges[at + 1] > edges[at] else 0.0
    return (at + min(max(part, 0.0), 1.0)) * WIDTH / (len(edges) - 1)


def shifted(name: str, title: str, shift: Shift) -> Plot:
    """A measure in two datasets: bars here, an outline there."""
    plot = _Drawing(name, title, HISTOGRAM + GAP)
    most = max(shift.shares_here + shift.shares_there) or 1
    width = WIDTH / len(shift.shares_here)
    for at, share in enumerate(shift.shares_here):
        tall = share / most * HISTOGRAM
        span = f"{number(shift.edges[at])} to {number(shift.edges[at + 1])}"
        told = f"{span}: {share:.1%}, there {shift.shares_there[at]:.1%}"
        plot.bar((at * width, HISTOGRAM - tall, width, tall), told, "kept")
    steps = [(0.0, float(HISTOGRAM))]
    for at, share in enumerate(shift.shares_there):
        height = HISTOGRAM * (1 - share / most)
        steps += [(at * width, height), ((at + 1) * width, height)]
    plot.outline([*steps, (WIDTH, HISTOGRAM)])
    plot.axis(shift.edges)
    return plot.done()


def timeline(name: str, source: SourceFigures, line: Timeline) -> Plot:
    """What each part of a film gave: frames that are kept in front of those that were sampled."""
    plot = _Drawing(name, f"What each {line.step} s of {source.path} gave", STRIP + GAP, stretched=True)
    most = max(line.sampled) or 1
    width = WIDTH / len(line.sampled)
    for at, (sampled, kept, pairs) in enumerate(zip(line.sampled, line.kept, line.pairs, strict=True)):
        span = f"{clock(at * line.step)} to {clock((at + 1) * line.step)}"
        told = f"{span}: {kept:,} of {sampled:,} frames kept, {pairs:,} pairs"
        tall, above = kept / most * STRIP, (sampled - kept) / most * STRIP
        plot.bar((at * width, 0, width, STRIP), told, "ground")
        plot.bar((at * width, STRIP - tall - above, width, above), told, "out")
        plot.bar((at * width, STRIP - tall, width, tall), told, "kept")
    plot.text(0, "0:00")
    plot.text(WIDTH, clock(source.seconds or 0), "end")
    return plot.done()


def swatches(name: str, title: str, palette: Palette) -> Plot:
    """The colours of a film, as wide as their shares."""
    plot = _Drawing(name, title, STRIP, stretched=True)
    total, across = sum(colour.share for colour in palette.colours), 0.0
    for colour in palette.colours:
        width = colour.share / total * WIDTH
        plot.bar((across, 0, width, STRIP), f"{colour.colour}: {colour.share:.0%}", fill=colour.colour)
        across += width
    return plot.done()


def colours_over_time(name: str, title: str, picture: Picture) -> Plot:
    """How colour goes through a film."""
    plot = _Drawing(name, title, STRIP, stretched=True)
    plot.picture(picture)
    return plot.done()


def shares(name: str, title: str, parts: Sequence[tuple[str, int, str]]) -> Plot:
    """One bar of several parts: what each is called, how many, its class."""
    plot = _Drawing(name, title, STRIP, stretched=True)
    total, across = sum(count for _, count, _ in parts) or 1, 0.0
    for label, count, kind in parts:
        width = count / total * WIDTH
        plot.bar((across, 0, width, STRIP), f"{label}: {count:,}", kind)
        across += width
    return plot.done()


def numbered(plot: Plot, number: int) -> Plot:
    """The same under a name that no other has and that begins with its number."""
    return replace(plot, name=f"{number:03}-{plot.name}")


class _Drawing:
    """An SVG in the making; ElementTree escapes all text."""

    def __init__(self, name: str, title: str, height: float, *, stretched: bool = False) -> None:
        self._name, self._title, self._height, self._stretched = name, title, height, stretched
        self._root = ElementTree.Element("svg", {"viewBox": f"0 0 {WIDTH} {height:g}", "role": "img"})
        self._says(self._root, title)

    def done(self) -> Plot:
        """The drawing."""
        return Plot(self._name, self._title, self._root, self._stretched)

    def bar(self, box: Box, says: str, kind: str = "", *, fill: str = "") -> None:
        """A rectangle that says something when pointed at; none where it would be empty."""
        x, y, width, height = box
        if width <= 0 or height <= 0:
            return
        gap = 0 if fill else GAP_BETWEEN
        place = {"x": x, "y": y, "width": max(width - gap, width / 2), "height": height}
        self._says(self._add("rect", {**place, **({"fill": fill} if fill else {"class": kind})}), says)

    def line(self, x: float, y: float, to_x: float, to_y: float) -> None:
        """A thin line."""
        ends = {"x1": x, "y1": y, "x2": to_x, "y2": to_y}
        self._add("line", {**ends, "class": "mark", "stroke-dasharray": "2 3", "stroke-width": "0.7"})

    def outline(self, points: Sequence[tuple[float, float]]) -> None:
        """A line through points."""
        self._add("polyline", {"points": " ".join(f"{x:.2f},{y:.2f}" for x, y in points), "class": "other"})

    def text(self, x: float, words: str, kind: str = "start") -> None:
        """A label below that starts, ends or has its middle there."""
        self._add("text", {"x": x, "y": self._height - 3, "class": kind}).text = words

    def axis(self, edges: Sequence[float]) -> None:
        """The edges of bins at the start, in the middle and at the end."""
        self.text(0, number(edges[0]))
        self.text(WIDTH / 2, number(edges[len(edges) // 2]), "middle")
        self.text(WIDTH, number(edges[-1]), "end")

    def picture(self, picture: Picture) -> None:
        """A picture over all of it."""
        size = {
            "width": WIDTH,
            "height": STRIP,
            "preserveAspectRatio": "none",
            "image-rendering": "pixelated",
        }
        self._add("image", {"href": picture.uri, **size})

    def _add(self, kind: str, attributes: dict[str, object]) -> ElementTree.Element:
        texts = {
            name: f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
            for name, value in attributes.items()
        }
        return ElementTree.SubElement(self._root, kind, texts)

    def _says(self, element: ElementTree.Element, words: str) -> None:
        ElementTree.SubElement(element, "title").text = words
