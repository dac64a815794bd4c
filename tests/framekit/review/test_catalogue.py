"""Views of frames, held against a plain look at each frame; groups and counts."""

import math
import random
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import framekit.manifest
from framekit.errors import CommandError
from framekit.manifest import decide
from framekit.manifest.groups import near_duplicates
from framekit.review.catalogue import ABOUT, NEW_LINE, Catalogue, View
from framekit.review.words import Words
from tests.framekit.review.conftest import HOSTILE


@pytest.fixture
def catalogue(dataset):
    ids = framekit.manifest.open(dataset).frames(["frame_id"])["frame_id"].to_pylist()
    decide(dataset, ids[3:6], keep=False, reason="logo", by="ada")
    decide(dataset, ids[8:10], keep=True, reason="", by="ada")
    return Catalogue(framekit.manifest.open(dataset), Words(dataset))


class Obvious:
    """Rows of a view by a look at each frame."""

    def __init__(self, manifest):
        self.manifest, self.frames = manifest, manifest.frames().to_pylist()
        self.groups = [[group.kept, *group.others] for group in near_duplicates(manifest)]
        people = Words(manifest.root).people.items()
        self.mine = {item for item, words in people if words[-1].keep is not None}


def obvious(look, catalogue, view):
    manifest, frames, groups, mine = look.manifest, look.frames, look.groups, look.mine
    group_of = {id_: group for group in groups for id_ in group}
    rows = []
    for row, frame in enumerate(frames):
        id_ = frame["frame_id"]
        value = frame.get(view.measure)
        dropped = manifest.dropped.get(id_)
        tests = [
            not view.source or catalogue.sources.index(frame["source"]) in view.source,
            view.start is None or frame["seconds"] >= view.start,
            view.stop is None or frame["seconds"] <= view.stop,
            {"": True, "in": dropped is None, "out": dropped is not None, "mine": id_ in mine}[view.state],
            not view.reason or (dropped is not None and dropped.reason in view.reason),
            view.low is None or (value is not None and value >= view.low),
            view.high is None or (value is not None and value <= view.high),
            view.group is None
            or id_ in group_of.get(frames[view.group]["frame_id"], [frames[view.group]["frame_id"]]),
            not view.duplicates or id_ in group_of,
            view.text.lower() in id_.lower() or view.text.lower() in (frame["name"] or "").lower(),
        ]
        if all(tests):
            rows.append(row)
    if view.sort == "order":
        return rows[::-1] if view.descending else rows
    if view.sort == "group":
        place = {id_: number for number, id_ in enumerate(id_ for group in groups for id_ in group)}
        return sorted(rows, key=lambda row: (place.get(frames[row]["frame_id"], len(place)), row))
    sign = -1 if view.descending else 1
    key = {row: math.inf if frames[row][view.sort] is None else sign * frames[row][view.sort] for row in rows}
    return sorted(rows, key=lambda row: (key[row], row))


def any_view(chance):
    """Each condition now and then."""
    measure = chance.choice(["brightness", "sharpness", "dissolve", "pan_x"])
    low, high = {
        "brightness": (100, 160),
        "sharpness": (500, 5000),
        "dissolve": (0.1, 0.9),
        "pan_x": (-1, 1),
    }[measure]
    conditions = {
        "source": (chance.randrange(2),),
        "start": 0.5,
        "stop": 2.0,
        "state": chance.choice(["in", "out", "mine"]),
        "reason": tuple(chance.sample(["near-duplicate", "logo", "no such"], 2)),
        "low": low,
        "high": high,
        "group": chance.randrange(36),
        "duplicates": True,
        "text": chance.choice(["ONE", ":1", "%"]),
    }
    chosen = {name: value for name, value in conditions.items() if chance.random() < 0.25}
    sort = chance.choice(["order", "group", measure])
    return View(measure=measure, sort=sort, descending=sort != "group" and chance.random() < 0.5, **chosen)


def test_views_are_what_a_look_at_each_frame_gives(catalogue):
    chance, found, look = random.Random(0), 0, Obvious(catalogue.manifest)
    for _ in range(500):
        view = any_view(chance)
        if view.low is None and view.high is None:
            view = replace(view, measure="")
        rows = catalogue.rows(view)
        assert rows.dtype == np.uint32
        assert (rows & ~NEW_LINE).tolist() == obvious(look, catalogue, view), view
        found += len(rows) > 0
    assert found > 100


def test_sorted_by_group_each_one_begins_with_a_mark(catalogue):
    rows = catalogue.rows(View(sort="group"))
    marked = [int(row & ~NEW_LINE) for row in rows if row & NEW_LINE]
    leaders = [catalogue.row_of[group.kept] for group in near_duplicates(catalogue.manifest)]
    alone = [row for row in range(len(catalogue)) if catalogue.group[row] < 0]
    assert marked == [*leaders, alone[0]]
    assert sorted((rows & ~NEW_LINE).tolist()) == list(range(len(catalogue)))


@pytest.mark.parametrize(
    "view",
    [
        View(source=(7,)),
        View(sort="beauty"),
        View(measure="beauty"),
        View(state="maybe"),
        View(content=("x",)),
        View(group=99),
    ],
)
def test_what_is_not_there_is_refused(catalogue, view):
    with pytest.raises(CommandError, match="no such"):
        catalogue.rows(view)


def test_the_summary_counts_what_the_views_hold(catalogue):
    summary = catalogue.summary()
    assert summary["frames"] == len(catalogue) == 36
    assert summary["in"] == len(catalogue.rows(View(state="in")))
    assert summary["mine"] == len(catalogue.rows(View(state="mine"))) == 5
    for reason, count in summary["reasons"].items():
        assert count == len(catalogue.rows(View(reason=(reason,))))
    assert {"near-duplicate", "logo"} <= set(summary["reasons"])
    assert [source["name"] for source in summary["sources"]] == ["img-src-x-onerror-alert-1", "one"]
    assert Path(summary["sources"][0]["path"]).name == f"{HOSTILE}.mkv"
    assert {measure["name"] for measure in summary["measures"]} <= set(ABOUT)
    assert {field.name for field in fields(View)} >= {"source", "content"}


def test_a_frame_tells_its_crops_group_and_history(catalogue):
    row = next(row for row in range(len(catalogue)) if catalogue.told(row)["pairs"])
    told = catalogue.told_all(row)
    assert [crop["index"] for crop in told["crops"]] == [0, 1]
    assert all(crop["size"] == 96 and crop["in"] and crop["scale"] == 1 for crop in told["crops"])
    dropped = catalogue.told_all(4)
    assert [(word["keep"], word["reason"], word["by"]) for word in dropped["history"]] == [
        (False, "logo", "ada")
    ]
    grouped = next(row for row in range(len(catalogue)) if catalogue.group[row] >= 0)
    members = catalogue.told_all(grouped)["group"]
    assert members[0]["distance"] == 0
    assert len(members) == catalogue.told(grouped)["members"]
