from fractions import Fraction

import cv2
import numpy as np
import pytest

from framekit.errors import FramekitError
from framekit.sources.film import OTHER_FILES, open_film, read_facts
from tests.films import numbered_film


def test_facts_of_a_film(tmp_path):
    facts = read_facts(numbered_film(tmp_path / "a.mp4", 30))
    assert (facts.width, facts.height, facts.codec, facts.frame_rate) == (320, 240, "h264", "24")
    assert facts.stated_frames == 30
    assert facts.seconds == pytest.approx(30 / 24, abs=0.01)
    assert (facts.matrix, facts.untagged) == ("bt601", True)


def test_size_is_that_of_the_upright_picture_with_square_pixels(tmp_path):
    facts = read_facts(numbered_film(tmp_path / "a.mkv", 3, pixel_aspect=Fraction(16, 15)))
    assert (facts.width, facts.height, facts.coded_size) == (341, 240, (320, 240))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.mp4", b"", "empty"),
        ("text.mkv", b"not a film at all, only text\n" * 50, "not a film"),
        ("none.mp4", None, "no such file"),
    ],
)
def test_what_is_no_film_is_said_in_one_line(tmp_path, name, content, words):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FramekitError, match=words) as error:
        read_facts(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        "ffconcat version 1.0\nfile 'other.mp4'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nother.ts\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ],
)
def test_files_that_have_others_read_are_refused(tmp_path, content):
    numbered_film(tmp_path / "other.mp4", 3)
    path = tmp_path / "list.mp4"
    path.write_text(content)
    with pytest.raises(FramekitError, match="a list of other files"):
        read_facts(path)


def test_a_pattern_of_names_is_refused(tmp_path):
    path = tmp_path / "%d.png"
    path.write_bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes())
    path.with_name("1.png").write_bytes(path.read_bytes())
    with pytest.raises(FramekitError, match="not a film"):
        read_facts(path)


@pytest.mark.parametrize("name", ["a.sub", "a.mov", "a.mpd", "a.m3u8"])
def test_no_reader_of_other_files_gets_a_film(tmp_path, name):
    numbered_film(tmp_path / "plain.mkv", 3).rename(tmp_path / name)
    with open_film(tmp_path / name) as (container, _):
        assert not set(container.format.name.split(",")) & OTHER_FILES


def test_names_that_look_like_something_else_are_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.mp4", "-i.mp4", "100%d.mp4", "[x]?.mp4", "two\nlines.mp4"):
        made = numbered_film(tmp_path / "plain.mp4", 3)
        path = made.rename(tmp_path / name).relative_to(tmp_path)
        assert read_facts(path).stated_frames == 3


def test_odd_real_files(real_data):
    odd = real_data / "oddities"
    for name, words in {
        "empty.mp4": "empty",
        "cover_only.mp3": "only cover art",
        "truncated_nomoov.mp4": "not a film",
    }.items():
        with pytest.raises(FramekitError, match=words):
            read_facts(odd / name)
    rotated = read_facts(odd / "rotated.mp4")
    assert (rotated.width, rotated.height, rotated.rotation) == (270, 480, 90)
    interlaced = read_facts(odd / "interlaced_tff_pal.mpg")
    assert (interlaced.width, interlaced.height) == (768, 576)
