"""Draws, intervals and p-values against distributions that are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equistera.errors import UserError
from equistera.evaluation.bootstrap import draw_weights, interval, paired_p_value, weighted_median


def test_every_draw_holds_as_many_pictures_as_there_are():
    weights = draw_weights(range(30), samples=200, seed=3)
    assert weights.shape == (200, 30)
    assert (weights.sum(axis=1) == 30).all()
    # the weight of one picture is binomial(30, 1/30): variance 29/30
    assert weights.var() == pytest.approx(29 / 30, abs=0.05)


def test_the_same_seed_gives_the_same_draws():
    first, again, other = (draw_weights(range(9), samples=5, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_groups_are_drawn_whole():
    groups = {1: "a", 2: "a", 3: "b", 4: "c", 5: "b"}
    weights = draw_weights([1, 2, 3, 4, 5], groups, samples=100)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 2] == weights[:, 4]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_pictures_without_a_group_are_named():
    with pytest.raises(UserError, match="pictures without a group:\n  - 2"):
        draw_weights([1, 2], {1: "a"})


def test_no_draws():
    with pytest.raises(UserError, match="at least 1, found 0"):
        draw_weights([1], samples=0)


def test_interval_of_a_mean_has_the_normal_width():
    """The mean of n values of standard deviation s wanders by s / sqrt(n): 1.96 of that to both sides."""
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = interval(draw_weights(range(400), samples=4000) @ values / 400)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)


def test_intervals_hold_the_truth_95_times_of_100():
    rng = np.random.default_rng(1)
    truth, covered = 0.7, 0
    for trial in range(400):
        right = rng.random(80) < truth
        low, high = interval(draw_weights(range(80), samples=400, seed=trial) @ right / 80)
        covered += low <= truth <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_p_values_are_uniform_between_equal_models():
    """Two models that are equally good: p below 0.05 in 5 of 100 comparisons."""
    rng = np.random.default_rng(2)
    p = []
    for trial in range(400):
        difference = rng.normal(0, 1, 60)
        p.append(paired_p_value(draw_weights(range(60), samples=400, seed=trial) @ difference / 60))
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.09
    assert np.mean(p) == pytest.approx(0.5, abs=0.05)


def test_p_value_by_hand():
    assert paired_p_value(np.array([1.0, 2.0, -1.0, 3.0])) == 2 * (1 + 1) / (4 + 1)
    assert paired_p_value(np.zeros(10)) == 1
    assert paired_p_value(np.ones(99)) == pytest.approx(0.02)
    assert paired_p_value(np.array([np.nan])) is None


def test_interval_by_hand():
    assert interval(np.arange(101.0)) == [pytest.approx(2.5), pytest.approx(97.5)]


def test_interval_leaves_empty_draws_out():
    assert interval(np.array([np.nan, 2.0, 2.0])) == [2, 2]
    assert interval(np.array([np.nan])) is None


@settings(max_examples=100)
@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=12),
    st.integers(0, 2**32 - 1),
)
def test_weighted_median_equals_the_median_of_repeated_values(values, seed):
    values = np.sort(values)
    weights = np.random.default_rng(seed).integers(0, 4, (3, len(values)))
    found = weighted_median(values, weights)
    for result, weight in zip(found, weights, strict=True):
        repeated = np.repeat(values, weight)
        assert np.isnan(result) if not repeated.size else result == pytest.approx(np.median(repeated))
