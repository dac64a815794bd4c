"""Rules as people write them, and what they leave out."""

import numpy as np
import pytest

from framekit.errors import FramekitError
from framekit.images.quality import Quality
from framekit.images.rules import QUALITY, Condition, Rule, left_out, parse_rule
from framekit.images.transitions import Transition


def test_the_names_are_those_of_what_is_measured():
    assert Quality._fields == QUALITY
    assert Transition._fields == ("fade", "dissolve")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("noise>6", Rule("noise>6", (Condition("noise", ">", 6.0),))),
        (" luma_p99 <= 40.5 ", Rule("luma_p99<=40.5", (Condition("luma_p99", "<=", 40.5),))),
        ("crop.overlay>0", Rule("crop.overlay>0", (Condition("overlay", ">", 0.0),), of_crops=True)),
        ("pan_x<-0.5", Rule("pan_x<-0.5", (Condition("pan_x", "<", -0.5),))),
    ],
)
def test_rules_are_read(text, rule):
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noise",
        "noise>",
        "noise>x",
        "noise=3",
        "nose>3",
        "crop.fade>1",
        "overlay>0",
        "noise>6 or",
        "noise>1e3",
    ],
)
def test_what_is_no_rule_is_refused(text):
    with pytest.raises(FramekitError, match=r"no rule|no measure"):
        parse_rule(text)


def test_the_first_rule_that_all_conditions_meet_gives_the_reason():
    measures = {"noise": np.array([1.0, 5.0, 9.0, np.nan]), "text": np.array([0.0, 0.5, 0.5, 0.5])}
    rules = [
        Rule("both", (Condition("noise", ">", 6), Condition("text", ">", 0.1))),
        Rule("text", (Condition("text", ">", 0.1),)),
        Rule("noise", (Condition("noise", "<=", 1),)),
    ]
    assert left_out(measures, rules, 4).tolist() == ["noise", "text", "both", "text"]
    assert left_out(measures, [], 4).tolist() == [None] * 4
