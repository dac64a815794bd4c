"""The dataset on disk: its tables, reading, writing, decisions, verifying.

import framekit.manifest
manifest = framekit.manifest.open("dataset")
for pair in manifest:
    pair.image, pair.smoothed  # (256, 256, 3) uint8 RGB
"""

from framekit.manifest.reading import Manifest, ManifestError, Pair, PairReader
from framekit.manifest.reading import open_manifest as open

__all__ = ["Manifest", "ManifestError", "Pair", "PairReader", "open"]
