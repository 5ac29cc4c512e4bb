"""The rules of ``--recommend``."""

import dataclasses

import pytest

from equistera.errors import UserError
from equistera.training.recommend import AUGMENTATION, BATCH, SMALLEST, Case, recommend

#: HRNet-W32 on two cores: 0.8 s for a step of 16 crops of 128 pixels.
CASE = Case(
    budget=600, start_up=15, step=0.8, measured=128, side=256, stride=32, sigma=2, batch=16, animals=71,
    augmentations=("aggressive", "balanced", "light"), shrinks=True,
)  # fmt: skip


def advised(**changes):
    return recommend(dataclasses.replace(CASE, **changes))


def test_few_steps_get_a_small_input_and_light_augmentation():
    advice = advised()
    assert advice.entries == {
        "codec.input_size": "(128,128)",
        "codec.heatmap_size": "(32,32)",
        "codec.sigma": "1.5",
        AUGMENTATION: "light",
    }
    assert [line.partition(":")[0] for line in advice.lines] == ["input", "batch", "augmentation", "learning rate"]


def test_the_input_is_the_largest_with_a_thousand_steps():
    assert advised(budget=1200).entries["codec.input_size"] == "(128,128)"
    assert advised(budget=3000).entries["codec.input_size"] == "(224,224)"
    assert advised(budget=7200).entries == {}


def test_the_batch_is_halved_where_there_are_too_few_steps_to_learn_anything():
    assert BATCH not in advised().entries
    assert advised(budget=120).entries[BATCH] == "8"
    assert advised(animals=5).entries[BATCH] == "5"


def test_what_was_given_stays():
    advice = advised(given={"codec.input_size", BATCH, AUGMENTATION})
    assert advice.entries == {}
    assert sum("as --cfg-options says" in line for line in advice.lines) == 3
    assert AUGMENTATION not in advised(given={"strategy.phases.0.augmentation"}).entries


def test_networks_that_nobody_measured_keep_their_input():
    assert set(advised(shrinks=False, measured=256).entries) == {AUGMENTATION}
    assert advised(side=SMALLEST).entries == {AUGMENTATION: "light"}


def test_no_time_for_a_step():
    with pytest.raises(UserError, match="no time to learn"):
        advised(budget=16)
