"""What a record speaks of and is not there any more is noticed, said, and made again where it can be."""

import dataclasses
import shutil

import pytest
import torch
from mmengine.config import Config

from equistera.errors import UserError
from equistera.mm.network import checkpoint
from equistera.mm.run import fit_to_time, resume
from equistera.mm.run.train import TrainOptions, train
from equistera.monitor.plots import plot_run
from equistera.training.fit import Costs, Fit, StepTime


@pytest.fixture
def work(trained, tmp_path):
    """A copy of a finished run, to be changed."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def go_on(work, horses, tiny):
    def run(**changes):
        demo = "configs/demo_rtmpose_t.py"
        options = TrainOptions(
            demo, work_dir=str(work), data_root=str(horses), cfg_options=tiny(**changes), resume=True
        )
        return train(options)

    return run


def rewrite(path, **meta):
    content = torch.load(path, weights_only=True)
    content["meta"].update(meta)
    torch.save(content, path)


def test_a_best_score_without_its_weights_is_said_and_they_are_made_again(work, go_on, capfd):
    before = checkpoint.load(work / "latest.pth")["meta"]
    (work / "best.pth").unlink()
    go_on()
    said = capfd.readouterr().err
    assert (
        f"the best score so far, {before['best_score']:.3f} after epoch {before['best_epoch']}, is of weights" in said
    )
    assert "no such checkpoint" in said
    meta = checkpoint.load(work / "best.pth")["meta"]
    assert (meta["best_epoch"], meta["epoch"]) == (3, 3)
    assert checkpoint.load(work / "latest.pth")["meta"]["best_epoch"] == 3
    go_on()
    assert "finished" in capfd.readouterr().out


def test_curves_of_a_finished_run_are_drawn_again(work, go_on, capfd, monkeypatch):
    monkeypatch.setattr("equistera.mm.run.train.plot_run", plot_run)
    (work / "training_curves.png").unlink()
    (work / ".training_curves.png.k2l3m4n5.part").touch()
    go_on()
    said = capfd.readouterr().out
    assert f"the curves are drawn again: {work / 'training_curves.png'}" in said
    assert f"finished: the run in {work} is complete" in said
    assert [path.name for path in work.glob("*training_curves*")] == ["training_curves.png"]


def test_the_score_of_an_older_best_is_its_own(work, go_on, capfd):
    rewrite(work / "best.pth", best_score=-0.5, best_epoch=1, best_rank=[-0.5, 0.0, 0.0])
    go_on(**{"train_cfg.max_epochs": 4})
    said = capfd.readouterr().err
    assert "best.pth has scored -0.500 after epoch 1, the best of epoch_3.pth is" in said
    assert checkpoint.load(work / "best.pth")["meta"]["best_epoch"] == 4


def test_a_best_that_cannot_be_of_the_run_is_told_by_its_reason(work):
    best, whole = work / "best.pth", (work / "best.pth").read_bytes()
    found = resume.find(work)
    assert found.best["best_epoch"] == found.meta["best_epoch"]
    assert not found.lost_best
    for damage, finding in (
        (lambda: best.write_bytes(whole[:1000]), "is broken"),
        (lambda: torch.save({"state_dict": {"backbone.x": torch.zeros(1)}}, best), "is of another network"),
        (lambda: rewrite(best, best_score="high"), "does not say what it scored"),
    ):
        best.write_bytes(whole)
        damage()
        found = resume.find(work)
        assert found.lost_best
        assert finding in found.best_problem


def test_the_newest_under_its_second_name_alone_is_not_forgotten(work):
    shutil.copy(work / "epoch_3.pth", work / "epoch_1.pth")
    rewrite(work / "epoch_1.pth", epoch=1, iter=4)
    (work / "epoch_3.pth").unlink()
    found = resume.find(work)
    assert (found.path.name, found.meta["epoch"]) == ("latest.pth", 3)
    rewrite(work / "latest.pth", epoch=0, iter=0)
    assert resume.find(work).path.name == "epoch_1.pth"


def test_the_time_that_a_run_was_fitted_to_is_known_by_its_checkpoint(tmp_path):
    fit = Fit(100, Costs((StepTime(0, 1.0),), evaluation=4.0), 20, 4, 5)

    def told(**config):
        meta = {"config": Config({**config, "data_root": "x"}).pretty_text}
        return resume.FoundCheckpoint(tmp_path / "latest.pth", {}, meta)

    assert fit_to_time.earlier_fit(told(fitted=dataclasses.asdict(fit)), 100.0) == fit
    assert fit_to_time.earlier_fit(told(), None) is None
    with pytest.raises(UserError, match="was changed or damaged"):
        fit_to_time.earlier_fit(told(fitted={"budget": 100}), None)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"skeleton": "horse26"}, "meta.skeleton, meta.skeleton.keypoints cannot be meant so"),
        ({"epoch": "three", "lengths": 3}, "meta.epoch, meta.lengths cannot be meant so"),
        # it says what the run was fitted to
        ({"config": None}, "meta.config cannot be meant so"),
    ],
)
def test_a_record_that_cannot_be_meant_so_is_skipped_by_name(work, changes, finding):
    for name in ("epoch_3.pth", "latest.pth"):
        rewrite(work / name, **changes)
    with pytest.raises(UserError, match=r"no checkpoint in .* loads") as caught:
        resume.find(work)
    assert caught.value.problems[0].endswith(finding)


def test_parts_of_another_program_are_one_message(work, go_on):
    content = torch.load(work / "epoch_3.pth", weights_only=True)
    content["optimizer"] = {"state": {}}
    torch.save(content, work / "epoch_3.pth")
    with pytest.raises(UserError, match="is of another network, or was damaged or changed"):
        go_on(**{"train_cfg.max_epochs": 4})
