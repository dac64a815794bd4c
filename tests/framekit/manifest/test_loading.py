"""Reading for training: near uniform, every pair once, the same wherever one begins and whoever reads."""

import functools
import itertools
import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import framekit.manifest
from framekit.manifest import ManifestError, PairReader, Share, Shuffle, decide, writing
from framekit.manifest.places import KEY
from tests.framekit.manifest.datasets import SOURCES, dataset, speckled

HEIDI, PONYO = SOURCES
ROWS = 6  # pairs of a row group
WINDOW = 3
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=30)
SHARES = {"ranks": st.integers(1, 4), "workers": st.integers(1, 3), "batch": st.integers(1, 5)}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """70 pairs a source in row groups of 6; a frame and a pair, and one whole row group, are left out."""
    root = tmp_path_factory.mktemp("loading") / "dataset"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "ROW_GROUP_ROWS", ROWS)
        dataset(root, 35)
    left_out = [f"{HEIDI}:3", f"{PONYO}:7#1", *(f"{PONYO}:{number}" for number in (12, 13, 14))]
    decide(root, left_out, keep=False, reason="logo", by="ada")
    return root


@pytest.fixture
def manifest(root):
    return framekit.manifest.open(root)


def ids(pairs):
    return [pair.pair_id for pair in pairs]


def obvious_epoch(sizes, seed, epoch, window):
    """Positions of all pairs in the order of an epoch, made in one go."""
    positions = iter(range(sum(sizes)))
    groups = [list(itertools.islice(positions, size)) for size in sizes]
    shuffled = [groups[number] for number in np.random.default_rng([seed, epoch, 1]).permutation(len(groups))]
    order = []
    for block, start in enumerate(range(0, len(groups), window)):
        rows = list(itertools.chain.from_iterable(shuffled[start : start + window]))
        order += np.random.default_rng([seed, epoch, 2 + block]).permutation(rows).tolist()
    return order


def order_of(sizes, seed=0, epoch=0, window=64):
    shuffle = Shuffle(sizes, seed=seed, window=window)
    return np.concatenate(list(shuffle.blocks(range(epoch * len(shuffle), (epoch + 1) * len(shuffle)))))


# The order ------------------------------------------------------------------------------------------------


@given(SIZES, st.integers(0, 9), st.integers(1, 9), st.data())
@settings(deadline=None)
def test_any_numbers_of_the_endless_order_are_those_of_the_epochs_made_in_one_go(sizes, seed, window, data):
    length = sum(sizes)
    endless = [n for epoch in range(3) for n in obvious_epoch(sizes, seed, epoch, window)]
    assert all(
        sorted(endless[at : at + length]) == list(range(length)) for at in range(0, 3 * length, length)
    )
    numbers = sorted(data.draw(st.sets(st.integers(0, 3 * length - 1))))
    blocks = list(Shuffle(sizes, seed=seed, window=window).blocks(numbers))
    assert [position for block in blocks for position in block.tolist()] == [endless[n] for n in numbers]
    assert all(
        len(np.unique(np.searchsorted(np.cumsum(sizes), block, "right"))) <= window for block in blocks
    )


def test_numbers_may_be_endless():
    blocks = Shuffle([2, 3], seed=0, window=1).blocks(itertools.count())
    assert [len(block) for block in itertools.islice(blocks, 4)].count(2) == 2


@pytest.mark.parametrize("wrong", [{"seed": -1, "window": 1}, {"seed": 0, "window": 0}])
def test_a_window_or_seed_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="window from 1 and a seed from 0"):
        Shuffle([1], **wrong)


# Its statistics: 20,000 pairs in row groups of 18, as those of 256 pixels are ------------------------------

FILM = np.full(1110, 18)
LENGTH = int(FILM.sum())
SEEDS = 40


@functools.cache
def film_orders():
    return [order_of(FILM, seed) for seed in range(SEEDS)]


def excess(orders):
    """Chi-square over its mean of a table: tenth of the dataset × tenth of the epoch.

    For pairs that move each on its own it is 1; for row groups that move as one, at most the pairs in one.
    """
    tenths = np.arange(LENGTH) * 10 // LENGTH
    table = sum(np.histogram2d(order * 10 // LENGTH, tenths, bins=10)[0] for order in orders)
    expected = table.sum() / 100
    return ((table - expected) ** 2 / expected).sum() / 81


def test_where_in_the_epoch_a_pair_comes_is_uniform():
    assert excess(film_orders()) < 1.5 * FILM[0]
    buffered = np.random.default_rng(0).permuted(np.arange(LENGTH).reshape(10, -1), axis=1).ravel()
    assert excess([buffered]) > 100 * FILM[0]  # what shuffling within a buffer of a tenth would give


def test_epochs_are_as_far_from_each_other_as_seeds():
    assert excess([order_of(FILM, 0, epoch) for epoch in range(SEEDS)]) < 1.5 * FILM[0]


def test_pairs_that_follow_each_other_come_from_anywhere():
    steps = np.concatenate([np.diff(order) for order in film_orders()])
    assert np.abs(steps).mean() / LENGTH == pytest.approx(1 / 3 * (1 - 1 / 64), rel=0.01)
    correlations = [np.corrcoef(order[:-1], order[1:])[0, 1] for order in film_orders()]
    assert np.mean(correlations) == pytest.approx(1 / 64, abs=0.01)


def test_two_pairs_in_a_row_are_of_one_row_group_with_a_chance_of_one_in_the_window():
    groups = [order // FILM[0] for order in film_orders()]
    chance = np.mean([np.mean(its[1:] == its[:-1]) for its in groups])
    assert chance == pytest.approx(17 / (64 * 18 - 1), rel=0.05)


def test_within_a_block_the_order_is_uniform():
    """All 120 orders of five pairs in three row groups come equally often."""
    shuffle = Shuffle([2, 1, 2], seed=0, window=3)
    epochs = 12_000
    orders = np.concatenate(list(shuffle.blocks(range(5 * epochs)))).reshape(-1, 5)
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 120
    chi_square = ((counts - epochs / 120) ** 2 / (epochs / 120)).sum()
    assert abs(chi_square - 119) < 4 * (2 * 119) ** 0.5


# Shares ---------------------------------------------------------------------------------------------------


@given(st.integers(0, 60), st.integers(0, 60), st.fixed_dictionaries(SHARES), st.booleans())
@settings(deadline=None)
def test_batches_of_all_ranks_from_workers_in_turn_follow_each_other(start, length, numbers, even):
    ranks, workers, batch = numbers.values()
    streams = {
        (rank, worker): list(
            Share(rank=rank, ranks=ranks, worker=worker, workers=workers, batch=batch, even=even).places(
                start, length
            )
        )
        for rank in range(ranks)
        for worker in range(workers)
    }
    for (rank, worker), places in streams.items():
        share = Share(rank=rank, ranks=ranks, worker=worker, workers=workers, batch=batch, even=even)
        assert share.count(start, length) == len(places)
    left = {key: iter(places) for key, places in streams.items()}
    given_ = []
    for worker in itertools.cycle(range(workers)):
        batches = [list(itertools.islice(left[rank, worker], batch)) for rank in range(ranks)]
        if not any(batches):
            break
        assert not even or {len(its) for its in batches} == {batch}
        given_ += itertools.chain.from_iterable(batches)
    dropped = (length - start) % (ranks * batch) if even and start < length else 0
    assert given_ == list(range(start, length - dropped))
    assert sum(map(len, streams.values())) == len(given_)


@pytest.mark.parametrize("wrong", [{"rank": 1}, {"rank": -1}, {"worker": 2, "workers": 2}, {"batch": 0}])
def test_a_share_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match=r"count from 0|1 pair or more"):
        Share(**wrong)


# Streams of pairs -----------------------------------------------------------------------------------------


def test_every_kept_pair_comes_once_an_epoch_in_another_order_each_time(manifest):
    stream = manifest.stream(seed=1, window=WINDOW)
    epochs = [ids(stream) for _ in range(3)]
    kept = manifest.pairs(["pair_id"])["pair_id"].to_pylist()
    assert all(sorted(epoch) == sorted(kept) for epoch in epochs)
    assert len({tuple(epoch) for epoch in [*epochs, kept, ids(manifest.stream(seed=2, window=WINDOW))]}) == 5
    assert ids(manifest.stream(seed=1, epoch=2, window=WINDOW)) == epochs[2]


def test_pictures_are_those_of_random_access(manifest):
    for pair in manifest.stream(window=WINDOW):
        wanted = manifest.pair(pair.pair_id)
        assert (pair.pair_id, pair.group) == (wanted.pair_id, wanted.group)
        assert np.array_equal(pair.image, wanted.image) and np.array_equal(pair.smoothed, wanted.smoothed)
        source, number, index = pair.pair_id.replace("#", ":").split(":")
        assert source in SOURCES and (pair.image == 2 * int(number) + int(index)).all()
    assert all(pair.smoothed is None for pair in manifest.stream(smoothed=False))


def test_the_order_is_that_of_the_row_groups(manifest):
    reader = manifest.reader()
    kept = manifest.pairs(["pair_id"])["pair_id"].to_pylist()
    wanted = [kept[place] for place in obvious_epoch(reader.row_groups.tolist(), 4, 2, WINDOW)]
    assert ids(manifest.stream(seed=4, epoch=2, window=WINDOW)) == wanted
    assert reader.row_groups.sum() == len(manifest)
    assert reader.row_groups.tolist()[:3] == [6, 4, 6]  # frame 3 is in the second


def test_views_stream_their_own_pairs(manifest):
    view = manifest.where(pc.field("brightness") > 30)
    assert sorted(ids(view.stream())) == sorted(ids(view))
    empty = manifest.where(pc.field("width") > 0).stream()
    assert (len(empty), list(empty), list(empty), empty.state()["epoch"]) == (0, [], [], 2)


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_and_workers_share_an_epoch_without_overlap(ranks, even, manifest):
    whole = ids(manifest.stream(window=WINDOW))
    streams = [
        manifest.stream(window=WINDOW, rank=rank, ranks=ranks, batch=4, even=even).for_worker(worker, 2)
        for rank in range(ranks)
        for worker in range(2)
    ]
    lengths = [len(stream) for stream in streams]
    seen = [ids(stream) for stream in streams]
    assert lengths == [len(its) for its in seen]
    kept = len(whole) - len(whole) % (4 * ranks) if even else len(whole)
    assert sorted(itertools.chain.from_iterable(seen)) == sorted(whole[:kept])


@pytest.mark.parametrize("taken", [0, 1, 50, 131, 132, 133, 140])
def test_a_stream_goes_on_at_the_very_pair(taken, manifest):
    stream = manifest.stream(seed=3, window=WINDOW)
    ahead = itertools.chain(stream, stream)  # two epochs
    given_ = ids(itertools.islice(ahead, taken))
    state = json.loads(json.dumps(stream.state()))
    resumed = manifest.stream(**state)
    assert len(resumed) == (len(stream) or len(manifest))
    rest = ids(ahead)
    assert ids(itertools.chain(resumed, resumed))[: len(rest)] == rest
    assert len(given_ + rest) == 2 * len(manifest)


def test_ranks_go_on_as_more_or_fewer_ranks(manifest):
    whole = ids(manifest.stream(window=WINDOW))
    two = [manifest.stream(window=WINDOW, rank=rank, ranks=2, batch=4) for rank in range(2)]
    begun = [ids(itertools.islice(stream, 12)) for stream in two]
    (state,) = {json.dumps(stream.state()) for stream in two}
    three = [manifest.stream(**json.loads(state), rank=rank, ranks=3, batch=2) for rank in range(3)]
    assert sorted(itertools.chain(*begun)) == sorted(whole[:24])
    assert sorted(pair for stream in three for pair in ids(stream)) == sorted(whole[24:])


def test_left_and_taken_up_again_a_stream_gives_the_rest(manifest):
    stream = manifest.stream(window=WINDOW)
    begun = ids(itertools.islice(stream, 10))
    assert begun + ids(stream) == ids(manifest.stream(window=WINDOW))
    stream.seek(0)
    assert ids(itertools.islice(stream, 10)) == begun


def test_the_middle_of_a_batch_of_many_ranks_is_no_place(manifest):
    stream = manifest.stream(ranks=2, batch=4)
    next(iter(stream))
    with pytest.raises(ValueError, match="1 pairs into a batch of 4"):
        stream.state()
    worker = manifest.stream().for_worker(0, 2)
    next(iter(worker))
    with pytest.raises(ValueError, match="other workers"):
        worker.state()
    with pytest.raises(ValueError, match="count from 0"):
        manifest.stream(position=-1)


def test_a_stream_travels_to_another_process(manifest):
    stream = manifest.stream(window=WINDOW)
    begun = itertools.islice(stream, 5)
    assert ids(begun) + ids(pickle.loads(pickle.dumps(stream))) == ids(manifest.stream(window=WINDOW))
    assert len(pickle.dumps(stream)) < 10_000


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_of_a_torch_loader_come_in_order_with_any_number_of_workers(workers, manifest):
    data = pytest.importorskip("torch.utils.data")

    class Pairs(data.IterableDataset):
        def __init__(self, stream):
            self.stream = stream

        def __iter__(self):
            worker = data.get_worker_info()
            return iter(self.stream.for_worker(worker.id, worker.num_workers) if worker else self.stream)

    stream = manifest.stream(window=WINDOW, batch=4, position=8)
    loader = data.DataLoader(Pairs(stream), batch_size=4, num_workers=workers, collate_fn=ids)
    assert list(itertools.chain.from_iterable(loader)) == ids(manifest.stream(window=WINDOW))[8:]


# What is read, and what is held ---------------------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch):
    """(shard, row group) of each read, as they happen."""
    seen, read = [], PairReader._read
    monkeypatch.setattr(PairReader, "_read", lambda self, *where: (seen.append(where), read(self, *where))[1])
    return seen


def test_each_row_group_is_read_once_and_one_without_a_kept_pair_never(reads, manifest):
    list(manifest.stream(window=WINDOW))
    assert len(reads) == len(set(reads)) == len(manifest.reader().row_groups) == 23
    assert (1, 4) not in reads  # frames 12, 13, 14 of the second source


def test_the_first_pairs_take_few_reads_and_a_resume_no_more(reads, manifest):
    list(itertools.islice(manifest.stream(window=20), 3))
    assert len(reads) <= 3
    reads.clear()
    list(itertools.islice(manifest.stream(window=WINDOW, position=100), 3))
    assert len(reads) <= 3


def test_gathering_gives_pairs_as_asked_also_twice(reads, manifest):
    reader, places = manifest.reader(), [40, 3, 41, 3, 100, 4]
    assert ids(reader.gather(places)) == ids(reader[place] for place in places)
    assert ids(reader.gather([])) == []


@pytest.mark.parametrize("workers", [1, 4])
def test_memory_holds_a_block_however_many_there_are(workers, tmp_path):
    """Of 60 row groups of 200 kB at most four are held, and a worker's part of them."""
    row_group, window = 200_000, 4
    root = noise(tmp_path, row_groups=60, rows=10, row_group=row_group)
    stream = framekit.manifest.open(root).stream(window=window).for_worker(0, workers)
    before, most = pa.total_allocated_bytes(), 0
    for _ in stream:
        most = max(most, pa.total_allocated_bytes() - before)
    # One more while it is cut to what is wanted, and one that a thread of Arrow's has not yet let go of.
    assert most < (window / workers + 2.5) * row_group
    assert pa.total_allocated_bytes() - before < 1.5 * row_group


def noise(root, row_groups, rows, row_group):
    """A dataset with `row_group` bytes of ballast behind the pictures of each row group."""
    dataset(root, row_groups * rows // 2, sources=(HEIDI,))
    path = root / f"pairs/{HEIDI}-0000.parquet"
    table = pq.read_table(path, partitioning=None)
    ballast = bytes(row_group // rows)
    pictures = [row | {"bytes": row["bytes"] + ballast} for row in table["image"].to_pylist()]
    at = table.schema.get_field_index("image")
    table = table.set_column(at, table.schema.field(at), pa.array(pictures, table.schema.field(at).type))
    pq.write_table(table, path, row_group_size=rows, compression="none", use_dictionary=False)
    return root


def test_a_damaged_shard_is_named(root, tmp_path):
    broken = dataset(tmp_path / "broken", 3)
    stream = framekit.manifest.open(broken).stream()
    (broken / f"pairs/{PONYO}-0000.parquet").write_bytes(b"PAR1")
    stream = pickle.loads(pickle.dumps(stream))
    with pytest.raises(ManifestError, match=f"pairs/{PONYO}-0000.parquet: shard cannot be read"):
        list(stream)


# Random access by id --------------------------------------------------------------------------------------


def assert_found_by_ids(root):
    alone = framekit.manifest.open(root)  # which has no row group at hand
    for wanted in framekit.manifest.open(root):
        found = alone.pair(wanted.pair_id)
        assert (found.pair_id, found.group) == (wanted.pair_id, wanted.group)
        assert np.array_equal(found.image, wanted.image)
        assert (found.smoothed is None) == (wanted.smoothed is None)
        assert found.smoothed is None or np.array_equal(found.smoothed, wanted.smoothed)


def assert_read_alone(root, reads):
    alone = framekit.manifest.open(root)
    ids_ = alone.pairs(["pair_id"])["pair_id"].to_pylist()
    reads.clear()
    assert [alone.pair(id_).pair_id for id_ in ids_] == ids_
    assert {tuple(columns[0]) for _, _, *columns in reads} == {("pair_id", "group")}


def test_a_pair_is_found_by_its_id_and_read_alone(root, reads):
    assert_found_by_ids(root)
    assert_read_alone(root, reads)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"compression": "none", "use_dictionary": False},
        {"compression": "none", "use_dictionary": False, "row_group_size": 4},
        {"compression": "none", "use_dictionary": False, "data_page_size": 1, "write_batch_size": 2},
    ],
)
def test_what_others_wrote_anew_is_read_by_row_groups(tmp_path, how):
    """What ours says of lengths may stay in the footer, true or not."""
    root = speckled(tmp_path / "d")
    for path in (root / "pairs").iterdir():
        table, key = pq.read_table(path, partitioning=None), KEY.encode()
        said = table.schema.metadata | {key: pq.read_metadata(path).metadata[key]}
        table = table.take(list(range(table.num_rows))[::-1]).replace_schema_metadata(said)
        pq.write_table(table, path, **how)
    assert_found_by_ids(root)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[]",
        "{",
        '{"image": [1]}',
        '{"image": "x", "smoothed": 3}',
        "[" * 9_000,
        "-5",
        "1e99",
        "null",
        "2",
    ],
)
def test_lengths_that_cannot_be_are_not_believed(tmp_path, said):
    root = speckled(tmp_path / "d")
    for path in (root / "pairs").iterdir():
        table = pq.read_table(path, partitioning=None)
        each = f"[{', '.join([said] * table.num_rows)}]"
        told = f'{{"image": {each}, "smoothed": {each}}}' if said[-1:].isalnum() else said
        footer = table.schema.metadata | {KEY.encode(): told.encode()}
        pq.write_table(table.replace_schema_metadata(footer), path, compression="none", use_dictionary=False)
    assert_found_by_ids(root)


def test_a_pair_without_a_smoothed_half_is_read_alone_too(tmp_path, reads):
    root = speckled(tmp_path / "d", smooth=False)
    assert_found_by_ids(root)
    assert_read_alone(root, reads)


@pytest.mark.parametrize("pair_id", ["nobody-00000000:0#0", f"{HEIDI}:3#0", f"{PONYO}:7#1", ""])
def test_a_pair_that_is_not_there_or_left_out_is_named(pair_id, manifest):
    with pytest.raises(ManifestError, match=f"no pair '{pair_id}' here"):
        manifest.pair(pair_id)
    if pair_id.startswith(tuple(SOURCES)):
        assert manifest.undecided.pair(pair_id).pair_id == pair_id


def test_a_view_finds_only_its_own(manifest):
    view = manifest.where(pc.field("source") == PONYO)
    assert view.pair(f"{PONYO}:1#0").pair_id == f"{PONYO}:1#0"
    with pytest.raises(ManifestError, match="no pair"):
        view.pair(f"{HEIDI}:1#0")
