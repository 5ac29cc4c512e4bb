import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equistera.errors import UserError
from equistera.training.scaling import scale_lr, share_update


@pytest.mark.parametrize(
    ("optimizer", "batch", "factor"),
    [
        ("AdamW", 16, 1.0),
        ("AdamW", 32, 1.41421356),
        ("AdamW", 64, 2.0),
        ("Adam", 4, 0.5),
        ("RMSprop", 1, 0.25),
        ("SGD", 64, 4.0),
        ("SGD", 8, 0.5),
    ],
)
def test_rules(optimizer, batch, factor):
    assert scale_lr(optimizer, 0.004, 0.004, batch).factor == pytest.approx(factor)


def test_the_users_lr_and_the_batch_both_count():
    scaling = scale_lr("AdamW", 0.002, 0.004, 64)
    assert scaling.factor == pytest.approx(1.0)
    assert scaling.explain() == (
        "x 1: 0.5 for optimizer.lr 0.002 instead of 0.004, 2 for batch 64 instead of 16 (square root rule)"
    )


def test_explanations():
    assert scale_lr("AdamW", 0.004, 0.004, 16).explain() == (
        "x 1: batch 16 and optimizer.lr 0.004, which the strategy is written for"
    )
    assert scale_lr("AdamW", 0.0005, 0.0005, 32).explain() == (
        "x 1.41: 1.41 for batch 32 instead of 16 (square root rule)"
    )
    assert scale_lr("AdamW", 0.0005, 0.0005, 32, enabled=False).explain() == (
        "x 1: 1 for batch 32 instead of 16 (not scaled)"
    )


def test_another_reference():
    assert scale_lr("SGD", 0.1, 0.1, 64, reference_batch=64).factor == 1.0


def test_switched_off():
    assert scale_lr("AdamW", 0.001, 0.004, 64, enabled=False).factor == pytest.approx(0.25)


def test_unknown_optimiser():
    assert scale_lr("Lion", 0.004, 0.004, 16).factor == 1.0
    assert scale_lr("Lion", 0.004, 0.004, 64, enabled=False).factor == 1.0
    with pytest.raises(UserError, match=r"no rule is known .* Lion") as error:
        scale_lr("Lion", 0.004, 0.004, 64)
    assert "strategy.scale_lr_with_batch=False optim_wrapper.optimizer.lr=0.004" in error.value.hint


@given(st.integers(1, 4096), st.integers(1, 4096))
def test_batches_of_batches(first, second):
    """Twice scaled is once scaled, so that two processes with half the batch each are as one."""
    whole = scale_lr("AdamW", 0.004, 0.004, first * second).factor
    parts = scale_lr("AdamW", 0.004, 0.004, first).factor * scale_lr("AdamW", 0.004, 0.004, second, 1).factor
    assert math.isclose(whole, parts)


@given(st.integers(1, 300), st.integers(1, 64), st.integers(1, 16))
def test_processes_share_an_update_or_do_not(samples, batch, processes):
    shared = share_update(samples, batch, processes)
    if shared is None:
        own, left = divmod(samples, processes)
        # there is no size between half of what fits and all of it
        assert left or not any(own % size == 0 for size in range(-(-min(batch, own) // 2), min(batch, own) + 1) if size)
    else:
        size, steps = shared
        assert size * steps * processes == samples
        assert size <= batch


def test_an_update_is_shared_by_as_large_batches_as_fit():
    assert share_update(32, 16, 1) == (16, 2)
    assert share_update(16, 16, 2) == (8, 1)
    assert share_update(64, 16, 4) == (16, 1)
    assert share_update(24, 16, 1) == (12, 2)
    assert share_update(32, 16, 3) is None
    assert share_update(17, 16, 1) is None
