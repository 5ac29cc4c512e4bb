"""Several data sets in one run: counted, kept apart, masked, resumed to the bit, scored each by itself."""

import json
import shutil

import numpy as np
import pytest
import torch
from mmpose.registry import DATASETS

from equistera import skeleton as skeletons
from equistera.dataset.mixed import also_option
from equistera.errors import Stopped, UserError
from equistera.mm import config as configs
from equistera.mm.network import checkpoint
from equistera.mm.run import loop as loops
from equistera.mm.run.preflight import check_data, finish
from equistera.mm.run.train import TrainOptions, train
from equistera.monitor.log import read_run
from equistera.synthetic.writer import write_dataset

DEMO = "configs/demo_rtmpose_t.py"
SOURCES = "train_dataloader.dataset.sources"
HORSE = skeletons.load("horse26")


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Data root of 5 + 3 pictures with the points of AP-10K; not to be changed."""
    root = tmp_path_factory.mktemp("others") / "ap10k"
    return write_dataset(root, {"train": 5, "val": 3}, seed=7, skeleton_name="ap10k", size=(320, 240), workers=1)


@pytest.fixture(scope="module")
def settled(horses, tiny):
    """Settles a config with sources, as a run does, without anything of a network."""

    def settle(*sources, **changes):
        options = [*tiny(**changes), f"{SOURCES}={list(sources)!r}"]
        config = configs.load(DEMO, options, data_root=str(horses))
        finish(config, 0)
        return config, check_data(config)

    return settle


@pytest.fixture(scope="module")
def run(horses, others, tiny):
    def start(work_dir, weight=0.3, **given):
        changes = {"training_subset.pictures": 4, "norm_statistics.pictures": 4, **given.pop("changes", {})}
        options = [*tiny(**changes), also_option([f"{others}={weight}"])]
        return train(TrainOptions(DEMO, str(work_dir), str(horses), from_scratch=True, cfg_options=options, **given))

    return start


def samples(config, epoch, places=range(16)):
    dataset = DATASETS.build(config.train_dataloader.dataset)
    dataset.set_epoch(epoch)
    return [dataset[place] for place in places]


def test_an_epoch_has_samples_of_both_and_their_missing_points_weigh_nothing(settled, others):
    config, data = settled({"data_root": str(others), "weight": 0.3, "point_weight": 0.5})
    (source,) = data.sources
    assert (data.samples, source.samples, source.animals, source.val_animals) == (16, 4, 5, 3)
    assert (len(source.mapped), source.unmapped, len(source.without)) == (15, ("L_Hip", "R_Hip"), 11)
    drawn = samples(config, 0)
    whose = [str(others) in sample["picture"] for sample in drawn]
    assert whose == [False] * 12 + [True] * 4
    weights = np.stack([sample["data_samples"]["keypoint_weights"][0] for sample in drawn])
    theirs = np.isin(HORSE.names, source.without)
    assert not weights[12:, theirs].any()
    assert weights[12:].any()
    half = np.float32(HORSE.weights) * np.float32(0.5)
    assert ((weights[12:] == 0) | (weights[12:] == half)).all()
    assert weights[:12, theirs].any()
    # an epoch has another four of the five
    assert {s["picture"] for s in samples(config, 1)[12:]} | {s["picture"] for s in drawn[12:]} == {
        str(path) for path in (others / "images" / "train").iterdir()
    }


def test_what_is_drawn_does_not_depend_on_who_loads_it(settled, others):
    config, _ = settled({"data_root": str(others)})
    dataset = DATASETS.build(config.train_dataloader.dataset)
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2)
    dataset.set_epoch(2)
    for ours, theirs in zip(samples(config, 2), loader, strict=True):
        assert np.array_equal(ours["inputs"], np.asarray(theirs["inputs"]))
        assert ours["picture"] == theirs["picture"]


def test_a_longer_epoch_is_asked_for(settled, others):
    config, data = settled({"data_root": str(others)}, **{"train_dataloader.dataset.epoch_samples": 20})
    assert (data.samples, data.sources[0].samples) == (20, 10)
    assert len(DATASETS.build(config.train_dataloader.dataset)) == 20


def test_pictures_that_are_elsewhere_in_the_run_are_left_out_and_said(settled, horses, others, tmp_path):
    mixed = shutil.copytree(others, tmp_path / "mixed")
    names = sorted(path.name for path in (mixed / "images" / "train").iterdir())
    for name, split in zip(names, ("train", "val", "test"), strict=False):
        shutil.copy(next((horses / "images" / split).iterdir()), mixed / "images" / "train" / name)
    shutil.copy(mixed / "images" / "train" / names[4], next((mixed / "images" / "val").iterdir()))
    config, data = settled({"data_root": str(mixed)})
    (source,) = data.sources
    assert source.left_out == {"your train set": 1, "your val set": 1, "your test set": 1}
    assert (source.animals, source.val_animals) == (2, 2)
    assert config.train_dataloader.dataset.sources[0]["leave_out"] == names[:3]
    # settled once more, as a run's own config is, it says the same of what is left
    assert settled(dict(config.train_dataloader.dataset.sources[0]))[1].sources[0].animals == 2


def test_the_own_pictures_again_are_no_source(settled, horses):
    with pytest.raises(UserError, match="nothing is left of horses"):
        settled({"data_root": str(horses)})


@pytest.mark.parametrize(
    ("change", "summary"),
    [
        ({"data_root": "nowhere"}, "no annotations: annotations/train.json not found"),
        ({"weight": 1000}, "has none of the run's own"),
        ({"skeleton": "horse10"}, "the file's keypoints are not those of skeleton 'horse10'"),
        ({"weight": "much"}, "values that no run can have"),
    ],
)
def test_sources_that_no_run_can_have(settled, others, change, summary):
    with pytest.raises(UserError, match=summary):
        settled({"data_root": str(others), **change})


def test_two_of_one_name_are_refused(settled, others):
    labels = {"ann_file": "annotations/val.json"}
    with pytest.raises(UserError, match="two data sets are called 'ap10k'"):
        settled({"data_root": str(others)}, {"data_root": str(others), **labels})
    with pytest.raises(UserError, match="ap10k is named twice"):
        settled({"data_root": str(others)}, {"data_root": f"{others}/../{others.name}"})


def test_a_detector_takes_none(horses, others, tmp_path):
    options = [also_option([str(others)])]
    with pytest.raises(UserError, match="beside a run's own are for pose models"):
        train(TrainOptions("configs/demo_rtmdet.py", str(tmp_path), str(horses), plan=True, cfg_options=options))


def test_a_run_says_counts_scores_and_resumes_to_the_bit(run, others, tmp_path, monkeypatch, capsys):
    straight = run(tmp_path / "straight")
    told = capsys.readouterr().out
    assert "of an epoch's 16 samples 12 are yours" in told
    assert "ap10k: 4 samples of 5 animals on 5 pictures" in told
    assert "labelled in ap10k, by the names of its points" in told
    assert "15 points are ours, 2 not (L_Hip, R_Hip); of ours it lacks 11" in told
    logged = {name for row in map(json.loads, next(straight.glob("*/vis_data/scalars.json")).open()) for name in row}
    assert {"source/ap10k/AP", "source/ap10k/PCK@0.1", "val/AP"} <= logged
    assert read_run(straight) is not None

    monkeypatch.setattr(loops.TrainLoop, "_complete_epoch", stopped_after(2, loops.TrainLoop._complete_epoch))
    with pytest.raises(Stopped):
        run(tmp_path / "stopped", changes={"default_hooks.checkpoint.interval": 1})
    monkeypatch.undo()
    with pytest.raises(UserError, match="was started with other data or settings") as caught:
        run(tmp_path / "stopped", weight=1, resume=True, changes={"default_hooks.checkpoint.interval": 1})
    assert any("weight: 0.3 then, 1.0 now" in problem for problem in caught.value.problems)
    resumed = train(TrainOptions(work_dir=str(tmp_path / "stopped"), resume=True))
    ours, theirs = (checkpoint.load(folder / "epoch_3.pth") for folder in (straight, resumed))
    assert all(torch.equal(value, theirs["state_dict"][name]) for name, value in ours["state_dict"].items())
    assert len(ours["meta"]["trained_on"]) == 12 + 5


def stopped_after(epochs, complete):
    def completing(loop):
        complete(loop)
        if loop.epoch == epochs:
            raise Stopped("stopped", 15)

    return completing
