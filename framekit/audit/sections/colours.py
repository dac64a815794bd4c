"""The palette of each film, and its colours over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from framekit.audit import plots
from framekit.audit.palette import LOOKED_AT, Palette, over_time
from framekit.audit.plots import Plot
from framekit.audit.sheet import Sheet, film_name


@dataclass(frozen=True)
class ShownPalette:
    """A palette, and how colour goes through the film where that is known."""

    name: str
    palette: Palette
    plot: Plot
    over_time: Plot | None


def colours(sheet: Sheet) -> dict[str, Any]:
    """Palettes in the order of sources."""
    palettes = [_shown(sheet, palette) for palette in sheet.audit.figures.palettes]
    return {"palettes": palettes, "looked_at": LOOKED_AT}


def _shown(sheet: Sheet, palette: Palette) -> ShownPalette:
    sources = sheet.rows.sources
    place = next(at for at, source in enumerate(sources) if source.id == palette.source)
    name = film_name(sources[place].path)
    plot = sheet.drawn(plots.swatches("palette", f"Colours of {name}", palette))
    image, strip = over_time(sheet.rows, place), None
    picture = None if image is None else sheet.pictures.encoded(image)
    if picture is not None:
        strip = sheet.drawn(plots.colours_over_time("over-time", f"Colours of {name} over time", picture))
    return ShownPalette(name, palette, plot, strip)
