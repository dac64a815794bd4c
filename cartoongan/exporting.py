"""A trained generator for use elsewhere: ONNX, safetensors, a folder for the Hugging Face hub."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from cartoongan.checkpoints import load_generator, write_weights
from cartoongan.model_card import BESIDE, FRONT_MATTER
from cartoongan.networks import Generator
from cartoongan.onnx_model import OPTIONS, OnnxGenerator
from cartoongan.options import GeneratorOptions
from framekit.errors import CommandError, FramekitError
from framekit.files import whole_file, write_text

OPSET = 17
TOLERANCE = 1e-3
"""By how much, of [-1, 1], an ONNX file may differ from the generator."""
SIZES = ((1, 64, 64), (2, 96, 72))
"""Batch, height and width of what both are compared on: not what was traced."""
TRACED = (1, 3, 32, 48)
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
"""Files that `huggingface_hub` looks for in a model's folder."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        written: The files.
        difference: Of an ONNX file's pictures from PyTorch's at most, of [-1, 1]; None for weights.
    """

    written: list[Path]
    difference: float | None = None


def export(model: Path, out: Path, *, overwrite: bool = False) -> Exported:
    """Write the generator of `model` to `out`: NAME.onnx, NAME.safetensors, or a folder for the hub.

    Args:
        model: Run folder, checkpoint or .safetensors file.
        out: Its ending says what is written; a name without one is a folder.
        overwrite: Replace files that are there.

    Raises:
        CommandError: `out` has an ending of another kind, is there already, or a library is missing.
        FramekitError: There is no generator in `model`, or the ONNX file does not do what it does.
    """
    kind = out.suffix.lower()
    if kind not in (".onnx", ".safetensors", ""):
        advice = "end it in .onnx or .safetensors, or give a folder's name without ending"
        raise CommandError(f"no kind of export: {kind}", where=out, advice=advice)
    files = [out] if kind else [out / name for name in (WEIGHTS, CONFIG, CARD)]
    for path in files:
        if path.exists() and path.resolve() == model.resolve():
            raise CommandError("would be written over itself", where=path, advice="give another name")
        if path.exists() and not overwrite:
            raise CommandError("is there already", where=path, advice="replace with --overwrite")
    generator = load_generator(model)
    card = "" if kind else _card(model, generator.options)
    files[0].parent.mkdir(parents=True, exist_ok=True)
    if kind == ".onnx":
        return Exported(files, _write_onnx(generator, out))
    write_weights(files[0], generator.state_dict(), generator.options)
    if not kind:
        write_text(files[1], json.dumps(_kept(generator.options), indent=2, sort_keys=True) + "\n")
        write_text(files[2], card)
    return Exported(files)


def _kept(options: GeneratorOptions) -> dict[str, object]:
    return options.model_dump(mode="json", include=set(GeneratorOptions.model_fields))


def _write_onnx(generator: Generator, out: Path) -> float:
    try:
        import onnx
    except ImportError:
        advice = "pip install 'cartoon-framekit[export]'"
        raise CommandError("ONNX files need onnx and onnxruntime", where=out, advice=advice) from None
    axes = {0: "pictures", 2: "height", 3: "width"}
    with whole_file(out) as temporary:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            # Traced: torch's newer exporter needs more packages, and gives the same graph.
            torch.onnx.export(
                generator,
                (torch.zeros(TRACED),),
                str(temporary),
                dynamo=False,
                opset_version=OPSET,
                input_names=["photos"],
                output_names=["cartoons"],
                dynamic_axes={"photos": axes, "cartoons": axes},
            )
        model = onnx.load(str(temporary))
        said = json.dumps(_kept(generator.options), sort_keys=True)
        onnx.helper.set_model_props(model, {OPTIONS: said})
        temporary.write_bytes(model.SerializeToString(deterministic=True))
        difference = _difference(generator, OnnxGenerator(temporary))
        if not difference <= TOLERANCE:
            raise FramekitError(f"ONNX Runtime's pictures differ by {difference:.2g}", where=out)
    return difference


def _difference(generator: Generator, other: OnnxGenerator) -> float:
    """By how much two generators differ at most on noise, which no feature map is left out by."""
    noise = torch.Generator().manual_seed(0)
    worst = 0.0
    for count, height, width in SIZES:
        photos = torch.rand(count, 3, height, width, generator=noise) * 2 - 1
        with torch.no_grad():
            worst = max(worst, float((generator(photos) - other(photos)).abs().max()))
    return worst


def _card(model: Path, options: GeneratorOptions) -> str:
    """The run's own card where there is one of these weights; else what can be said of weights alone.

    A run's card is about its end: not about a checkpoint on the way, and pictures that it shows stay there.
    """
    folder = model if model.is_dir() else model.parent
    written = folder / CARD
    if model.suffix != ".pt" and (folder / "options.json").is_file() and written.is_file():
        card = written.read_text(encoding="utf-8", errors="replace")
        card = card.replace(f"{BESIDE}\n\n", "").replace("generator.safetensors", WEIGHTS)
    else:
        card = BARE_CARD.format(weights=WEIGHTS, options=json.dumps(_kept(options), indent=2, sort_keys=True))
    return f"{card.rstrip()}\n\n{HOW_TO_LOAD}"


BARE_CARD = f"""{FRONT_MATTER}
# A generator of CartoonGAN

Makes cartoons of photos (Chen et al., CVPR 2018). What it was trained on lies in its run folder, which was
not at hand when this card was written: say it here.

```bash
cartoongan stylize {{weights}} photo.jpg --out cartoon.png
```

## Licence

Not chosen yet: choose one before you share this model, and say so in this file's first lines. It learned from
pictures that belong to whoever owns the films and photos. Share it only where you may, and not as the work of
the artist whose style it learned.

## Options

```json
{{options}}
```
"""
"""Takes the name of the weights, and the options as JSON."""
HOW_TO_LOAD = """## From Python

```python
from cartoongan.hub import HubGenerator

generator = HubGenerator.from_pretrained("OWNER/NAME").eval()  # or this folder's path
cartoons = generator(photos)  # (N, 3, H, W) RGB in [-1, 1], height and width multiples of 4
```
"""
