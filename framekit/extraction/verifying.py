"""Verifying a dataset from end to end: its folder, its options, and its pictures against their films."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framekit.errors import FramekitError, printable
from framekit.extraction.against_films import against_films
from framekit.manifest.digesting import digest
from framekit.manifest.reading import open_manifest
from framekit.manifest.verifying import look_through
from framekit.options import ExtractOptions
from framekit.validating import validated


@dataclass(frozen=True)
class Verified:
    """What was looked at, and what was found.

    Attributes:
        root: The dataset's folder.
        faults: One line each.
        digest: See `framekit.manifest.digesting.digest`.
        frames, pairs: Rows.
        compared: Crops that were cut again from their films; None where that was not asked for.
    """

    root: Path
    faults: list[str]
    digest: str
    frames: int
    pairs: int
    compared: int | None

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        counts = {"frames": self.frames, "pairs": self.pairs, "compared": self.compared}
        return {"dataset": str(self.root), "digest": self.digest, "faults": self.faults} | counts

    def told(self) -> Iterator[str]:
        """Lines that sum it up; the last one gives the digest."""
        count = len(self.faults)
        named = "no faults" if not count else "1 fault" if count == 1 else f"{count:,} faults"
        yield f"{named} in {self.frames:,} frames and {self.pairs:,} stored pairs"
        if self.compared is not None:
            yield f"{self.compared:,} crops compared with their films"
        yield f"digest  {self.digest}"


def verify(root: str | Path, *, with_films: bool = False, films: Path | None = None) -> Verified:
    """Verify the dataset in folder `root`; all faults are found.

    Args:
        root: The dataset's folder.
        with_films: Decode its films, and cut every crop again.
        films: A folder to look for them in, by name.

    Raises:
        ManifestError: There is no dataset, or its dataset.json is damaged.
    """
    manifest = open_manifest(root)
    root = manifest.root
    found = look_through(manifest)
    faults, compared = found.faults, None
    try:
        options = validated(ExtractOptions, manifest.info.options)
    except FramekitError as error:
        faults.append(printable(f"dataset.json: options: {error.what}"))
        if with_films:
            compared = 0
            faults.append(f"dataset.json: options: with these its {found.pairs:,} crops were not compared")
    else:
        if with_films:
            comparison = against_films(manifest, options, films=films)
            faults, compared = faults + comparison.faults, comparison.crops
    return Verified(root, faults, digest(root, sums=found.sums), found.frames, found.pairs, compared)
