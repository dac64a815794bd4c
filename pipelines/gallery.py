"""The gallery: one HTML file that shows a run, from sampled frames to stylized photos. Opens from disk."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

import framekit.manifest
from cartoongan.curves import charts, polyline, read_history
from cartoongan.places import find_places
from framekit.errors import printable
from framekit.files import write_text
from framekit.images.encoding import encode
from framekit.manifest import Manifest
from framekit.pages import render
from framekit.sources.stills import read_still

SHOWN_FRAMES = 16
SHOWN_PAIRS = 8
PHOTO_SIDE = 720
"""Pixels: larger photos are shown smaller, so that the page stays a few megabytes."""
CHART = (320, 120)
"""Width and height of a chart's plot, in its own units."""


def write_gallery(root: Path, title: str, photos: Sequence[Path]) -> None:
    """Write RUN/index.html from what the stages left in the run's folder.

    Args:
        root: The run's folder with cartoons/, photos/, audit/, model/ and stylized/.
        title: Heads the page.
        photos: The photos that were stylized.
    """
    cartoons = framekit.manifest.open(root / "cartoons")
    kept, dropped = _frames(cartoons)
    history = read_history(root / "model" / "log.jsonl")
    options = json.loads((root / "model" / "options.json").read_text(encoding="utf-8"))
    page = render(
        "pipelines",
        "gallery.html",
        title=title,
        audit={name: _audit(root, name) for name in ("cartoons", "photos")},
        kept=kept,
        dropped=dropped,
        pairs=_pairs(cartoons),
        charts=charts(history, parts=("raw",)),
        chart_size=CHART,
        polyline=polyline,
        options=options,
        steps=history.last_step,
        samples=_samples(root / "model" / "samples"),
        photos=_stylized(root / "stylized", photos),
    )
    write_text(root / "index.html", page)


def _audit(root: Path, name: str) -> Any:
    return json.loads((root / "audit" / name / "audit.json").read_text(encoding="utf-8"))


def _frames(manifest: Manifest) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Kept and dropped frames, each spread evenly over the films; a near-duplicate with what it resembles."""
    columns = ["frame_id", "source", "frame_number", "seconds"]
    rows = {row["frame_id"]: row for row in manifest.frames(columns).to_pylist()}
    kept = spread([id_ for id_ in rows if id_ not in manifest.dropped], SHOWN_FRAMES)
    dropped = spread([id_ for id_ in rows if id_ in manifest.dropped], SHOWN_FRAMES)
    likes = {id_: manifest.dropped[id_].because_of for id_ in dropped}
    thumbnails = manifest.thumbnails({*kept, *dropped, *filter(None, likes.values())})

    def shown(id_: str) -> dict[str, Any]:
        seconds = rows[id_]["seconds"]
        when = f"{int(seconds // 60)}:{seconds % 60:04.1f}" if seconds is not None else ""
        return rows[id_] | {"when": when, "picture": data_uri(thumbnails[id_], "jpeg")}

    left_out = [
        shown(id_) | {"reason": manifest.dropped[id_].reason, "like": shown(like) if like else None}
        for id_, like in likes.items()
    ]
    return [shown(id_) for id_ in kept], left_out


def _pairs(manifest: Manifest) -> list[dict[str, str]]:
    reader = manifest.reader()
    shown = []
    for position in spread(list(range(len(reader))), SHOWN_PAIRS):
        pair = reader[position]
        smoothed = pair.smoothed if pair.smoothed is not None else pair.image
        shown.append({
            "id": pair.pair_id,
            "image": data_uri(encode(pair.image, "png"), "png"),
            "smoothed": data_uri(encode(smoothed, "png"), "png"),
        })  # fmt: skip
    return shown


def _samples(folder: Path) -> list[dict[str, str]]:
    """The first and the last sample grid."""
    grids = sorted(folder.glob("step-*.png"), key=lambda grid: int(grid.stem[5:]))
    shown = dict.fromkeys([*grids[:1], *grids[-1:]])
    return [{"step": f"{int(grid.stem[5:]):,}", "picture": _file_uri(grid)} for grid in shown]


def _stylized(folder: Path, photos: Sequence[Path]) -> list[dict[str, str]]:
    """Each photo with its cartoon; photos that failed are passed over."""
    return [
        {"name": printable(photo.name), "photo": _file_uri(photo), "cartoon": _file_uri(cartoon)}
        for photo, cartoon in find_places(photos, folder)
        if cartoon.exists()
    ]


def _file_uri(path: Path) -> str:
    image = read_still(path)
    scale = min(1.0, PHOTO_SIDE / max(image.shape[:2]))
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return data_uri(encode(image, "jpeg:90"), "jpeg")


def data_uri(data: bytes, kind: str) -> str:
    """An encoded picture of a kind (jpeg, png) as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def spread(values: list[Any], count: int) -> list[Any]:
    """At most `count` of `values`, evenly chosen."""
    count = min(count, len(values))
    return [values[index * len(values) // count] for index in range(count)]
