import pyarrow as pa

import framekit.manifest
from framekit.manifest.decisions import decide, drop, write_rules
from framekit.manifest.groups import Group, near_duplicates
from tests.framekit.manifest.datasets import dataset


def like(root, **others):
    """Groups when each frame named has another for it, said by neighbours while its film was decoded."""
    manifest = framekit.manifest.open(root)
    ids = manifest.frames(["frame_id"])["frame_id"].to_pylist()
    named = {ids[int(number[1:])]: ids[other] for number, other in others.items()}
    table = pa.table({"frame_id": ids, "duplicate_of": pa.array(list(map(named.get, ids)), pa.string())})
    place = {id_: number for number, id_ in enumerate(ids)}
    found = near_duplicates(manifest, table)
    return [(place[group.kept], [place[other] for other in group.others]) for group in found]


def test_the_largest_group_comes_first_and_its_frames_in_order(tmp_path):
    root = dataset(tmp_path, 8)
    assert like(root, _1=0, _7=5, _4=5, _6=5) == [(5, [4, 6, 7]), (0, [1])]
    assert like(root) == []


def test_a_frame_stands_under_the_last_one_of_its_chain(tmp_path):
    root = dataset(tmp_path, 8)
    ids = framekit.manifest.open(root).frames(["frame_id"])["frame_id"].to_pylist()
    write_rules(root, [drop(ids[2], "near-duplicate", by="rule:near-duplicate", because_of=ids[5])])
    assert like(root, _1=2, _3=2) == [(5, [1, 2, 3])]


def test_who_is_kept_by_a_person_leaves_the_group_that_rules_put_it_in(tmp_path):
    root = dataset(tmp_path, 8)
    ids = framekit.manifest.open(root).frames(["frame_id"])["frame_id"].to_pylist()
    rules = [drop(ids[n], "near-duplicate", by="rule:near-duplicate", because_of=ids[0]) for n in (1, 2)]
    write_rules(root, rules)
    assert near_duplicates(framekit.manifest.open(root)) == [Group(ids[0], [ids[1], ids[2]])]
    decide(root, [ids[2]], keep=True, reason="", by="ada")
    assert near_duplicates(framekit.manifest.open(root)) == [Group(ids[0], [ids[1]])]


def test_strangers_circles_and_ways_to_nowhere_end(tmp_path):
    root = dataset(tmp_path, 4)
    assert {frame for kept, others in like(root, _0=1, _1=0, _2=2) for frame in (kept, *others)} == {0, 1}
    write_rules(root, [drop("nobody:0", "near-duplicate", by="rule:x", because_of="nobody:1")])
    assert like(root) == []
