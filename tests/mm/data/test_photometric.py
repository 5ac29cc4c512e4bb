import dataclasses

import numpy as np
import pytest

from equistera.augmentation import augmentation
from equistera.mm.data import photometric

PICTURE = np.random.default_rng(0).integers(60, 180, (64, 64, 3), dtype=np.uint8)
NOTHING = {"photometric": 0.0}


def drawn(seed=0, **changes):
    return photometric.apply(PICTURE, augmentation("none", **changes), np.random.default_rng(seed))[0]


def test_nothing_asked_nothing_done():
    assert np.array_equal(drawn(), PICTURE)


def test_brightness_moves_every_pixel_alike():
    moved = drawn(photometric=1.0, brightness=20).astype(int) - PICTURE
    assert np.ptp(moved) <= 1
    assert 1 <= abs(moved.mean()) <= 20


def test_contrast_keeps_the_mean():
    changed = drawn(seed=2, photometric=1.0, contrast=(1.4, 1.5))
    assert changed.std() > 1.2 * PICTURE.std()
    assert changed.mean() == pytest.approx(PICTURE.mean(), abs=3)


def test_saturation_zero_is_grey_like():
    changed = drawn(photometric=1.0, saturation=(0.001, 0.001)).astype(int)
    assert np.ptp(changed, axis=2).max() <= 1


@pytest.mark.parametrize("kind", ["blur", "noise", "dropout", "occlusion"])
def test_each_changes_the_picture_as_often_as_asked(kind):
    share = np.mean([not np.array_equal(drawn(seed, **NOTHING, **{kind: 0.3}), PICTURE) for seed in range(300)])
    # four standard deviations of 300 draws
    assert share == pytest.approx(0.3, abs=0.11)


def test_blur_smooths_and_noise_roughens():
    def roughness(picture):
        return np.abs(np.diff(picture.astype(int), axis=1)).mean()

    assert roughness(drawn(**NOTHING, blur=1.0)) < 0.9 * roughness(PICTURE)
    flat = np.full_like(PICTURE, 128)
    noisy, _ = photometric.apply(flat, augmentation("none", noise=1.0, photometric=0.0), np.random.default_rng(0))
    assert roughness(noisy) > 2


def test_dropout_makes_black_holes():
    black = (drawn(**NOTHING, dropout=1.0) == 0).all(axis=2)
    assert 0.005 < black.mean() < 0.26


def test_the_same_seed_gives_the_same_pixels():
    strong = {"blur": 1.0, "noise": 1.0, "dropout": 1.0, "occlusion": 1.0, "hue": 18, "photometric": 1.0}
    assert np.array_equal(drawn(7, **strong), drawn(7, **strong))
    assert not np.array_equal(drawn(7, **strong), drawn(8, **strong))


def test_noise_has_the_sigma_that_it_says_and_no_bias():
    flat = np.full((128, 128, 3), 128, np.uint8)
    values = augmentation("none", noise=1.0, noise_sigma=(10, 20))
    for seed in range(4):
        noisy, said = photometric.apply(flat, values, np.random.default_rng(seed))
        assert noisy.std() == pytest.approx(said["noise"], rel=0.03)
        assert noisy.mean() == pytest.approx(128, abs=0.5)


def test_blur_has_the_sigma_that_it_says():
    dot = np.zeros((65, 65, 3), np.uint8)
    dot[32, 32] = 255
    blurred, said = photometric.apply(
        dot, augmentation("none", blur=1.0, blur_sigma=(1.5, 1.5), photometric=0.0), np.random.default_rng(0)
    )
    weight = blurred[..., 0].sum(axis=0) / blurred[..., 0].sum()
    assert said["blur"] == pytest.approx(1.5, rel=0.05)
    # the faintest ring is lost in rounding to whole levels
    assert np.sqrt(weight @ (np.arange(65) - 32) ** 2) == pytest.approx(1.5, rel=0.1)


def test_the_transform_leaves_keypoints_alone_and_records_what_it_drew():
    points = np.random.default_rng(2).uniform(0, 64, (1, 26, 2)).astype(np.float32)
    results = {
        "img": PICTURE,
        "transformed_keypoints": points.copy(),
        "keypoints_visible": np.ones((1, 26), np.float32),
        "augmentation": augmentation("aggressive", photometric=1.0, blur=1.0, noise=1.0, dropout=1.0, occlusion=1.0),
        "rng": np.random.default_rng(0),
        "drawn": {"flip": True},
    }
    done = photometric.Photometric().transform(results)
    assert not np.array_equal(done["img"], PICTURE)
    assert np.array_equal(done["transformed_keypoints"], points)
    assert done["keypoints_visible"].all()
    assert set(done["drawn"]) == {
        "flip", "brightness", "contrast", "saturation", "hue", "blur", "noise", "dropout", "occlusion",
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_hue_turns_by_degrees_of_the_colour_circle(seed):
    # pure red stands at 0 degrees: turned by h it becomes (255, 255 h / 60, 0), and to the other side (255, 0, ...)
    red = np.full((8, 8, 3), (0, 0, 255), np.uint8)
    turned, drawn = photometric.apply(red, augmentation("none", hue=18, photometric=1.0), np.random.default_rng(seed))
    assert 0 < abs(drawn["hue"]) <= 18
    blue, green, _ = (float(value) for value in turned[0, 0])
    # OpenCV's steps are of two degrees
    assert (green - blue) * 60 / 255 == pytest.approx(drawn["hue"], abs=1.3)


def test_the_widest_hue_of_the_guide_is_not_seen_beyond_18_degrees():
    red = np.full((8, 8, 3), (0, 0, 255), np.uint8)
    values = augmentation("aggressive", photometric=1.0, contrast=(1, 1), brightness=0, saturation=(1, 1))
    values = dataclasses.replace(values, blur=0.0, noise=0.0, dropout=0.0, occlusion=0.0)
    strongest = max(
        photometric.apply(red, values, np.random.default_rng(seed))[0][0, 0, :2].max().item() for seed in range(200)
    )
    assert 0.8 * 18 < strongest * 60 / 255 <= 18.5
