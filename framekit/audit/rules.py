"""Rules about a whole dataset, as `duplicates>2%` or `sharpness<100`, and the figures that they may name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from framekit.errors import CommandError, FramekitError
from framekit.images.rules import COMPARISONS, CROP_MEASURES, FRAME_MEASURES, Rule, parse_rule

COUNTS = {
    "films": "films that gave pairs",
    "frames": "frames that are in",
    "pairs": "pairs that are in",
    "leaks": "frames of the test side that are near-duplicates of some of the train side",
    "overlap": "frames that are near-duplicates of some of the dataset given by --photos",
}
ISSUES = {
    "dark": "luma_p99<82",
    "bright": "luma_p50>243",
    "blurred": "sharpness<20",
    "grey": "colourfulness<3",
    "noisy": "noise>4",
    "compressed": "blockiness>3",
    "combed": "combing>3",
    "lineless": "crop.edge_density<=0",
}
"""What frames that are in, or crops, may have, as a rule says it of each."""
CONTENT = ("people", "animals", "scenery", "city", "greenery", "other")
SHARES = {
    "duplicates": "frames that are in though they are near-duplicates of another that is",
    "dropped": "sampled frames that are left out",
    "largest-film": "pairs from the film that gave most",
    **{
        name: f"{'pairs' if rule.startswith('crop.') else 'frames'} with {rule}"
        for name, rule in ISSUES.items()
    },
    **{name: f"frames that show {name}" for name in CONTENT},
}
OPEN_ENDED = re.compile(r"(content|dropped)\.([^<>=()]+)")
"""Names that end in what a dataset may call a group or a reason."""
WRITTEN = re.compile(
    r"\s*(?:share\((?P<each>[^()]+)\)|(?P<name>[a-z][a-z0-9_.\- ]*?))"
    r"\s*(?P<comparison><=|>=|<|>)\s*(?P<limit>\d+(?:\.\d+)?|-\d+(?:\.\d+)?)\s*(?P<percent>%)?\s*",
    re.ASCII,
)


@dataclass(frozen=True)
class DatasetRule:
    """A figure of a dataset beyond a limit.

    Attributes:
        text: As it was written, without spaces.
        name: The figure; empty where it is the share of what meets `each`.
        each: A rule about single frames or crops.
        comparison: One of `COMPARISONS`.
        limit: Between 0 and 1 for shares.
    """

    text: str
    name: str
    each: Rule | None
    comparison: str
    limit: float

    def holds(self, value: float) -> bool:
        """Whether a figure is beyond the limit."""
        return bool(COMPARISONS[self.comparison](value, self.limit))


def parse(text: str) -> DatasetRule:
    """Read a rule about a dataset as a person writes it.

    Raises:
        CommandError: It is none, or there is no such figure; with all that there are.
    """
    match = WRITTEN.fullmatch(text)
    if match is None:
        raise CommandError(f"{text!r} is no rule", advice=f"write it as duplicates>2% or films<3; {known()}")
    each, name, comparison, limit, percent = match.group("each", "name", "comparison", "limit", "percent")
    rule = None
    if each is not None:
        try:
            rule = parse_rule(each)
        except FramekitError as error:
            raise CommandError(error.what, where=text, advice=error.advice) from None
    elif not is_known(name):
        raise CommandError(f"there is no figure {name!r}", where=text, advice=known())
    share = rule is not None or is_share(name)
    if bool(percent) != share:
        figure, sign = f"share({each})" if each else name, "%" if share else ""
        advice = f"write it as {figure}{comparison}{limit}{sign}"
        raise CommandError("is a share" if share else "is no share", where=text, advice=advice)
    value = float(limit) / 100 if percent else float(limit)
    return DatasetRule(re.sub(r"\s+", "", text), name or "", rule, comparison, value)


def known() -> str:
    """All that may be asked, in one line."""
    return (
        f"counts: {', '.join(COUNTS)}; shares: {', '.join(SHARES)}, content.GROUP, dropped.REASON, "
        f"share(RULE) with a rule of --leave-out; medians: {', '.join(FRAME_MEASURES)} and crop.MEASURE"
    )


def is_known(name: str) -> bool:
    """Whether there is such a figure."""
    return (
        name in COUNTS
        or is_share(name)
        or name in FRAME_MEASURES
        or name.partition("crop.")[2] in CROP_MEASURES
    )


def is_share(name: str) -> bool:
    """Whether a figure is a share."""
    return name in SHARES or OPEN_ENDED.fullmatch(name) is not None


def is_of_pairs(rule: DatasetRule) -> bool:
    """Whether a share is one of pairs, and not of frames."""
    if rule.each is not None:
        return rule.each.of_crops
    return rule.name == "largest-film" or ISSUES.get(rule.name, "").startswith("crop.")
