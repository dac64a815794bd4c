"""What `torch.hub.load` finds here.

torch.hub.load("OWNER/REPOSITORY", "cartoongan", weights="generator.safetensors")
"""

from __future__ import annotations

from typing import Any

dependencies = ["torch", "pydantic", "safetensors"]


def cartoongan(weights: str) -> Any:
    """A trained generator, for use: (N, 3, H, W) RGB in [-1, 1] → the same; sides are multiples of 4.

    Args:
        weights: A run folder, a checkpoint or a .safetensors file of `cartoongan train`.
    """
    from cartoongan.checkpoints import load_generator

    return load_generator(weights)
