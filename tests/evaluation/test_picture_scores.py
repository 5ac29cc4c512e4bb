"""Metrics under weights against evaluating a data set in which pictures are really repeated."""

import copy

import numpy as np
import pytest
from test_average_precision import messy_data

from equistera.evaluation.average_precision import coco_ap, run_cocoeval
from equistera.evaluation.bootstrap import METRICS, draw_weights, picture_order, resampled
from equistera.evaluation.instances import pair
from equistera.evaluation.metrics import evaluate


def scores_of(truth, results, animal):
    """A function from weights to the metrics and every keypoint's PCK, and the ids of the pictures."""
    animals, cocoeval = pair(truth, results, animal), run_cocoeval(truth, results, animal)
    return lambda weights: resampled(animals, cocoeval, weights), picture_order(animals)


def repeated(truth, results, ids, weights):
    """The brute force: a data set that holds every picture as often as its weight says, under new ids."""
    images, annotations, predictions = [], [], []
    for image_id, times in zip(ids, weights, strict=True):
        for _ in range(times):
            new = len(images) + 1
            images.append({"id": new})
            for ann in truth["annotations"]:
                if ann["image_id"] == image_id:
                    annotations.append({**copy.deepcopy(ann), "image_id": new, "id": len(annotations) + 1})
            predictions += [{**result, "image_id": new} for result in results if result["image_id"] == image_id]
    return {**truth, "images": images, "annotations": annotations}, predictions


@pytest.mark.parametrize("seed", range(3))
def test_equals_brute_force(make, animal, seed):
    truth, results = messy_data(make, seed)
    rng = np.random.default_rng(seed)
    for result in results:
        # equal scores inside one picture have no order of their own: repeating the picture would change it
        result["score"] = round(float(rng.random()), 2) + 1e-6 * rng.random()
    scores, ids = scores_of(truth, results, animal)
    weights = draw_weights(ids, samples=6, seed=seed)
    found, pck = scores(weights)
    for b, weight in enumerate(weights):
        expected = evaluate(*repeated(truth, results, ids, weight), animal)
        for name in METRICS:
            assert found[name][b] == pytest.approx(expected[name], abs=1e-9), (name, b)
        names = expected["per_keypoint"]
        np.testing.assert_allclose(pck[b], [names[name]["PCK@0.1"] for name in animal.names])


def test_equal_scores_in_different_pictures(make, animal):
    """The constant guess has confidence 1 everywhere; COCO then keeps the order of the pictures."""
    truth = make.truth(10)
    results = [{**result, "score": 1.0} for result in make.noisy(truth, 12)]
    for result in results:
        del result["ann_id"]
    scores, ids = scores_of(truth, results, animal)
    weights = draw_weights(ids, samples=20, seed=1)
    expected = [coco_ap(*repeated(truth, results, ids, weight), animal)["AP"] for weight in weights]
    np.testing.assert_allclose(scores(weights)[0]["AP"], expected, atol=1e-9)


def test_weights_of_one_give_the_metrics_themselves(make, animal):
    truth, results = messy_data(make, 5)
    scores, ids = scores_of(truth, results, animal)
    found, _ = scores(np.ones((1, len(ids)), dtype=int))
    metrics = evaluate(truth, results, animal)
    for name in METRICS:
        assert found[name][0] == pytest.approx(metrics[name], abs=1e-9)


def test_draws_in_parts_equal_draws_at_once(make, animal, monkeypatch):
    truth, results = messy_data(make, 6)
    scores, ids = scores_of(truth, results, animal)
    weights = draw_weights(ids, samples=25)
    at_once, _ = scores(weights)
    monkeypatch.setattr("equistera.evaluation.bootstrap._CHUNK", 300)
    in_parts, _ = scores(weights)
    for name in METRICS:
        np.testing.assert_array_equal(at_once[name], in_parts[name])


def test_a_draw_without_animals_is_nan(make, animal):
    truth = make.truth(2)
    truth["annotations"].pop()
    scores, _ = scores_of(truth, [make.result(1)], animal)
    found, _ = scores(np.array([[0, 2], [1, 1]]))
    assert np.isnan([found[name][0] for name in METRICS]).all()
    assert found["AP"][1] == pytest.approx(1)
