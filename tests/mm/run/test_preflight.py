"""What is filled in and refused before anything runs."""

import json
import shutil

import pytest
from mmengine.config import Config
from mmpose.registry import DATASETS, METRICS

from equistera import checkpoints
from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.run import preflight
from equistera.mm.run.train import TrainOptions, train

DEMO, PHASES = "configs/demo_rtmpose_t.py", "configs/rtmpose_m_ap10k.py"
FOLD = "val_dataloader.dataset.ann_file=annotations/fold2.json"
AUGMENTATION = "train_dataloader.dataset.augmentation"


def finished(*overrides, path=DEMO, **shared):
    config = configs.load(path, overrides, **shared)
    preflight.finish(config, None)
    return config


def test_files_are_named_once(horses, tmp_path):
    """Scores are of the loader's pictures: another fold whose ids run from 1 as well would be scored without a word."""
    (tmp_path / "annotations").mkdir()
    for name, source in (("fold2", "val"), ("few", "train")):
        shutil.copy(horses / "annotations" / f"{source}.json", tmp_path / "annotations" / f"{name}.json")
    few = "train_dataloader.dataset.ann_file=annotations/few.json"
    config = finished(FOLD, few, data_root=str(tmp_path))
    metric = METRICS.build(config.val_evaluator)
    metric.dataset_meta = DATASETS.build(config.val_dataloader.dataset).metainfo
    assert len(metric.ground_truth["images"]) == 4
    assert metric.mean_pose is not None


def test_files_that_are_named_twice_must_agree():
    finished(FOLD, "val_evaluator.ann_file=annotations/./fold2.json")
    with pytest.raises(UserError) as caught:
        finished(FOLD, "val_evaluator.ann_file=annotations/val.json", "val_evaluator.train_ann_file=all.json")
    assert caught.value.problems == [
        "val_evaluator.ann_file: 'annotations/val.json', but val_dataloader.dataset.ann_file is "
        "'annotations/fold2.json': leave it to follow, val_evaluator.ann_file=None",
        "val_evaluator.train_ann_file: 'all.json', but train_dataloader.dataset.ann_file is "
        "'annotations/train.json': leave it to follow, val_evaluator.train_ann_file=None",
    ]


def test_a_runs_own_copy_of_its_config_can_be_used_again(tmp_path):
    config = finished("strategy.phases.0.augmentation=dict(preset='light',flip=0.3)", path=PHASES)
    config.dump(tmp_path / "run.py")
    again = finished(path=str(tmp_path / "run.py"))
    assert again.train_dataloader.dataset.augmentation == config.train_dataloader.dataset.augmentation
    longer = [f"train_cfg.max_epochs={3 * config.train_cfg.max_epochs}"]
    with pytest.raises(UserError, match="expected one preset for the whole run") as caught:
        finished(*longer, path=str(tmp_path / "run.py"))
    assert f"{AUGMENTATION}=None" in caught.value.hint
    assert finished(*longer, f"{AUGMENTATION}=None", path=str(tmp_path / "run.py")).train_dataloader.dataset.seed == 0
    assert isinstance(Config.fromfile(tmp_path / "run.py"), Config)


@pytest.mark.parametrize("own", ["[(0,'light'),(2,'none')]", "7", "[3,'light']"])
def test_an_augmentation_by_epoch_is_refused_and_not_replaced(own):
    with pytest.raises(UserError, match="expected one preset for the whole run, or None, found") as caught:
        finished(f"{AUGMENTATION}={own}")
    assert "strategy.phases.0.augmentation=light" in caught.value.hint


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("training_subset=None", "training_subset: expected dict(pictures=N), for the choice of weights needs it, fo"),
        ("training_subset.pictures=0", "training_subset.pictures: expected a whole number of at least 1, found 0"),
        ("norm_statistics.pictures=few", "norm_statistics.pictures: expected a whole number of at least 0, found 'f"),
        ("norm_statistics=64", "norm_statistics: expected None or dict(pictures=N), found 64"),
        ("early_stopping=None", "early_stopping: expected dict(patience=None) for never, or epochs, found None"),
        ("early_stopping.min_delta=-1", "early_stopping.min_delta: expected a number at least 0, found -1"),
    ],
)
def test_values_that_only_an_evaluation_would_read_are_refused_by_the_plan(horses, tmp_path, override, problem):
    with pytest.raises(UserError, match="the config has values that no run can have") as caught:
        train(TrainOptions(DEMO, str(tmp_path / "run"), str(horses), plan=True, cfg_options=[override]))
    assert [found for found in caught.value.problems if found.startswith(problem)] == caught.value.problems


@pytest.mark.parametrize("split", ["train", "val"])
def test_annotations_without_an_id_or_with_one_twice_are_refused_by_the_plan(horses, tmp_path, split):
    shutil.copytree(horses / "annotations", tmp_path / "annotations")
    (tmp_path / "images").symlink_to(horses / "images")
    path = tmp_path / "annotations" / f"{split}.json"
    content = json.loads(path.read_text())
    first, second, third, *_ = content["annotations"]
    first.pop("id")
    third["id"] = second["id"]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"{split}.json cannot be used") as caught:
        train(TrainOptions(DEMO, str(tmp_path / "run"), str(tmp_path), plan=True))
    assert caught.value.problems == [
        "annotation None: id None is neither a whole number nor a text",
        f"annotation {second['id']!r}: this id stands twice",
    ]


@pytest.mark.parametrize("config", [DEMO, "configs/hrnet_w32_ap10k.py"])
@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.backbone.frozen_stages=1", "model.backbone.frozen_stages=1"),
        (
            "model.backbone.norm_cfg=dict(type='BN',requires_grad=False)",
            "model.backbone.norm_cfg.requires_grad=False",
        ),
    ],
)
def test_a_backbone_that_freezes_itself_is_refused(horses, tmp_path, config, override, said):
    """The plan would say that a stage trains which stays as it was, random where nothing was loaded."""
    options = TrainOptions(config, str(tmp_path / "run"), str(horses), from_scratch=True, cfg_options=[override])
    with pytest.raises(UserError, match=r"freezes parts of its own accord.*: stem, stage1") as caught:
        train(options)
    assert caught.value.problems == [said]
    assert "strategy.opens_at" in caught.value.hint
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["train_dataloader.persistent_workers=True"], "train_dataloader.persistent_workers: True is for workers, and"),
        (["val_dataloader.prefetch_factor=4"], "val_dataloader.prefetch_factor: 4 is for workers, and val_dataloader."),
        (["optim_wrapper.type=AmpOptimWrapper"], "optim_wrapper.type: 'AmpOptimWrapper' is for float16 on a GPU, and "),
    ],
)
def test_what_torch_would_refuse_in_its_own_words_is_refused_in_ours(monkeypatch, overrides, problem):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="the config has values that no run can have") as caught:
        finished("train_dataloader.num_workers=0", "val_dataloader.num_workers=0", *overrides)
    assert [found for found in caught.value.problems if found.startswith(problem)] == caught.value.problems


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"data_root": "a", "cfg_options": ["data_root=b"]}, "--data-root and --cfg-options data_root=b"),
        ({"seed": 0, "cfg_options": ["randomness.seed=5"]}, "--seed and --cfg-options randomness.seed=5"),
    ],
)
def test_an_option_and_an_override_of_the_same_are_refused(tmp_path, options, said):
    with pytest.raises(UserError) as caught:
        train(TrainOptions(DEMO, str(tmp_path / "run"), plan=True, **options))
    assert caught.value.summary == f"{said} decide the same"


RESNET = "model.backbone.init_cfg=dict(type='Pretrained',checkpoint='torchvision://resnet50')"


def weights_of(*overrides, path=DEMO):
    """A config and the error of its weights, which are not there."""
    config = configs.load(path, overrides)
    return config, preflight.choose_weights(config, None)


def test_a_backbone_that_names_its_weights_starts_from_them_and_nothing_is_fetched(tmp_path, monkeypatch):
    """MMEngine would ask the net for them after the banner had said that the weights are random."""
    monkeypatch.setattr(checkpoints, "PROJECT", tmp_path)
    monkeypatch.chdir(tmp_path)
    config, error = weights_of(RESNET, "from_scratch=False")
    assert error.summary.endswith(f": {checkpoints.default_dir() / 'resnet50'}")
    assert config.model.backbone.init_cfg is None
    assert "torchvision://resnet50; a training fetches nothing" in error.hint
    known = checkpoints.manifest()["rtmpose_m_ap10k"]
    _, error = weights_of(RESNET.replace("torchvision://resnet50", known.url), "from_scratch=False")
    assert error.summary.endswith(f": {checkpoints.path_of('rtmpose_m_ap10k')}")
    assert "download_checkpoints" in error.hint
    _, error = weights_of(f"pretrained={tmp_path}/own.safetensors", "from_scratch=False")
    assert error.summary.endswith(f": {tmp_path / 'own.safetensors'}")


def test_mmengines_other_name_for_the_weights_is_no_secret(tmp_path):
    (tmp_path / "mine.py").write_text(f"_base_ = ['{configs.PROJECT / DEMO}']\nload_from = 'x.pth'\n")
    _, error = weights_of("from_scratch=False", path=str(tmp_path / "mine.py"))
    assert error.summary.endswith(f": {configs.PROJECT / 'x.pth'}")


@pytest.mark.parametrize(
    ("overrides", "finding"),
    [
        ([RESNET], "from_scratch: True"),
        ([RESNET, "from_scratch=False", "pretrained=rtmpose_m_ap10k"], "pretrained: 'rtmpose_m_ap10k'"),
        ([RESNET.replace("backbone", "head"), "from_scratch=False"], "model.head.init_cfg: 'torchvision://resnet50'"),
        (
            ["model.neck=[dict(type='FPN',init_cfg=dict(type='Pretrained',checkpoint='a.pth'))]"],
            "model.neck.0.init_cfg: ",
        ),
    ],
)
def test_weights_that_are_named_twice_or_for_another_part_are_refused(overrides, finding):
    with pytest.raises(UserError) as caught:
        configs.load(DEMO, overrides)
    assert any(problem.startswith(finding) for problem in caught.value.problems)
