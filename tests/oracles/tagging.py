"""What a WD tagger is given, in the order of its published demonstration: pad, then resize."""

import numpy as np
from PIL import Image


def as_published(image: np.ndarray, side: int) -> np.ndarray:
    """(side, side, 3) float32 BGR, 0 to 255, of an (H, W, 3) uint8 RGB picture."""
    height, width = image.shape[:2]
    longest = max(height, width)
    square = Image.new("RGB", (longest, longest), (255, 255, 255))
    square.paste(Image.fromarray(image), ((longest - width) // 2, (longest - height) // 2))
    resized = np.asarray(square.resize((side, side), Image.Resampling.BICUBIC), np.float32)
    return np.stack([resized[..., 2], resized[..., 1], resized[..., 0]], axis=2)
