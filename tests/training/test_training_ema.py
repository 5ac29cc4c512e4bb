import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equistera.training.ema import Ema, make_ema


def test_the_decay_follows_from_the_length():
    assert make_ema({}, 12_000).half_life == 240
    assert make_ema({}, 12_000).decay == pytest.approx(0.99711604)
    assert make_ema({}, 400).decay == pytest.approx(0.91700404)
    assert make_ema({}, 1_000_000).half_life == 3500
    assert make_ema({"share": 0.1, "at_most": 50}, 400).half_life == 40
    assert make_ema({"share": 0.1, "at_most": 50}, 4000).half_life == 50
    assert make_ema(None, 12_000) is None


def test_early_steps_are_averaged_quickly():
    ema = make_ema({}, 12_000)
    decays = [ema.decay_at(step) for step in (0, 1, 9, 90, 3000, 3101, 3111, 11_999)]
    # 1/10, 2/11, 10/19, 91/100, 3001/3010, then the half-life's
    expected = [0.1, 0.18181818, 0.52631579, 0.91, 0.99700997, 0.99710704, 0.99711604, 0.99711604]
    assert decays == pytest.approx(expected)
    assert ema.start_steps == 3111


def test_half_of_the_weight_is_gone_after_the_half_life():
    ema, late = Ema(25.0), 10_000
    assert math.prod(ema.decay_at(late + step) for step in range(25)) == pytest.approx(0.5)


@given(st.integers(1, 200_000))
def test_the_shipped_average_leaves_its_start_in_a_run_of_any_length(total):
    ema = make_ema({}, total)
    assert ema.start_steps < max(1, 0.3 * total)


@given(st.floats(0.01, 5000), st.integers(0, 20_000))
def test_a_decay_that_only_rises_up_to_the_half_lifes(half_life, step):
    ema = Ema(half_life)
    assert 0 <= ema.decay_at(step) <= ema.decay_at(step + 1) <= ema.decay < 1
    if step >= ema.start_steps:
        assert ema.decay_at(step + 1) == ema.decay
