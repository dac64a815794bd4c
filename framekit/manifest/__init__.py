"""The dataset on disk: its tables, reading, writing, decisions, verifying.

import framekit.manifest
manifest = framekit.manifest.open("dataset")
for pair in manifest.train:
    pair.image, pair.smoothed  # (256, 256, 3) uint8 RGB
manifest.frames(["frame_id", "sharpness"]).to_pandas()
framekit.manifest.decide(manifest.root, ["ponyo-0a1b2c3d:1200"], keep=False, reason="logo", by="ada")
"""

from framekit.manifest.decisions import Decision, decide, history, state
from framekit.manifest.loading import WINDOW, PairStream, Share, Shuffle
from framekit.manifest.reading import Manifest, ManifestError, Pair, PairReader
from framekit.manifest.reading import open_manifest as open

__all__ = [
    "WINDOW",
    "Decision",
    "Manifest",
    "ManifestError",
    "Pair",
    "PairReader",
    "PairStream",
    "Share",
    "Shuffle",
    "decide",
    "history",
    "open",
    "state",
]
