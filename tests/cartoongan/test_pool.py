"""The pool of generated pictures: what comes out went in, at even odds, by seed and step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cartoongan.pool import FakePool
from framekit.errors import FramekitError

CPU = torch.device("cpu")


def pictures(step: int, count: int = 4) -> Tensor:
    """Each of one value that tells it from all others."""
    return torch.arange(step * count, (step + 1) * count).float().view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def values(given: Tensor) -> list[float]:
    return given[:, 0, 0, 0].tolist()


def run(pool: FakePool, steps: range) -> list[list[float]]:
    return [values(pool.exchange(pictures(step), step)) for step in steps]


def test_none_is_kept_without_a_size() -> None:
    pool, given = FakePool(0, seed=1), pictures(3)
    assert pool.exchange(given, 3) is given and pool.states() == {}


def test_the_first_ones_fill_it_and_come_back_as_they_are() -> None:
    pool = FakePool(8, seed=1)
    assert run(pool, range(2)) == [values(pictures(0)), values(pictures(1))]
    assert values(pool.states()["pictures"]) == list(range(8))


def test_half_of_what_comes_back_is_older_and_nothing_comes_twice() -> None:
    given = [value for step in run(FakePool(50, seed=1), range(2000)) for value in step]
    old = sum(value != number for number, value in enumerate(given) if number >= 50)
    assert 0.47 < old / (len(given) - 50) < 0.53
    swapped = [value for number, value in enumerate(given) if number >= 50 and value != number]
    assert len(set(swapped)) == len(swapped), "what was given away has left the pool"


def test_all_places_change_alike() -> None:
    """After it filled up, each of the first pictures leaves at some time: no place is left out."""
    given = [value for step in run(FakePool(10, seed=3), range(200)) for value in step]
    assert set(range(10)) <= {value for number, value in enumerate(given) if number >= 10}


def test_it_keeps_copies() -> None:
    pool, given = FakePool(4, seed=1), pictures(0).clone()
    pool.exchange(given, 0)
    given.zero_()
    assert values(pool.states()["pictures"]) == [0, 1, 2, 3]


def test_draws_follow_seed_and_step_alone() -> None:
    one, same, other = (run(FakePool(10, seed=seed), range(30)) for seed in (1, 1, 2))
    assert one == same != other


def test_resumed_it_goes_on_as_if_it_had_not_stopped() -> None:
    whole = run(FakePool(10, seed=1), range(30))
    first = FakePool(10, seed=1)
    begun = run(first, range(13))
    again = FakePool(10, seed=1)
    again.restore(first.states(), CPU)
    assert begun + run(again, range(13, 30)) == whole
    empty = FakePool(10, seed=1)
    empty.restore({}, CPU)
    assert run(empty, range(30)) == whole


@pytest.mark.parametrize(
    "states", [{"pictures": torch.zeros(11, 3, 2, 2)}, {"pictures": "x"}, {"pictures": torch.zeros(2)}]
)
def test_another_pool_is_refused(states: dict[str, object]) -> None:
    with pytest.raises(FramekitError, match="pool"):
        FakePool(10, seed=1).restore(states, CPU)
