"""Curves through few points, and whether their intervals hold what they promise."""

import numpy as np
import pytest

from equistera.errors import UserError
from equistera.labelling.power_law import MOST, fit

SIZES = np.repeat([100, 200, 400], 3)


def covered(truth, draws=40):
    """Share of made-up curves whose error at 1,600 lies in the 95 % interval that three sizes give."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(draws):
        curve = truth(rng)
        noise = np.exp(rng.normal(0, rng.uniform(0.01, 0.06), len(SIZES) + 1))
        runs = fit(SIZES, curve(SIZES) * noise[:-1]).runs([1600])[:, 0]
        low, high = np.percentile(runs, [2.5, 97.5])
        hits += low <= curve(1600) * noise[-1] <= high
    return hits / draws


def law(rng):
    level, rest, exponent = rng.uniform(0.3, 0.9), rng.uniform(0, 0.3), rng.uniform(0.15, 0.9)
    return lambda n: level * (rest + (1 - rest) * (np.asarray(n) / 100) ** -exponent)


def late(rng):
    """Falls slowly at first, as few pictures do."""
    level, exponent, onset = rng.uniform(0.3, 0.9), rng.uniform(0.2, 0.9), rng.uniform(50, 300)
    return lambda n: level * (1 + np.asarray(n) / onset) ** -exponent


def no_law(rng):
    """A straight line over doublings, which is no power law."""
    level = rng.uniform(0.4, 0.9)
    slope = level * rng.uniform(0.02, 0.18)
    return lambda n: level - slope * np.log2(np.asarray(n) / 100)


@pytest.mark.parametrize("truth", [law, late, no_law])
def test_intervals_hold_what_came(truth):
    assert covered(truth) >= 0.9


def test_an_interval_says_more_than_nothing():
    errors = 0.6 * (SIZES / 100) ** -0.5
    runs = fit(SIZES, errors * (1 + 0.01 * np.tile([-1, 0, 1], 3))).runs([1600])[:, 0]
    low, high = np.percentile(runs, [2.5, 97.5])
    assert low < 0.15 < high
    # at 400 it is 0.3: better is sure, twice as good is not excluded
    assert 0.05 < low < high < 0.27


def test_more_sizes_and_nearer_ones_are_surer():
    sizes = np.repeat([100, 200, 400, 800], 3)
    widths = [
        np.ptp(np.percentile(fit(n, 0.6 * (n / 100) ** -0.4).runs([1600])[:, 0], [2.5, 97.5])) for n in (SIZES, sizes)
    ]
    assert widths[1] < 0.7 * widths[0]
    runs = fit(SIZES, 0.6 * (SIZES / 100) ** -0.4).runs([500, 5000])
    near, far = np.ptp(np.percentile(runs, [2.5, 97.5], axis=0), axis=0)
    assert near < far


def test_where_it_is_flat():
    flat = fit(SIZES, np.full(9, 0.2) * (1 + 0.01 * np.tile([-1, 0, 1], 3))).flat_from(0.005)
    assert np.median(flat) < 400
    steep = fit(SIZES, 0.9 * (SIZES / 100) ** -0.3).flat_from(0.005)
    # the derivative of 0.9 (n / 100)^-0.3 is -0.005 / 100 at 1,400
    assert 800 < np.median(steep) < 3000
    assert np.median(fit(SIZES, 0.9 * (SIZES / 100) ** -0.3).flat_from(1e-9)) == MOST


def test_the_same_points_give_the_same_curve_in_any_order():
    errors = 0.6 * (SIZES / 100) ** -0.4
    turned = fit(SIZES[::-1], errors[::-1])
    assert np.array_equal(fit(SIZES, errors).runs([1600]), turned.runs([1600]))


@pytest.mark.parametrize(("sizes", "errors"), [([100, 100], [0.5, 0.4]), ([100, 200], [0.5, 0.0])])
def test_what_gives_no_curve_is_refused(sizes, errors):
    with pytest.raises(UserError, match="learning curve needs"):
        fit(sizes, errors)
