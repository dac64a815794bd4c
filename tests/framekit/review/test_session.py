"""What is decided while reviewing: saved at once, undone in order, never another's."""

import resource
import shutil
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import framekit.manifest
from framekit.errors import CommandError, FramekitError
from framekit.extraction.compacting import compact
from framekit.extraction.settling import after_decisions
from framekit.manifest import decide
from framekit.manifest.decisions import add_from, by_people, locked, state, write_rules
from framekit.review.catalogue import View
from framekit.review.session import Refused, Session
from framekit.storage.paths import path_of


def opened(root, **how):
    return Session(framekit.manifest.open(root), by="ada", **how)


@pytest.fixture
def session(dataset):
    return opened(dataset)


def words(root):
    return [(row["item"], row["keep"]) for row in by_people(root)]


def test_each_word_is_in_the_file_when_it_is_answered(session, dataset):
    ids = session.catalogue.ids
    answer = session.decide([1, 2], keep=False, reason="logo", expect=2)
    assert words(dataset) == [(ids[1], False), (ids[2], False)]
    assert [(frame["row"], frame["in"], frame["reason"]) for frame in answer["rows"]] == [
        (1, False, "logo"),
        (2, False, "logo"),
    ]
    assert framekit.manifest.open(dataset).dropped[ids[1]].reason == "logo"
    assert answer["version"] == session.version == 2


def test_undo_gives_back_the_words_before_in_turn_and_ends(session, dataset):
    ids, before = session.catalogue.ids, state(dataset)
    session.decide([1], keep=False, reason="logo", expect=1)
    session.decide([1, 2], keep=True, reason="", expect=2)
    assert session.undo()["what"] == "keep 2 frames"
    assert (state(dataset)[ids[1]].keep, state(dataset)[ids[1]].reason) == (False, "logo")
    assert session.undo()["items"] == 1
    assert state(dataset) == before
    with pytest.raises(Refused, match="nothing to undo"):
        session.undo()


def test_undo_leaves_alone_what_somebody_else_said_since(session, dataset):
    ids = session.catalogue.ids
    session.decide([1, 2], keep=False, reason="logo", expect=2)
    decide(dataset, [ids[1]], keep=True, reason="I like it", by="bob")
    undone = session.undo()
    assert (undone["items"], undone["skipped"]) == (1, 1)
    assert (state(dataset)[ids[1]].keep, state(dataset)[ids[1]].by) == (True, "bob")
    assert ids[2] not in {word.item for word in state(dataset).values() if word.by == "ada"}


def test_each_tab_undoes_its_own_actions_and_anothers_only_where_it_says_so(session, dataset):
    ids, before = session.catalogue.ids, state(dataset)
    session.decide([1, 2], keep=False, reason="logo", expect=2, tab="a")
    session.decide([2], keep=True, reason="", expect=1, tab="b")
    undone = session.undo(tab="a")
    assert (undone["what"], undone["items"], undone["skipped"]) == ("drop 2 frames", 1, 1)
    assert state(dataset)[ids[2]].keep
    with pytest.raises(Refused, match="nothing to undo in this tab; the last of another tab: keep 1 frame"):
        session.undo(tab="a")
    assert session.undo(tab="a", anyone=True)["what"] == "keep 1 frame"
    assert state(dataset)[ids[2]].reason == "logo"  # what was there before it
    session.decide([2], keep=None, reason="", expect=1)
    assert state(dataset) == before


def test_words_of_other_programs_are_taken_over(session, dataset):
    ids = session.catalogue.ids
    session.look_for_others()
    assert session.changes(1) is None
    decide(dataset, [ids[5]], keep=False, reason="blurred", by="bob")
    session.look_for_others()
    assert session.changes(1) == {"version": 2, "rows": None}
    assert session.told([5])[0]["reason"] == "blurred"
    decide(dataset, [ids[6]], keep=False, reason="blurred", by="bob")
    session.decide([7], keep=False, reason="mine", expect=1)  # without a look in between
    assert [frame["in"] for frame in session.told([5, 6, 7])] == [False] * 3
    write_rules(dataset, [])  # as another dedup may
    session.look_for_others()
    assert set(session.summary()["reasons"]) == {"blurred", "mine"}


def test_tabs_hear_of_each_others_words(session):
    session.decide([1, 2], keep=False, reason="", expect=2)
    session.decide([4], keep=True, reason="", expect=1)
    assert session.changes(1) == {"version": 3, "rows": [1, 2, 4]}
    assert session.changes(2) == {"version": 3, "rows": [4]}
    assert session.changes(3) is None


def test_many_threads_and_another_program_lose_no_word(session, dataset):
    ids = session.catalogue.ids

    def in_a_tab(rows):
        for row in rows:
            session.decide([row], keep=False, reason="tab", expect=1)

    threads = [threading.Thread(target=in_a_tab, args=(range(start, 24, 3),)) for start in range(3)]
    for thread in threads:
        thread.start()
    for row in range(24, 36):
        decide(dataset, [ids[row]], keep=False, reason="program", by="bob")
    for thread in threads:
        thread.join()
    assert sorted(words(dataset)) == sorted((id_, False) for id_ in ids)


def test_a_view_that_grew_since_it_was_counted_is_not_decided_about(session, dataset):
    view = View(state="in")
    count = len(session.view(view)[0])
    with pytest.raises(Refused) as refused:
        session.decide(view, keep=False, reason="", expect=count - 1)
    assert refused.value.items == count
    assert words(dataset) == []
    assert session.decide(view, keep=False, reason="", expect=count)["items"] == count
    assert len(session.view(view)[0]) == 0


def test_one_of_a_group_is_kept_and_the_others_are_left_out(session, dataset):
    leader, members = next(iter(session.catalogue.members.items()))
    other = int(members[1])
    session.keep_this(other)
    kept = {
        row: frame["in"] for row, frame in zip(members.tolist(), session.told(members.tolist()), strict=True)
    }
    assert kept == {row: row == other for row in members.tolist()}
    again = opened(dataset)
    assert again.catalogue.members[leader].tolist() == members.tolist()  # the group is still one
    session.undo()
    assert [frame["in"] for frame in session.told([leader])] == [True]
    alone = next(row for row in range(36) if session.catalogue.group[row] < 0)
    with pytest.raises(Refused):
        session.keep_this(alone)


def test_crops_are_decided_about_by_themselves(session, dataset):
    row = next(row for row in range(36) if session.told([row])[0]["pairs"])
    session.decide_crops([(row, 1)], keep=False, reason="hand")
    assert [crop["in"] for crop in session.told_all(row)["crops"]] == [True, False]
    assert session.told([row])[0]["in"]
    assert len(framekit.manifest.open(dataset)) == len(
        framekit.manifest.open(dataset).undecided.train
    ) - 1 - sum(
        len(session.catalogue.crops.of_frame(other))
        for other in range(36)
        if not session.told([other])[0]["in"]
    )
    session.undo()
    assert [crop["in"] for crop in session.told_all(row)["crops"]] == [True, True]
    with pytest.raises(CommandError, match="has no crop 7"):
        session.decide_crops([(row, 7)], keep=False, reason="")


def test_pictures_are_the_stored_ones_also_of_what_is_left_out(session, dataset):
    manifest = framekit.manifest.open(dataset)
    row = next(row for row in range(36) if session.told([row])[0]["pairs"])
    (pair,) = (
        manifest.undecided.pairs(["pair_id", "image", "smoothed"])
        .filter(
            framekit.manifest.open(dataset).undecided.pairs(["pair_id"])["pair_id"].to_numpy()
            == f"{session.catalogue.ids[row]}#1"
        )
        .to_pylist()
    )
    session.decide([row], keep=False, reason="", expect=1)
    assert session.picture(row, 1, smoothed=False) == pair["image"]["bytes"]
    assert session.picture(row, 1, smoothed=True) == pair["smoothed"]["bytes"]
    assert session.picture(row, 9, smoothed=False) is None
    assert (
        session.thumbnail(row)
        == manifest.thumbnails([session.catalogue.ids[row]])[session.catalogue.ids[row]]
    )


def test_words_kept_apart_count_on_top_and_go_into_a_dataset_once(dataset, two_films, tmp_path):
    apart = tmp_path / "mine.parquet"
    session = opened(dataset, apart=apart)
    before = (dataset / "decisions.parquet").read_bytes()
    session.decide([1, 2], keep=False, reason="logo", expect=2)
    session.undo()
    session.decide([3], keep=False, reason="logo", expect=1)
    assert (dataset / "decisions.parquet").read_bytes() == before
    again = opened(dataset, apart=apart)
    assert not again.told([3])[0]["in"]
    assert again.told([1])[0]["person"] is None
    assert add_from(dataset, apart) == 5
    assert add_from(dataset, apart) == 0
    assert state(dataset)[session.catalogue.ids[3]].reason == "logo"
    other = shutil.copytree(two_films, tmp_path / "other")
    table = pq.read_table(apart)
    pq.write_table(table.set_column(0, "item", [["nobody:1"] * table.num_rows]), apart)
    with pytest.raises(CommandError, match="no frame or pair of this dataset"):
        add_from(other, apart)
    (tmp_path / "noise.parquet").write_bytes(b"PAR1 noise")
    with pytest.raises(FramekitError, match="cannot be read"):
        add_from(other, tmp_path / "noise.parquet")


def test_a_read_only_dataset_opens_says_so_and_saves_where_it_offers(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    problem = "the dataset is read-only: no"
    monkeypatch.setattr("framekit.review.session.problem_of", lambda root: problem)
    session = opened(dataset)
    assert session.saving() == {
        "where": str(dataset / "decisions.parquet"),
        "problem": problem,
        "elsewhere": "./dataset-decisions.parquet",
    }
    with pytest.raises(FramekitError, match="read-only"):
        session.decide([1], keep=False, reason="", expect=1)
    assert session.save_elsewhere()["problem"] is None
    session.decide([1], keep=False, reason="", expect=1)
    assert words(dataset) == []
    assert add_from(dataset, tmp_path / "dataset-decisions.parquet") == 1


def test_who_decides_has_a_persons_name(dataset):
    with pytest.raises(CommandError, match="a person's name is needed"):
        Session(framekit.manifest.open(dataset), by="rule:me")


def test_a_full_disk_saves_nothing_says_so_and_the_next_word_is_saved(session, dataset):
    before = (dataset / "decisions.parquet").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(FramekitError, match=r"decisions.parquet: cannot be written \(File too large\)"):
            session.decide([1], keep=False, reason="", expect=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (dataset / "decisions.parquet").read_bytes() == before
    assert session.told([1])[0]["person"] is None
    assert not list(dataset.glob(".framekit-*"))
    with pytest.raises(Refused):
        session.undo()
    session.decide([1], keep=False, reason="", expect=1)
    assert words(dataset) == [(session.catalogue.ids[1], False)]


def test_decisions_that_are_damaged_gone_or_older_meanwhile(session, dataset):
    path = dataset / "decisions.parquet"
    session.decide([1], keep=False, reason="", expect=1)
    older = path.read_bytes()
    session.decide([2], keep=False, reason="", expect=1)
    whole = path.read_bytes()
    for damage in (lambda: path.write_bytes(whole[:-20]), path.unlink):
        damage()
        with pytest.raises(FramekitError, match=r"cannot be read|is missing"):
            session.look_for_others()
        with pytest.raises(FramekitError, match=r"cannot be read|is missing"):
            session.decide([3], keep=False, reason="", expect=1)
        assert [frame["person"] for frame in session.told([1, 2, 3])] == [False, False, None]
        path.write_bytes(whole)
    path.write_bytes(older)
    session.decide([3], keep=False, reason="", expect=1)  # without a look in between
    assert words(dataset) == [(session.catalogue.ids[row], False) for row in (1, 3)]
    session.undo()
    assert session.undo()["skipped"] == 1  # the word about 2 is no longer there


def test_a_lock_that_another_program_holds_is_waited_for_a_while(session, dataset, monkeypatch):
    monkeypatch.setattr("framekit.review.words.PATIENCE", 0.05)
    with locked(dataset), pytest.raises(FramekitError, match="another process has held this lock"):
        session.decide([1], keep=False, reason="", expect=1)
    assert session.decide([1], keep=False, reason="", expect=1)["items"] == 1


def test_frames_that_another_program_changes_are_noticed(session, dataset):
    after_decisions(dataset)  # writes dataset.json anew, with the same shards
    session.look_for_others()
    assert not session.summary()["outdated"]
    for row in range(18):
        session.decide([row], keep=False, reason="", expect=1)
    compact(dataset)
    session.look_for_others()
    assert session.summary()["outdated"]
    assert session.decide([20], keep=False, reason="", expect=1)["items"] == 1


def test_a_dataset_in_a_store(dataset):
    root = path_of("memory://reviewed")
    for path in filter(Path.is_file, dataset.rglob("*")):
        (root / path.relative_to(dataset).as_posix()).write_bytes(path.read_bytes())
    session, here = opened(root), opened(dataset)
    assert session.saving()["problem"] is None
    row = next(row for row in range(36) if session.told([row])[0]["pairs"])
    assert session.thumbnail(row) == here.thumbnail(row)
    assert session.picture(row, 0, smoothed=True) == here.picture(row, 0, smoothed=True)
    decide(root, [session.catalogue.ids[2]], keep=False, reason="program", by="bob")
    session.decide([1], keep=False, reason="logo", expect=1)
    assert [frame["reason"] for frame in session.told([1, 2])] == ["logo", "program"]
    session.undo()
    assert words(root) == [
        (session.catalogue.ids[row], keep) for row, keep in ((2, False), (1, False), (1, None))
    ]
