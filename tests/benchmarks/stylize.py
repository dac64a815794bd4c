"""A film stylized, against the bare generator over as many frames, side by side.

    python -m tests.benchmarks.stylize [--size 640x360] [--frames 8] [--batch-size 1] [--rounds 3] [--json]

What is compared, in seconds of wall time and of CPU time, median of the rounds, in one process and by turns:

- bare: the generator's forward over batches that lie on the device, same batch size and precision, no more.
- film: `cartoongan.videos.stylize_video`, H.264 to H.264: decoding, colours, copies to the
  device and back, the flicker figure, encoding.

The aim is a ratio of at most 1.15: all else hidden behind the generator. On a CPU decoder, encoder and
generator share the cores, so what they cost is hidden only where a core is free (OMP_NUM_THREADS), and the
ratio in CPU time, in which nothing is hidden, is what holds where others work too.
Both precisions are measured, and at what bf16 stands against fp32. With a GPU, `--size` may be repeated
(1280x720, 1920x1080 are the default there), and frames per second are of the film.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.decode import machine, note

if TYPE_CHECKING:
    import torch

    from cartoongan.stylize import Stylizer

AIM = 1.15
PRECISIONS = ("fp32", "bf16")


def film(path: Path, width: int, height: int, frames: int) -> Path:
    """A drawn film that moves."""
    from tests.films import numbered_frame, write_film

    return write_film(path, [numbered_frame(n, width=width, height=height) for n in range(frames)])


def stylizer_of(args: argparse.Namespace, precision: str, device: torch.device) -> Stylizer:
    """The paper's generator with its first weights: they cost what trained ones do."""
    import torch

    from cartoongan.networks import Generator
    from cartoongan.options import GeneratorOptions, StylizeOptions
    from cartoongan.stylize import Stylizer

    torch.manual_seed(0)
    generator = Generator(GeneratorOptions(base_channels=args.base_channels)).eval().requires_grad_(False)
    options = StylizeOptions(
        precision=precision,  # type: ignore[arg-type]
        batch_size=args.batch_size,
        channels_last=device.type == "cuda",
        tile_size=0,
        compile=args.compile,
    )
    return Stylizer(generator, device, options)


def seconds(work: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Wall and CPU time of `work`, all threads, to the end of what it began on the device."""
    import torch

    began = time.perf_counter(), time.process_time()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began[0], time.process_time() - began[1]


def bare(stylizer: Stylizer, width: int, height: int, frames: int, batch: int) -> Callable[[], None]:
    """The generator alone; sides as the film's, up to multiples of 4."""
    import torch

    layout = torch.channels_last if stylizer.options.channels_last else torch.contiguous_format
    shape = (batch, 3, height + -height % 4, width + -width % 4)
    photos = torch.zeros(shape, device=stylizer.device).contiguous(memory_format=layout)

    def work() -> None:
        short = torch.autocast(
            stylizer.device.type, torch.bfloat16, enabled=stylizer.options.precision == "bf16"
        )
        with torch.no_grad(), short:
            for _ in range(frames // batch):
                stylizer._generator(photos)

    return work


def measure(args: argparse.Namespace, size: str, precision: str, device: torch.device) -> dict[str, Any]:
    """Both ways at one size and precision."""
    from cartoongan.videos import stylize_video

    width, height = map(int, size.split("x"))
    stylizer = stylizer_of(args, precision, device)
    frames = args.frames - args.frames % args.batch_size
    times: dict[str, list[tuple[float, float]]] = {"bare": [], "film": []}
    with tempfile.TemporaryDirectory() as folder:
        source = film(Path(folder) / "film.mp4", width, height, frames)
        ways = {
            "bare": bare(stylizer, width, height, frames, args.batch_size),
            "film": lambda: stylize_video(stylizer, source, Path(folder) / "made.mp4"),
        }
        bare(stylizer, width, height, args.batch_size, args.batch_size)()  # what a first call sets up
        for round_ in range(args.rounds):
            for name, work in ways.items():
                times[name].append(seconds(work, device))
            took = ", ".join(f"{name} {each[-1][0]:.2f} s" for name, each in times.items())
            note(f"{size} {precision} round {round_ + 1}: {took}")
    pairs = zip(times["bare"], times["film"], strict=True)
    ratios = [[film / bare for bare, film in zip(*pair, strict=True)] for pair in pairs]
    wall = {name: statistics.median(each[0] for each in values) for name, values in times.items()}
    return {
        "size": size,
        "precision": precision,
        "batch_size": args.batch_size,
        "frames": frames,
        "bare_seconds": wall["bare"],
        "bare_cpu_seconds": statistics.median(cpu for _, cpu in times["bare"]),
        "film_seconds": wall["film"],
        "ratio": statistics.median(ratio for ratio, _ in ratios),
        "cpu_ratio": statistics.median(ratio for _, ratio in ratios),
        "frames_per_second": frames / wall["film"],
    }


def main() -> None:
    """Measure and print."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", action="append", help="WIDTHxHEIGHT, may be repeated")
    parser.add_argument("--frames", type=int)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--base-channels", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    args.frames = args.frames or (240 if device.type == "cuda" else 8)
    sizes = args.size or (["1280x720", "1920x1080"] if device.type == "cuda" else ["640x360"])
    about = {**machine(), "device": device.type, "threads": torch.get_num_threads()}
    if device.type == "cuda":
        about["device"] = torch.cuda.get_device_name()
    rows = [measure(args, size, precision, device) for size in sizes for precision in PRECISIONS]
    if args.json:
        print(json.dumps({"machine": about, "aim": AIM, "results": rows}))
        return
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    for row in rows:
        print(
            f"{row['size']} {row['precision']} batch {row['batch_size']}: bare {row['bare_seconds']:.2f} s, "
            f"film {row['film_seconds']:.2f} s, ratio {row['ratio']:.3f}, "
            f"in CPU time {row['cpu_ratio']:.3f} (aim {AIM}), "
            f"{row['frames_per_second']:.3g} frames/s"
        )
    for size in sizes:
        long, short = (next(r for r in rows if (r["size"], r["precision"]) == (size, p)) for p in PRECISIONS)
        share = short["bare_cpu_seconds"] / long["bare_cpu_seconds"]
        print(f"{size}: bf16 takes {share:.2f} of fp32's CPU time")


if __name__ == "__main__":
    main()
