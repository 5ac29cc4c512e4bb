"""Runs that stop before their end: a loss that is no number, a score that no longer improves."""

import json

import pytest
import torch

from equistera.errors import UserError
from equistera.mm.data.transforms import CropToInput
from equistera.mm.network import checkpoint
from equistera.mm.run.train import TrainOptions, train

DEMO = "configs/demo_rtmpose_t.py"


def run(horses, work_dir, options, **changes):
    given = {"config": DEMO, "work_dir": str(work_dir), "data_root": str(horses), "cfg_options": options, **changes}
    return train(TrainOptions(**given))


def finite(path):
    return all(bool(torch.isfinite(value).all()) for value in checkpoint.load(path)["state_dict"].values())


def test_a_broken_label_stops_the_run_names_the_pictures_and_leaves_a_good_checkpoint(
    horses, tiny, tmp_path, monkeypatch
):
    """A keypoint that becomes infinite on its way into the second epoch."""
    coco = json.loads((horses / "annotations" / "train.json").read_text())
    animal = coco["annotations"][3]
    (broken,) = (image["file_name"] for image in coco["images"] if image["id"] == animal["image_id"])
    crop, seen = CropToInput.transform, []

    def poisoned(self, results):
        results = crop(self, results)
        if results.get("augmentation") is not None and results["id"] == animal["id"]:
            seen.append(broken)
            if len(seen) == 2:
                results["dataset_keypoint_weights"] = results["dataset_keypoint_weights"] * float("nan")
        return results

    monkeypatch.setattr(CropToInput, "transform", poisoned)
    options = tiny(**{"default_hooks.checkpoint.interval": 1})
    with pytest.raises(UserError) as caught:
        run(horses, tmp_path / "run", options)
    assert "the loss is nan at epoch 2, step" in caught.value.summary
    # a batch of four, and no others
    assert len(caught.value.problems) == 4
    assert any(problem.endswith(broken) for problem in caught.value.problems)
    assert str(tmp_path / "run" / "latest.pth") in caught.value.hint
    assert "optim_wrapper.optimizer.lr=0.0004" in caught.value.hint
    assert not (tmp_path / "run" / "epoch_2.pth").exists()
    assert checkpoint.load(tmp_path / "run" / "latest.pth")["meta"]["epoch"] == 1
    assert finite(tmp_path / "run" / "latest.pth")
    assert finite(tmp_path / "run" / "best.pth")


def test_a_learning_rate_beyond_all_measure_saves_nothing(horses, tiny, tmp_path):
    with pytest.raises(UserError, match=r"(the loss is (nan|inf)|weights are infinite) .*epoch 1"):
        run(horses, tmp_path / "run", tiny(**{"optim_wrapper.optimizer.lr": 1e35}))
    assert not list((tmp_path / "run").glob("*.pth"))


def test_a_run_that_no_longer_improves_is_stopped_saved_and_stays_stopped_until_it_is_given_patience(
    horses, tiny, tmp_path, capsys
):
    options = tiny(**{
        "train_cfg.max_epochs": 40,
        "early_stopping.patience": 2,
        "early_stopping.min_delta": 1.0,  # nothing improves by so much after the first evaluation
        "default_hooks.checkpoint.interval": 40,
    })  # fmt: skip
    work = run(horses, tmp_path / "run", options)
    # AP of the first evaluation counts as an improvement on none; two more follow
    assert checkpoint.load(work / "latest.pth")["meta"]["epoch"] == 3
    assert "stopped after epoch 3 of 40: val/AP has not improved for 2 epochs" in capsys.readouterr().out
    assert "after 2 epochs without an improvement" in run_plan(horses, work, options, capsys)
    before = (work / "latest.pth").stat().st_mtime_ns
    run(horses, work, options, resume=True)
    assert (work / "latest.pth").stat().st_mtime_ns == before
    assert (
        "stopped after epoch 3 of 40: val/AP has not improved for 2 epochs or more (early_stopping.patience); "
        "--resume goes on if that is larger, or None"
    ) in capsys.readouterr().out

    more = [option.replace("early_stopping.patience=2", "early_stopping.patience=4") for option in options]
    run(horses, work, more, resume=True)
    assert checkpoint.load(work / "latest.pth")["meta"]["epoch"] == 5
    shown = capsys.readouterr().out
    assert "stopped after epoch 5 of 40: val/AP has not improved for 4 epochs or more" in shown
    assert "--resume goes on" not in shown


def run_plan(horses, work_dir, options, capsys):
    run(horses, work_dir, options, plan=True)
    return capsys.readouterr().out


def test_without_a_patience_nothing_is_stopped(trained):
    assert [epoch for epoch, _ in checkpoint.load(trained / "latest.pth")["loop"]["scores"]] == [1, 2, 3]
    assert json.loads((trained / "run.json").read_text())["max_epochs"] == 3
