"""The score on generators of which the answer is known."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import Tensor

from cartoongan.features import VGGFeatures
from cartoongan.networks import to_signed
from cartoongan.scoring import Judge, Score
from tests.cartoongan.datasets import drawing, photo


def pictures(make: object, count: int) -> Tensor:
    return torch.stack([torch.from_numpy(make(number, 32)).permute(2, 0, 1) for number in range(count)])


PHOTOS, CARTOONS = pictures(photo, 5), pictures(drawing, 4)


@pytest.fixture(scope="module")
def judge() -> Judge:
    where = {"device": torch.device("cpu"), "autocast": contextlib.nullcontext}
    return Judge(VGGFeatures(None), PHOTOS, CARTOONS, batch_size=2, **where)


def test_giving_photos_back_is_all_content_and_no_style(judge: Judge) -> None:
    score = judge.score(to_signed)
    assert (score.style, score.content) == (pytest.approx(1), 0)


def test_giving_other_photos_back_keeps_no_content(judge: Judge) -> None:
    others = iter(PHOTOS.roll(1, dims=0).split(2))
    score = judge.score(lambda _: to_signed(next(others)))
    assert (score.style, score.content) == (pytest.approx(1), pytest.approx(1))


def test_showing_cartoons_is_all_style(judge: Judge) -> None:
    shown = iter([CARTOONS[:2], CARTOONS[2:], CARTOONS[:1]])
    score = judge.score(lambda _: to_signed(next(shown)))
    assert score.style < 0.2 and score.content > 0.5


def test_the_more_pictures_are_cartoons_the_more_style(judge: Judge) -> None:
    def with_cartoons(count: int) -> Score:
        made = PHOTOS.clone()
        made[:count] = CARTOONS[:count]
        shown = iter(made.split(2))
        return judge.score(lambda _: to_signed(next(shown)))

    scores = [with_cartoons(count) for count in (0, 2, 4)]
    assert scores[0].style > scores[1].style > scores[2].style
    assert scores[0].content < scores[1].content < scores[2].content


def test_it_does_not_depend_on_how_many_are_looked_at_together(judge: Judge) -> None:
    where = {"device": torch.device("cpu"), "autocast": contextlib.nullcontext}
    other = Judge(VGGFeatures(None), PHOTOS, CARTOONS, batch_size=5, **where)
    one, two = (its.score(lambda photos: to_signed(photos) / 2) for its in (judge, other))
    assert (one.style, one.content) == (pytest.approx(two.style), pytest.approx(two.content))


def test_one_photo_alone_tells_nothing() -> None:
    where = {"device": torch.device("cpu"), "autocast": contextlib.nullcontext}
    judge = Judge(VGGFeatures(None), PHOTOS[:1], PHOTOS[:1], batch_size=2, **where)
    assert judge.score(to_signed).total == 2
