"""Two checkpoints, or parts of them, compared."""

import pytest
import torch

from equistera.mm.network import checkpoint


def content(**changes):
    state = {"weight": torch.tensor([1.0, 2.0]), "steps": 3, "groups": [{"lr": 0.1}, (1, None)]}
    return {**state, **changes}


def test_equal_is_equal_in_every_part():
    assert checkpoint.equal(content(), content())
    assert checkpoint.equal(None, None)


@pytest.mark.parametrize(
    "other",
    [
        content(weight=torch.tensor([1.0, 2.0 + 2**-22])),
        content(weight=torch.tensor([1.0, 2.0], dtype=torch.float64)),
        content(weight=torch.tensor([1.0, 2.0, 3.0])),
        content(weight=[1.0, 2.0]),
        content(steps=4),
        content(steps=torch.tensor(3)),
        content(groups=[{"lr": 0.1}]),
        content(groups=[{"lr": 0.1}, [1, None]]),
        content(groups=({"lr": 0.1}, (1, None))),
        content(more=1),
        None,
    ],
)
def test_one_difference_anywhere_is_found(other):
    assert not checkpoint.equal(content(), other)
    assert not checkpoint.equal(other, content())
