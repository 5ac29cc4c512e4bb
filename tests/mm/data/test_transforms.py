import cv2
import numpy as np
import pytest

from equistera import skeleton
from equistera.augmentation import augmentation
from equistera.mm.data.metainfo import metainfo_of
from equistera.mm.data.photometric import Photometric
from equistera.mm.data.transforms import CropToInput, DrawGeometry

CODEC = {"type": "SimCCLabel", "input_size": (64, 64), "sigma": (2.0, 2.0), "simcc_split_ratio": 2.0}
HORSE = skeleton.load("horse26")
META = metainfo_of(HORSE)


def sample(points=None, preset=None, seed=0, size=(200, 160), bbox=(40, 30, 160, 130), **changes):
    """A sample with one bright 3x3 dot for each keypoint on a dark picture."""
    rng = np.random.default_rng(1)
    if points is None:
        points = np.column_stack([rng.uniform(50, 150, 26), rng.uniform(40, 120, 26)])
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    for x, y in points:
        cv2.circle(picture, (round(x), round(y)), 2, (255, 255, 255), -1)
    results = {
        "img": picture,
        "bbox": np.array([bbox], dtype=np.float32),
        "keypoints": np.asarray(points, dtype=np.float32)[None],
        "keypoints_visible": np.ones((1, len(points)), np.float32),
        "flip_indices": HORSE.flip_indices.tolist(),
        "upper_body_ids": [i for i, k in enumerate(HORSE.keypoints) if k.half == "upper"],
        "lower_body_ids": [i for i, k in enumerate(HORSE.keypoints) if k.half == "lower"],
        "dataset_keypoint_weights": HORSE.weights,
    }
    if preset is not None:
        results["augmentation"] = augmentation(preset, **changes)
        results["rng"] = np.random.default_rng(seed)
    return results


def crop(results):
    return CropToInput(CODEC).transform(DrawGeometry().transform(results))


def test_without_augmentation_the_crop_is_the_padded_box():
    results = crop(sample())
    assert results["bbox_center"].tolist() == [[100, 80]]
    assert results["bbox_scale"].tolist() == [[150, 150]]
    center = np.array([[100.0, 80.0]])
    assert results["img"].shape == (64, 64, 3)
    assert np.allclose(
        results["transformed_keypoints"][0], (sample()["keypoints"][0] - center) * 64 / 150 + 32, atol=1e-3
    )


@pytest.mark.parametrize("udp", [False, True])
def test_the_same_as_mmposes_own_transforms(udp):
    from mmpose.datasets.transforms import GetBBoxCenterScale, TopdownAffine

    rng = np.random.default_rng(5)
    # a box that is not made smaller: MMPose leaves pixels out where ours are averaged
    ours, theirs = (sample(bbox=(60, 50, 111, 101)) for _ in range(2))
    ours["img"] = theirs["img"] = rng.integers(0, 256, (160, 200, 3), dtype=np.uint8)
    theirs = TopdownAffine(input_size=(64, 64), use_udp=udp).transform(GetBBoxCenterScale().transform(theirs))
    ours = CropToInput().transform(DrawGeometry().transform({**ours, "input_size": (64, 64), "use_udp": udp}))
    assert np.abs(ours["img"].astype(int) - theirs["img"]).max() <= 1
    assert np.allclose(ours["transformed_keypoints"], theirs["transformed_keypoints"], atol=1e-4)
    assert np.allclose(ours["input_scale"], theirs["input_scale"])


def test_preset_none_changes_nothing():
    plain, drawn = crop(sample()), crop(sample(preset="none"))
    assert np.array_equal(plain["img"], drawn["img"])
    assert np.array_equal(plain["transformed_keypoints"], drawn["transformed_keypoints"])
    assert np.array_equal(Photometric().transform(drawn)["img"], plain["img"])


def test_a_flip_mirrors_the_crop_and_exchanges_left_and_right():
    plain, flipped = crop(sample()), crop(sample(preset="none", flip=1.0))
    assert np.array_equal(flipped["img"], plain["img"][:, ::-1])
    mirrored = plain["transformed_keypoints"].copy()
    mirrored[..., 0] = 63 - mirrored[..., 0]
    assert np.allclose(flipped["transformed_keypoints"], mirrored[:, HORSE.flip_indices], atol=1e-3)


def test_a_flip_exchanges_visibility_too():
    results = sample(preset="none", flip=1.0)
    results["keypoints_visible"][0, HORSE.index["l_knee"]] = 0
    visible = crop(results)["keypoints_visible"][0]
    assert visible[HORSE.index["r_knee"]] == 0
    assert visible.sum() == 25


@pytest.mark.parametrize("seed", range(12))
def test_points_follow_the_picture(seed):
    """The dot of each keypoint is found again where the transformed keypoint says."""
    point = np.array([[90.0, 75.0]])
    results = sample(np.repeat(point, 26, axis=0), preset="aggressive", seed=seed, half_body=0.0)
    results = crop(results)
    x, y = results["transformed_keypoints"][0, 0]
    grey = results["img"][..., 0].astype(float)
    assert grey.sum() > 0
    rows, columns = np.indices(grey.shape)
    found = (grey * columns).sum() / grey.sum(), (grey * rows).sum() / grey.sum()
    assert found == pytest.approx((x, y), abs=0.6)


def test_draws_follow_from_the_seed_alone():
    first, again, other = (crop(sample(preset="aggressive", seed=seed)) for seed in (3, 3, 4))
    assert np.array_equal(first["img"], again["img"])
    assert not np.array_equal(first["img"], other["img"])


def test_geometry_stays_in_the_presets_range():
    values = augmentation("aggressive", half_body=0.0)
    drawn = [DrawGeometry().transform(sample(preset="aggressive", seed=s, half_body=0.0)) for s in range(400)]
    rotation = np.array([d["bbox_rotation"][0] for d in drawn])
    factor = np.array([d["bbox_scale"][0, 0] for d in drawn]) / 150
    shift = np.array([d["bbox_center"][0] for d in drawn]) - (100, 80)
    flips = np.mean([d["flip"] for d in drawn])
    assert np.abs(rotation).max() <= values.rotation
    assert np.abs(rotation).max() > 0.9 * values.rotation
    assert factor.min() >= values.scale[0] - 1e-6
    assert factor.max() <= values.scale[1] + 1e-6
    assert np.ptp(factor) > 0.55
    assert np.abs(shift[:, 0]).max() <= 0.16 * 120 + 1e-3
    assert np.abs(shift[:, 1]).max() <= 0.16 * 100 + 1e-3
    # four standard deviations of 400 coins
    assert flips == pytest.approx(0.5, abs=0.1)


def test_half_body_goes_to_one_half():
    results = sample(preset="none", half_body=1.0)
    upper = np.array(results["upper_body_ids"])
    lower = np.array(results["lower_body_ids"])
    points = results["keypoints"][0]
    middles = [(points[half].min(axis=0) + points[half].max(axis=0)) / 2 for half in (upper, lower)]
    found = {
        int(np.argmin([np.abs(DrawGeometry().transform(sample(preset="none", half_body=1.0, seed=s))["bbox_center"][0]
                              - middle).sum() for middle in middles]))
        for s in range(20)
    }  # fmt: skip
    assert found == {0, 1}


def test_half_body_leaves_sparse_annotations_alone():
    results = sample(preset="none", half_body=1.0)
    results["keypoints_visible"][0, 5:] = 0
    assert DrawGeometry().transform(results)["bbox_center"].tolist() == [[100, 80]]
