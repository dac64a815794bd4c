import cv2
import imagehash
import pytest
from PIL import Image

from framekit.images.hashing import distance, perceptual_hash, small_grey
from tests.framekit.images.test_edges import drawing

HASHERS = {
    "phash": imagehash.phash,
    "dhash": imagehash.dhash,
    "whash": imagehash.whash,
    "average": imagehash.average_hash,
}


@pytest.mark.parametrize("kind", HASHERS)
def test_it_is_imagehash_s_own_hash_with_all_64_bits(kind):
    grey = small_grey(drawing(360, 640))
    assert f"{perceptual_hash(grey, kind):016x}" == str(HASHERS[kind](Image.fromarray(grey)))


def test_small_picture_gives_nearly_the_hash_of_the_full_one():
    image = drawing(720, 1280)
    full = int(str(imagehash.phash(Image.fromarray(image))), 16)
    assert distance(perceptual_hash(small_grey(image)), full) <= 4


def test_a_recompressed_picture_is_near_and_another_one_far():
    image, other = drawing(360, 640, 0), drawing(360, 640, 1)
    squeezed = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)
    first = perceptual_hash(small_grey(image))
    assert distance(first, perceptual_hash(small_grey(squeezed))) <= 4
    assert distance(first, perceptual_hash(small_grey(other))) > 12
