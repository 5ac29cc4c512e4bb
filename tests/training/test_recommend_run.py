"""The rules of ``tools/recommend.py``."""

import dataclasses

import pytest

from equistera.errors import UserError
from equistera.training.recommend_run import (
    FROM_MANY,
    FULL,
    LEAST_STEPS,
    MANY,
    SMALL,
    Candidate,
    Labels,
    candidates,
    recommend_run,
)

LABELS = Labels(pictures=800, animals=900, validated=100, side=300)
PHASES = ("aggressive", "balanced", "light")
#: 100 hours and 10 hours for 300 epochs of 56 steps.
LARGE = Candidate(FULL, 300, 56, 16, 360_000, 256, PHASES, "python fetch.py rtmpose_m_ap10k")
LITTLE = Candidate(SMALL, 300, 56, 16, 36_000, 192, PHASES, None)


def advised(time=None, labels=LABELS, weighed=(LARGE, LITTLE)):
    advice = recommend_run(labels, weighed, time)
    return advice, {name: (chosen, why) for name, chosen, why in advice.lines}


def test_without_a_limit_it_is_the_first_config_with_all_of_its_epochs():
    advice, lines = advised()
    assert (advice.config, advice.options, advice.fetch) == (FULL, (), LARGE.fetch)
    assert list(lines) == ["model", "input", "batch", "epochs", "augmentation", "labels"]
    assert lines["epochs"] == ("300", "the config's: they take 100 h 00 min")


def test_a_time_that_does_not_suffice_is_handed_on():
    advice, lines = advised("50h")
    assert advice.options == ("--max-time", "50h")
    assert lines["epochs"][0] == "about 150"
    # and one that does is not needed
    assert advised("101h")[0].options == ()


def test_the_small_network_is_for_times_in_which_the_first_gets_next_to_nothing():
    enough, few = (f"{360_000 * steps / (300 * 56):.0f}s" for steps in (LEAST_STEPS + 10, LEAST_STEPS - 10))
    assert advised(enough)[0].config == FULL
    advice, lines = advised(few)
    assert advice.config == SMALL
    assert "790 steps" in lines["model"][1]
    assert advice.options == ("--max-time", few)


def test_few_steps_get_light_augmentation():
    advice, lines = advised("1h")
    assert advice.config == SMALL
    assert lines["augmentation"][0] == "as in the config"
    advice, lines = advised("20m")
    assert advice.entries == ("train_dataloader.dataset.augmentation=light",)
    assert lines["augmentation"][0] == "light"
    assert "but" in lines
    assert "but" not in advised("1h")[1]


def test_no_time_for_a_step_and_what_is_no_time():
    with pytest.raises(UserError, match="for a step"):
        advised("1s")
    with pytest.raises(UserError, match="is no time"):
        advised("soon")


def test_thousands_of_pictures_get_the_settings_for_them():
    assert candidates(FROM_MANY - 1) == (FULL, SMALL)
    assert candidates(FROM_MANY) == (MANY, FULL, SMALL)
    many = dataclasses.replace(LARGE, config=MANY, epochs=500, batch=64)
    advice, lines = advised(labels=dataclasses.replace(LABELS, pictures=5000), weighed=(many, LARGE, LITTLE))
    assert advice.config == MANY
    assert lines["batch"][0] == "64"


def test_whether_to_label_more():
    few = dataclasses.replace(LABELS, pictures=60, validated=8)
    word, why = advised(labels=few)[1]["labels"]
    assert word == "more would pay, to validate on too"
    assert "from 50 to 100" in why
    assert "8 animals" in why
    word, why = advised()[1]["labels"]
    assert word == "tools/learning_curve.py tells"
    assert "beyond 400 nothing was measured" in why


def test_the_input_is_told_beside_the_animals():
    assert "made smaller" in advised()[1]["input"][1]
    assert "adds nothing" in advised(labels=dataclasses.replace(LABELS, side=80.0))[1]["input"][1]
