"""Image taggers and content groups: what a picture shows, in a tagger's words and in ours."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from framekit.errors import FramekitError

MODEL, TAGS = "model.onnx", "selected_tags.csv"
THRESHOLD = 0.35
"""Probability from which a tag counts: what the WD taggers' own demonstration takes for general tags."""
GENERAL, CHARACTER = "0", "4"
"""Categories of `selected_tags.csv` that are reported; ratings (9) and the rest are not."""
HUB_ID = re.compile(r"(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w-][\w./-]*))?", re.ASCII)

LARGEST_MODEL = 2 << 30  # bytes; what protobuf can hold
LARGEST_TABLE = 16 << 20  # bytes; the WD taggers' list of tags has 0.3 MB
LARGEST_INPUT = 1024  # pixels a side
WHITE = 255

GROUPS = ("animals", "city", "greenery", "people", "scenery")
OTHER = "other"
"""The group of a picture whose tags are in no group."""
DEFAULT_TABLE = Path(__file__).with_name("content.csv")


def find_tagger(where: str) -> Path:
    """Folder that holds a tagger's two files, fetched from the Hugging Face hub where needed.

    Nothing else is fetched, and nothing in it is code: an ONNX graph and a list of tags. Both files come from
    one commit. What is in the hub's cache is taken from there without asking the network, so that a run that
    is started again has the same tagger; a newer one is had by its revision.

    Args:
        where: A folder with `model.onnx` and `selected_tags.csv`, or a hub id, `owner/name` or
            `owner/name@revision`. A folder of that name goes first.

    Raises:
        FramekitError: No such folder or model, a file is missing, or the hub is out of reach.
    """
    folder = Path(where)
    hub_id = HUB_ID.fullmatch(where)
    if not folder.exists() and hub_id:
        return _fetch(**hub_id.groupdict())
    if not folder.is_dir():
        advice = (
            f"Give a folder with {MODEL} and {TAGS}, or a hub id such as owner/name or owner/name@revision"
        )
        raise FramekitError("no folder of a tagger", where=where, advice=advice)
    for name in (MODEL, TAGS):
        if not (folder / name).is_file():
            raise FramekitError(f"has no {name}", where=folder, advice=f"A tagger is {MODEL} beside {TAGS}")
    return folder


def _fetch(repo: str, revision: str | None) -> Path:
    try:
        from huggingface_hub import errors, hf_hub_download, try_to_load_from_cache
    except ImportError:
        raise _not_installed("fetching a tagger from the hub needs huggingface_hub") from None
    by_hand = f"Download {MODEL} and {TAGS} by hand and give their folder"
    try:
        cached = try_to_load_from_cache(repo, TAGS, revision=revision)
        tags = Path(cached if isinstance(cached, str) else hf_hub_download(repo, TAGS, revision=revision))
        # The cache names its folders by commit: the model is of the same one, whatever is pushed meanwhile.
        return Path(hf_hub_download(repo, MODEL, revision=tags.parent.name)).parent
    except errors.LocalEntryNotFoundError:
        what, advice = (
            "the hub is out of reach, and its cache lacks this tagger",
            f"Go online once. {by_hand}",
        )
    except errors.EntryNotFoundError:
        what, advice = (
            f"the hub has it, but not with {MODEL} and {TAGS}",
            "Only the layout of WD taggers is read",
        )
    except errors.RevisionNotFoundError:
        what, advice = f"the hub has no revision {revision} of it", "Give a branch, a tag or a commit"
    except errors.RepositoryNotFoundError:
        what = "no such folder, and no such model on the hub, or one that is not open to everyone"
        advice = "Check the name. Models behind a login need `hf auth login` first"
    except MemoryError:
        raise
    except Exception as error:  # full disks, broken proxies, names that the hub does not take
        what, advice = f"could not be fetched from the hub ({_line(error)})", by_hand
    raise FramekitError(what, where=repo, advice=advice)


def fingerprints(folder: Path) -> dict[str, str]:
    """SHA-256 of a tagger's two files by their names, in hexadecimal: which tagger it was."""
    digests = {}
    for name in (MODEL, TAGS):
        with (folder / name).open("rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


class Tagger:
    """An image tagger in the layout of SmilingWolf's WD taggers, run on the CPU by ONNX Runtime."""

    def __init__(self, session: Any, names: dict[int, str], side: int, channels_first: bool) -> None:
        self._session = session
        self._names = names
        self._side = side
        self._channels_first = channels_first
        self._input = session.get_inputs()[0].name

    @classmethod
    def open(cls, where: str, *, threads: int = 1) -> Tagger:
        """Open a tagger.

        Args:
            where: As for `find_tagger`. Resolve a hub id once with it and give worker processes the folder.
            threads: Threads that share the work on one picture. 1 is right in a worker process: there is one
                worker a core already, and a pool of threads in each would only fight for the same cores.

        Raises:
            FramekitError: ONNX Runtime is not installed, or the files are damaged or no such tagger.
        """
        try:
            import onnxruntime
        except ImportError:
            raise _not_installed("tagging needs ONNX Runtime") from None
        folder = find_tagger(where)
        names, width = _read_tags(folder / TAGS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 4  # what goes wrong is raised; the rest would litter the terminal
        model = folder / MODEL
        _refuse_larger(model, LARGEST_MODEL)
        try:
            session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except MemoryError:
            raise
        except Exception as error:  # a stranger's file can make the reader fail in any way
            advice = "Download it again: a git clone without LFS, for one, leaves a small text in its place"
            raise FramekitError(
                f"ONNX Runtime cannot read it ({_line(error)})", where=model, advice=advice
            ) from None
        side, channels_first = _input_of(session, model)
        _check_output(session, width, model)
        return cls(session, names, side, channels_first)

    def tag(self, images: Sequence[np.ndarray], *, threshold: float = THRESHOLD) -> list[dict[str, float]]:
        """Tag pictures.

        Each runs through the model alone, so that its figures don't depend on its neighbours: a larger batch
        takes other paths through matrix products, which round differently, and saves a CPU next to nothing.

        Args:
            images: (H, W, 3) uint8 RGB each, of any sizes.
            threshold: Least probability to report, 0 to 1.

        Returns:
            For each picture its general and character tags with their probabilities, in the model's order.

        Raises:
            FramekitError: The model fails, or gives something else than a probability for each tag.
        """
        return [self._tag(image, threshold) for image in images]

    def _tag(self, image: np.ndarray, threshold: float) -> dict[str, float]:
        prepared = prepare(image, self._side)[None]
        if self._channels_first:
            prepared = np.ascontiguousarray(prepared.transpose(0, 3, 1, 2))
        try:
            (output,) = self._session.run(None, {self._input: prepared})
        except MemoryError:
            raise
        except Exception as error:  # what a stranger's model does when it runs is not known before
            raise FramekitError(f"the tagger failed on a picture ({_line(error)})") from None
        values = np.asarray(output).reshape(-1)
        # "not (…)" rather than "any outside", so that not-a-number is refused too.
        if not (values.min() >= -1e-4 and values.max() <= 1 + 1e-4):
            raise FramekitError(
                f"the tagger gives values from {values.min():.3g} to {values.max():.3g}, not probabilities",
                advice="Its model must end in a sigmoid, as the WD taggers' do",
            )
        return {name: float(values[i]) for i, name in self._names.items() if values[i] >= threshold}


def prepare(image: np.ndarray, side: int) -> np.ndarray:
    """Bring a picture to what WD taggers were trained on.

    Shrunk or enlarged as a whole (bicubic, with antialiasing), centred on a white square, channels turned
    round, not normalised; after the tagger's published demonstration (SmilingWolf, 2023). It pads first and
    resizes then, which differs by a fraction of a pixel and takes a gigabyte for a panorama.

    Args:
        image: (H, W, 3) uint8 RGB.
        side: Pixels.

    Returns:
        (side, side, 3) float32 BGR, 0 to 255.
    """
    from PIL import Image

    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    resized = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    square = np.full((side, side, 3), WHITE, np.float32)
    left, top = (side - size[0]) // 2, (side - size[1]) // 2
    square[top : top + size[1], left : left + size[0]] = resized[..., ::-1]
    return square


@dataclass(frozen=True)
class Groups:
    """A table of tags and the content groups that they show.

    Attributes:
        exact: Groups of each tag that is written out.
        patterns: (pattern, group) of the tags with wildcards.
    """

    exact: dict[str, frozenset[str]]
    patterns: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, path: Path | None = None) -> Groups:
        """Read a table: CSV with the columns tag and group; lines that begin with # are notes.

        In a tag, * stands for any letters, ? for one, [2-5] for one of these. A tag may be in several groups.

        Args:
            path: A table that replaces the one that comes with framekit.

        Raises:
            FramekitError: The file cannot be read, or a line is wrong; it says which.
        """
        path = path or DEFAULT_TABLE
        entries: dict[tuple[str, str], int] = {}
        for number, line in enumerate(_text_of(path).splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            entry = _table_entry(line, f"{path}, line {number}")
            if entry == ("tag", "group") and not entries:
                continue
            if entry[1] not in GROUPS:
                known = ", ".join(GROUPS)
                advice = f"The groups are {known}; what has none of them is {OTHER}"
                raise FramekitError(
                    f"unknown group {entry[1]!r}", where=f"{path}, line {number}", advice=advice
                )
            if entry in entries:
                what = f"{entry[0]} is in {entry[1]} already, by line {entries[entry]}"
                raise FramekitError(what, where=f"{path}, line {number}", advice="Delete one of the two")
            entries[entry] = number
        if not entries:
            raise FramekitError(
                "a table without entries", where=path, advice="Write lines such as 1girl,people"
            )
        exact: dict[str, frozenset[str]] = {}
        for tag, group in entries:
            exact[tag] = exact.get(tag, frozenset()) | {group}
        return cls(exact, tuple(entry for entry in entries if any(sign in entry[0] for sign in "*?[")))

    def of(self, tags: Iterable[str]) -> list[str]:
        """Groups that a picture's tags show, sorted; `["other"]` when they show none."""
        found: set[str] = set()
        for tag in tags:
            found |= self.exact.get(tag, frozenset())
            found |= {group for pattern, group in self.patterns if fnmatchcase(tag, pattern)}
        return sorted(found) or [OTHER]


def _table_entry(line: str, where: str) -> tuple[str, str]:
    try:
        cells = [cell.strip() for cell in next(csv.reader([line], strict=True))]
    except csv.Error as error:
        raise FramekitError(f"no line of CSV ({error})", where=where) from None
    if len(cells) != 2 or not all(cells):
        raise FramekitError(
            f"takes a tag and a group, got {line!r}", where=where, advice="As in 1girl,people"
        )
    return cells[0], cells[1]


def _read_tags(path: Path) -> tuple[dict[int, str], int]:
    """Names to report, by their place in the model's output, and the number of all tags."""
    rows = csv.DictReader(_text_of(path).splitlines())
    names: dict[int, str] = {}
    seen: set[str] = set()
    place = -1
    try:
        if not {"name", "category"} <= set(rows.fieldnames or ()):
            raise FramekitError(
                "has no columns name and category", where=path, advice="Is it a tagger's list?"
            )
        for place, row in enumerate(rows):
            name, category = row["name"], row["category"]
            if not name or category is None or not category.strip().isdecimal():
                raise FramekitError(f"line {rows.line_num} has no name or no category", where=path)
            if category.strip() not in (GENERAL, CHARACTER):
                continue
            if name in seen:
                raise FramekitError(f"line {rows.line_num} names {name} for the second time", where=path)
            seen.add(name)
            names[place] = name
    except csv.Error as error:
        raise FramekitError(f"line {rows.line_num} is no CSV ({error})", where=path) from None
    if not names:
        raise FramekitError("lists no general or character tags", where=path, advice="Download it again")
    return names, place + 1


def _input_of(session: Any, model: Path) -> tuple[int, bool]:
    """Side in pixels of the picture that a model takes, and whether channels go before rows."""
    inputs = session.get_inputs()
    shape = inputs[0].shape if inputs else []
    wanted = f"One float32 picture of up to {LARGEST_INPUT}×{LARGEST_INPUT} pixels is what a WD tagger takes"
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(shape) != 4:
        shown = "; ".join(f"{i.name} {i.type} {i.shape}" for i in inputs[:3])
        raise FramekitError(f"takes {shown or 'nothing'}, not a picture", where=model, advice=wanted)
    batch, *picture = shape
    channels_first = picture[2] != 3 and picture[0] == 3
    height, width = picture[1:] if channels_first else picture[:2]
    channels = picture[0] if channels_first else picture[2]
    one_at_a_time = batch == 1 or not isinstance(batch, int)
    if not (one_at_a_time and channels == 3 and height == width and isinstance(height, int)):
        raise FramekitError(f"takes pictures of shape {shape}", where=model, advice=wanted)
    if not 1 <= height <= LARGEST_INPUT:
        raise FramekitError(f"takes pictures of {height}×{height} pixels", where=model, advice=wanted)
    return height, channels_first


def _check_output(session: Any, width: int, model: Path) -> None:
    """Try a white picture: what a model says about the shape of its output need not be what it gives."""
    shape, kind = session.get_inputs()[0].shape, session.get_outputs()[0].type
    if len(session.get_outputs()) != 1 or kind != "tensor(float)":
        raise FramekitError("gives something else than one list of probabilities", where=model)
    try:
        (output,) = session.run(
            None, {session.get_inputs()[0].name: np.full([1, *shape[1:]], WHITE, np.float32)}
        )
    except MemoryError:
        raise
    except Exception as error:
        raise FramekitError(f"fails when it is tried ({_line(error)})", where=model) from None
    if output.shape != (1, width):
        what = f"gives a result of shape {output.shape} where {TAGS} beside it lists {width} tags"
        raise FramekitError(
            what, where=model, advice="The two files are not of one tagger: download both again"
        )


def _text_of(path: Path) -> str:
    _refuse_larger(path, LARGEST_TABLE)
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FramekitError(f"cannot be read as text ({_line(error)})", where=path) from None


def _refuse_larger(path: Path, limit: int) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise FramekitError(f"cannot be read ({_line(error)})", where=path) from None
    if size > limit:
        raise FramekitError(f"has {size:,} bytes, more than the {limit:,} that are read", where=path)


def _line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _not_installed(what: str) -> FramekitError:
    return FramekitError(what, advice="Install it with: pip install 'cartoon-framekit[tags]'")
