import cv2
import numpy as np
import pytest

from equistera.crops.request import Animal, Request
from equistera.crops.store import DecodedCrops
from equistera.errors import UserError
from equistera.mm.data.occlusion import OCCLUDERS, Textures, occlude

PICTURE = np.full((96, 96, 3), (40, 120, 200), np.uint8)


def stripes(rng):
    return np.tile(np.array([[[0, 255, 0]], [[255, 0, 255]]], np.uint8), (10, 20, 1))


@pytest.mark.parametrize("name", OCCLUDERS)
def test_each_covers_a_part_and_leaves_the_rest(name):
    shares = []
    for seed in range(40):
        image = PICTURE.copy()
        OCCLUDERS[name](image, np.random.default_rng(seed), stripes)
        shares.append((image != PICTURE).any(axis=2).mean())
    assert min(shares) > 0.005
    assert max(shares) < 0.3


def test_the_source_is_left_alone_and_every_kind_comes_up():
    source = PICTURE.copy()
    seen = [occlude(source, np.random.default_rng(seed), stripes)[1] for seed in range(200)]
    assert np.array_equal(source, PICTURE)
    # four standard deviations of 200 draws at 1 in 5
    assert {name: seen.count(name) for name in OCCLUDERS} == pytest.approx(dict.fromkeys(OCCLUDERS, 40), abs=23)


def test_without_another_picture_there_is_no_texture():
    assert {occlude(PICTURE, np.random.default_rng(seed))[1] for seed in range(60)} == set(OCCLUDERS) - {"texture"}


def test_a_texture_shows_the_other_picture():
    image = PICTURE.copy()
    OCCLUDERS["texture"](image, np.random.default_rng(0), lambda rng: np.full((5, 7, 3), (1, 2, 3), np.uint8))
    assert (np.abs(image - np.array([1, 2, 3])).max(axis=2) <= 1).mean() > 0.005


@pytest.fixture
def animals(tmp_path):
    """Four pictures of one grey level each, the animal's box brighter."""
    made = []
    for i in range(4):
        picture = np.full((300, 400, 3), 10 * i, np.uint8)
        picture[100:200, 100:300] = 100 + 20 * i
        cv2.imwrite(str(tmp_path / f"{i}.png"), picture)
        made.append((str(tmp_path / f"{i}.png"), np.array([100.0, 100, 300, 200])))
    return made


def textures_of(animals, seed=0):
    wanted = [Animal(path, box, np.empty((0, 2)), np.empty(0)) for path, box in animals]
    return Textures(DecodedCrops(Request("animals", wanted, (), (), (256, 256))), seed)


def test_pieces_come_from_the_boxes_of_other_pictures(animals):
    textures, rng = textures_of(animals), np.random.default_rng(0)
    own = animals[2][0]
    levels = [set(np.unique(textures.draw(rng, avoid=own)).tolist()) for _ in range(40)]
    assert set.union(*levels) == {100, 120, 160}


def test_pieces_follow_from_the_generator_whatever_was_drawn_before(animals):
    fresh, used = textures_of(animals), textures_of(animals)
    for seed in range(5, 25):
        used.draw(np.random.default_rng(seed), avoid="")
    assert np.array_equal(fresh.draw(np.random.default_rng(3), avoid=""), used.draw(np.random.default_rng(3), avoid=""))


def test_a_large_picture_is_kept_small(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "large.jpg"), picture)
    textures = textures_of([(str(tmp_path / "large.jpg"), np.array([-20.0, 40, 1700, 1300]))])
    # the only picture serves even itself
    piece = textures.draw(np.random.default_rng(0), avoid=str(tmp_path / "large.jpg"))
    assert max(piece.shape) <= 0.6 * 192 + 1


def test_an_unreadable_picture_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no such picture: .*none\.jpg"):
        textures_of([(str(tmp_path / "none.jpg"), np.array([0.0, 0, 9, 9]))]).draw(np.random.default_rng(0), avoid="")
