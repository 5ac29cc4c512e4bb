"""The guess that needs no model."""

import numpy as np
import pytest

from equistera.evaluation import coco_ap, constant_results, evaluate, mean_pose
from equistera.evaluation.constant_guess import outcome


def test_mean_pose_by_hand(make, animal):
    """Two animals in boxes of 200 x 100, the second twice as large and its nose elsewhere."""
    truth = make.truth(2)
    second = truth["annotations"][1]
    second["bbox"] = [100.0, 100.0, 400.0, 200.0]
    points = np.column_stack([make.pose * 2 + 100, np.full(5, 2)])
    points[0, :2] = [100, 100]  # the box's corner: (0, 0); the first one's nose is at (0.95, 0.2)
    points[4, 2] = 0
    second["keypoints"] = points.reshape(-1).tolist()
    pose = mean_pose(truth, animal)
    np.testing.assert_allclose(pose[0], [0.475, 0.1])
    np.testing.assert_allclose(pose[1:], make.pose[1:] / [200, 100])


def test_a_point_never_labelled_stands_in_the_middle(make, animal):
    pose = mean_pose(make.truth(2, visibility=(0, 2, 2, 2, 2)), animal)
    np.testing.assert_allclose(pose[0], [0.5, 0.5])


def test_guess_on_its_own_training_set_is_perfect_where_all_animals_are_alike(make, animal):
    train, test = make.truth(3), make.truth(4, shift=(30.0, 60.0))
    results = constant_results(test, mean_pose(train, animal), animal)
    assert coco_ap(test, results, animal)["AP"] == pytest.approx(1)
    assert [result["ann_id"] for result in results] == [1, 2, 3, 4]


def varied(make, pictures=40, seed=0):
    """Animals that differ by 15 px a point, so that a constant guess is off by about that."""
    rng = np.random.default_rng(seed)
    truth = make.truth(pictures)
    for ann in truth["annotations"]:
        ann["keypoints"] = np.column_stack([make.pose + rng.normal(0, 15, (5, 2)), np.full(5, 2)]).reshape(-1).tolist()
    return truth


def test_a_good_model_beats_it(make, animal):
    truth = varied(make)
    metrics = evaluate(truth, make.noisy(truth, 3), animal, mean_pose=mean_pose(truth, animal), draws=200)
    guess = metrics["constant_guess"]
    assert guess["outcome"] == "better"
    assert guess["verdict"].startswith("Better than a constant guess")
    assert guess["median_px"] == pytest.approx(15 * 1.18, rel=0.2)
    assert guess["verdict"] not in metrics["weak_spots"]


def test_a_bad_model_is_told_so_plainly(make, animal):
    truth = varied(make)
    metrics = evaluate(truth, make.noisy(truth, 40), animal, mean_pose=mean_pose(truth, animal))
    assert metrics["constant_guess"]["outcome"] == "not better"
    assert metrics["weak_spots"][0].startswith("NOT better than a constant guess")


def test_a_model_hardly_better_is_unclear(make, animal):
    truth = varied(make, pictures=12)
    noise = next(
        noise
        for noise in np.arange(14.6, 10, -0.1)
        if evaluate(truth, make.noisy(truth, noise), animal, mean_pose=mean_pose(truth, animal))["constant_guess"][
            "outcome"
        ]
        == "better"
    )
    metrics = evaluate(truth, make.noisy(truth, noise), animal, mean_pose=mean_pose(truth, animal), draws=300)
    assert metrics["constant_guess"]["outcome"] == "unclear"
    assert metrics["weak_spots"][0].startswith("Not clearly better")


@pytest.mark.parametrize(
    ("pck", "median_px", "difference", "expected"),
    [
        (0.8, 5.0, None, "better"),
        (0.8, 5.0, [0.1, 0.5], "better"),
        (0.8, 5.0, [-0.1, 0.5], "unclear"),
        (0.5, 5.0, None, "not better"),
        (0.8, 10.0, None, "not better"),
        (0.4, 5.0, None, "not better"),
        (0.8, 12.0, None, "not better"),
        (0.0, None, None, "not better"),
    ],
)
def test_outcome_by_hand(pck, median_px, difference, expected):
    guess = {"PCK@0.1": 0.5, "median_px": 10.0}
    assert outcome({"PCK@0.1": pck, "median_px": median_px}, guess, difference) == expected


def test_the_guess_itself_is_not_better_than_the_guess(make, animal):
    truth = varied(make)
    pose = mean_pose(truth, animal)
    metrics = evaluate(truth, constant_results(truth, pose, animal), animal, mean_pose=pose, draws=50)
    assert metrics["constant_guess"]["outcome"] == "not better"
