"""Where pairs come from: films and their minutes, folders, shots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from framekit.audit import plots
from framekit.audit.measures import Share, SourceFigures
from framekit.audit.plots import Plot
from framekit.audit.sheet import SHOWN_SOURCES, Sheet, Shown, film_name


@dataclass(frozen=True)
class Film:
    """A film with what its parts gave."""

    name: str
    figures: SourceFigures
    share: Share
    timeline: Plot | None


@dataclass(frozen=True)
class ShownShot:
    """A shot by its first and its last sampled frame."""

    first: Shown
    last: Shown
    pairs: int


def sources(sheet: Sheet) -> dict[str, Any]:
    """Films with their timelines, folders, balance, and the shots that gave most."""
    figures = sheet.audit.figures
    films = [source for source in figures.sources if source.kind == "film"]
    largest = sorted(films, key=lambda film: -film.pairs)[:SHOWN_SOURCES]
    return {
        "films": [_film(sheet, film) for film in films if film in largest],
        "films_left": len(films) - len(largest),
        "giving_films": sum(film.pairs > 0 for film in films),
        "folders": [source for source in figures.sources if source.kind != "film"],
        "shots": figures.shots,
        "largest_shots": [
            ShownShot(sheet.named(shot.first), sheet.named(shot.last), shot.pairs)
            for shot in (figures.shots.largest if figures.shots else ())
        ],
    }


def _film(sheet: Sheet, film: SourceFigures) -> Film:
    timeline = None
    if film.timeline is not None:
        timeline = sheet.drawn(plots.timeline("timeline", film, film.timeline))
    return Film(film_name(film.path), film, Share(film.pairs, sheet.audit.figures.counts.pairs), timeline)
