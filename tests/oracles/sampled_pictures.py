"""All pictures of a film by a sampling, begun anew after each surprise, and held to an oracle's."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framekit.sources.decoding import Approach, Picture, Surprise, film_pictures
from framekit.sources.frames import Decoded
from framekit.sources.sampling import Sampling
from tests.oracles.full_decode import FullDecode, TakenFrame


@dataclass
class Sampled:
    """What a sampling gave, and how it ended up being decoded."""

    pictures: list[Picture]
    decoded: Decoded
    approach: Approach


def sampled_pictures(path: Path, sampling: Sampling, approach: Approach) -> Sampled:
    """Begin anew after each surprise."""
    while True:
        decoded = Decoded()
        try:
            pictures = list(film_pictures(path, sampling, decoded=decoded, approach=approach))
        except Surprise as surprise:
            approach = surprise.approach
        else:
            return Sampled(pictures, decoded, approach)


def differences(
    got: Sampled,
    oracle: FullDecode,
    numbers: list[int],
    taken: dict[int, TakenFrame],
    *,
    undefined: frozenset[int] = frozenset(),
) -> list[str]:
    """What of a sampling's outcome is not as the oracle's.

    Args:
        got: The outcome.
        oracle: Of the same film.
        numbers: The frames that the oracle takes.
        taken: The oracle's pictures of at least these.
        undefined: Frames whose pixels are not to be compared.
    """
    found = [picture.place.number for picture in got.pictures]
    if found != numbers:
        return [f"frames {found} for {numbers}"]
    counts = got.decoded.frames, got.decoded.damaged
    # With a timeline most frames are not decoded, and those that are must be sound.
    damaged = oracle.damaged + (0 if got.approach.timeline else oracle.concealed)
    wrong = []
    if counts != (len(oracle.times), damaged):
        wrong.append(f"frames and damage {counts} for {len(oracle.times), damaged}")
    for picture in got.pictures:
        place, frame = picture.place, taken[picture.place.number]
        seconds = None if frame.seconds is None else float(frame.seconds)
        if (place.pts, place.seconds) != (frame.pts, seconds):
            wrong.append(f"frame {place.number} at {place.pts, place.seconds} for {frame.pts, seconds}")
        if place.number not in undefined and not np.array_equal(picture.image, frame.image):
            wrong.append(f"frame {place.number} looks different")
    return wrong
