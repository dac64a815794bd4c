"""A thousand damaged films: never a crash, never a hang, and the pictures of a tolerant full decode.

Some decoders leave the parts that damage keeps them from decoding as the memory was. Such a frame has no
right answer, so its pixels are compared only where full decodes into fresh, used and usual memory agree; its
number, pts and time always are.
"""

import multiprocessing
import random
from functools import partial
from pathlib import Path

import av
import av.error
import numpy as np
import pytest

from framekit.errors import FramekitError
from framekit.sources.decoding import Approach, timeline_of
from framekit.sources.sampling import Sampling
from tests.odd_films import GOP, MPEG2, Builder, drawings, encode
from tests.oracles.full_decode import FullDecode, TakenFrame
from tests.oracles.sampled_pictures import differences, sampled_pictures

FRAMES, SIZE = 48, (160, 120)
VARIANTS, BATCH = 334, 67  # of each film, and of them in one child process
LONGEST = 120  # seconds for a batch, of which it needs a fraction: beyond is a hang
KEPT = (1, 2, 3, 4, 8, FRAMES)  # frames kept from being written over
SAMPLINGS = (Sampling(every=7), Sampling(keyframes=True), Sampling(every=1))
HEVC_OPEN = f"keyint={GOP // 2}:min-keyint={GOP // 2}:scenecut=0:open-gop=1:b-adapt=0:log-level=none"


def small(name: str, codec: str, options: dict[str, str]) -> Builder:
    return lambda folder: encode(folder / name, codec, images=drawings(FRAMES, SIZE), options=options)


FILMS = {
    "h264.mp4": small("h264.mp4", "libx264", {"x264-params": f"keyint={GOP}"}),
    "hevc.mkv": small("hevc.mkv", "libx265", {"preset": "ultrafast", "x265-params": HEVC_OPEN}),
    "mpeg2.ts": small("mpeg2.ts", "mpeg2video", MPEG2 | {"b": "1M"}),
}


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Flip bits, write noise or zeros over a stretch, or cut the end off."""
    damaged, place = bytearray(data), chance.randrange(len(data))
    kind = chance.choice(["flips", "flips", "noise", "zeros", "cut"])
    stop = min(len(data), place + chance.randint(1, 300))
    if kind == "flips":
        for _ in range(chance.randint(1, 30)):
            damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == "noise":
        damaged[place:stop] = chance.randbytes(stop - place)
    elif kind == "zeros":
        damaged[place:stop] = bytes(stop - place)
    else:
        del damaged[place:]
    return bytes(damaged)


def faults(path: Path, sampling: Sampling) -> list[str]:
    """What is wrong with the pictures of a film, if it can be opened."""
    try:
        got = sampled_pictures(path, sampling, Approach(timeline=timeline_of(path)[0]))
    except FramekitError as error:
        return [] if str(error) else ["an error without words"]
    oracle = FullDecode(path)
    numbers = oracle.numbers(sampling)
    taken = oracle.taken(numbers)
    wrong = differences(got, oracle, numbers, taken)
    if any("looks different" in line for line in wrong):
        wrong = differences(got, oracle, numbers, taken, undefined=undefined(path, numbers, taken))
    return wrong


def undefined(path: Path, numbers: list[int], taken: dict[int, TakenFrame]) -> frozenset[int]:
    """Frames that come out differently with other memory."""
    decodes = [*(FullDecode(path, kept=kept) for kept in KEPT), FullDecode(path, used=True)]
    others = [decode.taken(numbers) for decode in decodes]
    return frozenset(
        number
        for number in numbers
        if any(not np.array_equal(taken[number].image, other[number].image) for other in others)
    )


def scratched(film: Path, chance: random.Random) -> bytes:
    """Write ones over a stretch of one packet, well behind its headers."""
    data = bytearray(film.read_bytes())
    with av.open(str(film)) as container:
        large = [bytes(packet) for packet in container.demux(video=0) if packet.size > 200]
    packet = chance.choice(large)
    place = data.index(packet) + chance.randrange(60, len(packet) - 60)
    data[place : place + 40] = b"\xff" * 40
    return bytes(data)


def told(path: Path) -> bool:
    """Whether the decoder says of itself that something is damaged."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"err_detect": "explode"}
        try:
            return not [*container.decode(stream)]
        except av.error.InvalidDataError:
            return True


def test_damage_in_hevc_looks_the_same_whatever_is_sampled(tmp_path):
    """Its decoder leaves what it can't decode as the memory was; that it says so when asked is made use of.

    Where a picture's data seem to end early it says nothing: what is missing then has no right answer.
    """
    film, path = FILMS["hevc.mkv"](tmp_path), tmp_path / "damaged.mkv"
    compared = 0
    for seed in range(60):
        path.write_bytes(scratched(film, random.Random(seed)))
        timeline, _ = timeline_of(path)
        if timeline is None or not told(path):
            continue
        compared += 1
        whole = sampled_pictures(path, Sampling(every=1), Approach()).pictures
        for step, threads in ((1, 1), (3, 1), (5, 2), (7, 2)):
            approach = Approach(timeline=timeline, threads=threads)
            for picture in sampled_pictures(path, Sampling(every=step), approach).pictures:
                number = picture.place.number
                assert np.array_equal(picture.image, whole[number].image), (seed, step, threads, number)
    assert compared > 2


def batch(film: Path, folder: Path, seeds: range) -> list[str]:
    """Runs in a child process: what is wrong with the variants of a film."""
    wrong = []
    path = folder / f"{seeds.start}{film.suffix}"
    for seed in seeds:
        chance = random.Random(f"{film.name} {seed}")
        path.write_bytes(damaged(film.read_bytes(), chance))
        sampling = SAMPLINGS[seed % len(SAMPLINGS)]
        wrong += [f"{film.name} {seed} by {sampling}: {fault}" for fault in faults(path, sampling)]
    return wrong


@pytest.mark.parametrize("name", FILMS)
def test_damaged_films_give_what_a_tolerant_full_decode_gives(tmp_path, name):
    film = FILMS[name](tmp_path)
    (tmp_path / "damaged").mkdir()
    seeds = [range(start, min(start + BATCH, VARIANTS)) for start in range(0, VARIANTS, BATCH)]
    run = partial(batch, film, tmp_path / "damaged")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        results = [pool.apply_async(run, (each,)) for each in seeds]
        wrong = [fault for result in results for fault in result.get(timeout=LONGEST)]
    assert not wrong, "\n".join(wrong)
