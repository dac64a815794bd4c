import numpy as np
import pytest

from framekit.sources import sampling
from framekit.sources.decoding import Decoded, film_pictures
from tests.films import number_of, numbered_film
from tests.oracles.full_decode import every_by_full_decode

ENCODINGS = {
    "b-frames.mp4": {"codec": "libx264"},
    "no-b-frames.mkv": {"codec": "libx264", "options": {"bf": "0", "g": "10"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"b": "2000000"}},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"b": "4000000", "bf": "2"}},
}


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("step", [1, 7, 50])
def test_frame_numbers_are_places_in_display_order(tmp_path, name, step):
    path = numbered_film(tmp_path / name, 103, **ENCODINGS[name])
    decoded = Decoded()
    pictures = list(film_pictures(path, sampling.every(step), decoded=decoded))
    assert [picture.place.number for picture in pictures] == list(range(0, 103, step))
    assert [number_of(picture.image) for picture in pictures] == list(range(0, 103, step))
    assert (decoded.frames, decoded.damaged) == (103, 0)


def test_seconds_count_from_the_stream_s_start(tmp_path):
    path = numbered_film(tmp_path / "a.ts", 60, codec="libx264")  # MPEG-TS clocks start elsewhere
    pictures = list(film_pictures(path, sampling.every(24), decoded=Decoded()))
    assert [picture.place.seconds for picture in pictures] == pytest.approx([0, 1, 2], abs=1e-3)
    assert pictures[0].place.pts > 0


def test_a_damaged_film_gives_what_a_tolerant_full_decode_gives(tmp_path):
    whole = numbered_film(tmp_path / "whole.mkv", 100, options={"g": "20"})
    data = bytearray(whole.read_bytes())
    for place in range(len(data) // 3, len(data) // 3 + 4000, 7):
        data[place] ^= 0x5A
    path = tmp_path / "damaged.mkv"
    path.write_bytes(data)
    pictures = list(film_pictures(path, sampling.every(5), decoded=Decoded()))
    oracle = every_by_full_decode(path, 5)
    assert [picture.place.number for picture in pictures] == list(oracle)
    for picture in pictures:
        assert (picture.image == oracle[picture.place.number][1]).all()


def test_damage_is_counted_and_the_rest_decoded(real_data):
    decoded = Decoded()
    pictures = list(
        film_pictures(real_data / "oddities/truncated_faststart.mp4", sampling.every(1), decoded=decoded)
    )
    assert len(pictures) == decoded.frames == 60
    assert decoded.damaged == 1
    assert "damaged packet" in decoded.damage[0]


@pytest.mark.parametrize("step", [5, 50])
def test_real_films_give_what_the_oracle_gives(real_data, step):
    paths = [*(real_data / "oddities").iterdir(), *(real_data / "films/synfig").iterdir()]
    compared = 0
    for path in sorted(paths):
        try:
            pictures = list(film_pictures(path, sampling.every(step), decoded=Decoded()))
        except Exception as error:
            assert type(error).__name__ == "FramekitError", path
            continue
        oracle = every_by_full_decode(path, step)
        assert [p.place.number for p in pictures] == list(oracle), path
        for picture in pictures:
            pts, image = oracle[picture.place.number]
            assert picture.place.pts == pts, path
            if image.shape == picture.image.shape:  # the oracle makes pixels square for rounding errors too
                assert np.array_equal(picture.image, image), path
                compared += 1
    assert compared > 20
