"""MMPose's own configs as the base of a user's."""

import pytest

from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.run.train import TrainOptions, train

RTMPOSE = "mmpose::animal_2d_keypoint/rtmpose/ap10k/rtmpose-m_8xb64-210e_ap10k-256x256.py"
HRNET = "mmpose::animal_2d_keypoint/topdown_heatmap/ap10k/td-hm_hrnet-w32_8xb64-210e_ap10k-256x256.py"
UDP = "mmpose::animal_2d_keypoint/topdown_heatmap/ap10k/cspnext-m_udp_8xb64-210e_ap10k-256x256.py"


@pytest.fixture
def mine(tmp_path):
    def write(base, more=""):
        path = tmp_path / "mine.py"
        path.write_text(f"_base_ = {base!r}\n{more}")
        return str(path)

    return write


@pytest.mark.parametrize("base", [RTMPOSE, HRNET], ids=["rtmpose", "hrnet"])
def test_network_codec_and_length_are_theirs_the_rest_is_ours(mine, base, tmp_path):
    more = "skeleton = 'horse26'\nema = None\ntrain_cfg = dict(max_epochs=7)\n"
    config = configs.load(mine(base, more), ["train_dataloader.batch_size=3"], data_root=str(tmp_path))
    assert config.model.type == "SkeletonPoseEstimator"
    assert config.model.backbone.type == ("CSPNeXt" if base == RTMPOSE else "HRNet")
    assert (config.train_cfg.max_epochs, config.train_cfg.val_interval) == (7, 10)
    assert (config.train_dataloader.batch_size, config.val_dataloader.batch_size) == (3, 32)
    assert config.ema is None
    assert config.strategy.reference_lr == config.optim_wrapper.optimizer.lr
    assert config.pretrained.startswith("https://")
    assert config.train_dataloader.dataset.ann_file == "annotations/train.json"


def test_whether_mirrored_heatmaps_are_shifted_is_as_theirs_says(mine):
    theirs = {base: configs.load(mine(base, "skeleton = 'horse26'\n")).model.test_cfg for base in (HRNET, UDP, RTMPOSE)}
    assert [cfg.get("shift_heatmap") for cfg in theirs.values()] == [True, False, None]
    unsaid = configs.load(mine(HRNET, "model = dict(test_cfg=dict(_delete_=True, flip_test=True))\n"))
    assert unsaid.model.test_cfg.shift_heatmap is False


def test_keypoints_follow_from_their_data_set(mine, tmp_path):
    assert configs.load(mine(RTMPOSE)).skeleton == "ap10k"
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "ap10k-train-split1.json").write_text("{}")
    train_set = configs.load(mine(RTMPOSE), data_root=str(tmp_path)).train_dataloader.dataset
    assert (train_set.ann_file, train_set.data_prefix.img) == ("annotations/ap10k-train-split1.json", "data/")
    with pytest.raises(UserError, match="does not say which keypoints"):
        configs.load(mine(RTMPOSE, "dataset_type = 'CocoDataset'\n"))


def test_it_is_trained(mine, horses, tmp_path):
    small = "model = dict(backbone=dict(widen_factor=0.125, deepen_factor=0.167), head=dict(in_channels=128))\n"
    options = ["codec.input_size=(64,64)", "train_dataloader.batch_size=4", "train_cfg.max_epochs=1"]
    workers = [f"{name}_dataloader.num_workers=0" for name in ("train", "val")]
    work_dir = train(
        TrainOptions(
            mine(RTMPOSE, small), work_dir=str(tmp_path / "run"), data_root=str(horses), skeleton="horse26",
            from_scratch=True, cfg_options=[*options, *workers],
        )
    )  # fmt: skip
    assert (work_dir / "best.pth").exists()
