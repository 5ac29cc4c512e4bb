import pytest
from mmengine.config import Config

from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401


def load(*overrides, name="configs/rtmpose_m_ap10k.py", **shared):
    return configs.load(name, overrides, **shared)


def test_shared_entries_reach_every_part(tmp_path):
    config = load("codec.input_size=(192,192)", skeleton="ap10k", data_root=str(tmp_path))
    sets = [config[name].dataset for name in configs.LOADERS]
    for part in (config.model, *sets, config.val_evaluator, config.test_evaluator):
        assert part.skeleton == "ap10k"
    assert [part.data_root for part in sets] == [str(tmp_path)] * 3
    assert [part.codec.input_size for part in (config.model, *sets)] == [(192, 192)] * 4


COMPLETE = sorted((configs.PROJECT / "configs").glob("*.py"))


@pytest.mark.parametrize("path", COMPLETE, ids=lambda path: path.stem)
def test_a_config_is_complete_when_mmengine_has_read_it(path):
    config = Config.fromfile(path)
    sets = [config[name].dataset for name in configs.LOADERS]
    assert all(part.skeleton == config.skeleton for part in (config.model, *sets, config.val_evaluator))
    assert all(part.data_root == config.data_root for part in sets)
    assert all(part.codec == config.codec for part in (config.model, *sets))
    # what is None means none or never
    never = {"param_scheduler", "patience", "epochs", "pretrained", "deconv_out_channels"}
    assert {key for key, value in _leaves(config._cfg_dict) if value is None} <= never


def _leaves(node):
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _leaves(value)
        elif isinstance(value, (list, tuple)) and all(isinstance(item, dict) for item in value):
            yield from (leaf for item in value for leaf in _leaves(item))
        else:
            yield key, value


WIRED_BY_US = """_base_ = [
    "{0}/_base_/default_runtime.py",
    "{0}/_base_/datasets/horse26.py",
    "{0}/_base_/schedules/three_phase.py",
    "{0}/_base_/models/rtmpose_s.py",
]
"""
OLD_STEPS = """
train_pipeline = [dict(type="CropToInput", codec=None), dict(type="EncodeTargets", codec=None)]
train_dataloader = dict(num_workers=None, dataset=dict(codec=None, pipeline=train_pipeline))
val_evaluator = dict(skeleton=None, data_root=None, ann_file=None, train_ann_file=None)
model = dict(codec=None, skeleton=None)
"""


@pytest.mark.parametrize("more", ["", OLD_STEPS], ids=["nothing said", "entries to be filled in"])
def test_a_config_as_they_were_written_before_is_filled_in(tmp_path, more):
    path = tmp_path / "mine.py"
    path.write_text(WIRED_BY_US.format(configs.PROJECT / "configs") + more + "codec = dict(input_size=(96, 96))\n")
    config = load(name=path, data_root=str(tmp_path))
    train = config.train_dataloader.dataset
    parts = (config.model, train, *(step for step in train.pipeline if "codec" in step))
    assert [part.codec.input_size for part in parts] == [(96, 96)] * (4 if more else 2)
    assert config.model.skeleton == train.skeleton == "horse26"
    assert train.data_root == str(tmp_path)


def test_what_a_child_sets_anew_reaches_every_part(tmp_path):
    path = tmp_path / "child.py"
    path.write_text(f"""_base_ = {str(configs.PROJECT / "configs" / "hrnet_w32_ap10k.py")!r}
skeleton = "ap10k"
codec = dict(input_size=(128, 128), heatmap_size=(32, 32))
""")
    config = load(name=path)
    parts = (config.model, *(config[name].dataset for name in configs.LOADERS))
    assert all((part.skeleton, part.codec.heatmap_size) == ("ap10k", (32, 32)) for part in parts)


def test_paths_are_relative_to_the_project_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load().data_root == str(configs.PROJECT / "data")
    assert load("data_root=elsewhere").data_root == str(configs.PROJECT / "elsewhere")


def test_overrides_of_the_guide():
    config = load("train_dataloader.batch_size=32", "optim_wrapper.optimizer.lr=0.002")
    assert config.train_dataloader.batch_size == 32
    assert config.optim_wrapper.optimizer.lr == 0.002


def test_an_argument_of_the_class_is_known_even_if_the_config_has_none():
    assert load("train_dataloader.dataset.indices=10").train_dataloader.dataset.indices == 10
    assert load("val_dataloader.num_workers=0").val_dataloader.num_workers == 0
    assert load("optim_wrapper.optimizer.betas=(0.9,0.95)").optim_wrapper.optimizer.betas == (0.9, 0.95)


def test_an_argument_of_the_class_that_is_given_too_is_known_in_any_order():
    given = ["codec.unbiased=True", "codec.type=MSRAHeatmap"]
    for overrides in (given, given[::-1]):
        codec = configs.load(configs.PROJECT / "configs" / "lite0_imagenet.py", overrides).codec
        assert (codec.type, codec.unbiased) == ("MSRAHeatmap", True)
    with pytest.raises(UserError, match="no 'unbiased' in codec"):
        configs.load(configs.PROJECT / "configs" / "lite0_imagenet.py", given[:1])


def test_lists_are_reached_by_number():
    assert load("strategy.phases.0.augmentation=light").strategy.phases[0].augmentation == "light"


def test_a_dictionary_is_merged_with_one_and_takes_the_place_of_anything_else():
    warmup = load("strategy.warmup=dict(share=0.1)").strategy.warmup
    assert warmup == {"share": 0.1, "at_least": 10, "at_most": 1000, "epochs": None}
    assert load("strategy.opens_at=dict(_delete_=True,head=0)").strategy.opens_at == {"head": 0}
    drawn = "dict(preset='light', flip=0.3)"
    for key in ("strategy.phases.0.augmentation", "train_dataloader.dataset.augmentation"):
        config = load(f"{key}={drawn}")
        found = config.strategy.phases[0] if "phases" in key else config.train_dataloader.dataset
        assert found.augmentation == {"preset": "light", "flip": 0.3}
    phases = load(f"strategy.phases=[dict(name='all', start=0, lr_factor=1, augmentation={drawn})]").strategy.phases
    assert [phase.name for phase in phases] == ["all"]


@pytest.mark.parametrize(
    ("override", "finding"),
    [
        ("val_dataloader.dataset.data_root=elsewhere", "data_root: is filled in from the top level, set data_root"),
        ("model.skeleton=ap10k", "model.skeleton: is filled in from the top level, set skeleton"),
        ("model.codec.input_size=(64,64)", "is filled in from the top level, set codec.input_size"),
        (
            "train_dataloader.batchsize=3",
            "train_dataloader.batchsize: no 'batchsize' in train_dataloader, did you mean",
        ),
        ("train_dataloader.num_wokers=3", "did you mean 'num_workers'?"),
        ("train_loader.batch_size=3", "no 'train_loader' in the config"),
        ("optim_wrapper.optimizer.learning_rate=1", "no 'learning_rate' in optim_wrapper.optimizer"),
        ("train_dataloader.dataset.indeces=3", "did you mean 'indices'?"),
        ("strategy.phases.7.name=x", "no '7' in strategy.phases"),
        ("strategy.phases.0.lr_facter=1", "did you mean 'lr_factor'?"),
        ("batch_size", "expected key=value"),
        ("=3", "expected key=value"),
    ],
)
def test_a_typo_does_not_pass(override, finding):
    with pytest.raises(UserError) as caught:
        load(override)
    assert finding in str(caught.value)


def test_all_typos_come_at_once():
    with pytest.raises(UserError) as caught:
        load("a=1", "b=2")
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("overrides", "finding"),
    [
        (["train_cfg.max_epochs=1", "train_cfg.max_epochs=2"], "train_cfg.max_epochs: given twice, as 1 and as 2"),
        (["ema=None", "ema.share=0.1"], "ema.share=0.1: ema=None is given too, and one lies within the other"),
        (["ema.share=0.1", "ema=None"], "ema=None: ema.share=0.1 is given too, and one lies within the other"),
    ],
)
def test_overrides_that_contradict_each_other_are_refused(overrides, finding):
    with pytest.raises(UserError) as caught:
        load(*overrides)
    assert caught.value.problems == [finding]


def test_the_same_override_twice_is_one():
    assert load(*["train_cfg.max_epochs=2"] * 2).train_cfg.max_epochs == 2


def test_no_such_config():
    with pytest.raises(UserError) as caught:
        load(name="configs/rtmpose_m_ap01k.py")
    assert "did you mean 'configs/rtmpose_m_ap10k.py'?" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "finding"),
    [("x = (", "SyntaxError"), ("raise ValueError('no')", "ValueError"), ("a = 1", "has no 'skeleton'")],
)
def test_a_file_that_is_no_config(tmp_path, text, finding):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load(name=path)
    assert finding in str(caught.value)


@pytest.mark.parametrize("text", ["2024/12", "2024", "1e3"])
def test_a_text_of_the_config_stays_a_text(text):
    config = load(f"data_root={text}", "train_cfg.max_epochs=4")
    assert config.data_root == str(configs.PROJECT / text)
    assert config.train_cfg.max_epochs == 4
