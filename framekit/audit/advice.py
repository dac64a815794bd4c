"""What is worth doing about a dataset: checks by rules, and what would help most, with its commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from framekit.audit import commands
from framekit.audit.answers import Answer, Figure, answer, makes_sense, meeting, percent
from framekit.audit.measures import Balance, Counts, Share, SourceFigures, rounded
from framekit.audit.rows import Rows
from framekit.audit.rules import ISSUES, parse
from framekit.audit.sameness import DISTANCE, Common
from framekit.extraction.deciding import NOT_CUT
from framekit.images.rules import Rule, parse_rule

WORDS = {
    "pairs": "few pairs",
    "films": "few films",
    "largest-film": "one film above all",
    "lineless": "pairs without a line",
    "duplicates": "near-duplicates that are in",
    "blurred": "blurred frames",
    "dark": "dark frames",
    "bright": "bright frames",
    "grey": "grey frames",
    "noisy": "grainy frames",
    "compressed": "blocky frames",
    "combed": "interlaced frames",
    "people": "few people",
    "leaks": "test frames that train",
    "overlap": "cartoons among the photos",
}
"""What is to be looked at where a check of this name holds."""
ENOUGH_PAIRS = 4_000
"""What a command that takes more aims at."""
DENSE, DENSER = 24, 4
"""Every so many frames, where a dataset was sampled in another way; and how many times as many, at most."""
THINGS = 3
"""That are advised, at most."""
MOST = 0.5
"""Share beyond which nobody wants to leave it out."""
TAGGER = "SmilingWolf/wd-vit-tagger-v3"
NAMED_FRAMES = 12
"""Frames that a command names."""


@dataclass(frozen=True)
class Check:
    """A rule that every dataset is held against.

    Attributes:
        name: The figure.
        what: What is counted, in words.
        rule: Holds where something is to be looked at.
        holds: None where the figure is not known.
        shown: The figure in words.
        why: What it means.
    """

    name: str
    what: str
    rule: str
    holds: bool | None
    shown: str
    why: str


@dataclass(frozen=True)
class Advice:
    """Something worth doing: what, why, the command that does it, and how much it matters beside others."""

    what: str
    why: str
    command: str
    matters: float


@dataclass(frozen=True)
class Verdict:
    """What a dataset is good for: `ready`, `mend` or `not ready`, and that in plain words."""

    state: str
    headline: str
    words: str


@dataclass(frozen=True)
class Known:
    """All that advice follows from."""

    rows: Rows
    counts: Counts
    sources: list[SourceFigures]
    balance: Balance
    named: Mapping[str, Figure]
    leaks: Common | None
    overlap: Common | None
    photos: Rows | None
    problems: list[str]

    @property
    def films(self) -> int:
        """Films that gave pairs."""
        return sum(source.kind == "film" and source.pairs > 0 for source in self.sources)

    @property
    def some_grey(self) -> bool:
        """Whether it mixes pictures with and without colour."""
        grey = self.named["grey"]
        return isinstance(grey, Share) and grey.share < 0.98


def _always(_: Known) -> bool:
    return True


CHECKS: tuple[tuple[str, str, Callable[[Known], bool]], ...] = (
    ("pairs<1000", "the paper's styles had some thousands of pictures each", _always),
    ("films<3", "one film is not yet a style", lambda known: known.films > 0),
    ("largest-film>60%", "a model learns what it sees most", lambda known: known.films > 1),
    (
        "lineless>5%",
        "without an edge the smoothed half is the crop itself: shown as real and as fake at once",
        lambda known: makes_sense("lineless", known.rows),
    ),
    ("duplicates>2%", "near-identical pictures that are in count several times", _always),
    ("blurred>10%", "soft pictures teach soft lines", _always),
    ("dark>5%", "99 % of the picture is darker than level 82", _always),
    ("bright>5%", "half of the picture is next to white", _always),
    ("grey>2%", "some pictures without colour among others with it", lambda known: known.some_grey),
    ("noisy>5%", "grain is learnt as if it were drawn", _always),
    ("compressed>10%", "blocks of strong compression are learnt, too", _always),
    ("combed>5%", "interlaced motion leaves teeth at edges", lambda known: makes_sense("combed", known.rows)),
    ("people<10%", "what is seen seldom comes out poor", _always),
    ("leaks>0", "a test side that was seen in training tests nothing", lambda known: known.leaks is not None),
    ("overlap>0", "a photo that is a cartoon teaches nothing", lambda known: known.overlap is not None),
)
"""Rule, what it is about, and whether it makes sense for a dataset."""


def checks(known: Known, medians: Mapping[str, float]) -> list[Check]:
    """Hold a dataset against the rules that make sense for it."""
    found = []
    for text, why, applies in CHECKS:
        if applies(known):
            rule = parse(text)
            said: Answer = answer(rule, known.rows, known.named, medians)
            holds = said.holds if said.value is not None else None
            found.append(Check(rule.name, WORDS[rule.name], text, holds, said.shown, why))
    return found


def advise(known: Known, found: list[Check]) -> list[Advice]:
    """The things most worth doing, first what matters most."""
    ways = [*_urgent(known)]
    if known.counts.sampled:
        ways += [*_by_checks(known, found), *_further(known)]
    return sorted(ways, key=lambda way: -way.matters)[:THINGS]


def verdict(known: Known, found: list[Check]) -> Verdict:
    """Say what a dataset is good for."""
    counts = known.counts
    films = sum(source.kind == "film" for source in known.sources)
    others = len(known.sources) - films
    origins = [_counted(films, "film")] * bool(films) + [_counted(others, "folder") + " of pictures"] * bool(
        others
    )
    words = (
        f"{_counted(counts.pairs, 'pair')} from {counts.kept:,} of "
        f"{_counted(counts.sampled, 'sampled frame')} of {' and '.join(origins) or 'no source'}."
    )
    if not known.rows.manifest.info.finished:
        return Verdict("not ready", "The extraction is not finished", words + " There is more to come.")
    if not counts.pairs:
        return Verdict("not ready", "Nothing to train on", words)
    bad = [check for check in found if check.holds]
    if not bad:
        return Verdict("ready", "Ready to train on", words + " No check found anything to mend.")
    named = ", ".join(check.what for check in bad)
    return Verdict(
        "mend", f"Usable, with {_counted(len(bad), 'thing')} to look at", f"{words} To look at: {named}."
    )


def _urgent(known: Known) -> Iterator[Advice]:
    """What stands in the way of everything else."""
    rows, counts, root = known.rows, known.counts, known.rows.root
    if not rows.manifest.info.finished:
        why = "It was interrupted: what is counted here is only a part."
        yield Advice("Finish the extraction", why, commands.extract_again(rows), 100)
    elif not counts.sampled:
        take = commands.extract_more(rows, "FILMS")
        yield Advice("Take pictures from films", "There is none yet.", take, 60)
    if rows.damaged:
        why = f"What cannot be read is missing here: {rows.damaged[0]}."
        yield Advice("See what is damaged", why, commands.command("framekit", "verify", root), 80)
    if counts.sampled and not counts.pairs and rows.manifest.info.finished:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in list(counts.dropped.items())[:5])
        why = f"No pair is left. Frames were left out: {reasons or 'none'}."
        review = commands.command("framekit", "review", root, "--open")
        yield Advice("Find out why nothing is in", why, review, 70)
    if known.problems:
        failed = rows.manifest.info.problems[0].path
        why = f"{_counted(len(known.problems), 'source')} failed in whole or in part: {known.problems[0]}."
        yield Advice("See to what failed", why, commands.command("framekit", "probe", failed), 30)
    to_cut = counts.dropped.get(NOT_CUT, 0)
    if to_cut:
        why = f"{_counted(to_cut, 'frame')} that the limits want have no pairs yet; only they are decoded."
        yield Advice("Cut what is wanted", why, commands.extract_again(rows), 25)


def _by_checks(known: Known, found: list[Check]) -> Iterator[Advice]:
    for check in found:
        if check.holds:
            advice = _WAYS.get(check.name, _leave_out)(known, check)
            yield replace(advice, matters=rounded(1 + advice.matters))


def _leave_out(known: Known, check: Check) -> Advice:
    """Of pictures that have an issue."""
    rule = ISSUES[check.name]
    origin = _mostly_from(known.rows, parse_rule(rule))
    share, heavy = _share(known, check), 60 if check.name == "lineless" else 30
    if share > MOST:
        why = f"{check.shown}: {check.why}. To leave them out would leave little: look for better sources."
        review = commands.command("framekit", "review", known.rows.root, "--open")
        return Advice(f"Look at {check.what}", why, review, heavy * share / 4)
    why = f"{check.shown}{origin}: {check.why}. No film is needed for it."
    command = commands.dedup(known.rows, leave_out=rule)
    return Advice(f"Leave out {check.what}", why, command, heavy * share)


def _mostly_from(rows: Rows, rule: Rule) -> str:
    """The source that more than half of what meets a rule comes from, where there are several."""
    meets = meeting(rule, rows)
    sources = (rows.crops if rule.of_crops else rows.frames).source
    found = np.bincount(sources[meets & (sources >= 0)], minlength=len(rows.sources))
    if len(rows.sources) < 2 or 2 * found.max() <= meets.sum():
        return ""
    return f", mostly from {rows.sources[int(found.argmax())].id}"


def _more_pairs(known: Known, check: Check) -> Advice:
    rows, pairs = known.rows, known.counts.pairs
    few = f"{_counted(pairs, 'pair')} {'is' if pairs == 1 else 'are'} few: {check.why}."
    if not rows.films:
        return Advice("Add pictures", few, commands.extract_more(rows, "MORE_PICTURES"), 20)
    every = rows.options.every
    times = max(2, min(DENSER, -(-ENOUGH_PAIRS // max(1, pairs))))
    denser = commands.extract_anew(rows, "-denser", {"every": max(1, (every or DENSE) // times)})
    why = f"{few} Take more frames of the same films, or add films: what looks the same is left out again."
    return Advice("Take more pairs", why, denser, 20)


def _more_films(known: Known, check: Check) -> Advice:
    why = f"Pairs come from {_counted(known.films, 'film')}: {check.why}. What is added joins what is there."
    return Advice("Add films", why, commands.extract_more(known.rows, "MORE_FILMS"), 8)


def _even_out(known: Known, check: Check) -> Advice:
    sampled = sorted(source.sampled for source in known.sources if source.kind == "film" and source.pairs)
    count = {"count": max(1, sampled[len(sampled) // 2])}
    why = f"{known.balance.largest} gives {check.shown}: {check.why}. Take as many frames of every film."
    share = _share(known, check)
    return Advice("Even films out", why, commands.extract_anew(known.rows, "-even", count), 25 * share)


def _fewer_duplicates(known: Known, check: Check) -> Advice:
    asked = known.rows.options.dedup_distance
    distance = asked + 2 if asked >= DISTANCE else DISTANCE
    why = f"{check.shown} are like another that is in: {check.why}."
    command = commands.dedup(known.rows, distance=min(64, distance))
    return Advice("Leave near-duplicates out", why, command, 40 * _share(known, check))


def _deinterlace(known: Known, check: Check) -> Advice:
    command = commands.extract_anew(known.rows, "-deinterlaced", {"deinterlace": "on"})
    return Advice("Deinterlace", f"{check.shown}: {check.why}.", command, 30 * _share(known, check))


def _more_people(known: Known, check: Check) -> Advice:
    why = f"People are in {check.shown}: {check.why}. Add sources that show them."
    what = "FILMS_WITH_PEOPLE" if known.rows.films else "PICTURES_OF_PEOPLE"
    return Advice("Add people", why, commands.extract_more(known.rows, what), 6)


def _no_leaks(known: Known, check: Check) -> Advice:
    asked = known.rows.options.dedup_distance
    why = f"{check.shown} frames of the test side are like some of the train side: {check.why}."
    if asked < DISTANCE:
        return Advice("Close the leak", why, commands.dedup(known.rows, distance=DISTANCE), 35)
    split = commands.command("framekit", "split", known.rows.root, "--by", "scene")
    return Advice("Split anew", why, split, 35)


def _no_overlap(known: Known, check: Check) -> Advice:
    assert known.overlap is not None
    assert known.photos is not None
    ids = list(dict.fromkeys(twins.second for twins in known.overlap.twins))[:NAMED_FRAMES]
    words = ["framekit", "decide", known.photos.root, *ids, "--drop", "--reason", "in the cartoons"]
    why = f"{check.shown} frames are in the photos, too: {check.why}."
    return Advice("Take cartoons out of the photos", why, commands.command(*words), 20)


_WAYS: dict[str, Callable[[Known, Check], Advice]] = {
    "pairs": _more_pairs,
    "films": _more_films,
    "largest-film": _even_out,
    "duplicates": _fewer_duplicates,
    "combed": _deinterlace,
    "people": _more_people,
    "leaks": _no_leaks,
    "overlap": _no_overlap,
}


def _further(known: Known) -> Iterator[Advice]:
    """What is worth doing when nothing is wrong."""
    rows, counts, place = known.rows, known.counts, commands.place(known.rows)
    alike = counts.dropped.get("near-duplicate", 0) / counts.sampled
    every = rows.options.every
    if alike > 0.5 and every is not None:
        why = f"{percent(alike)} of the frames were near-duplicates: fewer samples give as much."
        thinner = commands.extract_anew(rows, "-thinner", {"every": 2 * every})
        yield Advice("Sample more thinly next time", why, thinner, 0.7)
    if counts.content is None and not counts.groups:
        why = "Nothing tells yet how many frames show people or animals; what is seen seldom comes out poor."
        tagged = commands.extract_anew(rows, "-tagged", {"tagger": TAGGER})
        yield Advice("See what frames show", why, tagged, 0.9)
    if counts.split is None and known.films:
        why = "A tenth that is never trained on tells later what was learnt. Whole shots stay together."
        yield Advice("Set a test side apart", why, f"framekit split {place} --by scene", 0.8)
    why = "A person sees in a second what no measure tells: a watermark, the wrong one of five."
    yield Advice("Look through it yourself", why, f"framekit review {place} --open", 0.5)
    domains = (place, "PHOTOS") if rows.manifest.has_smoothed else ("CARTOONS", place)
    train = "cartoongan train --cartoons {} --photos {} --out run".format(*domains)
    yield Advice("Train on it", "What training needs is here.", train, 0.1)


def _share(known: Known, check: Check) -> float:
    share = known.named[check.name]
    return share.share if isinstance(share, Share) else 0.0


def _counted(count: int, name: str) -> str:
    """`1 film`, `3 films`."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"
