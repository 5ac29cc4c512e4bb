"""Refusals of a plan reach the user of tools/train.py; tests/training/test_training_plan.py has every one of them."""

import pytest

from equistera.errors import UserError
from equistera.mm.run.train import TrainOptions, train
from equistera.training.fit import Costs, StepTime


@pytest.fixture(autouse=True)
def _unmeasured(monkeypatch):
    """Steps of the real networks take seconds; test_fit_to_time.py measures small ones."""
    monkeypatch.setattr("equistera.mm.run.train.measure", lambda *_: Costs((StepTime(0, 1.0),), evaluation=1.0))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"strategy.warmup.share": 0.5},
            "warm-up takes 150 of 300 steps (50%, at most 20%): --cfg-options strategy.warmup.share=0.03",
        ),
        (
            {"ema.share": 1.0},
            "the averaged weights never leave their start: a half-life of 300 steps is reached after",
        ),
        ({"train_dataloader.batch_size": 17}, "16 labelled animals do not fill one batch of 17"),
        ({"default_hooks.checkpoint.best": "val/mAP"}, "'val/mAP', is not among those that rise as a model gets bett"),
        # the best weights would be the worst
        ({"default_hooks.checkpoint.best": "val/median_px"}, "'val/median_px', is not among those that rise"),
        (
            {"default_hooks.checkpoint.best": "val/swap_rate"},
            "takes one of val/AP, val/AP50, val/AP75, val/AR, val/PCK@0.05, val/PCK@0.1, val/PCK@0.2",
        ),
        ({"early_stopping.patience": 3}, "early stopping after 3 epochs without an improvement"),
    ],
)
def test_a_plan_that_cannot_work_is_shown_and_refused(horses, tmp_path, capsys, options, reason):
    changes = [f"{key}={value}" for key, value in options.items()]
    run = TrainOptions(
        "configs/rtmpose_m_ap10k.py",
        work_dir=str(tmp_path / "run"),
        data_root=str(horses),
        plan=True,
        cfg_options=changes,
    )
    with pytest.raises(UserError, match="this run cannot work as planned") as caught:
        train(run)
    assert any(reason in problem for problem in caught.value.problems), caught.value.problems
    assert capsys.readouterr().out.startswith("Plan\n")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("changes", [["ema=None"], ["ema.share=0.05", "ema.at_most=100"]])
def test_the_average_can_be_changed_and_left_out(horses, tmp_path, capsys, changes):
    run = TrainOptions(
        "configs/rtmpose_m_ap10k.py", work_dir=str(tmp_path), data_root=str(horses), plan=True, cfg_options=changes
    )
    train(run)
    text = capsys.readouterr().out
    assert ("no EMA of the weights" in text) == (len(changes) == 1)
    assert ("half-life 15.0 epochs (15 steps" in text) == (len(changes) == 2)


@pytest.mark.parametrize(("own", "shown"), [("light", "light"), ("dict(preset='none',flip=0.5)", "none (flip=0.5)")])
def test_an_augmentation_for_the_whole_run_is_that_of_every_phase(horses, tmp_path, capsys, own, shown):
    changes = [f"train_dataloader.dataset.augmentation={own}"]
    run = TrainOptions(
        "configs/rtmpose_m_ap10k.py", work_dir=str(tmp_path), data_root=str(horses), plan=True, cfg_options=changes
    )
    train(run)
    text = capsys.readouterr().out
    assert text.count(f", {shown} augmentation") == text.count(" augmentation") == 3


def test_a_plan_replaces_a_plan_and_nothing_else(horses, tmp_path):
    def plan(file):
        given = {"work_dir": str(tmp_path / "run"), "data_root": str(horses), "plan": True, "json": str(file)}
        train(TrainOptions("configs/rtmpose_m_ap10k.py", **given))

    for _ in range(2):
        plan(tmp_path / "plan.json")
    labels = tmp_path / "train.json"
    labels.write_text((horses / "annotations" / "train.json").read_text())
    with pytest.raises(UserError, match="--json: files exist already"):
        plan(labels)
    assert labels.read_text() == (horses / "annotations" / "train.json").read_text()
