"""AP against pycocotools called by hand, and what stands in for its -1."""

import contextlib
import copy
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from equistera.errors import UserError
from equistera.evaluation.average_precision import AP_NAMES, coco_ap, instance_score


def by_hand(truth, results, sigmas):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(truth)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(copy.deepcopy(results)), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(AP_NAMES, evaluation.stats, strict=True))


def messy_data(make, seed):
    """Several animals a picture, hidden points, crowds, two categories, false alarms, misses, equal scores."""
    rng = np.random.default_rng(seed)
    truth = make.truth(12)
    truth["categories"].append({"id": 7, "name": "pony", "keypoints": list(make.skeleton.names)})
    annotations, results = [], []
    for image in truth["images"]:
        for _ in range(rng.integers(0, 4)):
            scale, place = rng.uniform(0.2, 2), rng.uniform(0, 200, 2)
            points = np.reshape(make.truth(1)["annotations"][0]["keypoints"], (-1, 3))
            points[:, :2] = points[:, :2] * scale + place
            points[:, 2] = rng.integers(0, 3, 5)
            category = int(rng.choice([1, 7]))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": category,
                    "bbox": [*place, 200 * scale, 100 * scale],
                    "area": float(20000 * scale**2 * rng.uniform(0.4, 1)),
                    "iscrowd": int(rng.random() < 0.1),
                    "num_keypoints": int(np.count_nonzero(points[:, 2])),
                    "keypoints": points.reshape(-1).tolist(),
                }
            )
            if rng.random() < 0.85:
                guess = points[:, :2] + rng.normal(0, 8 * scale, (5, 2))
                results.append(make.result(image["id"], guess, score=float(rng.choice([0.5, 0.7, 0.9]))))
                results[-1]["category_id"] = category
        if rng.random() < 0.4:
            results.append(make.result(image["id"], rng.uniform(0, 400, (5, 2)), score=float(rng.random())))
    return {**truth, "annotations": annotations}, results


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("with_boxes", [False, True])
def test_equals_cocoeval_called_by_hand(make, animal, seed, with_boxes):
    truth, results = messy_data(make, seed)
    if with_boxes:
        results = [{**result, "bbox": [10.0, 10.0, 50.0, 40.0]} for result in results]
    expected = by_hand(truth, results, [0.05, 0.06, 0.06, 0.07, 0.08])
    found = coco_ap(truth, results, animal)
    assert found == {name: None if value < 0 else pytest.approx(value, abs=1e-9) for name, value in expected.items()}


def test_keypoints_in_another_order_are_put_right(make, animal):
    truth = make.truth(4)
    results = make.noisy(truth, 5)
    expected = coco_ap(truth, results, animal)
    order = [4, 2, 0, 1, 3]
    truth["categories"][0]["keypoints"] = [animal.names[i] for i in order]
    for ann in truth["annotations"]:
        ann["keypoints"] = np.reshape(ann["keypoints"], (-1, 3))[order].reshape(-1).tolist()
    assert coco_ap(truth, results, animal) == expected


def test_annotation_id_zero_counts(make, animal):
    truth = make.truth(1, first_id=0)
    results = [make.result(0)]
    assert by_hand(truth, results, animal.sigmas)["AP"] == 0, "COCO's own defect, which must not be ours"
    assert coco_ap(truth, results, animal)["AP"] == pytest.approx(1)


def test_minus_one_becomes_none(make, animal):
    truth = make.truth(3)
    metrics = coco_ap(truth, [make.result(i) for i in (1, 2, 3)], animal)
    assert metrics["AP_L"] == metrics["AP"] == pytest.approx(1)  # an area of 10000 is above 96^2: all are large
    assert metrics["AP_M"] is None
    assert metrics["AR_M"] is None


def test_prints_nothing_and_changes_nothing(make, animal, capsys):
    truth = make.truth(3)
    results = make.noisy(truth, 5)
    before = copy.deepcopy((truth, results))
    coco_ap(truth, results, animal)
    assert (truth, results) == before
    assert capsys.readouterr() == ("", "")


def test_no_predictions_is_an_error(make, animal):
    with pytest.raises(UserError, match="no predictions to score"):
        coco_ap(make.truth(2), [], animal)


def test_nothing_labelled_is_an_error(make, animal):
    with pytest.raises(UserError, match="nothing to score: none of 2 annotations"):
        coco_ap(make.truth(2, visibility=(0, 0, 0, 0, 0)), [make.result(1)], animal)


@pytest.mark.parametrize(
    ("scores", "bbox_score", "expected"),
    [([0.9, 0.5, 0.1], 1.0, 0.7), ([0.9, 0.5, 0.2], 0.5, 0.35), ([0.2, 0.1, 0.0], 1.0, 0.0)],
)
def test_instance_score_leaves_unsure_keypoints_out(scores, bbox_score, expected):
    assert instance_score(np.array(scores), bbox_score) == pytest.approx(expected)
