"""The report's folder: whole, the same every time, escaped, small; and what bad input makes of it."""

import html.parser
import itertools
import json
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from framekit.audit.auditing import audit
from framekit.audit.page import TITLES
from framekit.audit.pictures import Pictures
from framekit.audit.rows import read_rows
from framekit.audit.rules import COUNTS, ISSUES, SHARES
from framekit.audit.writing import place_beside, write_report
from framekit.cli import main
from framekit.manifest.reading import read_info
from framekit.manifest.schema import SCHEMA_VERSION, DatasetInfo
from framekit.manifest.writing import write_decisions, write_info
from tests.framekit.audit.datasets import FILMS, HOSTILE, STILLS, varied
from tests.framekit.manifest.datasets import dataset as bare_dataset


def run(*words):
    done = CliRunner(catch_exceptions=False).invoke(main, ["audit", *map(str, words)])
    return done.exit_code, done.stdout, done.stderr


def bytes_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Tags(html.parser.HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def report(mixed, tmp_path_factory):
    """With everything that there is to show."""
    out = tmp_path_factory.mktemp("report") / "audit"
    write_report(
        audit(mixed, photos=mixed, against=varied(out.parent / "other", 12, seed=5, smooth=False)), out
    )
    return out


@pytest.fixture(scope="module")
def page(report):
    return Tags((report / "index.html").read_text())


def test_the_folder_holds_a_page_figures_and_plots(report):
    assert {path.name for path in report.iterdir()} == {"index.html", "audit.json", "plots"}
    plots = list((report / "plots").iterdir())
    assert len(plots) > 30
    for plot in plots:
        root = ET.parse(plot).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not {"script", "foreignObject"} & {element.tag.rpartition("}")[2] for element in root.iter()}


def test_the_page_runs_no_stranger_s_code_and_asks_nobody(page, report):
    """Film and still names are markup, and no tag comes of them."""
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert scripts == [{}]
    assert not [tag for tag, _ in page.tags if tag in ("link", "iframe", "object", "base", "form")]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert not [attributes for _, attributes in page.tags if "style" in attributes]
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert all(image["src"].startswith("data:image/") and image["alt"] for image in images)
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert {link for link in links if not link.startswith("#")} == {"audit.json"}
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    assert any(HOSTILE in text for text in page.texts)
    assert "<img src=x" not in (report / "index.html").read_text()
    assert HOSTILE in json.loads((report / "audit.json").read_text())["sources"][0]["path"]
    assert not [plot for plot in (report / "plots").iterdir() if "<img" in plot.read_text()]


def test_sections_stand_in_their_order(page):
    sections = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert sections == list(TITLES)
    links = [attributes["href"][1:] for tag, attributes in page.tags if tag == "a"][: len(sections)]
    assert links == sections


def test_headings_go_down_one_level_at_a_time(page):
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(below - above for above, below in itertools.pairwise(levels)) <= 1


def test_figures_are_the_documented_ones(report, audited):
    figures = json.loads((report / "audit.json").read_text())
    assert figures["schema"] == 1
    cells = first_cells("| key |")
    assert sorted(figures) == sorted(cells)
    assert figures["sampled"] == audited.figures.counts.sampled
    assert figures["named"]["dropped"]["share"] == pytest.approx(
        1 - figures["kept"] / figures["sampled"], rel=1e-3
    )


def first_cells(head):
    """Names in the first column of the table of docs/audit.md that begins so."""
    docs = (Path(__file__).parents[3] / "docs" / "audit.md").read_text()
    rows = docs[docs.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def test_names_of_rules_are_the_documented_ones():
    docs = (Path(__file__).parents[3] / "docs" / "audit.md").read_text()
    assert set(first_cells("| name | what it is |")) >= {*COUNTS, *SHARES}
    assert [rule for name, rule in ISSUES.items() if f"with `{rule}`" not in docs] == []


def test_a_rerun_is_the_same_byte_for_byte_and_clears_what_is_left_of_others(mixed, tmp_path):
    out = tmp_path / "audit"
    write_report(audit(mixed), out)
    first = bytes_of(out)
    (out / "plots" / "999-old.svg").write_text("<svg/>")
    (out / ".framekit-0123-4.tmp").write_text("half")
    write_report(audit(mixed), out)
    assert bytes_of(out) == first


def test_the_report_lies_beside_the_dataset_and_never_in_it(dataset):
    before = bytes_of(dataset)
    code, said, _ = run(dataset)
    assert code == 0
    page = dataset.with_name("dataset-audit") / "index.html"
    assert page.is_file()
    assert f"report: {page}" in said
    assert "Most worth" not in said
    assert "\n1. " in said
    assert bytes_of(dataset) == before
    code, _, noted = run(dataset, "--out", dataset / "audit")
    assert (code, "does not go into the dataset" in noted) == (2, True)


def test_a_folder_with_something_else_is_left_alone(dataset, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    code, _, noted = run(dataset, "--out", tmp_path / "mine")
    assert (code, "something else than a report" in noted) == (2, True)
    (dataset.with_name("dataset-audit")).write_text("a file")
    code, said, noted = run(dataset)
    assert (code, "note: no report" in noted) == (0, True)
    assert "sampled frames" in said


def test_json_is_one_object_and_writes_nothing_unless_asked(dataset, tmp_path):
    code, said, _ = run(dataset, "--json")
    assert code == 0
    figures = json.loads(said)
    assert not dataset.with_name("dataset-audit").exists()
    run(dataset, "--json", "--out", tmp_path / "r")
    assert json.loads((tmp_path / "r" / "audit.json").read_text()) == figures


def test_rules_decide_on_the_exit_code(dataset):
    code, _, noted = run(dataset, "--fail-on", "films<2", "--fail-on", "pairs<1", "--json")
    assert (code, "fails" in noted) == (0, False)
    code, said, noted = run(dataset, "--fail-on", "films<3", "--fail-on", "dropped > 1%", "--json")
    assert code == 1
    assert "fails: films<3: 2\n" in noted
    assert [rule["holds"] for rule in json.loads(said)["rules"]] == [True, True]
    code, said, noted = run(dataset, "--fail-on", "duplicate>2%")
    assert (code, said, noted.count("\n")) == (2, "", 1)
    assert "duplicates" in noted


def test_a_report_stays_within_its_budget(mixed, tmp_path, monkeypatch):
    monkeypatch.setattr("framekit.audit.pictures.BUDGET", 30_000)
    made = audit(mixed)
    text = write_report(made, tmp_path / "r").read_text()
    assert made.pictures.over > 50
    assert "were left out, so that the report stays small" in text
    assert sum(map(len, re.findall(r"base64,([^\"]*)", text))) <= 30_000


# Bad input


def empty(root):
    info = DatasetInfo(schema_version=SCHEMA_VERSION, framekit_version="test", options={}, finished=True)
    write_info(root, info)
    write_decisions(root, [])
    return root


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: [root.mkdir(), empty(root)][1], "Nothing to train on"),
        (lambda root: varied(root, frames=1, split=False), "pairs"),
        (lambda root: bare_dataset(root, 2), "sources that dataset.json does not know"),
    ],
    ids=["empty", "one frame", "papers without sources"],
)
def test_small_datasets_have_a_report(tmp_path, make, words):
    root = make(tmp_path / "d")
    code, _, _ = run(root)
    assert code == 0
    assert words in (tmp_path / "d-audit" / "index.html").read_text()


def test_of_an_empty_dataset_one_thing_is_worth_doing(tmp_path):
    (tmp_path / "d").mkdir()
    figures = audit(empty(tmp_path / "d")).figures
    assert [advice.what for advice in figures.advice] == ["Take pictures from films"]
    write_info(tmp_path / "d", read_info(tmp_path / "d").model_copy(update={"finished": False}))
    assert [its.what for its in audit(tmp_path / "d").figures.advice] == ["Finish the extraction"]


def test_without_pairs_there_is_a_report_that_says_why(dataset):
    info = read_info(dataset)
    rows = [
        {"item": id_, "keep": False, "reason": "dull", "by": "ada", "because_of": None, "at": None}
        for id_ in read_rows(dataset).frames.ids
    ]
    write_decisions(dataset, rows)
    code, said, _ = run(dataset)
    assert code == 0
    assert f"{len(rows)} dull" in said
    assert "Find out why nothing is in" in said
    assert info.finished


def test_an_unfinished_dataset_says_so_first(dataset):
    info = read_info(dataset)
    write_info(dataset, info.model_copy(update={"finished": False}))
    code, said, _ = run(dataset)
    assert code == 0
    assert "The extraction is not finished" in said
    assert "1. Finish the extraction" in said


def test_a_damaged_shard_is_one_line_and_the_rest_goes_on(dataset):
    shard = dataset / f"frames/{FILMS[1]}-00000-of-00001.parquet"
    shard.write_bytes(b"PAR1 not any more")
    (dataset / f"pairs/{STILLS}-00000-of-00001.parquet").unlink()
    code, said, _ = run(dataset)
    assert code == 1
    lines = [line for line in said.splitlines() if line.startswith("damaged: ")]
    assert len(lines) == 2
    assert "rows are not counted" in lines[0]
    assert "framekit verify" in said
    figures = audit(dataset).figures
    assert figures.sources[0].kept > 0
    assert any("of frames that have no row" in note for note in figures.notes)


@pytest.mark.parametrize("named", ["photos", "against"])
def test_damage_of_another_dataset_opens_no_gate(mixed, dataset, named):
    """What cannot be read there may be what both have."""
    (dataset / f"frames/{FILMS[1]}-00000-of-00001.parquet").write_bytes(b"PAR1 not any more")
    code, said, _ = run(mixed, f"--{named}", dataset)
    assert code == 1
    assert f"damaged: {named}: frames/{FILMS[1]}" in said
    if named == "photos":
        code, said, more = run(mixed, "--photos", dataset, "--fail-on", "overlap>100000")
        assert code == 1
        assert "overlap>100000: not known: no photos to compare with, or not all of them" in said + more


def test_thumbnails_and_pictures_may_be_missing_or_no_pictures(dataset):
    for path in sorted((dataset / "frames").iterdir()):
        table = pq.read_table(path)
        bad = [None, {"bytes": b"no picture", "path": "x"}, {"bytes": _huge(), "path": "x"}]
        column = pa.array(
            [bad[row % 3] for row in range(table.num_rows)], table.schema.field("thumbnail").type
        )
        place = table.schema.get_field_index("thumbnail")
        pq.write_table(table.set_column(place, table.schema.field("thumbnail"), column), path)
    made = audit(dataset)
    text = write_report(made, dataset.with_name("r")).read_text()
    assert made.figures.palettes == []
    assert "pictures are not there or cannot be read" in text
    assert "no picture</div>" in text


def _huge():
    """A few bytes that claim to be 60,000 pixels wide."""
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def test_columns_of_a_newer_framekit_are_passed_over_and_said(dataset):
    path = dataset / f"frames/{FILMS[0]}-00000-of-00001.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column("sparkle", pa.array([1.0] * table.num_rows)), path)
    code, said, _ = run(dataset)
    assert code == 0
    assert "note: frames have columns that this framekit does not know; passed over: sparkle" in said


def test_columns_of_an_older_framekit_are_not_measured(dataset):
    for path in (dataset / "frames").iterdir():
        pq.write_table(pq.read_table(path).drop_columns(["noise", "signature", "content"]), path)
    figures = audit(dataset).figures
    assert "noise" not in figures.measures
    assert figures.named["noisy"] is None
    assert figures.counts.content is None


def test_papers_that_say_nonsense_are_a_note(dataset):
    info = read_info(dataset)
    info.options |= {"every": "often", "leave_out": 3, "frame_height": [1], "hash": {"a": 1}}
    info.sources[0].facts |= {"seconds": "long", "overlay": ["a", 1, 2, 3]}
    info.sources[1].facts |= {"seconds": 1e300, "overlay": [5, 5, -1, 1]}
    write_info(dataset, info)
    code, said, _ = run(dataset)
    assert code == 0
    assert "note: dataset.json has options that are none" in said


def test_the_report_of_the_folder_one_is_in_goes_beside_it(dataset, monkeypatch):
    monkeypatch.chdir(dataset)
    assert place_beside(Path()) == dataset.with_name("dataset-audit")
    assert place_beside(Path("..")) == dataset.parent.with_name(dataset.parent.name + "-audit")
    assert place_beside(Path("d")) == Path("d-audit")


def test_a_damaged_split_or_table_of_shots_is_one_line(dataset):
    (dataset / "split.parquet").write_bytes(b"x")
    (dataset / "scenes.parquet").write_bytes(b"x")
    code, said, _ = run(dataset)
    assert code == 1
    assert said.count("damaged: ") == 2
    assert audit(dataset).figures.leaks is None


def test_without_decisions_nothing_would_be_true(dataset):
    (dataset / "decisions.parquet").unlink()
    code, said, noted = run(dataset)
    assert (code, said) == (1, "")
    assert "decisions.parquet: is missing" in noted


def test_a_newer_schema_is_refused_in_one_line(dataset):
    text = (dataset / "dataset.json").read_text()
    (dataset / "dataset.json").write_text(text.replace('"schema_version": 2', '"schema_version": 3'))
    code, _, noted = run(dataset)
    assert (code, noted.count("\n")) == (1, 1)
    assert "schema version 3" in noted


def test_a_read_only_place_is_said_and_the_words_are_printed(dataset, monkeypatch):
    def refuse(*_words, **_more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("framekit.audit.writing.Path.mkdir", refuse)
    code, said, noted = run(dataset)
    assert (code, "no report" in noted, "Permission denied" in noted) == (0, True, True)
    assert "sampled frames" in said
    code, _, noted = run(dataset, "--out", dataset.with_name("elsewhere"))
    assert (code, "cannot be written" in noted) == (1, True)


def test_pictures_of_a_dataset_that_is_gone_are_none(dataset):
    rows = read_rows(dataset)
    shutil.rmtree(dataset / "frames")
    shutil.rmtree(dataset / "pairs")
    pictures = Pictures(rows)
    assert pictures.frame(0) is None
    assert pictures.pair(0) is None
    assert pictures.unread == 2
