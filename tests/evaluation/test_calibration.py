"""Calibration on made-up predictions whose calibration is known."""

from dataclasses import asdict

import numpy as np
import pytest

from equistera.errors import UserError
from equistera.evaluation.calibration import (
    Calibration,
    confidence_and_correctness,
    expected_calibration_error,
    fit,
    reliability,
    summarise_calibration,
)
from equistera.evaluation.instances import pair


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def made_up(temperature=1.0, bias=0.0, count=40_000, seed=0):
    """Points right with probability p, and the confidence of a model that this calibration would put right."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0.5, 1.2, count)
    correct = rng.random(count) < sigmoid(z)
    return sigmoid(temperature * z - bias), correct


def test_error_by_hand():
    """Ten points at 0.9 of which 6 are right, ten at 0.25 of which 3 are: 0.5 * 0.3 + 0.5 * 0.05."""
    confidence = np.repeat([0.9, 0.25], 10)
    correct = np.repeat([True, False, True, False], [6, 4, 3, 7])
    curve = reliability(confidence, correct)
    assert [entry["points"] for entry in curve] == [0, 0, 10, 0, 0, 0, 0, 0, 0, 10]
    assert curve[9]["correct"] == pytest.approx(0.6)
    assert curve[9]["confidence"] == pytest.approx(0.9)
    assert curve[0]["correct"] is None
    assert expected_calibration_error(curve) == pytest.approx(0.175)


def test_edges_of_the_bins():
    curve = reliability(np.array([0.0, 1.0, 1.3, -0.2, 0.5]), np.ones(5, dtype=bool))
    assert [entry["points"] for entry in curve] == [2, 0, 0, 0, 0, 1, 0, 0, 0, 2]


def test_a_calibrated_model_has_no_error():
    assert expected_calibration_error(reliability(*made_up())) < 0.01


@pytest.mark.parametrize(("temperature", "bias"), [(1.0, 0.0), (2.5, 0.0), (0.5, 0.0), (1.5, 1.0), (1.0, -0.7)])
def test_fit_finds_what_was_put_in(temperature, bias):
    found = fit(*made_up(temperature, bias))
    assert found.temperature == pytest.approx(temperature, rel=0.05)
    assert found.bias == pytest.approx(bias, abs=0.06)


def test_fit_on_one_half_puts_the_other_half_right():
    val, test = made_up(3.0, 0.5, seed=1), made_up(3.0, 0.5, seed=2)
    summary = summarise_calibration(*test, fit(*val))
    assert summary["ECE"] > 0.1
    assert summary["ECE_calibrated"] < 0.015


def test_order_of_the_points_stays():
    scores = np.linspace(0.01, 0.99, 50)
    assert (np.diff(Calibration(2.0, -1.0).apply(scores)) > 0).all()


def test_without_a_calibration_nothing_changes():
    scores = np.linspace(0.01, 0.99, 50)
    np.testing.assert_allclose(Calibration().apply(scores), scores, atol=1e-12)


def test_raw_maxima_outside_0_to_1_stay_probabilities():
    applied = Calibration(1.5, 0.2).apply(np.array([-0.5, 0.0, 1.0, 1.7]))
    assert ((applied > 0) & (applied < 1)).all()


@pytest.mark.parametrize("right", [True, False])
def test_nothing_but_right_or_wrong_points(right):
    found = fit(np.random.default_rng(0).uniform(0.3, 0.9, 500), np.full(500, right))
    applied = found.apply(np.array([0.3, 0.9]))
    # 500 of 500: Platt's estimate is 501 of 502, not certainty
    np.testing.assert_allclose(applied if right else 1 - applied, 501 / 502, atol=5e-4)


def test_confidence_that_is_the_same_everywhere():
    correct = np.arange(400) % 4 > 0
    assert fit(np.full(400, 0.99), correct).apply(np.array([0.99])) == pytest.approx(0.75, abs=0.01)


def test_confidence_that_is_upside_down_becomes_the_mean():
    scores, correct = made_up()
    applied = fit(1 - scores, correct).apply(1 - scores)
    assert np.ptp(applied) < 0.05
    assert applied.mean() == pytest.approx(correct.mean(), abs=0.01)


def test_too_few_points_fit_nothing():
    assert fit(np.full(49, 0.5), np.ones(49, dtype=bool)) is None
    assert expected_calibration_error(reliability(np.array([]), np.array([], dtype=bool))) is None


def test_which_points_count(make, animal):
    """Not labelled and not predicted points are left out; correct is an error below 20 px in a box of 200."""
    truth = make.truth(2, visibility=(0, 1, 2, 2, 2))
    points = make.pose.copy()
    points[1, 0] += 19
    points[2, 0] += 21
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    animals = pair(truth, [make.result(1, points, scores)], animal)
    confidence, correct = confidence_and_correctness(animals)
    assert confidence.tolist() == [0.2, 0.3, 0.4, 0.5]
    assert correct.tolist() == [True, False, True, True]


def test_json_round_trip():
    calibration = Calibration(1.7, -0.3)
    assert Calibration.from_json(asdict(calibration)) == calibration


@pytest.mark.parametrize(
    "content", [None, [], {}, {"temperature": 0, "bias": 0}, {"temperature": 1}, {"temperature": "1", "bias": 0}]
)
def test_something_else_than_a_calibration(content):
    with pytest.raises(UserError, match="a calibration must be"):
        Calibration.from_json(content)
