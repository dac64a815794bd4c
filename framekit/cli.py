"""The `framekit` command: parse, call, print. No logic."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from framekit import __version__
from framekit.audit.rules import DatasetRule
from framekit.audit.rules import parse as parse_rule
from framekit.errors import CommandError, printable
from framekit.options import ExtractOptions, Limits
from framekit.terminal.commands import Program, print_json, say
from framekit.terminal.flags import Here, Place, flags_of

if TYPE_CHECKING:
    from collections import Counter

    from framekit.extraction.extract import Extraction
    from framekit.extraction.plan import Plan
    from framekit.extraction.settling import Settled
    from framekit.review.session import Session

DATASET = Place()


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main() -> None:
    """From films to an audited dataset of (crop, edge-smoothed crop) pairs.

    \b
    framekit extract film1.mkv film2.mkv --out dataset   cut pairs from films
    framekit audit dataset                               see what it holds
    cartoongan train --cartoons dataset …                train on it
    """


@main.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def probe(sources: tuple[str, ...], as_json: bool) -> None:
    """Show what framekit sees in films and folders, and how it would decode them, without extracting.

    \b
    framekit probe film.mkv
    framekit probe ~/films --json
    """
    _look_over(sources, ExtractOptions(), as_json=as_json)


@main.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--out", type=DATASET, required=True, help="The dataset's folder.")
@flags_of(ExtractOptions)
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: one a core]")
@click.option("--executor", type=click.Choice(["local", "ray"]), help="What runs them.  [default: local]")
@click.option("--ray-address", metavar="ADDRESS", help="Of a Ray cluster: auto, host:port, ray://host:port.")
@click.option("--hwaccel", metavar="DEVICE", help="Decode on hardware: cuda, vaapi, videotoolbox, …")
@click.option("--overwrite", is_flag=True, help="Make a dataset that has other options anew, with these.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def extract(
    *,
    sources: tuple[str, ...],
    out: Path,
    options: ExtractOptions,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    **how: Any,
) -> None:
    """Cut training pairs from films, image folders and globs.

    Run it again to resume after an interruption, or with further sources to add them.

    \b
    framekit extract film.mkv --out dataset
    framekit extract ~/films --out dataset --every 24 --style shinkai
    framekit extract ~/episodes --out dataset --scenes --skip 0-1:30 --skip -2:00-end
    framekit extract ~/photos --out photos --no-smooth --crops-per-frame 2
    """
    from framekit.extraction.workers import prepare

    if not dry_run:
        prepare(out, workers=how["workers"], executor=how["executor"], ray_address=how["ray_address"])
    from framekit.extraction.extract import extract as run
    from framekit.extraction.opening import check_out

    if dry_run:
        check_out(out, options, overwrite=overwrite)
        _look_over(sources, options, as_json=as_json)
    made = run(sources, out, options, overwrite=overwrite, **how)
    if as_json:
        print_json(made.as_json())
    else:
        _print_extraction(made)
    sys.exit(1 if made.problems else 0)


@main.command()
@click.argument("dataset", type=DATASET)
@flags_of(Limits, into="limits", shorter={"dedup_distance": "--distance"}, defaults=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def dedup(dataset: Path, limits: Limits, as_json: bool) -> None:
    """Decide again what is left out, from what is stored: near-duplicates and all other limits.

    Limits that are not given stay as the dataset has them. No film is decoded.

    \b
    framekit dedup dataset --distance 4
    framekit dedup dataset --leave-out 'blockiness>3' --leave-out 'crop.sharpness<20'
    """
    from framekit.extraction.settling import decide_again

    _tell(decide_again(dataset, limits), as_json=as_json)


@main.command()
@click.argument("dataset", type=DATASET)
@click.option(
    "--by",
    type=click.Choice(["film", "scene", "duplicate-group"]),
    default="scene",
    show_default=True,
    help="What stays together. By scene, films are decoded once to find their shots.",
)
@click.option(
    "--test",
    type=float,
    default=0.1,
    show_default=True,
    help="Share of the frames with pairs to test with.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the choice.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def split(*, dataset: Path, by: str, test: float, seed: int, as_json: bool) -> None:
    """Split a dataset into a train and a test side, so that nothing near-identical stands on both.

    Frames keep their sides when sources are added.

    \b
    framekit split dataset --by scene --test 0.1
    framekit split dataset --by film
    """
    from framekit.extraction.settling import split as run
    from framekit.manifest.schema import Split
    from framekit.terminal.flags import flag_name
    from framekit.validating import validated

    spec = validated(Split, {"by": by, "test": test, "seed": seed}, name_of=flag_name)
    _tell(run(dataset, spec), as_json=as_json)


@main.command()
@click.argument("dataset", type=DATASET)
@click.argument("items", nargs=-1)
@click.option("--keep", is_flag=True, help="Keep them, whatever rules say.")
@click.option("--drop", is_flag=True, help="Leave them out.")
@click.option("--undo", is_flag=True, help="Take back what persons said: rules count again.")
@click.option(
    "--from",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Put down what persons said in a file of framekit review --decisions.",
)
@click.option("--reason", default="by hand", show_default=True, help="Why.")
@click.option("--by", default=None, help="Who.  [default: the user's name]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def decide(
    *,
    dataset: Path,
    items: tuple[str, ...],
    keep: bool,
    drop: bool,
    undo: bool,
    file: Path | None,
    reason: str,
    by: str | None,
    as_json: bool,
) -> None:
    """Keep frames or crops, or leave them out, by their ids; without --keep, --drop or --undo, show why.

    \b
    framekit decide dataset ponyo-0a1b2c3d:1200 --drop --reason 'channel logo'
    framekit decide dataset ponyo-0a1b2c3d:1200#2 --undo
    framekit decide dataset ponyo-0a1b2c3d:1200
    framekit decide dataset --from reviewed.parquet
    """
    import getpass

    from framekit.extraction.settling import after_decisions
    from framekit.manifest import decide as put_down
    from framekit.manifest import history
    from framekit.manifest import open as open_manifest
    from framekit.manifest.decisions import add_from

    words = [name for name, given in {"--keep": keep, "--drop": drop, "--undo": undo}.items() if given]
    if len(words) > 1:
        raise CommandError(f"{' and '.join(words)} contradict each other", advice="give one of them")
    if bool(file) == bool(items) or (file and words):
        raise CommandError("give frames or crops by their ids, or a file of decisions by --from")
    if file:
        added = add_from(dataset, file)
        after_decisions(dataset)
        if as_json:
            print_json({"dataset": str(dataset), "added": added})
        else:
            click.echo(f"{added:,} words put down")
        return
    unknown = open_manifest(dataset).unknown(items)
    if unknown:
        raise CommandError(f"no frame or pair of this dataset: {', '.join(unknown)}", where=dataset)
    if words:
        stays = None if undo else keep
        put_down(dataset, items, keep=stays, reason=reason, by=by or getpass.getuser())
        after_decisions(dataset)
    about = dict.fromkeys(name for item in items for name in (item.partition("#")[0], item))
    said = [decision for name in about for decision in history(dataset, name)]
    if as_json:
        rows = [decision._asdict() | {"at": decision.at and decision.at.isoformat()} for decision in said]
        print_json({"dataset": str(dataset), "decisions": rows})
        return
    for decision in said:
        kept = {True: "keep", False: "leave out", None: "undo"}[decision.keep]
        when = f" at {decision.at:%Y-%m-%d %H:%M:%S} UTC" if decision.at else ""
        like = f" (like {decision.because_of})" if decision.because_of else ""
        click.echo(printable(f"{decision.item}: {kept}: {decision.reason}{like}, by {decision.by}{when}"))
    if not said:
        click.echo("nothing was decided about these: they are in")


@main.command()
@click.argument("dataset", type=DATASET)
@click.option(
    "--out",
    type=DATASET,
    help="Folder for the report.  [default: DATASET-audit beside it; with --json none]",
)
@click.option("--photos", type=DATASET, metavar="DATASET", help="Of photos: is something in both?")
@click.option("--against", type=DATASET, metavar="DATASET", help="To compare with.")
@click.option(
    "--fail-on",
    "rules",
    type=parse_rule,
    metavar="RULE",
    multiple=True,
    help="Exit with 1 if it holds: 'duplicates>2%', 'films<3', 'sharpness<100'. May be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def audit(
    *,
    dataset: Path,
    out: Path | None,
    photos: Path | None,
    against: Path | None,
    rules: tuple[DatasetRule, ...],
    as_json: bool,
) -> None:
    """See what a dataset holds, what was left out and why, and what is worth doing.

    Prints it in words, and writes a report that opens in a browser: DATASET-audit/index.html.

    \b
    framekit audit dataset
    framekit audit cartoons --photos photos --out report
    framekit audit dataset --fail-on 'duplicates>2%' --fail-on 'films<3' --fail-on 'people<10%'
    framekit audit dataset --json | jq .named
    """
    from framekit.audit.auditing import audit as run
    from framekit.audit.report import report_lines, rule_lines
    from framekit.audit.writing import check_place, written

    if out is not None:
        check_place(out, dataset)
    made = run(dataset, rules=rules, photos=photos, against=against)
    if as_json:
        print_json(made.figures.as_json())
    else:
        for line in report_lines(made.figures):
            click.echo(line)
    if out is not None or not as_json:
        page, why_not = written(made, out, dataset)
        line = f"report: {printable(page)}" if page else f"note: {printable(why_not)}"
        click.echo(line, err=as_json or page is None)
    for line in rule_lines(made.figures):
        say(f"fails: {line}")
    sys.exit(1 if made.figures.failed or made.figures.damaged else 0)


@main.command()
@click.argument("dataset", type=DATASET)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="To listen on.  [default: a free one]")
@click.option("--open/--no-open", "opened", default=False, help="Open the page in a browser.")
@click.option("--by", default=None, help="Who decides.  [default: the user's name]")
@click.option(
    "--decisions",
    "apart",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Save decisions in this file and not in the dataset, which may be read-only.",
)
def review(*, dataset: Path, port: int, opened: bool, by: str | None, apart: Path | None) -> None:
    """Judge frames on a local page: keep, drop, undo. Only this machine can open it. Ctrl-C ends it.

    \b
    framekit review dataset --open
    framekit review /mnt/readonly/dataset --decisions mine.parquet
    framekit decide dataset --from mine.parquet
    """
    import getpass

    from framekit.extraction.settling import after_decisions
    from framekit.review.server import review as run

    def ready(url: str, session: Session) -> None:
        saving = session.saving()
        if saving["problem"]:
            say(f"note: {saving['problem']}; the page offers to save decisions in {saving['elsewhere']}")
        else:
            say(f"decisions go into {saving['where']}")
        click.echo(f"{url}\nopen this address in a browser on this machine; Ctrl-C ends the review")

    session = run(dataset, by=by or getpass.getuser(), port=port, apart=apart, ready=ready, opened=opened)
    mine = session.catalogue.summary()
    click.echo(f"{mine['in']:,} of {mine['frames']:,} frames are in; {mine['mine']:,} by a person's word")
    if session.words.path.parent != dataset:
        click.echo(f"next: framekit decide {printable(dataset)} --from {printable(session.words.path)}")
        return
    if session.decided:
        after_decisions(dataset)
    click.echo(f"next: framekit audit {printable(dataset)}")


@main.command()
@click.argument("dataset", type=DATASET)
@click.option("--against-films", is_flag=True, help="Decode the films, and cut every crop again.")
@click.option("--films", type=DATASET, metavar="DIR", help="Look for the films here too, by their names.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(dataset: Path, against_films: bool, films: Path | None, as_json: bool) -> None:
    """Check a dataset: checksums, ids, every picture and pair, decisions, split. Lists all faults found.

    Films are looked for at the paths that dataset.json has of them, from here or from beside the dataset.

    \b
    framekit verify dataset
    framekit verify dataset --against-films --films ~/films
    """
    from framekit.extraction.verifying import verify as run

    if films is not None and not against_films:
        raise CommandError("--films says where films are; it goes with --against-films")
    found = run(dataset, with_films=against_films, films=films)
    if as_json:
        print_json(found.as_json())
    else:
        for fault in found.faults:
            click.echo(fault)
        for line in found.told():
            click.echo(line)
    sys.exit(1 if found.faults else 0)


@main.command()
@click.argument("dataset", type=DATASET)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def compact(dataset: Path, as_json: bool) -> None:
    """Take the pairs that are left out out of the shards, for readers that know nothing of decisions.

    Frames and decisions stay. A frame that is wanted back later is cut anew by framekit extract.

    \b
    framekit compact dataset
    """
    from framekit.extraction.compacting import compact as run

    made = run(dataset)
    if as_json:
        print_json(made.as_json())
        return
    click.echo(
        f"{made.pairs:,} pairs taken out of {made.shards:,} shards, {made.bytes / 1e6:,.1f} MB less; "
        f"{made.info.totals['pairs']:,} pairs stay in {printable(made.root)}"
    )


@main.command()
@click.argument("dataset", type=DATASET)
@click.argument("out", type=Here())
@click.option(
    "--format",
    type=click.Choice(["folders", "webdataset", "hf"]),
    required=True,
    help="Loose pictures for CartoonGAN repositories, tar shards, or a folder for the Hugging Face hub.",
)
@click.option("--photos", type=DATASET, help="With folders: a dataset of photos, for src_data.")
@click.option(
    "--pairs",
    type=click.Choice(["side-by-side", "smoothed"]),
    help="With folders: what tgt_data/pair holds.  [default: side-by-side]",
)
@click.option("--shard-size", type=int, metavar="MB", help="Of a shard, at most.  [default: 500]")
@click.option("--shard-rows", type=int, metavar="N", help="Pairs of a shard, at most.  [default: 10000]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def export(*, dataset: Path, out: Path, photos: Path | None, as_json: bool, **given: Any) -> None:
    """Write what is in of a dataset in a layout that other tools read, train and test apart.

    Run it again to go on after an interruption.

    \b
    framekit export cartoons data --format folders --photos photos
    framekit export cartoons shards --format webdataset --shard-size 1000
    framekit export cartoons hub --format hf
    """
    from framekit.manifest.exporting import ExportOptions
    from framekit.manifest.exporting import export as run
    from framekit.terminal.flags import flag_name
    from framekit.validating import validated

    given = {name: value for name, value in given.items() if value is not None}
    made = run(dataset, out, validated(ExportOptions, given, name_of=flag_name), photos=photos)
    if as_json:
        print_json(made.as_json())
        return
    counts = ", ".join(f"{count:,} in {place}" for place, count in made.counts.items())
    click.echo(f"{counts}; {made.files:,} files, {made.size / 1e6:,.1f} MB in {printable(made.root)}")
    for note in made.notes:
        click.echo(f"note: {printable(note)}")
    for head, line in zip_longest(["next: "], made.next, fillvalue="      "):
        click.echo(head + printable(line))


@main.command()
@click.argument("folder", type=Here(), default=Path())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(folder: Path, as_json: bool) -> int:
    """See whether this machine has what is needed: versions, codecs, GPU, room in FOLDER (where you are).

    \b
    framekit doctor
    framekit doctor /mnt/datasets

    The exit code is 1 where something will go wrong; it is listed with what to do about it.
    """
    from framekit.doctor import examine

    found = examine(folder)
    if as_json:
        print_json(asdict(found))
        return int(bool(found.problems))
    for name, fact in found.facts.items():
        click.echo(f"{name:<10} {printable(fact)}")
    click.echo(
        f"{'libraries':<10} {', '.join(f'{name} {version}' for name, version in found.versions.items())}"
    )
    for extra, lacking in found.missing.items():
        install = f"pip install 'cartoon-framekit[{extra}]'"
        click.echo(f"without    {', '.join(lacking)}; if you need that: {install}")
    for problem in found.problems:
        say(f"problem: {printable(problem)}")
    click.echo("problems: see above" if found.problems else "no problems found")
    return int(bool(found.problems))


def _tell(settled: Settled, *, as_json: bool) -> None:
    if as_json:
        print_json(settled.as_json())
        return
    totals, name = settled.info.totals, printable(settled.root)
    click.echo(
        f"{totals['pairs']:,} pairs from {totals['frames_kept']:,} of {totals['frames_sampled']:,} frames"
    )
    if settled.dropped:
        click.echo(_left_out(settled.dropped))
    sides = settled.sides
    if sides:
        click.echo("split: " + ", ".join(f"{count:,} pairs {side}" for side, count in sides.items()))
    for note in settled.notes:
        click.echo(f"note: {note}")
    click.echo(f"next: framekit audit {name}")


def _left_out(dropped: Counter[str]) -> str:
    return "left out: " + ", ".join(f"{count:,} {reason}" for reason, count in dropped.most_common())


def _look_over(sources: tuple[str, ...], options: ExtractOptions, *, as_json: bool) -> NoReturn:
    from framekit.extraction.extract import look_over, plan_extraction

    plan, notes = plan_extraction(sources, quiet=as_json)
    look_over(plan, options)
    if as_json:
        print_json(_plan_json(plan, notes) | {"options": options.model_dump(mode="json")})
    else:
        _print_plan(plan, notes)
    sys.exit(1 if plan.problems else 0)


def _plan_json(plan: Plan, notes: list[str]) -> dict[str, object]:
    found = [source.info.model_dump() | {"pictures": source.pictures} for source in plan.sources]
    return {"sources": found, "problems": [p.model_dump() for p in plan.problems], "notes": notes}


def _print_plan(plan: Plan, notes: list[str]) -> None:
    for source in plan.sources:
        click.echo(f"{printable(source.path)}  [{source.id}]")
        if source.kind == "stills":
            click.echo(f"    {len(source.names):,} pictures")
            continue
        for line in _film_lines(source.facts, source.pictures):
            click.echo(f"    {line}")
    for note in notes:
        say(f"note: {note}")
    for problem in plan.problems:
        say(f"problem: {problem.path}: {problem.what}")


def _film_lines(facts: dict[str, Any], stated: int) -> Iterator[str]:
    stated_frames = f"about {stated:,} frames" if stated else "length not stated"
    frames = f"{facts['frames']:,} frames" if facts.get("frames") else stated_frames
    size = f"{facts['width']}×{facts['height']}"
    yield f"{size}, {facts['frame_rate']} fps, {facts['seconds']:g} s, {frames}"
    guessed = ", guessed" if facts["untagged"] else ""
    interlaced = ", interlaced" if facts["interlaced"] else ""
    yield (
        f"{facts['codec']} in {facts['container']}, {facts['pixel_format']}{interlaced}, "
        f"{facts['matrix']} {facts['range']} range{guessed}, pixel aspect {facts['pixel_aspect']}, "
        f"rotation {facts['rotation']}"
    )
    if "decoding" in facts:
        count, about = facts["samples"], "about " if facts["decoding"].startswith("everything") else ""
        samples = "known when decoded" if count is None else f"{about}{count:,}"
        yield f"decodes {facts['decoding']}; samples: {samples}"
    if facts.get("letterbox"):
        yield f"black bars: keeps {facts['letterbox']} (width:height:x:y)"
    if facts.get("telecine"):
        yield "24 frames a second spread over 30: --inverse-telecine takes them back"


def _print_extraction(made: Extraction) -> None:
    totals = made.info.totals
    click.echo(
        f"{totals['pairs']:,} pairs from {totals['frames_kept']:,} of {totals['frames_sampled']:,} "
        f"sampled frames (of {totals['frames']:,}) of {len(made.info.sources):,} sources, "
        f"{totals['bytes'] / 1e6:,.1f} MB in {printable(made.root)}"
    )
    if made.done_before:
        click.echo(f"{made.done_before:,} sources were done already: nothing of them is read again")
    if made.dropped:
        click.echo(_left_out(made.dropped))
    if made.spent.seconds:
        click.echo(made.spent.told())
    for note in made.notes:
        click.echo(f"note: {note}")
    for problem in made.problems:
        say(f"problem: {problem.path}: {problem.what}")
    name = printable(made.root)
    domains = (
        f"--cartoons {name} --photos PHOTOS"
        if made.options.smooth
        else f"--cartoons CARTOONS --photos {name}"
    )
    click.echo(f"next: framekit audit {name}")
    click.echo(f"      cartoongan train {domains} --out run")


if __name__ == "__main__":
    main()
