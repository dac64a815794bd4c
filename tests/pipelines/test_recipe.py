from pathlib import Path

import pytest

from framekit.errors import CommandError
from pipelines.recipe import load_recipe

RECIPES = Path(__file__).parents[2] / "pipelines"


def test_the_recipes_that_come_with_it_are_sound():
    assert {path.name for path in RECIPES.glob("*.toml")} == {
        "demo.toml",
        "shinkai.toml",
        "miyazaki.toml",
        "crop_vs_resize.toml",
        "crop_vs_resize_small.toml",
    }
    for path in RECIPES.glob("*.toml"):
        assert load_recipe(path).title


def test_shinkai_is_the_report_s():
    recipe = load_recipe(RECIPES / "shinkai.toml")
    assert [Path(source).stem for source in recipe.cartoons.sources] == [
        "The Garden of Words",
        "5 Centimeters per Second",
        "Your Name",
    ]
    assert (recipe.cartoons.every, recipe.cartoons.crop_size, recipe.train.batch_size) == (50, 256, 8)
    assert (recipe.train.init_epochs, recipe.train.epochs, recipe.train.lr) == (10, 100, 2e-4)
    assert (recipe.train.base_channels, recipe.train.residual_blocks) == (64, 8)


def test_changes_are_applied():
    changes = ["train.max_steps=7", "title=Mine", 'photos.sources=["a b", "c"]', "cartoons.style='x'"]
    recipe = load_recipe(RECIPES / "demo.toml", changes)
    assert (recipe.train.max_steps, recipe.title, recipe.cartoons.style) == (7, "Mine", "x")
    assert recipe.photos.sources == ("a b", "c")


def test_films_take_the_place_of_the_recipe_s():
    assert load_recipe(RECIPES / "demo.toml", films=["my film.mkv"]).cartoons.sources == ("my film.mkv",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("train.steps=7", "train.steps: unknown option; known here: generator, base_channels"),
        ("cartoons.evry=7", "cartoons.evry: unknown option"),
        ("films=7", "films: unknown option; known here: title, out"),
        ("cartoons.every=0", "cartoons.every: must be greater than or equal to 1"),
        ("cartoons.every=many", "cartoons.every: must be a valid integer"),
        ("cartoons.sources=[]", "cartoons.sources"),
        ("cartoons.smooth=false", "cartoons need their smoothed half"),
        ("title.x=1", "title holds a value"),
        ("nonsense", "--set takes key=value"),
        ("=1", "--set takes key=value"),
        ("__class__.x=1", "__class__: unknown option"),
    ],
)
def test_what_a_recipe_cannot_hold_is_refused_by_name(change, words):
    with pytest.raises(CommandError) as error:
        load_recipe(RECIPES / "demo.toml", [change])
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such recipe"),
        (b"title = ", "not a recipe"),
        (b"\xff", "not a recipe"),
        (b"", "title: is missing"),
    ],
)
def test_what_is_no_recipe(tmp_path, content, words):
    path = tmp_path / "r.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError, match=words):
        load_recipe(path)


def test_one_way_to_sample_takes_the_place_of_another():
    cartoons = load_recipe(RECIPES / "demo.toml", ["cartoons.seconds=2.5"]).cartoons
    assert (cartoons.every, cartoons.seconds) == (None, 2.5)
