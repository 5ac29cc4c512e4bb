"""Training as tools/train.py does it: a real Runner on real files."""

import itertools
import json
import os
import re
import shutil
import time
import types

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import runner

from equistera import PROJECT
from equistera.checkpoints import manifest
from equistera.errors import UserError
from equistera.mm.network import checkpoint
from equistera.mm.network.model import SkeletonPoseEstimator
from equistera.mm.run.train import TrainOptions, train
from equistera.monitor.plan import read_plan
from equistera.training.fit import Costs, StepTime

DEMO = "configs/demo_rtmpose_t.py"
LITE0 = "configs/demo_lite0.py"
#: File names of the configs of pose models.
POSE_CONFIGS = sorted(path.name for path in (PROJECT / "configs").glob("*.py") if "rtmdet" not in path.name)


def run(horses, work_dir, options, **changes):
    given = {"config": DEMO, "work_dir": str(work_dir), "data_root": str(horses), "cfg_options": options, **changes}
    return train(TrainOptions(**given))


def weights_of(path):
    return checkpoint.load(path)["state_dict"]


def test_a_run_leaves_what_the_guide_names(trained):
    assert {path.name for path in (trained / "pictures").iterdir()} == {
        "train_batch_1.png",
        *(f"val_predictions_{epoch}.png" for epoch in (1, 2, 3)),
    }
    for name in ("best.pth", "latest.pth", "epoch_3.pth", "run.json", "training_curves.png", "demo_rtmpose_t.py"):
        assert (trained / name).stat().st_size > 0
    # by which the monitor tells runs over other validation sets apart
    fingerprint = checkpoint.load(trained / "latest.pth")["meta"]["fingerprint"]
    assert read_plan(trained, trained / "").validation == fingerprint["validation annotations"]
    assert list(trained.glob("*/vis_data/events.out.tfevents.*"))
    scalars = [json.loads(line) for line in next(trained.glob("*/vis_data/scalars.json")).read_text().splitlines()]
    assert {"lr", "lr/head", "lr/stem", "loss", "epoch", "iter"} <= set(scalars[0])
    validation = [record for record in scalars if "val/AP" in record]
    assert [record["step"] for record in validation] == [1, 2, 3]
    assert "val/PCK@0.1/l_knee" in validation[0]


def test_a_smoke_test_of_one_epoch_says_what_it_leaves_out_and_how_to_go_on(horses, tiny, tmp_path, capsys):
    """The phases of the real configs need three epochs."""
    phases = 'strategy.phases=[{"name":"a","start":0,"lr_factor":1,"augmentation":"light"},'
    phases += '{"name":"b","start":0.6,"lr_factor":1,"augmentation":"light"}]'
    work = tmp_path / "a run"
    run(horses, work, [*tiny(**{"train_cfg.max_epochs": 1}), phases])
    shown = capsys.readouterr().out
    assert "note: phase 'b' gets none of 1 epoch: the whole strategy needs train_cfg.max_epochs=2 or more" in shown
    for line in (
        f"  weights  {work}/best.pth",
        f"  curves   {work}/training_curves.png",
        f"  pictures {work}/pictures",
        f"  test     python tools/test.py '{work}'",
        f"  draw     python tools/visualize.py '{work}' --img-dir {horses}/images/test --out '{work}/drawn'",
    ):
        assert line in shown.splitlines()


def test_the_dumped_config_is_complete(trained):
    dumped = Config.fromfile(trained / "demo_rtmpose_t.py", lazy_import=False)
    assert dumped.model.skeleton == "horse26"
    assert dumped.train_dataloader.dataset.augmentation[0][0] == 0


def test_checkpoints_hold_plain_values_and_say_where_they_come_from(trained):
    content = torch.load(trained / "latest.pth", weights_only=True)
    meta = content["meta"]
    assert (meta["epoch"], meta["iter"]) == (3, 12)
    assert meta["skeleton"]["keypoints"][0] == "nose"
    assert {"state_dict", "optimizer", "meta"} <= set(content)
    best = torch.load(trained / "best.pth", weights_only=True)
    assert "optimizer" not in best
    assert best["meta"]["best_epoch"] in (1, 2, 3)


def test_the_same_seed_gives_the_same_weights_whatever_the_workers(horses, tiny, trained, tmp_path):
    again = run(horses, tmp_path / "again", tiny(**{"train_dataloader.num_workers": 2}))
    first, second = weights_of(trained / "latest.pth"), weights_of(again / "latest.pth")
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = run(horses, tmp_path / "other", tiny(), seed=1)
    assert not torch.equal(first["head.cls_x.weight"], weights_of(other / "latest.pth")["head.cls_x.weight"])


def test_two_runs_that_begin_in_the_same_second_have_logs_of_their_own(horses, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "time", types.SimpleNamespace(**{**vars(time), "time": lambda: 1.7e9}))
    for name in ("one", "other"):
        work = run(horses, tmp_path / name, tiny(**{"train_cfg.max_epochs": 1}))
        assert next(work.glob("*/vis_data/scalars.json")).stat().st_size > 0


def test_weights_under_terms_of_their_own_say_so(horses, tiny, trained, tmp_path, capsys):
    file = shutil.copy(trained / "best.pth", tmp_path / manifest()["superanimal_quadruped_dlc"].file_name)
    options = tiny(**{"train_cfg.max_epochs": 1, "from_scratch": False})
    work = run(horses, tmp_path / "run", options, init=str(file))
    assert "  under terms of their own (superanimal): Read the card" in capsys.readouterr().out
    # nor are they forgotten in what is trained from there on
    further = run(horses, tmp_path / "further", options, init=str(work))
    assert capsys.readouterr().out.count("under terms of their own (superanimal)") == 1
    starts = torch.load(further / "best.pth", weights_only=True)["meta"]["starts"]
    assert starts == ["superanimal_quadruped_dlc", "best.pth"]


def test_a_network_is_built_once_and_once_more_where_a_time_is_fitted(horses, tiny, tmp_path, monkeypatch):
    built, init = [], SkeletonPoseEstimator.__init__
    monkeypatch.setattr(
        SkeletonPoseEstimator, "__init__", lambda self, *a, **k: (built.append(1), init(self, *a, **k))[1]
    )
    run(horses, tmp_path / "run", tiny(**{"train_cfg.max_epochs": 1}))
    assert len(built) == 1
    length = [option for option in tiny() if not option.startswith("train_cfg")]
    # measuring uses it up; a training would build another
    run(horses, tmp_path / "fitted", length, max_time="1h", plan=True)
    assert len(built) == 2


def test_only_deterministic_algorithms_if_asked_for(horses, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "to be restored")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    options = tiny(**{"train_cfg.max_epochs": 1, "randomness.deterministic": True})
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    try:
        run(horses, tmp_path / "run", options)
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before


def test_frozen_stages_do_not_move_and_open_when_the_schedule_says(horses, tiny, trained, tmp_path):
    options = tiny(**{
        "default_hooks.checkpoint.interval": 1,
        "default_hooks.checkpoint.keep": 9,
        "strategy.opens_at.stage3": 0.34,
        "strategy.opens_at.stage2": 0.67,
    })  # fmt: skip
    work = run(horses, tmp_path / "staged", options, init=str(trained))
    epochs = [weights_of(trained / "best.pth")] + [weights_of(work / f"epoch_{n}.pth") for n in (1, 2, 3)]
    moved = _moved(epochs)
    assert moved == [{"head"}, {"head", "stage3"}, {"head", "stage2", "stage3"}]
    # the optimiser remembers something of open stages only, and all of it moves on
    remembered = [_optimizer_state(work / f"epoch_{n}.pth") for n in (1, 2, 3)]
    assert [set(stages) for stages in remembered] == moved
    for earlier, later in itertools.pairwise(remembered):
        for stage, values in earlier.items():
            assert all(not torch.equal(old, new) for old, new in zip(values, later[stage], strict=True))


def _moved(states):
    """Stages of which a weight or a statistic is not the same to the bit, from one state to the next."""
    return [
        {
            name.split(".")[1] if name.startswith("backbone.") else "head"
            for name in a
            if not torch.equal(a[name], b[name])
        }
        for a, b in itertools.pairwise(states)
    ]


def _optimizer_state(path):
    """The mean gradient of each parameter, by stage."""
    optimizer = checkpoint.load(path)["optimizer"]
    stages = {}
    for group in optimizer["param_groups"]:
        found = [optimizer["state"][i]["exp_avg"] for i in group["params"] if i in optimizer["state"]]
        stages.setdefault(group["stage"], []).extend(found)
    return {stage: values for stage, values in stages.items() if values}


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"config": "configs/nothing.py"}, "no such config: configs/nothing.py"),
        ({"data_root": "/nowhere"}, "annotations/train.json, annotations/val.json not found below /nowhere"),
        ({"skeleton": "horse62"}, "no skeleton named 'horse62', did you mean 'horse26'?"),
        ({"skeleton": "ap10k"}, "only in the file: l_ear"),
        ({"init": "missing.pth"}, "no such checkpoint: missing.pth"),
        ({"config": "configs/rtmpose_m_ap10k.py"}, "tools/download_checkpoints.py rtmpose_m_ap10k"),
        ({"config": "configs/rtmpose_m_ap10k.py"}, "--from-scratch"),
        ({"device": "tpu"}, "expected cpu, cuda or cuda:N"),
        ({"cfg_options": ["train_dataloader.batch_sise=3"]}, "did you mean 'batch_size'"),
        ({"cfg_options": ["train_dataloader.batch_size=64"]}, "labelled animals do not fill one batch of 64"),
        ({"cfg_options": ["optim_wrapper.paramwise_cfg=dict(norm_decay_mult=0)"]}, "no 'paramwise_cfg'"),
        ({"cfg_options": ["codec.input_size=(100,100)"]}, "multiples of 16 pixels, such as (96,96), found (100, 100)"),
        ({"cfg_options": ["codec.input_size=128"]}, "such as (128,128), found 128"),
        ({"cfg_options": ["codec.input_size=(128,)"]}, "codec.input_size: expected (width,height)"),
        ({"cfg_options": ["codec.input_size=large"]}, "such as (256,256), found 'large'"),
        ({"cfg_options": ["codec.sigma=0"]}, "sigma: expected one number or one for x and one for y from 0.5 to"),
        ({"cfg_options": ["codec.sigma=wide"]}, "bins, found 'wide'"),
        ({"config": LITE0, "cfg_options": ["codec.heatmap_size=64"]}, "such as (32,32), found 64"),
        ({"config": LITE0, "cfg_options": ["codec.heatmap_size=(64,)"]}, "heatmap_size: expected (width,height)"),
        ({"cfg_options": ["codec.simcc_split_ratio=two"]}, "simcc_split_ratio: expected a number, found 'two'"),
        ({"config": LITE0, "cfg_options": ["codec.sigma=-1"]}, "one number from 0.5 to 5.33 cells of the heatmap"),
        ({"config": LITE0, "cfg_options": ["codec.sigma=(2,2)"]}, "found (2, 2)"),
        ({"config": LITE0, "cfg_options": ["codec.sigma=1000"]}, "heatmap, found 1000"),
        (
            {"config": LITE0, "cfg_options": ["codec.blur_kernel_size=4"]},
            "an odd number of cells from 3 to 32, found 4",
        ),
        ({"config": LITE0, "cfg_options": ["codec.blur_kernel_size=wide"]}, "from 3 to 32, found 'wide'"),
        ({"cfg_options": ["train_cfg.max_epochs=three"]}, "train_cfg.max_epochs: expected a whole number"),
        (
            {"cfg_options": ["val_dataloader.num_workers=-1"]},
            "val_dataloader.num_workers: expected a whole",
        ),
        (
            {"cfg_options": ["model.head.gau_cfg.dropout_rate=2"]},
            "cannot be built as 'model' and 'codec'",
        ),
        ({"seed": -5}, "seed: expected a whole number from 0 to 4294967295, found -5"),
        ({"seed": 2**32}, "seed: expected a whole number"),
    ],
)
def test_bad_input_is_one_clear_message_and_leaves_nothing(horses, tiny, tmp_path, changes, finding):
    own = dict(option.split("=", 1) for option in changes.get("cfg_options", []))
    options = tiny(**own) if "config" not in changes else changes.get("cfg_options", [])
    more = {name: value for name, value in changes.items() if name != "cfg_options"}
    with pytest.raises(UserError) as caught:
        run(horses, tmp_path / "run", options, **more)
    assert finding in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_heatmaps_that_a_network_gives_are_compared_with_those_it_shall_learn(horses, tmp_path):
    sizes = ["codec.input_size=(64,96)", "codec.heatmap_size=(64,64)"]
    with pytest.raises(UserError, match=r"have 16x24 cells for an input of 64x96, but .* is \(64, 64\)") as caught:
        run(horses, tmp_path / "run", sizes, config="configs/hrnet_w32_ap10k.py", from_scratch=True)
    assert caught.value.hint == '--cfg-options "codec.heatmap_size=(16,24)"'


def test_what_is_no_checkpoint_and_what_is_no_folder_are_told_before_the_run_has_one(horses, tiny, tmp_path):
    page = tmp_path / "page.pth"
    page.write_text("<html>")
    with pytest.raises(UserError, match="is broken or no checkpoint"):
        run(horses, tmp_path / "run", tiny(), init=str(page))
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match=r"page\.pth is a file"):
        run(horses, page, tiny())


def test_a_plan_says_which_weights_are_missing(horses, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("equistera.mm.run.train.measure", lambda *_: Costs((StepTime(0, 1.0),), evaluation=1.0))
    run(horses, tmp_path / "run", [], config="configs/rtmpose_m_ap10k.py", plan=True)
    text = capsys.readouterr().out
    assert text.startswith("Plan\n")
    assert "note: the pretrained weights are missing: " in text
    assert "tools/download_checkpoints.py rtmpose_m_ap10k" in text


def test_a_plan_says_what_the_network_takes_of_its_weights(horses, tiny, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("equistera.mm.run.train.measure", lambda *_: Costs((StepTime(0, 1.0),), evaluation=1.0))
    run(horses, tmp_path / "run", tiny(), init=str(trained / "best.pth"), plan=True)
    text = capsys.readouterr().out
    assert "  best.pth: " in text
    assert " weights loaded, 0 left out\n    head: 26 keypoints: 26 exact (horse26 (26 keypoints)" in text
    assert re.search(r"^ +withers +withers +exact$", text, re.MULTILINE)


def test_pictures_missing_and_truncated_are_all_named(horses, tiny, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(horses, root)
    pictures = sorted((root / "images" / "train").iterdir())
    pictures[0].unlink()
    pictures[1].write_bytes(pictures[1].read_bytes()[:2000])
    pictures[2].write_text("not a picture")
    with pytest.raises(UserError) as caught:
        run(root, tmp_path / "run", tiny())
    assert len(caught.value.problems) == 3
    for picture in pictures[:3]:
        assert picture.name in str(caught.value)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a COCO keypoint file"),
        ('{"images": [], "annotations": []}', "the list categories is missing"),
    ],
)
def test_annotations_that_cannot_be_read(horses, tiny, tmp_path, text, finding):
    root = tmp_path / "data"
    shutil.copytree(horses, root)
    (root / "annotations" / "train.json").write_text(text)
    with pytest.raises(UserError, match=finding):
        run(root, tmp_path / "run", tiny())


def test_an_empty_training_set(horses, tiny, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(horses, root)
    path = root / "annotations" / "train.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "annotations": []}))
    with pytest.raises(UserError, match="no animal with a labelled keypoint"):
        run(root, tmp_path / "run", tiny())


def test_a_work_dir_that_cannot_be_written(horses, tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write --work-dir"):
        run(horses, tmp_path / "file" / "run", tiny())


#: 309 million weights take minutes and gigabytes.
_SLOW = {"vitpose_l_ap10k.py"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in _SLOW else name for name in POSE_CONFIGS]
)
def test_every_config_trains_a_step_and_predicts(name, horses, tmp_path):
    """At its own size: nothing but the number of epochs and the batch is changed. From scratch one phase is as all."""
    import numpy as np

    from equistera.mm.prediction.predict import Predictor

    options = [
        "train_dataloader.batch_size=2",
        "train_dataloader.dataset.indices=2",
        "val_dataloader.dataset.indices=1",
    ]
    options += ["train_dataloader.num_workers=0", "val_dataloader.num_workers=0", "val_dataloader.batch_size=1"]
    options += ["train_cfg.max_epochs=1", "train_cfg.val_interval=1"]
    work = run(horses, tmp_path / "run", options, config=f"configs/{name}", from_scratch=True)
    predictor = Predictor(f"configs/{name}", work / "best.pth", device="cpu")
    (pose,) = predictor.poses([(np.zeros((120, 160, 3), np.uint8), (10, 10, 100, 90))])
    assert pose.points.shape == (26, 2)
    assert np.isfinite(pose.points).all()
