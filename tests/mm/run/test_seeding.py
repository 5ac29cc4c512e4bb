"""What a step draws follows from its seed, on every device that is in use."""

import random

import numpy as np
import pytest
import torch

from equistera.mm.run.loop import seed_step


def drawn(seed, rank, step):
    seed_step(seed, rank, step)
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_a_step_draws_what_it_always_drew():
    assert drawn(1, 2, 3) == drawn(1, 2, 3)
    assert len({drawn(1, 2, 3), drawn(0, 2, 3), drawn(1, 0, 3), drawn(1, 2, 0)}) == 4
    ours = drawn(1, 2, 3)
    # as torch seeds itself: earlier runs drew so
    torch.manual_seed(int(np.random.SeedSequence((1, 2, 3)).generate_state(3)[2]))
    assert ours[2] == float(torch.rand(()))


@pytest.mark.parametrize("in_use", [True, False])
def test_only_devices_that_are_in_use_are_seeded(monkeypatch, in_use):
    """torch keeps a seed for a device that is not in use, with the stack of who gave it, which takes its time."""
    seeded = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: in_use)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    monkeypatch.setattr(torch.xpu, "manual_seed_all", lambda seed: pytest.fail("not in use"))
    seed_step(1, 2, 3)
    assert seeded == ([int(np.random.SeedSequence((1, 2, 3)).generate_state(3)[2])] if in_use else [])
