"""What measures and reasons mean, in words for someone who sees the pictures beside them."""

from __future__ import annotations

from typing import Literal, NamedTuple


class About(NamedTuple):
    """A measure as a report shows it.

    Attributes:
        title: Its name.
        means: What it is.
        worst: Where the pictures lie that one would look at first.
        first: These, in words.
    """

    title: str
    means: str
    worst: Literal["lowest", "highest"]
    first: str


FRAMES = {
    "sharpness": About(
        "Sharpness", "variance of the Laplacian, at 640 pixels' width", "lowest", "The softest"
    ),
    "edge_density": About("Edges", "share of pixels that are edges", "lowest", "The emptiest"),
    "contrast": About("Contrast", "standard deviation of luma, in levels", "lowest", "The flattest"),
    "entropy": About("Entropy", "of the histogram of luma, in bits", "lowest", "The plainest"),
    "flatness": About("Flatness", "share of 8×8 blocks without any detail", "highest", "The flattest"),
    "luma_p99": About(
        "Brightest parts", "level that 99 % of the pixels don't exceed", "lowest", "The darkest"
    ),
    "luma_p50": About(
        "Middle level", "level that half of the pixels don't exceed", "highest", "The brightest"
    ),
    "brightness": About("Brightness", "mean luma, 0 to 255", "lowest", "The darkest on the whole"),
    "luma_p1": About(
        "Darkest parts", "level that 1 % of the pixels don't exceed", "highest", "Without any black"
    ),
    "colourfulness": About(
        "Colourfulness", "0 for grey, 15 slightly, 60 quite colourful", "lowest", "The greyest"
    ),
    "noise": About("Grain", "standard deviation in flat areas, in levels", "highest", "The grainiest"),
    "blockiness": About(
        "Compression", "steps at the lines of an 8×8 grid; 1 for none", "highest", "The blockiest"
    ),
    "combing": About(
        "Combs", "percent of pixels with the teeth of interlaced motion", "highest", "The most combed"
    ),
    "text": About("Text", "share of the picture under lines of text", "highest", "With most text"),
    "fade": About("Fade", "how far it has faded to black or white", "highest", "The most faded"),
    "dissolve": About(
        "Cross-fade", "how much of it a mix of its neighbours in time explains", "highest", "The most mixed"
    ),
}
"""Measures of frames in the order in which they are shown. The camera's moves are no quality."""
CROPS = {
    "edge_density": About(
        "Edges", "share of pixels that are edges; 0 leaves a pair of equals", "lowest", "The emptiest"
    ),
    "sharpness": About("Sharpness", "variance of the Laplacian, at its own pixels", "lowest", "The softest"),
    "contrast": About("Contrast", "standard deviation of luma, in levels", "lowest", "The flattest"),
    "flatness": About("Flatness", "share of 8×8 blocks without any detail", "highest", "The flattest"),
    "noise": About("Grain", "standard deviation in flat areas, in levels", "highest", "The grainiest"),
    "blockiness": About(
        "Compression", "steps at the lines of an 8×8 grid; 1 for none", "highest", "The blockiest"
    ),
    "overlay": About(
        "Logo", "share of the crop under its film's static overlay", "highest", "The most covered"
    ),
}
REASONS = {
    "near-duplicate": "a sharper frame that looks the same stands for it (--dedup-distance)",
    "flat": "next to no contrast: black, white (--min-contrast)",
    "fade": "more black or white than picture (--max-fade)",
    "dissolve": "two shots at once (--max-dissolve)",
    "credits": "lines of text and little else (--max-text)",
    "smaller than the crop": "frames are never enlarged (--crop-size)",
    "no crop with content": "every place drawn for a crop was one flat colour",
    "could not be read again": "its film did not give it a second time",
    "not cut yet": "the limits want it now; framekit extract cuts it",
    "compacted": "it had pairs before the shards were compacted",
    "by hand": "a person's word",
}
