"""Bytes spoilt at random, the same way each time."""

import random
from collections.abc import Callable, Iterator


def flipped(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 20)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def flipped_at_its_head(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 4)):
        data[chance.randrange(min(len(data), 200))] ^= 1 << chance.randrange(8)


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def zeroed(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    stop = min(len(data), start + chance.randint(1, 400))
    data[start:stop] = bytes(stop - start)


def filled_up(data: bytearray, chance: random.Random) -> None:
    """Ones: the largest numbers there are, wherever a number stood."""
    start = chance.randrange(len(data))
    stop = min(len(data), start + chance.choice([2, 4, 8]))
    data[start:stop] = b"\xff" * (stop - start)


def with_garbage(data: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(data))
    data[place:place] = chance.randbytes(chance.randint(1, 200))


def swapped(data: bytearray, chance: random.Random) -> None:
    size = max(1, min(512, len(data) // 4))
    one, other = (chance.randrange(len(data) - size) for _ in range(2))
    data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]


def head_alone(data: bytearray, chance: random.Random) -> None:
    del data[chance.randint(1, 64) :]


WAYS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flipped,
    flipped_at_its_head,
    cut,
    zeroed,
    filled_up,
    with_garbage,
    swapped,
    head_alone,
)


def spoilt(data: bytes, name: str, seeds: range) -> Iterator[bytes]:
    """`data` spoilt in every way in turn; `name` makes the seeds its own."""
    for seed in seeds:
        chance = random.Random(f"{name} {seed}")
        found = bytearray(data)
        WAYS[seed % len(WAYS)](found, chance)
        yield bytes(found)
