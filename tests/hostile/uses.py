"""Everything that is done with a dataset, so that a hostile one can be put through all of it."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from cartoongan.data import check_data, first_photos
from cartoongan.options import TrainOptions
from framekit.audit.auditing import audit
from framekit.audit.report import report_lines
from framekit.audit.writing import write_report
from framekit.errors import FramekitError
from framekit.extraction.compacting import compact
from framekit.extraction.extract import extract
from framekit.extraction.settling import decide_again, split
from framekit.extraction.verifying import verify
from framekit.manifest.decisions import decide
from framekit.manifest.exporting import ExportOptions, export
from framekit.manifest.reading import open_manifest
from framekit.manifest.schema import Split
from framekit.options import ExtractOptions, Limits
from framekit.review.session import Session
from tests.films import numbered_film

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LONGEST = 20_000
"""Letters of a line that says what is wrong."""
OPTIONS = ExtractOptions(every=4, crop_size=32, crops_per_frame=2, dedup_distance=0)
"""That the sound dataset is made with."""
TRAINING = TrainOptions(crop_size=32, batch_size=2)


def read(root: Path) -> None:
    manifest = open_manifest(root)
    manifest.frames()
    manifest.pairs()
    for pair in manifest:
        assert manifest.pair(pair.pair_id).image.shape == pair.image.shape
    manifest.thumbnails(manifest.frames(["frame_id"])["frame_id"].drop_null().to_pylist()[:5])
    assert manifest.digest and manifest.sides


def verified(root: Path) -> None:
    found = verify(root)
    for line in (*found.faults, *found.told()):
        assert_is_a_line(line)


def audited(root: Path) -> None:
    made = audit(root)
    for line in (*report_lines(made.figures), *made.figures.damaged, *made.figures.notes):
        assert_is_a_line(line)
    write_report(made, root.parent / "report")


def reviewed(root: Path) -> None:
    session = Session(open_manifest(root), by="ada")
    session.summary()
    for row in range(min(len(session.catalogue), 8)):
        session.told([row])
        crops = session.told_all(row)["crops"]
        session.thumbnail(row)
        for index in range(min(len(crops), 2)):
            session.picture(row, index, smoothed=False)
    if len(session.catalogue):
        session.decide([0], keep=False, reason="mine", expect=None, tab="")


def exported(root: Path) -> None:
    for format_ in ("folders", "webdataset", "hf"):
        export(root, root.parent / format_, ExportOptions(format=format_))  # type: ignore[arg-type]


def trained(root: Path) -> None:
    manifest = open_manifest(root)
    check_data(manifest, manifest, TRAINING)
    first_photos(manifest, TRAINING, steps=2)


def decided(root: Path) -> None:
    ids = open_manifest(root).frames(["frame_id"])["frame_id"].drop_null().to_pylist()
    decide(root, ids[:1], keep=False, reason="no", by="ada")


def gone_on_with(root: Path) -> None:
    """As when further films are added: sources that are done stay, those that are not are made."""
    folder = root.parent / "more"
    folder.mkdir(exist_ok=True)
    numbered_film(folder / "more.mp4", 6, seed=3)
    extract([str(folder)], root, OPTIONS, workers=1)


USES: dict[str, Callable[[Path], object]] = {
    "read": read,
    "verify": verified,
    "audit": audited,
    "review": reviewed,
    "train": trained,
    "export": exported,
    "decide": decided,
    "dedup": lambda root: decide_again(root, Limits()),
    "split": lambda root: split(root, Split(by="duplicate-group", test=0.2)),
    "compact": compact,
}
"""In this order: the last ones change the dataset."""


def assert_all_done_or_refused(root: Path) -> dict[str, FramekitError]:
    """Do everything with the dataset in folder `root`; what was refused, each in a line.

    Whatever else goes wrong is raised.
    """
    done = {name: assert_done_or_refused(how, root) for name, how in USES.items()}
    return {name: error for name, error in done.items() if error}


def assert_done_or_refused(how: Callable[[Path], object], root: Path) -> FramekitError | None:
    try:
        how(root)
    except FramekitError as error:
        assert_is_a_line(str(error))
        return error
    return None


def assert_is_a_line(text: str) -> None:
    assert not UNPRINTABLE.search(text), ascii(text[:500])
    assert len(text) < LONGEST, (len(text), text[:500])


def copied(root: Path, folder: Path) -> Path:
    """A copy of a dataset that may be spoilt, alone in a folder."""
    return shutil.copytree(root, folder / "dataset")


def files_in(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
