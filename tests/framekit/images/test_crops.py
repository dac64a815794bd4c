import numpy as np

from framekit.images.crops import crop_generator, random_crops
from tests.framekit.images.test_edges import drawing


def cut(image, *, count=4, size=64, seed=0, fingerprint="ab", frame=50):
    return list(
        random_crops(image, count=count, size=size, generator=crop_generator(seed, fingerprint, frame))
    )


def test_crops_are_the_frame_s_own_pixels():
    image = drawing(120, 200)
    for crop in cut(image):
        assert crop.image.shape == (64, 64, 3)
        assert (crop.image == image[crop.y : crop.y + 64, crop.x : crop.x + 64]).all()


def test_crops_depend_on_seed_film_and_frame_alone():
    image = drawing(120, 200)
    places = [(crop.x, crop.y) for crop in cut(image)]
    assert places == [(crop.x, crop.y) for crop in cut(image)]
    for change in ({"seed": 1}, {"fingerprint": "cd"}, {"frame": 51}):
        assert places != [(crop.x, crop.y) for crop in cut(image, **change)]


def test_every_place_can_be_drawn_borders_included():
    image = np.random.default_rng(0).integers(0, 256, (66, 67, 3), np.uint8)
    places = {(crop.x, crop.y) for crop in cut(image, count=400)}
    assert places == {(x, y) for x in range(4) for y in range(3)}


def test_a_frame_of_the_crop_s_size_is_taken_whole():
    image = drawing(64, 64)
    assert [(crop.x, crop.y) for crop in cut(image, count=2)] == [(0, 0), (0, 0)]


def test_flat_places_are_avoided_and_a_flat_frame_gives_nothing():
    image = np.full((200, 400, 3), 200, np.uint8)
    assert cut(image) == []
    image[:, 300:] = drawing(200, 100)
    crops = cut(image, count=20)
    assert 0 < len(crops) <= 20
    assert all(crop.x + 64 > 300 for crop in crops)
