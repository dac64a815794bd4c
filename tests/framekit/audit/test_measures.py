"""Figures against counting row by row."""

import numpy as np
import pytest

from framekit.audit.answers import content_share, share_of
from framekit.audit.measures import BINS, Share, bin_edges, distributions, rounded, source_figures
from framekit.audit.rows import read_rows
from framekit.images.rules import parse_rule
from tests.framekit.audit.datasets import FILMS, STILLS
from tests.oracles.audit import SlowAudit


@pytest.fixture(scope="module")
def slow(mixed):
    return SlowAudit(mixed)


@pytest.fixture(scope="module")
def figures(audited):
    return audited.figures


def test_totals_are_the_rows(figures, slow):
    counts = figures.counts
    assert (counts.sampled, counts.kept, counts.pairs) == (len(slow.frames), len(slow.kept), len(slow.pairs))
    assert counts.dropped == slow.reasons()
    assert list(counts.dropped.values()) == sorted(counts.dropped.values(), reverse=True)
    with_pairs = {row["frame_id"] for row in slow.pairs}
    assert counts.without_pairs == sum(row["frame_id"] not in with_pairs for row in slow.kept)


def test_pairs_left_out_of_frames_that_are_in_are_counted_by_reason(figures, slow):
    dropped = slow.manifest.dropped
    alone = [item for item in dropped if "#" in item and item.rpartition("#")[0] not in dropped]
    assert figures.counts.pairs_dropped == {"crop.noise>3": len(alone)}


def test_each_source_has_its_own(figures, slow):
    assert [source.id for source in figures.sources] == [*FILMS, STILLS]
    for source in figures.sources:
        assert (source.sampled, source.kept, source.pairs) == slow.source(source.id)
        assert sum(source.dropped.values()) == source.sampled - source.kept


def test_balance_is_the_largest_share_and_the_number_of_equal_sources(figures, slow):
    counted = {source: slow.source(source)[2] for source in (*FILMS, STILLS)}
    assert figures.balance.largest == max(counted, key=counted.get)
    assert figures.balance.largest_share == pytest.approx(max(counted.values()) / len(slow.pairs), rel=1e-3)
    assert figures.balance.effective == pytest.approx(slow.effective_sources(), rel=1e-3)


def test_a_timeline_says_what_each_second_gave(figures, slow):
    first = figures.sources[0]
    assert first.seconds == 31.5  # as its header says: more than the last frame's time
    assert first.timeline.step == 1
    assert first.timeline.pairs == [slow.pairs_between(FILMS[0], at, at + 1) for at in range(32)]
    assert sum(first.timeline.sampled) == first.sampled
    assert sum(first.timeline.kept) == first.kept
    assert figures.sources[3].timeline is None  # stills have no time


def test_shots_say_where_pairs_cluster(figures, slow):
    counted = {}
    for row in slow.pairs:
        if row["source"] in FILMS:
            shot = row["source"], row["frame_number"] // 60
            counted[shot] = counted.get(shot, 0) + 1
    most = sorted(counted.values(), reverse=True)
    assert figures.shots.with_pairs == len(counted)
    assert [shot.pairs for shot in figures.shots.largest] == most[:6]
    assert figures.shots.largest_tenth == pytest.approx(
        sum(most[: -(-len(most) // 10)]) / sum(most), rel=1e-3
    )


def test_content_is_counted_among_what_a_tagger_saw(figures, slow, mixed):
    counted, told = slow.content()
    assert figures.counts.content == counted
    assert figures.counts.content_of == told
    assert content_share(read_rows(mixed), "people") == Share(counted["people"], told)


def test_the_sides_of_the_split_are_counted_in_pairs(figures, slow):
    train, test = slow.pairs_on("train"), slow.pairs_on("test")
    assert figures.counts.split == {"train": train, "test": test, "neither": len(slow.pairs) - train - test}


@pytest.mark.parametrize("measure", ["sharpness", "noise", "contrast"])
def test_quantiles_are_of_what_is_kept_and_measured(figures, slow, measure):
    found = figures.measures[measure]
    assert found.quantiles[3] == pytest.approx(slow.median(measure), rel=1e-3)
    assert figures.crop_measures[measure].quantiles[3] == pytest.approx(
        slow.median(measure, crops=True), rel=1e-3
    )
    assert sum(found.kept) + found.unmeasured == figures.counts.kept


def test_shares_count_what_meets_a_rule(mixed, slow):
    rows = read_rows(mixed)
    assert share_of(parse_rule("noise>4"), rows) == Share(*slow.share("noise", lambda value: value > 4))
    bare = slow.share("edge_density", lambda value: value <= 0, crops=True)
    assert share_of(parse_rule("crop.edge_density<=0"), rows) == Share(*bare)
    assert 0 < bare[0] < bare[1]


def test_a_crop_s_share_under_a_logo_is_known(mixed):
    rows = read_rows(mixed)
    with_logo = np.array(
        [source == FILMS[1] for source in rows.manifest.pairs(["source"])["source"].to_pylist()]
    )
    overlay = rows.crops.measures["overlay"]
    assert overlay[with_logo].any()
    assert not overlay[~with_logo].any()


def test_histograms_hold_everything_and_open_up_where_most_lies():
    chance = np.random.default_rng(0)
    values = np.concatenate([chance.exponential(1, 1000), [500.0, np.nan]])
    kept = np.arange(len(values)) % 3 > 0
    found = distributions({"m": values}, kept)["m"]
    assert sum(found.kept) == (kept & np.isfinite(values)).sum()
    assert sum(found.left_out) == (~kept & np.isfinite(values)).sum()
    assert len(found.edges) == BINS + 1 == len(set(found.edges))
    even = bin_edges(chance.normal(0, 1, 1000))
    assert np.allclose(np.diff(even), np.diff(even)[0])
    skewed = bin_edges(chance.exponential(1, 1000) ** 3)
    assert np.diff(skewed)[0] < np.diff(skewed)[-1] / 10


@pytest.mark.parametrize("values", [[3.0], [2.0, 2.0, 2.0], [0.0]])
def test_one_value_has_a_histogram_too(values):
    found = distributions({"m": np.array(values)}, np.ones(len(values), bool))["m"]
    assert sum(found.kept) == len(values)
    assert found.quantiles == [values[0]] * 7


def test_rounding_keeps_four_digits():
    assert [rounded(value) for value in (0.123456, 123456.7, 0.0)] == [0.1235, 123500.0, 0.0]


def test_of_very_many_sources_only_the_largest_have_details(mixed, monkeypatch):
    monkeypatch.setattr("framekit.audit.measures.DETAILED", 1)
    figures = source_figures(read_rows(mixed))
    largest = max(figures, key=lambda source: source.pairs)
    assert [source.id for source in figures if source.medians] == [largest.id]
    assert sum(source.timeline is not None for source in figures) <= 1
