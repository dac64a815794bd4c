import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import framekit.manifest
from framekit.errors import FramekitError
from framekit.manifest import decide, history, state
from framekit.manifest import decisions as room
from framekit.manifest.decisions import drop, dropped, locked, unknown_items, write_rules
from framekit.manifest.schema import DECISIONS
from framekit.manifest.writing import write_decisions, write_table
from framekit.storage.paths import RemotePath, path_of
from tests.framekit.manifest.datasets import SOURCES, dataset
from tests.oracles.decisions import left_out, pairs_left

FRAME, OTHER = f"{SOURCES[0]}:0", f"{SOURCES[1]}:1"
PAIR = FRAME + "#1"
ITEMS = (FRAME, PAIR, OTHER)


@pytest.fixture
def root(tmp_path):
    return dataset(tmp_path / "dataset", 4)


def pairs_of(root):
    return framekit.manifest.open(root).pairs(["pair_id"])["pair_id"].to_pylist()


def test_a_person_s_word_counts_over_a_rule_s_until_it_is_taken_back(root):
    write_rules(root, [drop(FRAME, "dark", by="rule:dark")])
    assert dropped(root)[FRAME].reason == "dark"
    decide(root, [FRAME], keep=True, reason="night, and meant", by="ada")
    assert FRAME not in dropped(root)
    assert state(root)[FRAME].reason == "night, and meant"
    decide(root, [FRAME], keep=None, reason="", by="ada")
    assert state(root)[FRAME].by == "rule:dark"


def test_the_last_person_counts(root):
    decide(root, [FRAME], keep=False, reason="logo", by="ada")
    decide(root, [FRAME], keep=True, reason="no logo", by="bob")
    assert state(root)[FRAME].by == "bob"
    assert len(pairs_of(root)) == 16


def test_to_keep_a_frame_does_not_bring_back_a_pair_that_was_left_out(root):
    write_rules(root, [drop(FRAME, "dark", by="rule:dark")])
    decide(root, [PAIR], keep=False, reason="subtitle", by="bob")
    assert len(pairs_of(root)) == 14
    decide(root, [FRAME], keep=True, reason="fine", by="ada")
    assert len(pairs_of(root)) == 15
    assert PAIR not in pairs_of(root)


def test_to_keep_a_pair_does_not_bring_it_back_without_its_frame(root):
    decide(root, [FRAME], keep=False, reason="dark", by="ada")
    decide(root, [PAIR], keep=True, reason="fine", by="ada")
    assert PAIR not in pairs_of(root)


words = st.lists(st.tuples(st.sampled_from(ITEMS), st.sampled_from([True, False, None]), st.booleans()))


@settings(max_examples=40, deadline=None)
@given(words=words)
def test_what_is_left_out_is_what_the_oracle_says(words, tmp_path_factory):
    root = ORACLE.get("root") or ORACLE.setdefault("root", dataset(tmp_path_factory.mktemp("d"), 2))
    rows = [
        {"item": item, "keep": keep, "reason": str(number), "by": "rule:a" if rule else "ada"}
        for number, (item, keep, rule) in enumerate(words)
    ]
    write_decisions(root, [])
    every = framekit.manifest.open(root).pairs(["pair_id", "frame_id"]).to_pylist()
    write_decisions(root, rows)
    expected = left_out(rows)
    assert {item: out.reason for item, out in dropped(root).items()} == expected
    assert pairs_of(root) == pairs_left(every, expected)


ORACLE = {}


def test_history_keeps_every_word_with_its_time_through_every_deciding_anew(root):
    write_rules(root, [drop(OTHER, "dark", by="rule:dark")])
    before = datetime.now(UTC)
    for keep, reason in ((False, "logo"), (True, "no, a moon"), (None, "")):
        decide(root, [FRAME, PAIR], keep=keep, reason=reason, by="ada")
    write_rules(root, [drop(FRAME, "flat", by="rule:flat")])
    words = history(root, FRAME)
    assert [(word.by, word.keep, word.reason) for word in words] == [
        ("rule:flat", False, "flat"),
        ("ada", False, "logo"),
        ("ada", True, "no, a moon"),
        ("ada", None, ""),
    ]
    times = [word.at for word in words]
    assert times[0] is None
    assert before <= times[1] <= times[2] <= times[3] <= datetime.now(UTC)
    assert [word.item for word in history(root)] == [FRAME, *[FRAME, PAIR] * 3]


def test_rules_rows_give_the_same_bytes_in_whatever_order_and_however_often_they_come(root):
    rows = [drop(item, "dark", by="rule:dark") for item in ITEMS]
    decide(root, [FRAME], keep=False, reason="logo", by="ada")
    decide(root, [PAIR], keep=False, reason="logo", by="ada")
    contents = set()
    for order in (rows, rows[::-1], rows):
        write_rules(root, order)
        contents.add((root / room.NAME).read_bytes())
    assert len(contents) == 1


def test_only_rules_write_as_rules(root):
    with pytest.raises(ValueError, match="rule:"):
        write_rules(root, [drop(FRAME, "dark", by="ada")])
    for name in ("rule:dark", " rule:dark", "", " "):
        with pytest.raises(FramekitError, match="a person's name is needed"):
            decide(root, [FRAME], keep=False, reason="", by=name)


def test_unknown_items_are_named_and_nothing_is_decided(root):
    before = (root / room.NAME).read_bytes()
    items = [FRAME, "a:1", FRAME + "#9", "b", "c", ""]
    with pytest.raises(FramekitError) as error:
        decide(root, items, keep=False, reason="", by="ada")
    assert f"no frame or pair of this dataset: a:1, {FRAME}#9, b and 2 more; nothing was decided" in str(
        error.value
    )
    assert (root / room.NAME).read_bytes() == before


def test_items_that_are_left_out_can_be_decided_about(root):
    decide(root, [FRAME], keep=False, reason="", by="ada")
    decide(root, [FRAME, PAIR], keep=True, reason="", by="ada")
    assert len(pairs_of(root)) == 16


def test_a_file_that_speaks_of_other_datasets_is_reported_and_does_nothing(root):
    assert unknown_items(framekit.manifest.open(root)) == []
    rows = [drop(item, "", by=by) for item in ("b:1", FRAME, "a:1", PAIR) for by in ("rule:dark", "ada")]
    write_decisions(root, rows)
    manifest = framekit.manifest.open(root)
    assert unknown_items(manifest) == ["a:1", "b:1"]
    assert len(manifest) == 14


def test_names_and_reasons_from_strangers_stay_on_one_line(root):
    decide(root, [FRAME], keep=False, reason="a\nb\udcff", by="ada\x1b[2J")
    assert state(root)[FRAME][2:4] == ("a\\nb\\udcff", "ada\\x1b[2J")


def test_of_an_id_that_is_no_text_nothing_was_said(root):
    assert history(root, "\udcff") == []
    with pytest.raises(FramekitError, match=r"no frame or pair of this dataset: \\udcff"):
        decide(root, ["\udcff"], keep=True, reason="", by="ada")


@pytest.mark.parametrize("content", [None, b"", b"PAR1 nothing PAR1"])
def test_a_decisions_file_that_is_lost_or_damaged_is_not_written_over(root, content):
    path = root / room.NAME
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    for act in (lambda: decide(root, [FRAME], keep=False, reason="", by="ada"), lambda: state(root)):
        with pytest.raises(FramekitError, match=r"decisions\.parquet: (is missing|cannot be read)"):
            act()
    assert path.exists() == (content is not None)


WRITER = """
import sys
from pathlib import Path
from framekit.manifest import decide
root, name, *items = sys.argv[1:]
for number in range(20):
    decide(Path(root), items, keep=bool(number % 2), reason=str(number), by=name)
"""


def test_eight_writers_lose_nothing(root):
    names = [f"writer {number}" for number in range(8)]

    def write(name):
        return subprocess.run(
            [sys.executable, "-c", WRITER, str(root), name, FRAME, PAIR],
            capture_output=True,
            text=True,
            check=False,
        )

    with ThreadPoolExecutor(9) as threads:
        writers = [threads.submit(write, name) for name in names]
        while not all(writer.done() for writer in writers):
            assert not {word.by for word in history(root)} - set(names)  # never half a file
            write_rules(root, [])  # and rules that decide anew meanwhile take nothing away
        assert [writer.result().stderr for writer in writers] == [""] * 8
    for name in names:
        said = [word.reason for word in history(root, FRAME) if word.by == name]
        assert said == [str(number) for number in range(20)]
    assert len(history(root)) == 8 * 20 * 2


def words_of_rules(count):
    words = [drop(f"{SOURCES[0]}:{number}", "dark", by="rule:dark") for number in range(count)]
    return pa.Table.from_pylist(words, DECISIONS)


def test_a_file_that_is_replaced_all_the_while_is_read_whole(tmp_path):
    path, tables = tmp_path / room.NAME, (words_of_rules(1), words_of_rules(400))
    write_table(path, tables[0])

    def replace():
        for _ in range(100):
            for table in tables:
                write_table(path, table)

    with ThreadPoolExecutor(1) as threads:
        replacing = threads.submit(replace)
        while not replacing.done():
            assert len(room.read_words(path)) in (1, 400)
        replacing.result()


def test_a_file_in_a_store_that_is_replaced_after_a_look_at_it_is_read_whole(tmp_path, monkeypatch):
    path, look = path_of("memory://replaced") / room.NAME, RemotePath.stat
    write_table(path, words_of_rules(1))
    write_table(tmp_path / "longer", words_of_rules(400))
    longer = (tmp_path / "longer").read_bytes()

    def replaced_after(self):
        facts = look(self)
        self.write_bytes(longer)
        return facts

    monkeypatch.setattr(RemotePath, "stat", replaced_after)
    assert len(room.read_words(path)) in (1, 400)


KILLED = """
import sys
from pathlib import Path
from framekit.files import whole_file
from framekit.manifest.decisions import NAME, locked
root = Path(sys.argv[1])
with locked(root), whole_file(root / NAME) as temporary:
    temporary.write_bytes(b"half")
    print("there", flush=True)
    sys.stdin.read()
"""


def test_a_writer_that_is_killed_leaves_the_file_whole_and_the_lock_free(root, monkeypatch):
    decide(root, [FRAME], keep=False, reason="logo", by="ada")
    command = [sys.executable, "-c", KILLED, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"there\n"
        assert state(root)[FRAME].by == "ada"  # readers need no lock
        monkeypatch.setattr(room, "PATIENCE", 0.1)
        with pytest.raises(FramekitError, match=r"another process has held this lock for 0\.1 s") as error:
            decide(root, [FRAME], keep=True, reason="", by="bob")
        assert room.LOCK in str(error.value)
        writer.send_signal(signal.SIGKILL)
    decide(root, [FRAME], keep=True, reason="", by="bob")
    assert [word.by for word in history(root, FRAME)] == ["ada", "bob"]


def test_a_lock_is_given_back_when_writing_fails(root, monkeypatch):
    monkeypatch.setattr(room, "PATIENCE", 0.1)
    with pytest.raises(OSError, match="full"), locked(root):
        raise OSError("full")
    decide(root, [FRAME], keep=False, reason="", by="ada")
