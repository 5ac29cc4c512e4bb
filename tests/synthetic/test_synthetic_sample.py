import cv2
import numpy as np
import pytest

from equistera import skeleton
from equistera.synthetic import anatomy, backdrop, coat, gaits, noise
from equistera.synthetic.body import PART
from equistera.synthetic.camera import look_at
from equistera.synthetic.framing import frame, place_horses
from equistera.synthetic.horse import sample_horse
from equistera.synthetic.renderer import rasterize
from equistera.synthetic.sample import SIZES, generator, make_sample

SMALL = (320, 240)


@pytest.fixture(scope="module")
def samples():
    return [make_sample(7, "train", index, SMALL) for index in range(24)]


def decode(sample):
    return cv2.imdecode(np.frombuffer(sample.jpeg, np.uint8), cv2.IMREAD_COLOR)


def test_the_same_seed_gives_the_same_bytes(samples):
    again = make_sample(7, "train", 3, SMALL)
    assert again.jpeg == samples[3].jpeg
    assert np.array_equal(again.labels[0].keypoints, samples[3].labels[0].keypoints)


def test_seeds_splits_and_numbers_give_other_pictures(samples):
    others = [make_sample(8, "train", 3, SMALL), make_sample(7, "val", 3, SMALL), make_sample(7, "test", 3, SMALL)]
    assert len({sample.jpeg for sample in [*samples, *others]}) == len(samples) + 3


def test_labels_are_sound(samples):
    for sample in samples:
        assert decode(sample).shape == (240, 320, 3)
        assert 1 <= len(sample.labels) <= 2
        for label in sample.labels:
            x, y, width, height = label.bbox
            assert 0 <= x < x + width <= 320
            assert 0 <= y < y + height <= 240
            assert 0 < label.visible_area <= label.silhouette_area <= width * height
            assert set(label.keypoints[:, 2]) <= {0, 1, 2}
            assert (label.keypoints[:, 2] == 2).sum() >= 5
            assert not label.keypoints[label.keypoints[:, 2] == 0].any()


def test_keypoints_lie_in_the_box_or_next_to_it(samples):
    margin = 4
    for sample in samples:
        for label in sample.labels:
            x, y, width, height = label.bbox
            points = label.keypoints[label.keypoints[:, 2] > 0, :2]
            assert (points >= np.array([x, y]) - margin).all()
            assert (points <= np.array([x + width, y + height]) + margin).all()


def test_most_horses_are_whole_and_well_framed(samples):
    labels = [label for sample in samples for label in sample.labels]
    inside = np.mean([(label.keypoints[:, 2] > 0).mean() for label in labels])
    assert 0.8 < inside < 1.0
    assert np.mean([max(label.bbox[2] / 320, label.bbox[3] / 240) for label in labels]) > 0.45


@pytest.mark.parametrize(("height", "up"), [(0.3, 0.9), (1.7, -1.0), (1.7, 0.0)])
@pytest.mark.parametrize("seed", range(6))
def test_backdrops_fill_the_picture_wherever_the_camera_looks(height, up, seed):
    position = np.array([0.0, 0, height])
    camera = look_at(position, position + np.array([1.0, 0.2, up]), 0.05, 80.0, (64, 48))
    picture, ground = backdrop.paint(backdrop.sample_backdrop(np.random.default_rng(seed), camera, 5.0), camera)
    assert np.isfinite(picture).all()
    assert picture.min() >= -40
    assert picture.max() <= 330
    assert ground.any() == (up < 0.5)
    assert ground.all() == (up < -0.5)


def test_sizes_are_drawn_from_the_table():
    found = make_sample(0, "train", 0)
    assert (found.width, found.height) in SIZES
    assert decode(found).shape == (found.height, found.width, 3)


@pytest.mark.parametrize("gait", list(gaits.GAITS))
def test_every_gait_renders_with_its_keypoints_on_the_horse(gait):
    rng = np.random.default_rng(list(gaits.GAITS).index(gait))
    horse = sample_horse(rng, gait=gait)
    camera = frame(rng, [horse], SMALL)
    fragments = rasterize(horse.mesh, camera)
    covered = np.zeros(SMALL[::-1], np.uint8)
    covered.ravel()[fragments.pixel] = 1
    near = cv2.dilate(covered, np.ones((7, 7), np.uint8))
    assert set(horse.keypoints) == set(skeleton.load("horse26").names)
    for name, point in horse.keypoints.items():
        (x, y), _ = camera.project(point)
        if 0 <= x < 319 and 0 <= y < 239:
            assert near[round(float(y)), round(float(x))], name


@pytest.mark.parametrize("gait", ["stand", "walk", "graze", "rear"])
def test_horses_stand_on_the_ground(gait):
    horse = sample_horse(np.random.default_rng(2), gait=gait)
    lowest = horse.mesh.vertices[~np.isnan(horse.rest[:, 0]), 2].min()
    assert lowest == pytest.approx(0.0, abs=1e-6)


def test_jumping_horses_do_not():
    horse = sample_horse(np.random.default_rng(2), gait="jump")
    assert horse.mesh.vertices[~np.isnan(horse.rest[:, 0]), 2].min() > 0.1


def test_two_horses_do_not_touch():
    pairs = [horses for horses in (place_horses(generator(1, "val", k)) for k in range(40)) if len(horses) == 2]
    assert 3 <= len(pairs) <= 20
    for first, second in pairs:
        one, two = first.mesh.vertices[::40, :2], second.mesh.vertices[::40, :2]
        assert ((one[:, None] - two[None]) ** 2).sum(axis=-1).min() > 0.04


def test_looks_vary():
    coats = [coat.sample_coat(np.random.default_rng(k), anatomy.BUILDS["warmblood"]) for k in range(200)]
    assert {one.name for one in coats} == set(coat.COLORS)
    assert any(one.blaze for one in coats)
    assert any(one.socks.any() for one in coats)
    assert any(one.pinto for one in coats)


def test_a_bay_has_black_legs_and_its_socks_are_white():
    bay = coat.sample_coat(np.random.default_rng(0), anatomy.BUILDS["warmblood"])
    settings = {"base": np.array([110.0, 66, 36]), "hair": np.array([20.0, 18, 16]), "points": 1.0, "pinto": 0.0}
    bay = type(bay)(**{**vars(bay), **settings, "socks": np.array([0.15, 0, 0, 0]), "dapples": 0.0})
    rest = np.array([[0.3, 0.1, 0.10], [0.3, -0.1, 0.10], [0.0, 0.2, 0.75]])
    parts = np.array([PART["lf_leg"], PART["rf_leg"], PART["trunk"]])
    sock, leg, flank = coat.paint(bay, parts, rest, np.zeros((3, 2))).mean(axis=1)
    assert sock > 200
    assert leg < 45 < flank < 120


def test_noise_is_tileable_and_standard():
    volume = noise.volume()
    assert volume.std() == pytest.approx(1.0, abs=1e-3)
    places = np.random.default_rng(0).uniform(0, 48, (50, 3))
    np.testing.assert_allclose(noise.at(volume, places), noise.at(volume, places + np.array([48, -48, 96])), atol=1e-3)
    assert noise.at(volume, np.array([[3.0, 4, 5]]))[0] == pytest.approx(volume[3, 4, 5])


def test_a_horse_far_away_is_as_small_as_asked_for():
    for index in range(3):
        sample = make_sample(5, "test", index, (640, 480), fill=0.1)
        boxes = np.array([label.bbox for label in sample.labels])
        extent = (boxes[:, :2] + boxes[:, 2:]).max(axis=0) - boxes[:, :2].min(axis=0)
        assert 0.07 < (extent / (640, 480)).max() < 0.13
