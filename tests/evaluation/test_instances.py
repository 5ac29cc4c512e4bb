"""Which prediction belongs to which animal."""

import numpy as np
import pytest

from equistera.evaluation.instances import instance_oks, keypoint_similarity, pair


def two_in_one_picture(make):
    truth, other = make.truth(1), make.truth(1, shift=(300.0, 50.0))
    truth["annotations"].append({**other["annotations"][0], "id": 2})
    return truth


def test_best_oks_decides(make, animal):
    truth = two_in_one_picture(make)
    results = [make.result(1, make.moved(303, 50), score=0.2), make.result(1, make.pose + 1, score=0.9)]
    animals = pair(truth, results, animal)
    np.testing.assert_allclose(animals.error_px[0], np.sqrt(2))
    np.testing.assert_allclose(animals.error_px[1], 3)
    assert animals.extra == 0


def test_annotation_id_decides_over_nearness(make, animal):
    truth = two_in_one_picture(make)
    results = [make.result(1, make.pose, ann_id=2), make.result(1, make.moved(300, 50), ann_id=1)]
    np.testing.assert_allclose(pair(truth, results, animal).error_px, np.hypot(300, 50))


def test_far_predictions_go_to_the_nearer_animal(make, animal):
    """Both OKS values are 0 in floating point, so the distance decides."""
    truth = two_in_one_picture(make)
    results = [make.result(1, make.moved(9300, 50)), make.result(1, make.pose - 9000)]
    animals = pair(truth, results, animal)
    assert animals.oks.tolist() == [0, 0]
    np.testing.assert_allclose(animals.error_px[1], 9000)


def test_missed_and_extra(make, animal):
    truth = make.truth(3)
    results = [make.result(1), make.result(1, make.pose + 5), make.result(2)]
    animals = pair(truth, results, animal)
    assert animals.missed.tolist() == [False, False, True]
    assert animals.extra == 1
    assert np.isinf(animals.error_px[2]).all()
    assert animals.oks[2] == 0
    assert animals.error_px[0].max() == 0, "of two predictions the better one counts"


def test_other_categories_do_not_match(make, animal):
    truth = make.truth(1)
    truth["categories"].append({"id": 2, "name": "pony", "keypoints": list(animal.names)})
    animals = pair(truth, [make.result(1) | {"category_id": 2}], animal)
    assert animals.missed.tolist() == [True]
    assert animals.extra == 1


def test_predictions_on_crowds_are_extra_but_no_animal(make, animal):
    truth = make.truth(2)
    truth["annotations"][0]["iscrowd"] = 1
    animals = pair(truth, [make.result(1, ann_id=1), make.result(2, ann_id=2)], animal)
    assert animals.ann_ids.tolist() == [2]


def test_similarity_by_hand():
    # d^2 / (2 area (2 sigma)^2) = 100 / (2 * 400 * 0.04) = 3.125 and 36 / 32 = 1.125
    found = keypoint_similarity(np.array([[10.0, 6.0]]), np.array([400.0]), np.array([0.1, 0.1]))
    np.testing.assert_allclose(found, [[np.exp(-3.125), np.exp(-1.125)]])


def test_oks_takes_labelled_points_only():
    error = np.array([[0.0, 1e6], [0.0, 0.0]])
    labelled = np.array([[True, False], [False, False]])
    found = instance_oks(error, labelled, np.array([100.0, 100.0]), np.array([0.1, 0.1]))
    assert found[0] == pytest.approx(1)
    assert np.isnan(found[1])
