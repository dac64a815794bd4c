"""The shots of a dataset's films: found once by decoding them, then kept in scenes.parquet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from framekit.errors import FramekitError
from framekit.files import fingerprint_of, whole_file
from framekit.manifest.schema import SCENES, DatasetInfo, SourceInfo
from framekit.sources.decoding import Look, shots_of
from framekit.terminal.progress import Progress

NAME = "scenes.parquet"


def find_scenes(root: Path, info: DatasetInfo) -> dict[str, np.ndarray]:
    """First frames of the shots of every film in the dataset in folder `root`, by source id.

    Films whose shots are not known yet are decoded, all of each, and what is found is kept.

    Raises:
        FramekitError: Such a film is not where it was, or is another one now.
    """
    table = _read(root / NAME)
    known = set(table["source"].to_pylist())
    with_shards = {shard.path.partition("/")[2].rpartition("-")[0] for shard in info.shards}
    films = [source for source in info.sources if source.kind == "film" and source.id in with_shards]
    missing = [source for source in films if source.id not in known]
    _check_at_hand(missing)
    look = Look(inverse_telecine=bool(info.options.get("inverse_telecine")))
    with Progress("find shots", total=sum(_frames(source) for source in missing), unit="frames") as progress:
        for source in missing:
            found = _shots(source, look, partial(progress.advance, 1, Path(source.path).name))
            table = pa.concat_tables([table, found])
            _write(root / NAME, table)
    return {source.id: _starts(table, source.id) for source in films}


def _frames(source: SourceInfo) -> int:
    return int(source.facts.get("frames") or source.facts.get("stated_frames") or 0)


def _check_at_hand(films: list[SourceInfo]) -> None:
    advice = "bring it there, or split by film or by duplicate-group"
    for source in films:
        path = Path(source.path)
        if not path.is_file():
            raise FramekitError(
                "the film is not there, and its shots are not known yet", where=path, advice=advice
            )
        if fingerprint_of(path) != source.fingerprint:
            raise FramekitError("is another film than the dataset was made from", where=path, advice=advice)


def _shots(source: SourceInfo, look: Look, on_frame: Callable[[], None]) -> pa.Table:
    shots = shots_of(Path(source.path), look, on_frames=lambda _: on_frame())
    rows = [
        {"source": source.id, "scene": number, "start": shot.start, "stop": shot.stop}
        for number, shot in enumerate(shots)
    ]
    return pa.Table.from_pylist(rows, SCENES)


def _starts(table: pa.Table, source: str) -> np.ndarray:
    starts: np.ndarray = table.filter(pc.field("source") == source)["start"].to_numpy()
    return starts


def _read(path: Path) -> pa.Table:
    if not path.exists():
        return SCENES.empty_table()
    try:
        table = pq.read_table(path, partitioning=None)
        return table.select(SCENES.names).cast(SCENES)
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        what = f"cannot be read ({str(error).splitlines()[0]})"
        raise FramekitError(what, where=path, advice="remove it: shots are then found again") from None


def _write(path: Path, table: pa.Table) -> None:
    with whole_file(path) as temporary:
        pq.write_table(table.sort_by([("source", "ascending"), ("scene", "ascending")]), temporary)
