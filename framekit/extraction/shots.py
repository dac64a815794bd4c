"""The shots of a dataset's films: found once by decoding them, then kept in scenes.parquet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from framekit.errors import FramekitError, printable
from framekit.extraction.at_hand import film_among, places_of
from framekit.files import whole_file
from framekit.manifest.reading import SHOTS, read_scenes
from framekit.manifest.schema import SCENES, DatasetInfo, SourceInfo, source_of
from framekit.sources.decoding import Look, shots_of
from framekit.storage.paths import is_address
from framekit.terminal.progress import Progress


def find_scenes(root: Path, info: DatasetInfo) -> dict[str, np.ndarray]:
    """First frames of the shots of every film in the dataset in folder `root`, by source id.

    Films whose shots are not known yet are decoded, all of each, and what is found is kept.

    Raises:
        FramekitError: Such a film is not where it was, or is another one now.
    """
    table = read_scenes(root / SHOTS)
    known = set(table["source"].to_pylist())
    with_shards = {source_of(shard.path) for shard in info.shards}
    films = [source for source in info.sources if source.kind == "film" and source.id in with_shards]
    missing = [source for source in films if source.id not in known]
    places = [_find(source, root) for source in missing]  # all of them, before hours of decoding
    look = Look(inverse_telecine=bool(info.options.get("inverse_telecine")))
    with Progress("find shots", total=sum(_frames(source) for source in missing), unit="frames") as progress:
        for source, place in zip(missing, places, strict=True):
            found = _shots(source, place, look, partial(progress.advance, 1, place.name))
            table = pa.concat_tables([table, found])
            _write(root / SHOTS, table)
    return {source.id: _starts(table, source.id) for source in films}


def _frames(source: SourceInfo) -> int:
    return int(source.facts.get("frames") or source.facts.get("stated_frames") or 0)


def _find(source: SourceInfo, root: Path) -> Path:
    """Where a film lies now: its path from here, or else from the folder that the dataset stands in.

    Raises:
        FramekitError: It is in neither place, or another film is.
    """
    places = places_of(source, root)
    film = film_among(places, source)
    if film is not None:
        return film
    there = [place for place in places if place.is_file()]
    if there:
        what = f"is another film than the dataset was made from: {_listed(there)}"
    else:
        what = f"the film is not there, and its shots are not known yet; looked for {_listed(places)}"
    advice = "bring it there, or split by film or by duplicate-group"
    if not is_address(source.path) and not Path(source.path).is_absolute():
        advice = f"run this in the folder that its path starts from, {advice}"
    raise FramekitError(what, where=source.path, advice=advice)


def _listed(places: list[Path]) -> str:
    return " and ".join(printable(place) for place in places)


def _shots(source: SourceInfo, place: Path, look: Look, on_frame: Callable[[], None]) -> pa.Table:
    shots = shots_of(place, look, on_frames=lambda _: on_frame())
    rows = [
        {"source": source.id, "scene": number, "start": shot.start, "stop": shot.stop}
        for number, shot in enumerate(shots)
    ]
    return pa.Table.from_pylist(rows, SCENES)


def _starts(table: pa.Table, source: str) -> np.ndarray:
    starts: np.ndarray = table.filter(pc.field("source") == source)["start"].to_numpy()
    return starts


def _write(path: Path, table: pa.Table) -> None:
    with whole_file(path) as temporary:
        pq.write_table(table.sort_by([("source", "ascending"), ("scene", "ascending")]), temporary)
