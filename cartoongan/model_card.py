"""The model card: README.md of a run, in the form that the Hugging Face hub reads."""

from __future__ import annotations

import json
from typing import Any

import torch

from cartoongan.curves import History
from cartoongan.networks import Generator, parameter_count
from cartoongan.planning import Plan
from framekit import __version__
from framekit.errors import printable

PLACES = ("vgg_weights", "features")
"""Options that name files and modules of the person who trained."""
FRONT_MATTER = """---
library_name: cartoongan
pipeline_tag: image-to-image
tags:
- cartoongan
- image-to-image
- style-transfer
---
"""
"""What the hub reads of a card."""
BESIDE = "Pictures of the sample photos: `samples/`. Losses and all else that was logged: `curves.html`."
"""What stands in a run's folder, and not where its weights are sent."""


def model_card(plan: Plan, digests: dict[str, str], history: History, best: int | None) -> str:
    """Write the card.

    Args:
        plan: Of the run, which is done.
        digests: Of data and features.
        history: What its log tells.
        best: Step of the checkpoint with the lowest score.
    """
    options = plan.options
    with torch.device("meta"):
        weights = parameter_count(Generator(options))
    steps, init = history.last_step, history.last_init_step
    style = plan.cartoons.info.options.get("style")
    shown = json.dumps(options.model_dump(mode="json", exclude=set(PLACES)), indent=2, sort_keys=True)
    return f"""{FRONT_MATTER}
# {_cell(style or plan.run.resolve().name)}

Makes cartoons of photos: a generator of CartoonGAN (Chen et al., CVPR 2018) with {weights:,} weights.
cartoon-framekit {__version__} trained it for {steps:,} steps of {options.batch_size} photos. In the first
{init:,} it only learned to give photos back.

```bash
cartoongan stylize generator.safetensors photo.jpg --out cartoon.png
```

| trained on | samples | digest |
|---|---|---|
| cartoons | {len(plan.cartoons):,} | `{digests["cartoons"]}` |
| photos | {len(plan.photos):,} | `{digests["photos"]}` |
| features of the content loss | {_features(plan)} | `{digests["features"]}` |

{_figures(history, best)}

{BESIDE}

## Licence

Not chosen yet: choose one before you share this model, and say so in this file's first lines. It learned from
pictures that belong to whoever owns the films and photos. Share it only where you may, and not as the work of
the artist whose style it learned.{_vgg_licence(plan)}

## Options

```json
{shown}
```
"""


def _figures(history: History, best: int | None) -> str:
    """The last losses, as means over the last hundredth of the run, and the best score."""
    since = history.last_step - max(history.last_step // 100, 10)
    rows = []
    for part in ("raw", "accuracy"):
        for name, points in history.of(part).items():
            values = points[points[:, 0] > since, 1]
            if len(values):
                title = {"raw": f"{name} loss", "accuracy": f"discriminator right on {name}"}[part]
                rows.append(f"| {title} | {values.mean():.4g} |")
    if best is not None:
        parts = {name: dict(points.tolist())[best] for name, points in history.of("score").items()}
        told = ", ".join(f"{name} {value:.3f}" for name, value in parts.items())
        rows.append(f"| lowest score, after step {best:,} | {told} |")
    return "\n".join(["| at the end | |", "|---|---|", *rows])


def _features(plan: Plan) -> str:
    if plan.options.features:
        return "a network of its own"
    return "VGG19 with random weights" if plan.options.untrained_features else "VGG19 to conv4_4"


def _vgg_licence(plan: Plan) -> str:
    if plan.options.features or plan.options.untrained_features:
        return ""
    return "\nVGG19, which took part in training and is no part of the model, has a licence of its own."


def _cell(text: Any) -> str:
    """Words from strangers, fit for a heading and a table."""
    return printable(text).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
