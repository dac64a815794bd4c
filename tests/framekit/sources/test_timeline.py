"""Timelines: what packets tell of a film, and what a decoder has to be fed for the frames that are wanted."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framekit.sources.decoding import timeline_of
from framekit.sources.timeline import Timeline
from tests.oracles.feeding import needed_packets

KEYFRAME, REFERENCE, PLAIN, LEADING, LEADING_REFERENCE = range(5)
REFUSED = {
    "h264_raw": "no times",
    "h264_avi": "contradict the order",
    "h264_without_reordering_hint": "does not state how far",
    "mpeg2_field_packets": "two packets a frame",
    "mpeg2_field_pictures": "two packets a frame",
    "edit_list_mp4": "an edit list",
    "ts_starts_within_a_gop": "does not start with a keyframe",
    "hevc_starts_with_leading_pictures": "does not start with a keyframe",
    "h264_starts_with_leading_pictures": "does not start with a keyframe",
    "same_pts_twice": "contradict the order",
    "size_changes": "damaged",
    "hevc_throws_pictures_away": "throws away pictures",
    "hevc_transfer_once": "how pictures are to be shown",
    "hevc_orientation_once": "how pictures are to be shown",
    "h264_transfer_once": "how pictures are to be shown",
    "mpeg2_matrices_in_pictures": "parameters change",
    "mpeg2_matrices_in_one_group": "parameters change",
    "mpeg4_mp4": "mpeg4",
    "vp9": "vp9",
    "av1": "av1d",
}
MOST_FED = {
    # film of 120 frames: packets that frames 0, 50 and 100 need at most
    "h264_defaults": 45,
    "h264_closed_gop": 10,
    "h264_open_gop_mp4": 60,
    "h264_open_gop_mkv": 60,
    "h264_open_gop_ts": 60,
    "h264_no_b_frames": 10,
    "h264_ts": 12,
    "h264_flv": 45,
    "h264_mbaff": 45,
    "h264_weighted_prediction": 45,
    "hevc_closed_gop": 10,
    "hevc_open_gop": 10,
    "hevc_open_gop_ts": 10,
    "hevc_temporal_layers": 10,
    "mpeg2_progressive": 10,
    "mpeg2_open_gop": 10,
    "mpeg2_closed_gop": 10,
    "mpeg2_interlaced": 10,
    "mpeg2_program_stream": 10,
    "ts_late_clock": 30,
    "ts_clock_wraps": 30,
    "vfr_mkv": 30,
    "cover_art_mp4": 30,
}


@pytest.mark.parametrize("name", MOST_FED)
def test_films_whose_packets_tell_all_are_not_decoded_whole(odd_film, name):
    timeline, why = timeline_of(odd_film(name))
    assert timeline is not None, why
    assert timeline.frames == 120
    assert len(timeline.fed([0, 50, 100])) <= MOST_FED[name]


@pytest.mark.parametrize("name", REFUSED)
def test_films_whose_packets_do_not_tell_are_decoded_whole_and_say_why(odd_film, name):
    timeline, why = timeline_of(odd_film(name))
    assert timeline is None
    assert REFUSED[name] in why


GROUPS = st.lists(
    st.tuples(
        st.lists(st.sampled_from([LEADING, LEADING_REFERENCE]), max_size=4),
        st.lists(st.sampled_from([REFERENCE, PLAIN]), max_size=8),
    ),
    min_size=1,
    max_size=6,
)


def made(groups: list[tuple[list[int], list[int]]]) -> Timeline:
    """A timeline of groups of (leading pictures, others); those that lead are shown before their keyframe."""
    kinds: list[int] = []
    pts: list[int] = []
    for number, (maybe_leading, others) in enumerate(groups):
        leading = maybe_leading if number else []
        first = len(kinds)
        kinds += [KEYFRAME, *leading, *others]
        pts += [first + len(leading), *range(first, first + len(leading))]
        pts += range(first + len(leading) + 1, len(kinds))
    kind = np.array(kinds)
    return Timeline(
        pts=np.array(pts, np.int64),
        keyframes=kind == KEYFRAME,
        referenced=np.isin(kind, (KEYFRAME, REFERENCE, LEADING_REFERENCE)),
        restarts=kind == KEYFRAME,
        leading=np.isin(kind, (LEADING, LEADING_REFERENCE)),
        sizes=np.full(len(kinds), 1_000),
        time_base=Fraction(1, 24),
    )


@given(GROUPS, st.data())
def test_what_wanted_frames_need_is_fed_and_nothing_else(groups, data):
    timeline = made(groups)
    wanted = data.draw(st.sets(st.integers(0, timeline.frames - 1)))
    fed = [each.packet for each in timeline.fed(wanted)]
    needed = needed_packets(timeline, wanted)
    assert fed == sorted(set(fed))
    assert needed <= set(fed)
    # Leading pictures come in one go: others of the same group may build on one another.
    groups_of_leading = {group_of(timeline, place) for place in needed if timeline.leading[place]}
    for place in set(fed) - needed:
        assert timeline.leading[place] and timeline.referenced[place]
        assert group_of(timeline, place) in groups_of_leading


@given(GROUPS, st.data())
def test_a_decoder_starts_afresh_with_each_group_but_before_leading_pictures(groups, data):
    timeline = made(groups)
    wanted = data.draw(st.sets(st.integers(0, timeline.frames - 1)))
    needed = needed_packets(timeline, wanted)
    groups_of_leading = {group_of(timeline, place) for place in needed if timeline.leading[place]}
    for place, afresh in timeline.fed(wanted):
        goes_on = group_of(timeline, place) in groups_of_leading
        assert afresh == (timeline.restarts[place] and not goes_on)


def group_of(timeline: Timeline, place: int) -> int:
    return int(timeline.restarts[: place + 1].sum())


@given(GROUPS)
def test_all_wanted_means_all_fed_and_none_wanted_none(groups):
    timeline = made(groups)
    assert [each.packet for each in timeline.fed(range(timeline.frames))] == list(range(timeline.frames))
    assert timeline.fed([]) == []


@given(GROUPS)
def test_a_keyframe_is_fed_alone(groups):
    timeline = made(groups)
    numbers = [time.number for time in timeline.times() if time.keyframe]
    assert [each.packet for each in timeline.fed(numbers)] == np.flatnonzero(timeline.restarts).tolist()


@given(GROUPS)
def test_times_are_in_display_order(groups):
    timeline = made(groups)
    times = list(timeline.times())
    assert [time.number for time in times] == list(range(timeline.frames))
    assert [time.seconds for time in times] == [Fraction(number, 24) for number in range(timeline.frames)]
