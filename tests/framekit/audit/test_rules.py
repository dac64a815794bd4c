"""Rules about datasets: what parses, what is refused in one line, what is answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framekit.audit.answers import answer, named_figures, number, percent
from framekit.audit.auditing import audit
from framekit.audit.rules import COUNTS, ISSUES, SHARES, parse
from framekit.errors import CommandError
from framekit.images.rules import CROP_MEASURES, FRAME_MEASURES
from tests.framekit.audit.datasets import varied
from tests.oracles.audit import SlowAudit


@pytest.mark.parametrize(
    ("text", "name", "comparison", "limit"),
    [
        ("duplicates>2%", "duplicates", ">", 0.02),
        (" films < 3 ", "films", "<", 3),
        ("people<10%", "people", "<", 0.1),
        ("largest-film>=60.5%", "largest-film", ">=", 0.605),
        ("sharpness<=100", "sharpness", "<=", 100),
        ("pan_x>-0.1", "pan_x", ">", -0.1),
        ("crop.edge_density<0.01", "crop.edge_density", "<", 0.01),
        ("content.cats<5%", "content.cats", "<", 0.05),
        ("dropped.near-duplicate>50%", "dropped.near-duplicate", ">", 0.5),
    ],
)
def test_rules_are_read(text, name, comparison, limit):
    rule = parse(text)
    assert (rule.name, rule.comparison, rule.limit) == (name, comparison, pytest.approx(limit))
    assert rule.text == text.replace(" ", "")


def test_a_share_of_what_meets_a_rule_of_leave_out():
    rule = parse("share(crop.sharpness < 20) > 5%")
    assert (rule.text, rule.limit, rule.each.of_crops) == ("share(crop.sharpness<20)>5%", 0.05, True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no rule"),
        ("duplicates", "no rule"),
        ("duplicates>", "no rule"),
        ("duplicates=2%", "no rule"),
        ("duplicates>2%%", "no rule"),
        ("duplicates>nan%", "no rule"),
        ("share(noise>2%", "no rule"),
        ("duplicate>2%", "no figure 'duplicate'"),
        ("crop.fade>1", "no figure 'crop.fade'"),
        ("duplicates>2", "write it as duplicates>2%"),
        ("films<3%", "write it as films<3"),
        ("sharpness<3%", "write it as sharpness<3"),
        ("share(noise>4)>5", "write it as share(noise>4)>5%"),
        ("share(grain>4)>5%", "no measure grain"),
    ],
)
def test_what_is_no_rule_is_refused_with_what_there_is(text, says):
    with pytest.raises(CommandError) as error:
        parse(text)
    line = str(error.value)
    assert says in line
    assert "\n" not in line
    if "write it" not in says:
        assert "noise" in line  # what is known is listed


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser(text):
    try:
        assert parse(text).comparison in text
    except CommandError as error:
        assert "\n" not in str(error)


def test_every_figure_that_is_listed_can_be_asked_for(audited):
    figures, rows = audited.figures, audited.rows
    medians = {name: its.quantiles[3] for name, its in figures.measures.items()}
    for name in COUNTS:
        assert parse(f"{name}>1")
    for name in SHARES:
        assert parse(f"{name}>1%")
    for name in (*FRAME_MEASURES, *(f"crop.{measure}" for measure in CROP_MEASURES)):
        assert parse(f"{name}>1")
    for name in FRAME_MEASURES:
        assert answer(parse(f"{name}>1"), rows, figures.named, medians).value == medians[name]
    assert set(figures.named) == {*COUNTS, *SHARES}


def test_answers_are_counted_row_by_row(audited, mixed):
    slow = SlowAudit(mixed)
    rows, named = audited.rows, audited.figures.named

    def told(text):
        return answer(parse(text), rows, named, {}).value

    content, seen = slow.content()
    reasons = slow.reasons()
    assert told("people<1%") == content["people"] / seen
    assert told("content.animals<1%") == content["animals"] / seen
    assert told("content.dragons<1%") == 0
    assert told("dropped.near-duplicate>1%") == reasons["near-duplicate"] / len(slow.frames)
    assert told("dropped.a-logo>1%") == reasons["a logo"] / len(slow.frames) > 0
    assert told("dropped>1%") == 1 - len(slow.kept) / len(slow.frames)
    many, of = slow.share("noise", lambda value: value > 2.5)
    assert told("share(noise>2.5)>1%") == many / of
    films = [row for row in slow.pairs if row["group"] is None]
    largest = max(sum(row["source"] == id_ for row in films) for id_ in {row["source"] for row in films})
    assert told("largest-film>1%") == largest / len(films)
    assert told("films<3") == 2  # the third gave nothing


@pytest.mark.parametrize(("text", "holds"), [("pairs>1", True), ("pairs<1", False), ("films<=2", True)])
def test_a_rule_holds_beyond_its_limit(audited, text, holds):
    assert answer(parse(text), audited.rows, audited.figures.named, {}).holds is holds


def test_what_is_not_known_holds_and_says_why(tmp_path):
    made = audit(
        varied(tmp_path / "d", frames=4, split=False), rules=[parse("leaks>0"), parse("crop.overlay>1")]
    )
    leaks, overlay = made.figures.rules
    assert (leaks.holds, leaks.value) == (True, None)
    assert "framekit split" in leaks.shown
    assert overlay.value is not None
    assert [rule.rule for rule in made.figures.failed] == ["leaks>0"]


def test_photos_are_needed_to_look_for_an_overlap(mixed):
    with pytest.raises(CommandError, match="--photos"):
        audit(mixed, rules=[parse("overlap>0")])


def test_issues_are_rules_of_leave_out_themselves():
    assert all(parse(f"share({rule})>1%").each for rule in ISSUES.values())


def test_no_figure_of_an_empty_dataset_is_made_up(tmp_path):
    made = audit(varied(tmp_path / "d", frames=4, split=False))
    named = named_figures(
        made.rows, made.figures.counts, [], made.figures.near_duplicates, leaks=None, overlap=None
    )
    assert (named["films"], named["largest-film"], named["overlap"]) == (0, None, None)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0 %"),
        (0.0001, "under 0.1 %"),
        (0.25, "25 %"),
        (0.1234, "12.3 %"),
        (0.99999, "over 99.9 %"),
        (1, "100 %"),
    ],
)
def test_shares_in_words(share, words):
    assert percent(share) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0"),
        (1234567.0, "1,234,567"),
        (12.345, "12.3"),
        (0.001234, "0.00123"),
        (1e-9, "under 0.0001"),
        (-2.0, "-2"),
    ],
)
def test_numbers_in_words(value, words):
    assert number(value) == words


def test_a_reason_that_nobody_gives_is_not_known(audited):
    """A gate must not open over a misspelt word."""
    rows = audited.rows
    said = answer(parse("dropped.nonsense>50%"), rows, {}, {})
    assert said.value is None and said.holds
    assert "no such reason; there are" in said.shown and "near-duplicate" in said.shown
    assert answer(parse("dropped.credits>99%"), rows, {}, {}).value is not None  # there could be some
