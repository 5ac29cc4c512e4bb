"""The rules of ``--recommend``."""

import dataclasses

import pytest

from equistera.errors import UserError
from equistera.training.recommend import AUGMENTATION, BATCH, SMALLEST, Case, recommend

#: HRNet-W32 on two fast cores: seconds of a step of 16 crops of 64 and of 128 pixels.
CASE = Case(
    budget=600, start_up=15, step={64: 0.6, 128: 1.5}, side=256, stride=32, sigma=2, batch=16, animals=71,
    augmentations=("aggressive", "balanced", "light"), shrinks=True, plain=True,
)  # fmt: skip


def advised(**changes):
    return recommend(dataclasses.replace(CASE, **changes))


def test_few_steps_get_a_small_input_and_light_augmentation():
    advice = advised()
    assert advice.entries == {
        "codec.input_size": "(64,64)",
        "codec.heatmap_size": "(16,16)",
        "codec.sigma": "1",
        "codec.type": "UDPHeatmap",
        AUGMENTATION: "light",
    }
    names = [line.partition(":")[0] for line in advice.lines]
    assert names == ["input", "heatmaps", "batch", "augmentation", "learning rate"]


def test_the_input_is_the_largest_with_a_thousand_steps():
    assert advised(budget=1300).entries["codec.input_size"] == "(96,96)"
    assert advised(budget=1300).entries["codec.sigma"] == "1.25"
    assert advised(budget=4000).entries["codec.input_size"] == "(192,192)"
    assert advised(budget=14400).entries == {"codec.type": "UDPHeatmap"}


def test_a_step_costs_what_two_sides_say():
    assert CASE.seconds(64) == 0.6
    assert CASE.seconds(128) == 1.5
    assert CASE.seconds(256) == pytest.approx(5.1)
    assert dataclasses.replace(CASE, step={128: 1.0}).seconds(256) == 4.0
    # noise must not make a larger input cheaper
    assert dataclasses.replace(CASE, step={64: 1.0, 128: 0.9}).seconds(256) == 1.0


def test_the_batch_is_halved_where_there_are_too_few_steps_to_learn_anything():
    assert BATCH not in advised().entries
    assert advised(budget=120).entries[BATCH] == "8"
    assert advised(animals=5).entries[BATCH] == "5"


def test_what_was_given_stays():
    advice = advised(given={"codec.input_size", "codec.unbiased", BATCH, AUGMENTATION})
    assert advice.entries == {}
    assert sum("as --cfg-options says" in line for line in advice.lines) == 3
    # the whole codec, or a part of a size
    assert set(advised(given={"codec", BATCH}).entries) == {AUGMENTATION}
    assert set(advised(given={"codec.input_size.0", BATCH}).entries) == {"codec.type", AUGMENTATION}
    assert AUGMENTATION not in advised(given={"strategy.phases.0.augmentation"}).entries


def test_networks_that_nobody_measured_keep_their_input():
    assert set(advised(shrinks=False, plain=False, step={256: 1.5}).entries) == {AUGMENTATION}
    assert advised(side=SMALLEST, plain=False).entries == {AUGMENTATION: "light"}


def test_no_time_for_a_step():
    with pytest.raises(UserError, match="no time to learn"):
        advised(budget=16)
