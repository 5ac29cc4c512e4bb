import dataclasses
import json

import pytest
from training_cases import plan

from equistera.errors import UserError
from equistera.training.fit import Costs, StepTime, fit_to_time
from equistera.training.plan import SourceSummary, steps_in_epoch
from equistera.training.plan_check import check_plan, plan_warnings
from equistera.training.plan_text import format_plan, plan_json

WARMUP = {"share": 0.03, "at_least": 10, "at_most": 1000}


@pytest.mark.parametrize(
    ("samples", "batch", "processes", "drop_last", "steps"),
    [
        (640, 16, 1, True, 40),
        (650, 16, 1, True, 40),
        (650, 16, 1, False, 41),
        (650, 16, 2, True, 20),
        (15, 16, 1, True, 0),
        (15, 16, 1, False, 1),
        (31, 16, 2, True, 1),  # the last sample is doubled, so that each process has 16
        (0, 16, 1, False, 0),
    ],
)
def test_steps_in_an_epoch(samples, batch, processes, drop_last, steps):
    assert steps_in_epoch(samples, batch, processes, drop_last) == steps


def test_phases_of_a_plan():
    first, second, third = plan().phases
    assert (first.frozen, second.frozen) == (("stem", "stage1", "stage2"), ("stem", "stage1"))
    assert [*third.rates] == ["head", "stage4", "stage3", "stage2"]
    assert first.rates["head"] == pytest.approx((2.77778e-06, 9.54223e-04, 7.88736e-04))
    # stage 2 opens with the second phase
    assert second.rates["stage2"] == pytest.approx((3.94315e-08, 5.48067e-05, 3.01058e-05), rel=1e-5)


@pytest.mark.parametrize("animals", [640, 5000])
@pytest.mark.parametrize("batch_size", [8, 16, 32])
def test_the_guides_runs_are_accepted(animals, batch_size):
    made = plan(animals, batch_size, ema={}, patience=50, disk_free=10**9)
    check_plan(made)
    assert plan_warnings(made) == []


REFUSALS = {
    "warm-up by share": (
        {"strategy_changes": {"warmup": {**WARMUP, "share": 0.25, "at_most": 9000}}},
        "warm-up takes 3000 of 12000 steps (25%, at most 20%): --cfg-options strategy.warmup.share=0.03",
    ),
    "warm-up of a large data set": (
        {"epochs": 10, "strategy_changes": {"warmup": {**WARMUP, "at_least": 1000}}},
        "warm-up takes 1000 of 400 steps (250%, at most 20%): --cfg-options strategy.warmup.share=0.03",
    ),
    "warm-up in epochs": (
        {"epochs": 10, "strategy_changes": {"warmup": {**WARMUP, "epochs": 3}}},
        "warm-up takes 120 of 400 steps (30%, at most 20%): --cfg-options strategy.warmup.share=0.03 "
        "strategy.warmup.at_least=10 strategy.warmup.epochs=None",
    ),
    "average of a large data set": (
        {"epochs": 10, "ema": {"share": 1.0}},
        "the averaged weights never leave their start: a half-life of 400 steps is reached after 5189 steps, the run "
        "has 400: --cfg-options ema.share=0.02",
    ),
    "nothing to validate": ({"val_animals": 0}, "the validation set is empty"),
    "nothing to train": ({"animals": 0}, "the training set is empty"),
    "batch larger than the data set": (
        {"animals": 10},
        "10 labelled animals do not fill one batch of 16, and drop_last leaves incomplete ones out: "
        "--cfg-options train_dataloader.batch_size=10",
    ),
    "batches larger than the data set": (
        {"animals": 30, "processes": 2},
        "30 labelled animals do not fill one batch of 16 on each of 2 processes, and drop_last leaves incomplete ones "
        "out: --cfg-options train_dataloader.batch_size=15",
    ),
    "more processes than animals": ({"animals": 3, "processes": 4}, "label more animals, or start fewer processes"),
    "few steps in an epoch": (
        {"batch_size": 256},
        "an epoch has only 2 steps, at least 4 are needed: a batch of 256 is too large for 640 labelled animals: "
        "--cfg-options train_dataloader.batch_size=160, or less",
    ),
    "few steps on several processes": (
        {"animals": 200, "processes": 4},
        "an epoch has only 3 steps, at least 4 are needed: a batch of 16 on each of 4 processes is too large for 200 "
        "labelled animals: --cfg-options train_dataloader.batch_size=12, or less",
    ),
    "a metric that is not produced": (
        {"watched": "val/mAP"},
        "the metric to watch, 'val/mAP', is not among those that rise as a model gets better, did you mean 'val/AP'? "
        "default_hooks.checkpoint.best takes "
        "one of val/AP, val/AP50, val/PCK@0.1",
    ),
    "impatience": (
        {"patience": 3},
        "early stopping after 3 epochs without an improvement, but evaluations are 5 epochs apart: "
        "early_stopping.patience=15",
    ),
    "a full disk": ({"disk_free": 600_000_000}, "the checkpoints need 850 MB, 600 MB are free"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    changes, reason = REFUSALS[name]
    made = plan(**changes)
    with pytest.raises(UserError, match="this run cannot work as planned") as error:
        check_plan(made)
    assert [problem for problem in error.value.problems if reason in problem] == error.value.problems
    # a plan that is refused can still be shown
    assert format_plan(made).startswith("Plan\n")
    assert json.loads(json.dumps(plan_json(made), allow_nan=False))["epochs"] == made.schedule.max_epochs


@pytest.mark.parametrize(
    ("name", "fixed"),
    [
        ("warm-up of a large data set", {"epochs": 10, "strategy_changes": {"warmup": WARMUP}}),
        ("average of a large data set", {"epochs": 10, "ema": {"share": 0.02}}),
        ("batch larger than the data set", {"animals": 10, "batch_size": 10}),
        ("batches larger than the data set", {"animals": 30, "processes": 2, "batch_size": 15}),
        ("few steps in an epoch", {"batch_size": 160}),
        ("few steps on several processes", {"animals": 200, "processes": 4, "batch_size": 12}),
        ("impatience", {"patience": 15}),
    ],
)
def test_the_fix_that_a_refusal_names_works(name, fixed):
    assert name in REFUSALS
    check_plan(plan(**fixed))


def test_every_reason_is_listed_at_once():
    with pytest.raises(UserError) as error:
        check_plan(plan(animals=10, epochs=2, val_animals=0, watched="loss", disk_free=0))
    assert len(error.value.problems) == 4


@pytest.mark.parametrize(("animals", "batch_size", "steps"), [(3, 1, 3), (3, 3, 1), (58, 16, 3)])
def test_a_tiny_data_set_is_warned_of_and_not_refused(animals, batch_size, steps):
    made = plan(animals, batch_size, epochs=100, ema={})
    check_plan(made)
    assert plan_warnings(made) == [
        f"only {steps} step{'s' * (steps > 1)} in an epoch: {animals} animals are few, so judge the run by its "
        f"{100 * steps} steps, not by its epochs"
    ]


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 10])
def test_a_smoke_test_of_a_few_steps_runs_with_the_defaults(epochs):
    check_plan(plan(animals=4, batch_size=2, epochs=epochs, ema={}))


@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        ({"epochs": 2}, "phase 'fine-tuning' gets none of 2 epochs: the whole strategy needs train_cfg.max_epochs=3"),
        (
            {"epochs": 10, "strategy_changes": {"opens_at": {"head": 0, "stage2": 0.97}}},
            "stage 'stage2' opens after the last of 10 epochs: the whole strategy needs train_cfg.max_epochs=17",
        ),
    ],
)
def test_a_short_run_says_what_it_leaves_out(changes, left_out):
    made = plan(**changes)
    check_plan(made)
    assert f"{left_out} or more" in plan_warnings(made)


def test_epochs_that_the_time_cut_short_are_warned_of():
    fit = fit_to_time(10, Costs((StepTime(0, 1.0),), evaluation=0.5), steps_per_epoch=40, least_epochs=3)
    assert (fit.epochs, fit.steps_per_epoch) == (3, 3)
    made = plan(epochs=3, steps=3, fit=fit)
    check_plan(made)
    assert plan_warnings(made)[0] == (
        "only 3 steps in an epoch: the time allows no more, so judge the run by its 9 steps, not by its epochs"
    )
    assert "steps     3 of 40 batches an epoch (batch 16), 9 in 3 epochs\n" in format_plan(made)
    assert "time      about 10 s, fitted to 10 s\n" in format_plan(made)
    assert plan_json(made)["time"] == {"budget_seconds": 10, "expected_seconds": 9.5}


def test_more_warnings():
    assert plan_warnings(plan(val_interval=500)) == [
        "val_interval is longer than the run: it is evaluated only once, at the end"
    ]
    assert plan_warnings(plan(norm_eval=True)) == [
        "model.backbone.norm_eval: the backbone trains with the normalisation statistics that it starts with"
    ]
    assert plan_warnings(plan(from_scratch=True, norm_eval=True))[0].endswith("which nothing has measured")
    assert plan_warnings(plan(from_scratch=True)) == [
        "from scratch: nothing is frozen, every stage trains at the head's learning rate"
    ]


def test_random_weights_and_strong_augmentation_in_few_steps_are_warned_of():
    assert plan_warnings(plan(epochs=24, from_scratch=True))[-1] == (
        "from scratch in 960 steps: random weights learn next to nothing under aggressive augmentation in fewer than "
        "about a thousand: --cfg-options train_dataloader.dataset.augmentation=light"
    )
    light = [{"name": "only", "start": 0, "lr_factor": 1.0, "augmentation": {"preset": "light", "flip": 0.3}}]
    for quiet in (
        plan(epochs=24),
        plan(epochs=25, from_scratch=True),
        plan(epochs=24, from_scratch=True, strategy_changes={"phases": light}),
    ):
        assert not any("augmentation" in warning for warning in plan_warnings(quiet))


def test_the_text():
    assert format_plan(plan(ema={}, patience=50, disk_free=20 * 10**9)) == (
        """\
Plan
  pictures  640 (640 animals) to train, 100 (120 animals) to validate
  steps     40 an epoch (batch 16), 12000 in 300 epochs
  warm-up   360 steps (9.0 epochs, 3.0% of the run)
  LR scale  x 1: batch 16 and optimizer.lr 0.004, which the strategy is written for
  average   EMA of the weights, half-life 6.0 epochs (240 steps, decay 0.99712)
  evaluate  every 5 epochs, 60 times; watching val/AP
  save      every 5 epochs, the last 2 kept, and best.pth: up to 0.8 GB of 20.0 GB free on disk
  stop      after 50 epochs without an improvement, counted anew when a phase begins or a stage opens

  epochs 1-100: head adaptation, aggressive augmentation              LR at start    middle       end
    head                                                                  2.8e-06   9.5e-04   7.9e-04
    stage4, stage3                                                        2.8e-07   9.5e-05   7.9e-05
    frozen: stem, stage1, stage2

  epochs 101-200: fine-tuning, balanced augmentation                  LR at start    middle       end
    head                                                                  7.9e-04   5.5e-04   3.0e-04
    stage4, stage3                                                        7.9e-05   5.5e-05   3.0e-05
    stage2 (from epoch 101)                                               3.9e-08   5.5e-05   3.0e-05
    frozen: stem, stage1

  epochs 201-300: full training, light augmentation                   LR at start    middle       end
    head                                                                  1.5e-04   5.9e-05   2.5e-05
    stage4, stage3, stage2                                                1.5e-05   5.9e-06   2.5e-06
    frozen: stem, stage1"""
    )


def test_the_text_of_other_runs():
    changed = [{"name": "only", "start": 0, "lr_factor": 1.0, "augmentation": {"preset": "light", "flip": 0.3}}]
    text = format_plan(plan(64, 16, 2, 1, from_scratch=True, val_interval=1, checkpoint_interval=1, checkpoints_kept=0))
    assert "steps     2 an epoch (batch 16 on each of 2 processes), 2 in 1 epoch\n" in text
    assert "x 1.41: 1.41 for batch 32 instead of 16 (square root rule)" in text
    assert "average   none (no EMA of the weights)" in text
    accumulating = plan(64, 8, accumulated=2)
    assert "steps     8 an epoch (batch 8, an update every 2 steps), 2400 in 300 epochs\n" in format_plan(accumulating)
    assert plan_json(accumulating)["steps_per_update"] == 2
    assert "evaluate  every epoch, once; watching val/AP" in text
    assert "save      every epoch, all kept, and best.pth" in text
    assert "    head, stage4, stage3, stage2, stage1, stem  " in text
    assert "frozen:" not in text
    assert "light (flip=0.3) augmentation" in format_plan(plan(strategy_changes={"phases": changed}))


def test_the_json():
    content = plan_json(plan(ema={}))
    assert content["total_steps"] == 12_000
    assert content["ema"] == {"half_life_steps": 240, "half_life_epochs": 6.0, "decay": pytest.approx(0.9971160)}
    assert content["checkpoints"] == {"interval_epochs": 5, "kept": 2, "disk_bytes": 850_000_000}
    assert content["evaluation"]["evaluations"] == 60
    assert content["lr_scale"]["factor"] == 1.0
    second = content["phases"][1]
    assert (second["first_epoch"], second["last_epoch"], second["augmentation"]) == (101, 200, "balanced")
    assert second["frozen"] == ["stem", "stage1"]
    assert [(stage["stage"], stage["opens_at_epoch"]) for stage in second["open"]] == [
        ("head", 1),
        ("stage4", 1),
        ("stage3", 1),
        ("stage2", 101),
    ]
    assert second["open"][3]["lr_start"] == pytest.approx(3.94315e-08)
    assert json.loads(json.dumps(content, allow_nan=False)) == content


def test_a_plan_counts_the_data_sets_beside_the_own():
    source = SourceSummary(
        "ap10k", 900, 1000, 320, "ap10k, by the names of its points", ("Nose", "Neck"), ("L_Hip",), ("back",),
        {"your test set": 2}, 200,
    )  # fmt: skip
    made = plan()
    assert "sources" not in format_plan(made)
    mixed = dataclasses.replace(made, data=dataclasses.replace(made.data, sources=(source,)))
    text = format_plan(mixed)
    assert "of an epoch's 640 samples 320 are yours" in text
    assert "ap10k: 320 samples of 1000 animals on 900 pictures" in text
    assert "labelled in ap10k, by the names of its points" in text
    assert max(map(len, text.splitlines())) <= 120
    assert "2 points are ours, 1 not (L_Hip); of ours it lacks 1 (back)" in text
    assert "left out: 2 pictures also in your test set" in text
    assert mixed.whole_epoch == made.whole_epoch == 40
    assert dataclasses.replace(made, data=dataclasses.replace(made.data, epoch_samples=1280)).whole_epoch == 80
    (told,) = json.loads(json.dumps(plan_json(mixed)))["sources"]
    assert told["left_out"] == {"your test set": 2}
