"""What is done with a cartoon beside the generator: the photo's colours, a share of the photo, bytes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cartoongan.networks import to_bytes, to_signed
from cartoongan.options import StylizeOptions

LUMA = (0.299, 0.587, 0.114)
"""Of R, G and B in ITU-R BT.601's luma, as JPEG has it."""
DEEP = 32_767.5
"""Half of the range of 16 bits."""


def looked(cartoons: Tensor, photos: Tensor, options: StylizeOptions) -> Tensor:
    """What `options` want made of `cartoons`: (N, 3, H, W) float in [-1, 1], as both of them."""
    if options.colour_keep:
        cartoons = with_colours_of(photos, cartoons)
    return cartoons if options.strength == 1 else torch.lerp(photos, cartoons, options.strength)


def with_colours_of(photos: Tensor, cartoons: Tensor) -> Tensor:
    """Brightness of `cartoons` with the chroma of `photos`, all (N, 3, H, W) in [-1, 1].

    Chroma is R - Y and B - Y: both stay where all channels get the same added. What then lies outside of the
    range is cut off.
    """
    weights = cartoons.new_tensor(LUMA)[:, None, None]
    return (photos + ((cartoons - photos) * weights).sum(1, keepdim=True)).clamp(-1, 1)


def signed(pixels: Tensor) -> Tensor:
    """uint8 in [0, 255], or int32 in [0, 65535], → float32 in [-1, 1]."""
    return to_signed(pixels) if pixels.dtype == torch.uint8 else pixels.float().div_(DEEP).sub_(1.0)


def as_array(pictures: Tensor, kind: np.dtype) -> np.ndarray:
    """(N, 3, H, W) float in [-1, 1] → (N, H, W, 3) uint8 or uint16, rounded."""
    if kind == np.uint8:
        return to_bytes(pictures).permute(0, 2, 3, 1).cpu().numpy()
    deep = pictures.add(1.0).mul_(DEEP).round_().clamp_(0, 65535).to(torch.int32)
    return deep.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint16)
