"""The report's folder: index.html, audit.json and plots/, each file whole; a rerun replaces the last."""

from __future__ import annotations

import json
import os
from pathlib import Path

from framekit.audit.auditing import Audit
from framekit.audit.page import render
from framekit.audit.sheet import Sheet
from framekit.errors import CommandError, FramekitError
from framekit.files import UNFINISHED, clear_unfinished, write_text
from framekit.storage.paths import is_remote

PAGE, FIGURES, PLOTS = "index.html", "audit.json", "plots"


def place_beside(dataset: Path) -> Path:
    """Where the report of a dataset goes by default: beside it, and for a remote one here."""
    if is_remote(dataset):
        return Path(f"{dataset.name}-audit")
    named = dataset if dataset.name not in ("", "..") else dataset.resolve()
    return named.with_name(f"{named.name}-audit") if named.name else Path("dataset-audit")


def check_place(out: Path, dataset: Path) -> None:
    """Refuse a folder that a report would do harm in; nothing is written.

    Raises:
        CommandError: It lies in the dataset, or holds something else than a report.
    """
    if is_remote(out):
        raise CommandError(
            "a report goes to a folder on this machine", where=out, advice="copy it there later"
        )
    if not is_remote(dataset) and _real(out).is_relative_to(_real(dataset)):
        raise CommandError("a report does not go into the dataset", where=out, advice="name another folder")
    if out.exists() and not out.is_dir():
        raise CommandError("is a file, and a report is a folder", where=out, advice="name another folder")
    if out.exists() and not is_report(out) and any(not path.match(UNFINISHED) for path in out.iterdir()):
        what = "holds something else than a report"
        raise CommandError(what, where=out, advice="name a new or empty folder by --out")


def _real(path: Path) -> Path:
    """Where links lead; unlike `Path.resolve` also where they lead in a circle."""
    return Path(os.path.realpath(path))


def written(audit: Audit, out: Path | None, dataset: Path) -> tuple[Path | None, str]:
    """Write the report to a folder that was asked for, or else beside the dataset where that can be.

    Returns:
        Its page; None, and why, where there was no place for it beside the dataset.

    Raises:
        FramekitError: It cannot be written to the folder that was asked for.
    """
    if out is not None:
        return write_report(audit, out), ""
    beside = place_beside(dataset)
    try:
        check_place(beside, dataset)
        return write_report(audit, beside), ""
    except FramekitError as error:
        return None, f"no report: {error.where}: {error.what}; name a folder for it by --out"


def is_report(folder: Path) -> bool:
    """Whether a report stands in a folder."""
    try:
        return "verdict" in json.loads((folder / FIGURES).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def write_report(audit: Audit, out: str | Path) -> Path:
    """Write the report of an audit.

    Args:
        audit: What was found.
        out: The folder, made where it is not there. Plots of an earlier report go.

    Returns:
        Its page.

    Raises:
        FramekitError: The folder cannot be written to.
    """
    out, sheet = Path(out), Sheet(audit)
    text = render(sheet)
    try:
        (out / PLOTS).mkdir(parents=True, exist_ok=True)
        # The figures first: they are what tells a report from a stranger's folder.
        values = json.dumps(audit.figures.as_json(), sort_keys=True, allow_nan=False)
        write_text(out / FIGURES, values + "\n")
        for plot in sheet.plots:
            write_text(out / PLOTS / f"{plot.name}.svg", plot.file)
        write_text(out / PAGE, text)
        names = {f"{plot.name}.svg" for plot in sheet.plots}
        for old in (out / PLOTS).glob("[0-9][0-9][0-9]-*.svg"):
            if old.name not in names:
                old.unlink()
        clear_unfinished(out)
        clear_unfinished(out / PLOTS)
    except OSError as error:
        advice = "give another folder: --out DIR"
        raise FramekitError(
            f"the report cannot be written ({error.strerror})", where=out, advice=advice
        ) from None
    return out / PAGE
