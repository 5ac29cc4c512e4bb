"""ViTPose's weights as its authors and as transformers write them, against networks that compute as theirs do."""

import struct

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.network import checkpoint, vitpose
from equistera.mm.network.transfer import format_transfer_table, initialise
from equistera.training.schedule import make_schedule

WIDTH, BLOCKS, HEADS, PART = 24, 4, 4, 6
SMALL = (
    f"model.backbone.arch.embed_dims={WIDTH}",
    f"model.backbone.arch.num_layers={BLOCKS}",
    f"model.backbone.arch.num_heads={HEADS}",
    f"model.backbone.arch.feedforward_channels={4 * WIDTH}",
    f"model.head.in_channels={WIDTH}",
)
#: As the weights were trained: 192 wide, 256 high.
PUBLISHED = ("codec.input_size=(192,256)", "codec.heatmap_size=(48,64)", "skeleton=ap10k")


@pytest.fixture(scope="module", autouse=True)
def mmpose_scope():
    init_default_scope("mmpose")


def built(*options):
    config = configs.load("configs/vitpose_s_ap10k.py", [*SMALL, *options])
    return MODELS.build(config.model).eval()


def randomised(network):
    """Weights away from zero, statistics of norms too; heatmaps of about 1, as trained ones give."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                spread = 0.02 if "final_layer" in name or "head.conv" in name else 0.2 if "backbone" in name else 0.03
                value.add_(torch.randn(value.shape, generator=generator) * spread)
                if name.endswith("running_var"):
                    value.abs_().add_(0.1)
    return network.eval()


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        count, cells, _ = x.shape
        q, k, v = self.qkv(x).reshape(count, cells, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (WIDTH // HEADS) ** -0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(count, cells, WIDTH))


class Experts(nn.Module):
    """The last features of the second layer come from the data set's expert."""

    def __init__(self, experts):
        super().__init__()
        part = PART if experts else 0
        self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH - part)
        if experts:
            self.experts = nn.ModuleList(nn.Linear(4 * WIDTH, part) for _ in range(experts))

    def forward(self, x, dataset):
        x = nn.functional.gelu(self.fc1(x))
        return torch.cat([self.fc2(x), self.experts[dataset](x)], -1) if hasattr(self, "experts") else self.fc2(x)


class Block(nn.Module):
    def __init__(self, experts):
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(WIDTH, eps=1e-6) for _ in range(2))
        self.attn, self.mlp = Attention(), Experts(experts)

    def forward(self, x, dataset):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x), dataset)


class Backbone(nn.Module):
    def __init__(self, experts):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, 16 * 12 + 1, WIDTH))
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, WIDTH, 16, 16, padding=2)
        self.blocks = nn.ModuleList(Block(experts) for _ in range(BLOCKS))
        self.last_norm = nn.LayerNorm(WIDTH, eps=1e-6)

    def forward(self, x, dataset):
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
        x = x + self.pos_embed[:, 1:] + self.pos_embed[:, :1]
        for block in self.blocks:
            x = block(x, dataset)
        return self.last_norm(x).permute(0, 2, 1).reshape(len(x), WIDTH, 16, 12)


class Head(nn.Module):
    def __init__(self, keypoints):
        super().__init__()
        layers = []
        for inputs in (WIDTH, 256):
            layers += [nn.ConvTranspose2d(inputs, 256, 4, 2, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU()]
        self.deconv_layers, self.final_layer = nn.Sequential(*layers), nn.Conv2d(256, keypoints, 1)

    def forward(self, x):
        return self.final_layer(self.deconv_layers(x))


class Authors(nn.Module):
    """ViTPose and ViTPose++ with the names of github.com/ViTAE-Transformer/ViTPose (vit.py, vit_moe.py)."""

    def __init__(self, experts=0):
        super().__init__()
        self.backbone, self.keypoint_head = Backbone(experts), Head(17)
        if experts:
            self.associate_keypoint_heads = nn.ModuleList(Head(count) for count in (14, 16, 17, 17, 133))

    def forward(self, x, dataset=0):
        head = self.associate_keypoint_heads[dataset - 1] if dataset else self.keypoint_head
        return head(self.backbone(x, dataset))


@pytest.fixture(scope="module")
def crops():
    return torch.randn(2, 3, 256, 192, generator=torch.Generator().manual_seed(1))


def saved(network, path, **beside):
    torch.save({"state_dict": network.state_dict(), "meta": {}, **beside}, path)
    return path


def outputs(network, crops):
    with torch.no_grad():
        return network.raw_outputs(crops)[0]


@pytest.mark.parametrize(("experts", "dataset"), [(0, 0), (6, 3)])
def test_the_authors_weights_compute_the_same(experts, dataset, crops, tmp_path):
    theirs = randomised(Authors(experts))
    content = checkpoint.load(saved(theirs, tmp_path / "x.pth"))
    ours = built(*PUBLISHED)
    checkpoint.load_exactly(ours, content["state_dict"], "x.pth", "")
    with torch.no_grad():
        assert outputs(ours, crops) == pytest.approx(theirs(crops, dataset), abs=1e-5)
    changes = " ".join(content["conversion"].changes)
    assert ("AP-10K merged into 4 blocks; 5 others in each were left out" in changes) == bool(experts)
    assert ("head: that for AP-10K; those for coco, aic, mpii, apt36k, wholebody were left out" in changes) == (
        dataset == 3
    )


def test_what_their_splitter_has_left_is_not_merged_twice(crops, tmp_path):
    theirs = randomised(Authors(6))
    state = theirs.state_dict()
    for name in [name for name in state if ".mlp.fc2." in name]:
        state[name] = torch.cat([state[name], state[name.replace("fc2", "experts.3")]])
    for name in [name for name in state if name.startswith("associate_")]:
        value = state.pop(name)
        if name.startswith("associate_keypoint_heads.2."):
            state[name.replace("associate_keypoint_heads.2", "keypoint_head")] = value
    torch.save({"state_dict": state}, tmp_path / "ap10k.pth")
    content = checkpoint.load(tmp_path / "ap10k.pth")
    ours = built(*PUBLISHED)
    checkpoint.load_exactly(ours, content["state_dict"], "ap10k.pth", "")
    with torch.no_grad():
        assert outputs(ours, crops) == pytest.approx(theirs(crops, 3), abs=1e-5)


def test_the_authors_weights_start_a_square_network_of_horses(tmp_path):
    theirs = randomised(Authors(6))
    path = saved(theirs, tmp_path / "vitpose-s-ap10k.pth")
    network = built()
    report = initialise(network, checkpoint.load(path), path)
    assert [line for line in report.left_out if line.startswith("backbone")] == []
    assert "backbone.pos_embed: 16x12 in the file, interpolated to 16x16" in report.changes
    assert "exact" in format_transfer_table(report).splitlines()[0]
    own = network.backbone.pos_embed.detach().reshape(16, 16, WIDTH)
    positions = (theirs.backbone.pos_embed[:, 1:] + theirs.backbone.pos_embed[:, :1]).detach().reshape(16, 12, WIDTH)
    # rows stay, twelve columns are spread over sixteen
    assert (own[:, [0, 15]] - positions[:, [0, 11]]).abs().mean() < 0.5 * (
        own[:, [0, 15]] - positions[:, [6, 6]]
    ).abs().mean()


@pytest.mark.parametrize("damage", ["an expert", "a shape", "a head", "a key"])
def test_weights_that_do_not_belong_together_are_refused(damage, tmp_path):
    state = randomised(Authors(6)).state_dict()
    if damage == "an expert":
        state = {name: value for name, value in state.items() if "experts.5" not in name}
    elif damage == "a shape":
        state["backbone.blocks.0.mlp.experts.3.weight"] = torch.zeros(3, 5)
    elif damage == "a head":
        state = {name: value for name, value in state.items() if "heads.4." not in name}
    else:
        del state["backbone.blocks.1.mlp.fc2.weight"]
    torch.save({"state_dict": state}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="do not fit each other"):
        checkpoint.load(tmp_path / "x.pth")


def transformers_model(tmp_path, experts, simple=False):
    """The peer's own network with random weights, as it saves itself: a ``model.safetensors``."""
    transformers = pytest.importorskip("transformers")
    backbone = transformers.VitPoseBackboneConfig(
        hidden_size=WIDTH, num_hidden_layers=BLOCKS, num_attention_heads=HEADS, mlp_ratio=4, num_experts=experts,
        part_features=PART, image_size=[256, 192], out_indices=[BLOCKS],
    )  # fmt: skip
    config = transformers.VitPoseConfig(backbone_config=backbone, num_labels=17, use_simple_decoder=simple)
    model = randomised(transformers.VitPoseForPoseEstimation(config))
    model.save_pretrained(tmp_path)
    return model, tmp_path / "model.safetensors"


@pytest.mark.parametrize(("experts", "simple"), [(1, False), (6, False), (1, True)])
def test_transformers_weights_compute_the_same(experts, simple, crops, tmp_path):
    theirs, path = transformers_model(tmp_path, experts, simple)
    content = checkpoint.load(path)
    simple_head = ["model.head.deconv_out_channels=()", "model.head.deconv_kernel_sizes=()"]
    head = [*simple_head, "model.head.final_layer=dict(kernel_size=3,padding=1)"]
    neck = ["model.neck=dict(type='FeatureMapProcessor',scale_factor=4.0,apply_relu=True)"]
    ours = built(*PUBLISHED, *([*head, *neck] if simple else []))
    checkpoint.load_exactly(ours, content["state_dict"], path, "")
    with torch.no_grad():
        wanted = theirs(crops, dataset_index=torch.full((2,), vitpose.AP10K)).heatmaps
    assert outputs(ours, crops) == pytest.approx(wanted, abs=1e-5)
    assert content["conversion"].head_of == (
        "" if experts == 1 else "people's (COCO): transformers keeps no other head of ViTPose++"
    )


def renamed_as_transformers_does(state):
    """The authors' names as ``convert_vitpose_to_hf.py`` renames them, for where the peer is not installed."""
    renamed = {}
    for name, value in state.items():
        if name.startswith("associate_"):
            continue
        for old, new in (
            ("patch_embed.proj", "embeddings.patch_embeddings.projection"), ("attn.proj", "attention.output.dense"),
            ("pos_embed", "embeddings.position_embeddings"), ("blocks", "encoder.layer"), ("norm1", "layernorm_before"),
            ("norm2", "layernorm_after"), ("last_norm", "layernorm"), ("keypoint_head", "head"),
            ("deconv_layers.0", "deconv1"), ("deconv_layers.1", "batchnorm1"), ("deconv_layers.3", "deconv2"),
            ("deconv_layers.4", "batchnorm2"), ("final_layer", "conv"),
        ):  # fmt: skip
            name = name.replace(old, new)
        if "qkv" in name:
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                renamed[name.replace("attn.qkv", f"attention.attention.{part}")] = third
        else:
            renamed[name] = value
    return renamed


def write_safetensors(state, path):
    import json

    header, data = {}, b""
    for name, value in state.items():
        raw = value.contiguous().numpy().tobytes()
        kind = {torch.float32: "F32", torch.int64: "I64"}[value.dtype]
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_a_head_of_people_is_not_taken_for_animals(crops, tmp_path):
    theirs = randomised(Authors(6))
    path = tmp_path / "model.safetensors"
    write_safetensors(renamed_as_transformers_does(theirs.state_dict()), path)
    content = checkpoint.load(path)
    ours = built(*PUBLISHED)
    checkpoint.load_exactly(ours, content["state_dict"], path, "")
    with torch.no_grad():
        wanted = theirs.keypoint_head(theirs.backbone(crops, 3))
    assert outputs(ours, crops) == pytest.approx(wanted, abs=1e-5)
    report = initialise(built(), content, path)
    assert "26 random" in format_transfer_table(report).splitlines()[0]
    assert "people's (COCO)" in report.origin


@pytest.mark.parametrize(("cells", "grid"), [(192, (16, 12)), (256, (16, 16)), (196, (14, 14)), (193, None), (0, None)])
def test_grids(cells, grid):
    assert vitpose.grid_of(cells) == grid


def test_rates_fall_from_layer_to_layer():
    network = built()
    config = configs.load("configs/vitpose_s_ap10k.py")
    wrapper = build_optim_wrapper(network, config.optim_wrapper)
    schedule = make_schedule(config.strategy, network.stages, 300, 10)
    by_name = {id(parameter): name for name, parameter in network.named_parameters()}
    rates, decays = {}, {}
    for group in wrapper.optimizer.param_groups:
        for parameter in group["params"]:
            name = by_name[id(parameter)]
            rates[name] = schedule.lr(group["stage"], 1500, group["layers_after"])
            decays[name] = group["weight_decay"]
    tiers = rates["head.final_layer.weight"] / 10
    assert rates["backbone.ln1.weight"] == pytest.approx(tiers)
    assert rates["backbone.layers.3.attn.qkv.weight"] == pytest.approx(tiers * 0.8)
    assert rates["backbone.layers.2.ffn.layers.1.weight"] == pytest.approx(tiers * 0.8**2)
    assert rates["backbone.layers.1.ffn.layers.1.weight"] == pytest.approx(tiers * 0.8**3)
    assert {rates[name] for name in rates if name.startswith(("backbone.layers.0.", "backbone.p"))} == {0.0}
    assert decays["backbone.pos_embed"] == decays["backbone.ln1.weight"] == 0
    assert decays["backbone.patch_embed.projection.weight"] == 0.1
