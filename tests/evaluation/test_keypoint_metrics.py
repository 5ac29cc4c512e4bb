"""PCK, pixel errors, swaps against numbers computed by hand."""

import numpy as np
import pytest

from equistera.errors import UserError
from equistera.evaluation import keypoint_metrics as km
from equistera.evaluation.instances import pair


def scored(make, animal, truth, poses, body_length=None):
    results = [make.result(ann["image_id"], pose) for ann, pose in zip(truth["annotations"], poses, strict=True)]
    return pair(truth, results, animal, body_length)


def nose_off_by(make, *pixels):
    """One pose a value, whose nose is that many pixels too far to the right; all other points are exact."""
    return [make.pose + np.array([[d, 0], [0, 0], [0, 0], [0, 0], [0, 0]]) for d in pixels]


def test_pck_by_hand(make, animal):
    """The box is 200 px long: errors of 5, 9.9, 10, 30 px are 0.025, 0.0495, 0.05, 0.15 of it."""
    animals = scored(make, animal, make.truth(4), nose_off_by(make, 5, 9.9, 10, 30))
    row = km.per_keypoint(animals)["nose"]
    assert row["PCK@0.05"] == 2 / 4, "an error of exactly 0.05 does not count, as in MMPose"
    assert row["PCK@0.1"] == 3 / 4
    assert row["PCK@0.2"] == 4 / 4
    assert row["median_px"] == pytest.approx((9.9 + 10) / 2)
    assert row["p90_px"] == pytest.approx(10 + 0.7 * 20)  # position 0.9 * 3 = 2.7 of the sorted errors
    assert row["normalised_error"] == pytest.approx((5 + 9.9 + 10 + 30) / 4 / 200)
    assert row["OKS"] == pytest.approx(np.mean(np.exp(-np.square([5, 9.9, 10, 30]) / (2 * 1e4 * 0.1**2))))
    assert row["points"] == 4
    assert row["shift_px"] == [pytest.approx(9.95), 0]
    assert row["median_px_unshifted"] == pytest.approx(np.median(np.abs(np.array([5, 9.9, 10, 30]) - 9.95)))


def test_correct_points_are_those_of_pck(make, animal):
    animals = scored(make, animal, make.truth(3), nose_off_by(make, 19.9, 20, 20.1))
    assert animals.correct[:, 0].tolist() == [True, False, False]


def test_overall_is_the_mean_over_keypoints_and_pools_pixels(make, animal):
    animals = scored(make, animal, make.truth(4), nose_off_by(make, 5, 9.9, 10, 30))
    overall = km.overall(animals, km.per_keypoint(animals))
    assert overall["PCK@0.05"] == pytest.approx((0.5 + 4) / 5)
    assert overall["median_px"] == 0
    assert overall["points"] == 20


def test_visible_and_hidden_apart(make, animal):
    truth = make.truth(4)
    for ann, flag in zip(truth["annotations"], (2, 2, 1, 0), strict=True):
        ann["keypoints"][2] = flag
    animals = scored(make, animal, truth, nose_off_by(make, 5, 30, 15, 100))
    row = km.per_keypoint(animals)["nose"]
    assert (row["points"], row["visible"]["points"], row["hidden"]["points"]) == (3, 2, 1)
    assert row["PCK@0.1"] == pytest.approx(2 / 3)
    assert row["visible"]["PCK@0.1"] == 1 / 2
    assert row["hidden"]["PCK@0.1"] == 1
    assert row["hidden"]["median_px"] == 15


def test_points_never_labelled_have_no_figures(make, animal):
    animals = scored(make, animal, make.truth(3, visibility=(0, 2, 2, 2, 2)), nose_off_by(make, 5, 5, 5))
    table = km.per_keypoint(animals)
    assert table["nose"]["points"] == 0
    assert [table["nose"][name] for name in ("PCK@0.1", "median_px", "OKS", "shift_px", "score")] == [None] * 5
    assert km.overall(animals, table)["PCK@0.1"] == 1, "the mean is over the keypoints that have a value"


def test_missed_animals_are_wrong_without_pixel_errors(make, animal):
    animals = pair(make.truth(2), [make.result(1)], animal)
    row = km.per_keypoint(animals)["nose"]
    assert row["PCK@0.2"] == 1 / 2
    assert row["OKS"] == 1 / 2
    assert row["median_px"] == 0
    assert row["score"]["probability"] == pytest.approx(0.9)


def test_body_length(make, animal):
    """Withers (120, 10) to tail (10, 20): 110.45 px, so 10 px are 0.0905 of it and 12 px are 0.109."""
    animals = scored(make, animal, make.truth(2), nose_off_by(make, 10, 12), ("withers", "tail"))
    np.testing.assert_allclose(animals.size, np.hypot(110, 10))
    assert km.per_keypoint(animals)["nose"]["PCK@0.1"] == 1 / 2


def test_animals_without_a_body_length_have_no_pck(make, animal):
    truth = make.truth(2)
    truth["annotations"][0]["keypoints"][-1] = 0
    animals = scored(make, animal, truth, nose_off_by(make, 50, 0), ("withers", "tail"))
    row = km.per_keypoint(animals)["nose"]
    assert np.isnan(animals.size[0])
    assert (row["PCK@0.2"], row["points"], row["median_px"]) == (1, 2, 25)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("withers", "croup"), "two different keypoints, found withers, croup"),
        (("tail", "tail"), "two different keypoints"),
        (("nose", "tail"), "no animal has both nose and tail labelled"),
    ],
)
def test_impossible_body_lengths(make, animal, names, message):
    truth = make.truth(1, visibility=(0, 2, 2, 2, 2))
    with pytest.raises(UserError, match=message):
        pair(truth, [make.result(1)], animal, names)


def swapped(pose, i, j):
    pose = pose.copy()
    pose[[i, j]] = pose[[j, i]]
    return pose


def test_swap_rate_by_hand(make, animal):
    """One of four animals has its knees exchanged; another has only the left prediction on the right knee."""
    one_sided = make.pose.copy()
    one_sided[1] = make.pose[2] + 3
    animals = scored(make, animal, make.truth(4), [make.pose, swapped(make.pose, 1, 2), one_sided, make.pose + 4])
    table = km.per_keypoint(animals)
    assert table["l_knee"]["swap_rate"] == 2 / 4
    assert table["r_knee"]["swap_rate"] == 1 / 4
    assert table["nose"]["swap_rate"] is None, "it has no mirror image"
    assert table["l_knee"]["mistaken_for"] == {"keypoint": "r_knee", "rate": 0.5}
    assert table["tail"]["mistaken_for"] is None


def test_any_two_channels_can_be_confused(make, animal):
    animals = scored(make, animal, make.truth(2), [swapped(make.pose, 0, 4)] * 2)
    rates = km.confusion(animals)
    assert rates[0, 4] == rates[4, 0] == 1
    assert np.nansum(rates) == 2


def test_points_too_near_to_tell_apart_do_not_count(make, animal):
    """The knees are 9 px apart in a box of 200 px, less than 0.05 of it."""
    truth = make.truth(1)
    truth["annotations"][0]["keypoints"][6:8] = [140.0 - 9, 90.0]
    animals = scored(make, animal, truth, [make.pose])
    assert km.per_keypoint(animals)["r_knee"]["swap_rate"] is None


def test_nowhere_is_not_a_swap(make, animal):
    """Nearer to the other knee, yet too far from it to be right there."""
    lost = make.pose.copy()
    lost[1] = make.pose[2] + [-60, 0]
    animals = scored(make, animal, make.truth(1), [lost])
    assert km.per_keypoint(animals)["l_knee"]["swap_rate"] == 0
