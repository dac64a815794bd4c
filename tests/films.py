"""Films made for tests: every frame carries its number as a row of black and white blocks."""

from fractions import Fraction
from pathlib import Path

import av
import av.error
import av.filter
import cv2
import numpy as np

BITS = 12
BLOCK = 16


def numbered_frame(number: int, *, width: int = 320, height: int = 240, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8 RGB: a drawing that changes with `number`, which is written along the top in blocks."""
    generator = np.random.default_rng([seed, number])
    image = np.full((height, width, 3), generator.integers(90, 230, 3), np.uint8)
    image[:, ::24] = image[:, 1::24] = 30  # stripes, so that no crop is flat
    for _ in range(6):
        centre = (int(generator.integers(0, width)), int(generator.integers(height // 6, height)))
        radius = int(generator.integers(8, 60))
        cv2.circle(image, centre, radius, generator.integers(0, 255, 3).tolist(), -1, cv2.LINE_AA)
        cv2.circle(image, centre, radius, (0, 0, 0), 2, cv2.LINE_AA)
    for bit in range(BITS):
        colour = 255 if number >> bit & 1 else 0
        image[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = colour
    return image


def number_of(image: np.ndarray) -> int:
    """Read the number that `numbered_frame` wrote, from a decoded picture of the same size."""
    middle = BLOCK // 2
    return sum((int(image[middle, bit * BLOCK + middle].mean()) > 127) << bit for bit in range(BITS))


def write_film(
    path: Path,
    frames: list[np.ndarray],
    *,
    codec: str = "libx264",
    rate: int = 24,
    options: dict[str, str] | None = None,
    pixel_aspect: Fraction | None = None,
) -> Path:
    """Encode (H, W, 3) uint8 RGB frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def numbered_film(path: Path, count: int, *, seed: int = 0, hold: int = 1, **more: object) -> Path:
    """Encode `count` frames that carry their numbers; with `hold` each drawing stays for that many frames."""
    frames = [numbered_frame(number // hold, seed=seed) for number in range(count)]
    return write_film(path, frames, **more)  # type: ignore[arg-type]


def filtered(frames: list[av.VideoFrame], name: str, arguments: str) -> list[av.VideoFrame]:
    """All frames of a film through one of FFmpeg's filters, from start to end."""
    first = frames[0]
    graph = av.filter.Graph()
    source = graph.add(
        "buffer",
        video_size=f"{first.width}x{first.height}",
        pix_fmt=first.format.name,
        time_base=str(first.time_base),
        frame_rate=str(1 / first.time_base),
    )
    graph.link_nodes(source, graph.add(name, arguments), graph.add("buffersink")).configure()
    out = []
    for frame in [*frames, None]:
        graph.vpush(frame)
        while True:
            try:
                out.append(graph.vpull())
            except (av.error.BlockingIOError, av.error.EOFError):
                break
    return out
