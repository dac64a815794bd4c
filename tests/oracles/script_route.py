"""The usual way from a film to training pictures: ffmpeg to PNGs, hashes, a resize, a loop over pixels."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cv2
import imagehash
from PIL import Image

from tests.oracles.edge_smoothing import smooth_edges_pixel_by_pixel

SIDE = 256


def dump_frames(film: Path, folder: Path, *, every: int) -> list[Path]:
    """Every Nth frame as a PNG."""
    folder.mkdir()
    select = ["-vf", f"select=not(mod(n\\,{every}))", "-fps_mode", "vfr"]
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(film), *select, str(folder / "%06d.png")]
    subprocess.run(command, check=True)
    return sorted(folder.iterdir())


def without_near_duplicates(frames: list[Path], *, max_distance: int = 6) -> list[Path]:
    """Those unlike every one kept before them."""
    kept: list[Path] = []
    hashes: list[imagehash.ImageHash] = []
    for frame in frames:
        found = imagehash.phash(Image.open(frame))
        if all(found - other > max_distance for other in hashes):
            kept.append(frame)
            hashes.append(found)
    return kept


def make_pairs(film: Path, folder: Path, *, every: int = 50) -> int:
    """Write `cartoon/` and `smoothed/`, one 256×256 picture of a frame in each; how many."""
    frames = without_near_duplicates(dump_frames(film, folder / "frames", every=every))
    for name in ("cartoon", "smoothed"):
        (folder / name).mkdir()
    for frame in frames:
        squashed = cv2.resize(cv2.imread(str(frame)), (SIDE, SIDE))
        cv2.imwrite(str(folder / "cartoon" / frame.name), squashed)
        rgb = cv2.cvtColor(squashed, cv2.COLOR_BGR2RGB)
        smoothed = smooth_edges_pixel_by_pixel(rgb)
        cv2.imwrite(str(folder / "smoothed" / frame.name), cv2.cvtColor(smoothed, cv2.COLOR_RGB2BGR))
    return len(frames)
