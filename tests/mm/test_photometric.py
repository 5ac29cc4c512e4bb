import numpy as np
import pytest

from equistera.augmentation import augmentation
from equistera.mm import photometric

PICTURE = np.random.default_rng(0).integers(60, 180, (64, 64, 3), dtype=np.uint8)
NOTHING = {"photometric": 0.0}


def drawn(seed=0, **changes):
    return photometric.apply(PICTURE, augmentation("none", **changes), np.random.default_rng(seed))


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
    noisy = photometric.apply(flat, augmentation("none", noise=1.0, photometric=0.0), np.random.default_rng(0))
    assert roughness(noisy) > 2


def test_dropout_makes_black_holes():
    black = (drawn(**NOTHING, dropout=1.0) == 0).all(axis=2)
    assert 0.005 < black.mean() < 0.26


def test_occluders_leave_the_source_alone_and_cover_a_part():
    source = PICTURE.copy()
    for seed in range(30):
        covered = (photometric.occlude(source, np.random.default_rng(seed)) != source).any(axis=2).mean()
        assert 0 < covered < 0.4
    assert np.array_equal(source, PICTURE)


def test_the_same_seed_gives_the_same_pixels():
    strong = {"blur": 1.0, "noise": 1.0, "dropout": 1.0, "occlusion": 1.0, "hue": 18, "photometric": 1.0}
    assert np.array_equal(drawn(7, **strong), drawn(7, **strong))
    assert not np.array_equal(drawn(7, **strong), drawn(8, **strong))
