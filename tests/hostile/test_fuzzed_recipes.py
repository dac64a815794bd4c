"""Recipes of strangers, and words on the command line: each is taken, or refused in a line."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipelines
from framekit.errors import CommandError
from pipelines.recipe import load_recipe
from tests.hostile import children
from tests.hostile.spoiling import spoilt
from tests.hostile.uses import assert_is_a_line

RECIPES = Path(pipelines.__file__).parent
DEMO, EXPERIMENT = RECIPES / "demo.toml", RECIPES / "crop_vs_resize_small.toml"
VALUES = [
    "", "nan", "inf", "-1", "1e400", "true", "[]", "[[]]", "''", "'\\u0000'", '"\\u202e"', '"\\u001b[m"',
    "1979-05-27", "07:32:00", "9" * 5000, "0x" + "f" * 5000, "-0x0", "0o7", "[" * 5000, "{a=" * 5000,
    "'" + "x" * 100_000 + "'", "x" * 100_000, "1\n[train]", "\ud800", "\x1b[31m", "../../x", "{a = {b = 1}}",
    "['a', 1]", "[nan]", '["\\u0000"]', "'s3://'", "'::'", "'module:attribute'", "'a.b:c.d'",
]  # fmt: skip
KEYS = [
    "title", "out", "cartoons", "cartoons.sources", "cartoons.every", "cartoons.seconds", "cartoons.skip",
    "cartoons.leave_out", "cartoons.letterbox", "cartoons.encoding", "photos.sources", "photos.crop_size",
    "train",
    "train.lr", "train.seed", "train.features", "train.vgg_weights", "train.preset", "train.max_steps",
    "train.batch_size", "train.devices", "stylize.photos", "stylize.tile_size", "stylize.strength", "arms",
    "arms.a", "arms.a.every", "seeds", "test", "evaluate.against", "a.b.c.d", "train.lr.x",
]  # fmt: skip


def assert_taken_or_refused(path: Path, changes: tuple[str, ...] = ()) -> None:
    try:
        load_recipe(path, changes)
    except CommandError as error:
        assert_is_a_line(str(error))


@pytest.mark.parametrize("key", KEYS)
def test_a_change_is_taken_or_refused_in_a_line(key):
    for value in VALUES:
        assert_taken_or_refused(DEMO, (f"{key}={value}",))
    for value in VALUES[::4]:
        assert_taken_or_refused(EXPERIMENT, (f"{key}={value}",))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    st.lists(st.text(max_size=30) | st.sampled_from(KEYS).flatmap(lambda k: st.text().map(f"{k}=".__add__)))
)
def test_any_words_are_taken_or_refused_in_a_line(changes):
    assert_taken_or_refused(DEMO, tuple(changes))


@pytest.mark.parametrize("recipe", [DEMO, EXPERIMENT], ids=lambda path: path.stem)
def test_a_spoilt_recipe_is_one_or_refused_in_a_line(recipe, tmp_path):
    path = tmp_path / "spoilt.toml"
    for data in spoilt(recipe.read_bytes(), recipe.name, range(160)):
        path.write_bytes(data)
        assert_taken_or_refused(path)


@pytest.mark.parametrize("recipe", [DEMO, EXPERIMENT], ids=lambda path: path.stem)
def test_any_value_in_the_place_of_another_is_taken_or_refused_in_a_line(recipe, tmp_path):
    lines, path = recipe.read_text(encoding="utf-8").splitlines(), tmp_path / "changed.toml"
    places = [number for number, line in enumerate(lines) if "=" in line and not line.startswith("#")]
    chance = random.Random(recipe.name)
    for value in VALUES * 6:
        place = chance.choice(places)
        changed = lines[place].partition("=")[0] + "= " + value
        text = "\n".join([*lines[:place], changed, *lines[place + 1 :]])
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        assert_taken_or_refused(path)


HOSTILE = {
    "a deep nest": "a = " + "[" * 100_000,
    "deep tables": "[" + ".".join("a" * 8_000) + "]",
    "deep keys": ".".join("a" * 8_000) + " = 1",
    "a number of many digits": "title = " + "9" * 5000,
    "a number of many hexadecimal digits": "[train]\nseed = 0x" + "f" * 5000,
    "tables for values": "title = {}\nout = []\ncartoons = 1\nphotos = 'x'\ntrain = 3",
    "arms of nothing": "arms = 3",
    "a list of arms": "[[arms]]\nevery = 1",
    "a key of controls": '"\\u001b[31m\\n" = 1',
    "bytes that are no text": "title = '\udcff'",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_recipe_is_refused_in_a_line(name, tmp_path):
    path = tmp_path / "hostile.toml"
    path.write_bytes(HOSTILE[name].encode("utf-8", "surrogateescape"))
    with pytest.raises(CommandError) as error:
        load_recipe(path)
    assert_is_a_line(str(error.value))


@pytest.mark.parametrize("make", ["folder", "loop"])
def test_what_is_no_file_is_no_recipe(make, tmp_path):
    path = tmp_path / "recipe.toml"
    path.mkdir() if make == "folder" else path.symlink_to(path)
    with pytest.raises(CommandError) as error:
        load_recipe(path)
    assert_is_a_line(str(error.value))


def test_the_command_says_what_is_wrong_with_a_recipe(tmp_path):
    path = tmp_path / "hostile\x1b[31m.toml"
    path.write_bytes(HOSTILE["a key of controls"].encode())
    ended = children.run(children.PIPELINE, "run", path, "--set", "title=\x1b[2J", cwd=tmp_path, codes=[2])
    assert ended.stderr.count("\n") == 1 and "unknown option" in ended.stderr
    assert list(tmp_path.iterdir()) == [path]
