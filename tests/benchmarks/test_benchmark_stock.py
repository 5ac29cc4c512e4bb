import numpy as np
import pytest
import torch
from mmpose.registry import DATASETS, MODELS
from speed import stock
from speed.networks import first_batch, stepper

from equistera.augmentation import PRESETS
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.run import preflight


@pytest.fixture
def config(horses):
    config = configs.load("configs/rtmpose_m_ap10k.py", data_root=str(horses))
    preflight.finish(config, 0)
    return config


@pytest.mark.parametrize("path", ["configs/rtmpose_m_ap10k.py", "configs/hrnet_w32_ap10k.py"])
def test_stock_is_the_same_network(path):
    config = configs.load(path)
    ours, theirs = MODELS.build(config.model), MODELS.build(stock.model_config(config))
    assert type(theirs).__name__ == "TopdownPoseEstimator"
    shapes = [{name: value.shape for name, value in model.state_dict().items()} for model in (ours, theirs)]
    assert shapes[0] == shapes[1]


def test_stock_has_the_presets_ranges_and_makes_the_same_kind_of_sample(config):
    steps = stock.pipeline(config.codec, PRESETS["aggressive"])
    named = {step["type"]: step for step in steps}
    assert named["RandomBBoxTransform"]["rotate_factor"] == 40
    assert named["RandomBBoxTransform"]["scale_factor"] == (0.7, 1.3)
    assert named["RandomBBoxTransform"]["shift_factor"] == 0.16
    assert [t["p"] for t in named["Albumentation"]["transforms"]] == [0.1, 0.1, 0.1]
    theirs = DATASETS.build(stock.dataset(config, PRESETS["aggressive"]))
    ours = DATASETS.build(config.train_dataloader.dataset)
    assert len(theirs) == len(ours) >= 12
    assert [s["bbox"].tolist() for s in map(ours.get_data_info, range(12))] == [
        s["bbox"].tolist() for s in map(theirs.get_data_info, range(12))
    ]
    sample = theirs.prepare_data(0)
    assert sample["inputs"].shape == (3, 256, 256)
    assert sample["data_samples"].gt_instance_labels.keypoint_x_labels.shape == (1, 26, 512)


def test_a_stock_step_trains_everything(config):
    network, wrapper = stock.build(config)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    config.train_dataloader.batch_size = 2
    stepper(network, wrapper, first_batch(stock.loader(config, "light")))()
    still = [name for name, p in network.named_parameters() if torch.equal(p, before[name])]
    assert still == []
    assert np.isfinite([float(p.detach().sum()) for p in network.parameters()]).all()
