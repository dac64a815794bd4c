"""Sampling by decoding everything: one thread, every frame counted, wanted ones kept."""

from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np

from framekit.sources.picture import to_rgb


def every_by_full_decode(path: Path, step: int) -> dict[int, tuple[int | None, np.ndarray]]:
    """Frame number → (pts, (H, W, 3) uint8 RGB) of frames 0, step, 2·step, …; damage is passed over."""
    taken: dict[int, tuple[int | None, np.ndarray]] = {}
    number = 0
    with av.open(str(path)) as container:
        stream = next(
            s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic
        )
        stream.thread_type = "NONE"
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                if number % step == 0:
                    taken[number] = frame.pts, to_rgb(frame, Fraction(stream.sample_aspect_ratio or 1))
                number += 1
    return taken
