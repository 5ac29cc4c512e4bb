import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.data.targets import EncodeTargets
from equistera.mm.network.model import head_loss


def sample(codec, rng):
    points, visible = rng.uniform(0, 64, (1, 26, 2)).astype(np.float32), rng.integers(0, 2, (1, 26)).astype(np.float32)
    targets = EncodeTargets(codec).codec.encode(points, visible)
    labels = {name: torch.from_numpy(value) for name, value in targets.items() if name != "heatmaps"}
    found = PoseDataSample(gt_instance_labels=InstanceData(**labels))
    if "heatmaps" in targets:
        found.gt_fields = PixelData(heatmaps=torch.from_numpy(targets["heatmaps"]))
    return found


@pytest.mark.parametrize("name", ["demo_rtmpose_t.py", "hrnet_w32_ap10k.py"])
def test_the_loss_and_its_gradient_are_those_of_the_head_itself(name):
    overrides = ["codec.input_size=(64,64)"] + (["codec.heatmap_size=(16,16)"] if "hrnet" in name else [])
    config = configs.load(f"configs/{name}", overrides)
    model = MODELS.build(config.model).eval()
    rng = np.random.default_rng(0)
    samples = [sample(config.codec, rng) for _ in range(3)]
    with torch.no_grad():
        features = model.extract_feat(torch.randn(3, 3, 64, 64))
    results = []
    for loss in (head_loss(model.head, features, samples), model.head.loss(features, samples)):
        model.zero_grad()
        loss["loss_kpt"].backward()
        gradients = [parameter.grad.clone() for parameter in model.head.parameters() if parameter.grad is not None]
        results.append((loss, gradients))
    (ours, our_gradients), (theirs, their_gradients) = results
    assert set(ours) == {"loss_kpt"}
    assert "acc_pose" in theirs
    assert torch.equal(ours["loss_kpt"], theirs["loss_kpt"])
    assert len(our_gradients) == len(their_gradients) > 0
    assert all(torch.equal(a, b) for a, b in zip(our_gradients, their_gradients, strict=True))


def test_a_head_of_another_kind_computes_its_own_loss():
    class Other(torch.nn.Module):
        def loss(self, features, data_samples):
            return {"loss_other": features[0].sum() * len(data_samples)}

    assert head_loss(Other(), (torch.ones(2),), [None, None]) == {"loss_other": torch.tensor(4.0)}
