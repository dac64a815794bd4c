"""Photos and videos to cartoons with a trained generator: arrays, files and folders of any size and shape."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cartoongan.checkpoints import load_generator
from cartoongan.devices import memory_errors, pick_device
from cartoongan.looks import as_array, looked, signed
from cartoongan.networks import SIZE_MULTIPLE, Generator, statistics_of
from cartoongan.options import GeneratorOptions, StylizeOptions
from cartoongan.pictures import Picture, check_format, read_picture, write_picture
from cartoongan.places import find_places, is_video
from cartoongan.tiles import in_tiles, reach_of, shrunk, spans
from framekit.errors import CommandError, FramekitError, printable, reason_of
from framekit.files import NO_ROOM
from framekit.terminal.progress import Progress

if TYPE_CHECKING:
    from cartoongan.videos import VideoFigures


KINDS = (np.uint8, np.uint16)


class Stylizer:
    """A trained generator that takes photos of any size.

    Args:
        generator: In evaluation mode.
        device: Where to compute.
        options: How; `StylizeOptions()` when None.
    """

    def __init__(
        self, generator: Generator, device: torch.device, options: StylizeOptions | None = None
    ) -> None:
        self.options = options or StylizeOptions()
        self.device = device
        self._reach = reach_of(getattr(generator, "options", None) or GeneratorOptions())
        self._layout = torch.channels_last if self.options.channels_last else torch.contiguous_format
        self._generator: Generator = generator.to(device, memory_format=self._layout)  # type: ignore[call-overload]
        if self.options.compile:
            self._generator.compile()

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Make a cartoon of a photo.

        Args:
            image: (H, W, 3) uint8 or uint16 RGB, of any size from 1×1.

        Returns:
            (H, W, 3) RGB of the same kind.

        Raises:
            MemoryError: The photo is too large for this machine.
            ValueError: `image` is no such array.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in KINDS or not image.size:
            raise ValueError(f"image must be (H, W, 3) uint8 or uint16, not {image.shape} {image.dtype}")
        return self.together(image[None])[0]

    def check_tiles(self) -> None:
        """Make sure that tiles are large enough.

        Raises:
            CommandError: They are smaller than what an output pixel sees.
        """
        size = self.options.tile_size
        if size:
            spans(2 * size, size, self._reach)

    def together(self, images: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) uint8 or uint16 → the same, in one batch."""
        made = np.empty_like(images)
        top = 0
        for _, strip in self.strips(images):
            rows = as_array(strip, images.dtype)
            made[:, top : top + rows.shape[1]] = rows
            top += rows.shape[1]
        return made

    def strips(self, images: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
        """Photos and their cartoons from top to bottom: one strip, or several where tiles are needed.

        Both are (N, 3, h, W) in [-1, 1] on the device. On a GPU they may still be computed when this returns.

        Args:
            images: (N, H, W, 3) uint8 or uint16.
        """
        height, width = images.shape[1:3]
        missing = [(0, -side % SIZE_MULTIPLE) for side in (height, width)]
        # Mirrored: a black border would bleed into the picture. Unlike "reflect", defined for one pixel too.
        padded = (
            np.pad(images, [(0, 0), *missing, (0, 0)], mode="symmetric") if any(map(max, missing)) else images
        )
        size = self.options.tile_size
        tiled = 0 < size * size < height * width
        whole = self._statistics(padded, size) if tiled else nullcontext()
        size = size if tiled else max(padded.shape[1:3])
        top = 0
        with memory_errors(f"{width}×{height} pixels"), whole:
            for made in in_tiles(
                partial(self._generate, padded), padded.shape[1], padded.shape[2], size, self._reach
            ):
                bottom = min(top + made.shape[2], height)
                if bottom > top:
                    photos = self._signed(images[:, top:bottom])
                    yield photos, looked(made[:, :, : bottom - top, :width], photos, self.options)
                top = bottom

    @contextmanager
    def _statistics(self, padded: np.ndarray, size: int) -> Iterator[None]:
        """Norms that measure what they see use what they see of the whole picture while this lasts."""
        if not isinstance(self._generator, torch.nn.Module):
            yield  # an ONNX file's cannot be reached
            return
        short = torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.precision == "bf16")
        with ExitStack() as measured:
            with torch.no_grad(), short:
                measured.enter_context(statistics_of(self._generator, self._signed(shrunk(padded, size))))
            yield

    def _generate(self, padded: np.ndarray, rows: slice, columns: slice) -> Tensor:
        photos = self._signed(padded[:, rows, columns]).contiguous(memory_format=self._layout)
        short = torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.precision == "bf16")
        with torch.no_grad(), short:
            return self._generator(photos).float()

    def _signed(self, images: np.ndarray) -> Tensor:
        pixels = torch.from_numpy(images if images.dtype == np.uint8 else images.astype(np.int32))
        if self.device.type == "cuda":  # so that the copy need not be waited for
            pixels = pixels.pin_memory()
        return signed(pixels.to(self.device, non_blocking=True).permute(0, 3, 1, 2))


@dataclass(frozen=True)
class StylizeSummary:
    """What became of pictures and videos.

    Attributes:
        written: Files made, in the order of the inputs.
        failed: One line for each that could not be made.
        videos: Figures of the videos among them.
    """

    written: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    videos: dict[Path, VideoFigures] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "written": [str(place) for place in self.written],
            "failed": self.failed,
            "videos": {str(place): asdict(figures) for place, figures in self.videos.items()},
        }


def load(model: str | Path, options: StylizeOptions | None = None) -> Stylizer:
    """Load a generator from a run folder (its newest checkpoint), a checkpoint, a .safetensors or .onnx file.

    Raises:
        FramekitError: There is no generator there.
        CommandError: Options that do not suit it.
    """
    options = options or StylizeOptions()
    if Path(model).suffix.lower() == ".onnx":
        from cartoongan.onnx_model import OnnxGenerator

        if options.compile or options.precision != "fp32":
            raise CommandError("--compile and --precision are not for ONNX files", where=model)
        generator: Any = OnnxGenerator(Path(model))
        return Stylizer(generator, pick_device("cpu"), options)
    return Stylizer(load_generator(model), pick_device(options.device), options)


def stylize_paths(
    stylizer: Stylizer, inputs: Sequence[str | Path], out: str | Path, *, overwrite: bool = False
) -> StylizeSummary:
    """Make cartoons of files and folders below folder `out`; one file may go to one file `out`.

    A file that cannot be read or written, or is too large, is noted in the summary; the others are made.
    A full disk ends it: what is left is not tried. Every file is there whole or not at all.

    Args:
        stylizer: What makes them.
        inputs: Pictures, videos and folders.
        out: Folder or file.
        overwrite: Replace files that are there; else they are left as they are, and noted as failures.

    Raises:
        CommandError: An input is not there, or `out` would be written over an input, or options do not fit.
    """
    check_format(stylizer.options.format)
    stylizer.check_tiles()
    summary = StylizeSummary()
    places = find_places([Path(source) for source in inputs], Path(out), stylizer.options.format)
    _check_encoders(places, stylizer.options)
    pictures = [(source, place) for source, place in places if not is_video(source)]
    try:
        if pictures:
            _make_pictures(stylizer, pictures, summary, overwrite=overwrite)
        for source, place in places:
            if is_video(source):
                with _noted(summary, source, place):
                    from cartoongan.videos import stylize_video

                    _leave_present(place, overwrite=overwrite)
                    summary.videos[place] = stylize_video(stylizer, source, place, replace=overwrite)
                    summary.written.append(place)
    except _Full:
        pass
    order = {place: number for number, (_, place) in enumerate(places)}
    summary.written.sort(key=order.__getitem__)
    return summary


def _check_encoders(places: list[tuple[Path, Path]], options: StylizeOptions) -> None:
    """Before anything is made: a folder may hold a film of another container at its very end."""
    videos = [place for source, place in places if is_video(source)]
    with suppress(ModuleNotFoundError):  # without a film library, every film says so itself
        for place in {place.suffix.lower(): place for place in reversed(videos)}.values():
            from cartoongan.videos import encoder_for

            encoder_for(place, options)


class _Full(Exception):
    """The disk takes no more."""


@contextmanager
def _noted(summary: StylizeSummary, source: Path, place: Path) -> Iterator[None]:
    """Note as a failure of `source` what is raised inside.

    Raises:
        _Full: The disk is.
    """
    try:
        yield
    except CommandError:
        raise
    except FramekitError as error:
        named = any(str(error).startswith(printable(path)) for path in (source, place))
        summary.failed.append(str(error if named else FramekitError(str(error), where=source)))
    except MemoryError as error:
        what = str(error) or "too large for this machine"
        summary.failed.append(str(FramekitError(what, where=source, advice="try a smaller --tile-size")))
    except OSError as error:
        summary.failed.append(str(FramekitError(reason_of(error), where=place)))
        if error.errno in NO_ROOM:
            raise _Full from error


def _leave_present(place: Path, *, overwrite: bool) -> None:
    if os.path.lexists(place) and not overwrite:
        raise FramekitError("is there already", where=place, advice="replace with --overwrite")


def _make_pictures(
    stylizer: Stylizer, places: list[tuple[Path, Path]], summary: StylizeSummary, *, overwrite: bool
) -> None:
    size = stylizer.options.batch_size
    with Progress("stylize", total=len(places), unit="pictures") as progress:
        for start in range(0, len(places), size):
            some = places[start : start + size]
            made = _stylized(stylizer, some, summary, overwrite=overwrite)
            for source, place in some:
                if place in made:
                    with _noted(summary, source, place):
                        write_picture(place, made[place], replace=overwrite)
                        summary.written.append(place)
                progress.advance(note=place.name)


def _stylized(
    stylizer: Stylizer, places: list[tuple[Path, Path]], summary: StylizeSummary, *, overwrite: bool
) -> dict[Path, Picture]:
    """Cartoons by place of those pictures that can be read; those of one size are computed together."""
    groups: dict[Any, list[tuple[Path, Path, Picture]]] = {}
    for source, place in places:
        with _noted(summary, source, place):
            _leave_present(place, overwrite=overwrite)
            picture = read_picture(source)
            groups.setdefault((picture.rgb.shape, picture.rgb.dtype), []).append((source, place, picture))
    made: dict[Path, Picture] = {}
    for group in groups.values():
        try:
            cartoons = stylizer.together(np.stack([picture.rgb for *_, picture in group]))
        except (MemoryError, FramekitError):
            made |= _one_by_one(stylizer, group, summary)
            continue
        for (_, place, picture), cartoon in zip(group, cartoons, strict=True):
            made[place] = replace(picture, rgb=cartoon)
    return made


def _one_by_one(
    stylizer: Stylizer, group: list[tuple[Path, Path, Picture]], summary: StylizeSummary
) -> dict[Path, Picture]:
    made = {}
    for source, place, picture in group:
        with _noted(summary, source, place):
            made[place] = replace(picture, rgb=stylizer(picture.rgb))
    return made
