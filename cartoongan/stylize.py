"""Photos to cartoons with a trained generator: one array, or files and folders of any size and shape."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from cartoongan.checkpoints import load_generator
from cartoongan.devices import memory_errors, pick_device
from cartoongan.networks import SIZE_MULTIPLE, Generator, to_bytes, to_signed
from cartoongan.options import StylizeOptions
from cartoongan.pictures import find_pictures, read_picture, write_png
from framekit.errors import FramekitError
from framekit.terminal.progress import Progress


class Stylizer:
    """A trained generator that takes photos of any size.

    Args:
        generator: In evaluation mode.
        device: Where to compute.
    """

    def __init__(self, generator: Generator, device: torch.device) -> None:
        self._generator, self._device = generator.to(device), device

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Make a cartoon of a photo.

        Args:
            image: (H, W, 3) uint8 RGB, of any size from 1×1.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            MemoryError: The photo is too large for this machine.
            ValueError: `image` is no such array.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"image must be (H, W, 3) uint8, not {image.shape} {image.dtype}")
        height, width = image.shape[:2]
        missing = [(0, -side % SIZE_MULTIPLE) for side in (height, width)]
        # Mirrored: a black border would bleed into the picture. Unlike "reflect", defined for one pixel too.
        padded = np.pad(image, [*missing, (0, 0)], mode="symmetric")
        return self._generate(padded)[:height, :width]

    def _generate(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        with memory_errors(f"{width}×{height} pixels"), torch.inference_mode():
            photo = torch.from_numpy(image).to(self._device).permute(2, 0, 1)[None]
            cartoon = to_bytes(self._generator(to_signed(photo)))
            return cartoon[0].permute(1, 2, 0).cpu().numpy()


@dataclass(frozen=True)
class StylizeSummary:
    """What became of the pictures.

    Attributes:
        written: Pictures made, in the order of the inputs.
        failed: One line for each picture that could not be made.
    """

    written: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def load(model: str | Path, options: StylizeOptions | None = None) -> Stylizer:
    """Load a generator from a run folder (its newest checkpoint), a checkpoint or a .safetensors file.

    Raises:
        FramekitError: There is no generator there.
    """
    device = pick_device((options or StylizeOptions()).device)
    return Stylizer(load_generator(model), device)


def stylize_paths(
    stylizer: Stylizer, inputs: Sequence[str | Path], out: str | Path, *, overwrite: bool = False
) -> StylizeSummary:
    """Make cartoons of files and folders below folder `out`, as PNG; one file may go to one file `out`.

    A picture that cannot be read or written, or is too large, is noted in the summary; the others are made.
    A full disk ends it: what is left is not tried.

    Args:
        stylizer: What makes them.
        inputs: Pictures and folders.
        out: Folder or file.
        overwrite: Replace files that are there; else they are left as they are, and noted as failures.

    Raises:
        CommandError: An input is not there, or `out` would be written over an input.
    """
    summary = StylizeSummary()
    places = find_pictures([Path(source) for source in inputs], Path(out))
    with Progress("stylize", total=len(places), unit="pictures") as progress:
        for source, place in places:
            try:
                if os.path.lexists(place) and not overwrite:
                    raise FramekitError("is there already", where=place, advice="replace with --overwrite")
                picture = read_picture(source)
                write_png(place, replace(picture, rgb=stylizer(picture.rgb)))
                summary.written.append(place)
            except FramekitError as error:
                summary.failed.append(str(error))
            except MemoryError as error:
                summary.failed.append(
                    str(FramekitError(str(error) or "too large for this machine", where=source))
                )
            except OSError as error:
                summary.failed.append(str(FramekitError(error.strerror or str(error), where=place)))
                if error.errno == errno.ENOSPC:
                    break
            progress.advance(note=place.name)
    return summary
