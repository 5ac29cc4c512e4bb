import functools

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from equistera import skeleton as skeletons
from equistera.checkpoints import manifest
from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.network import checkpoint
from equistera.mm.network.transfer import (
    channel_sources,
    format_transfer_table,
    initialise,
    transfer_head,
)

FAMILIES = {
    "rtmpose": (
        "demo_rtmpose_t.py",
        ["codec.input_size=(64,64)", "model.backbone.widen_factor=0.125", "model.head.in_channels=64"],
    ),
    "hrnet": (
        "hrnet_w32_ap10k.py",
        [
            "codec.input_size=(64,64)",
            "codec.heatmap_size=(16,16)",
            "model.head.in_channels=4",
            *[f"model.backbone.extra.stage{i}.num_modules=1" for i in (3, 4)],
            "model.backbone.extra.stage1.num_blocks=(1,)",
            "model.backbone.extra.stage2.num_channels=(4,8)",
            "model.backbone.extra.stage3.num_channels=(4,8,16)",
            "model.backbone.extra.stage4.num_channels=(4,8,16,32)",
            "model.backbone.extra.stage2.num_blocks=(1,1)",
            "model.backbone.extra.stage3.num_blocks=(1,1,1)",
            "model.backbone.extra.stage4.num_blocks=(1,1,1,1)",
        ],
    ),
}


@pytest.fixture(scope="module", autouse=True)
def mmpose_scope():
    # parts of a model are looked up by type in this scope; a Runner sets it from the config
    init_default_scope("mmpose")


def build(family, skeleton, seed=0, *overrides):
    """A small model of one of our configs, with every weight random and away from zero."""
    name, options = FAMILIES[family]
    given = dict(option.split("=", 1) for option in (*options, f"skeleton={skeleton}", *overrides))
    config = configs.load(f"configs/{name}", [f"{key}={value}" for key, value in given.items()])
    model = MODELS.build(config.model).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return model


@functools.cache
def trained(family, skeleton):
    """What stands for a pretrained model; not to be changed."""
    return build(family, skeleton, seed=1)


def to_old_names(state_dict):
    return {name.replace("head.", "keypoint_head.", 1): value for name, value in state_dict.items()}


def own_state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


# --- what corresponds ------------------------------------------------------------------------------------------------


def test_ap10k_into_horse26_point_by_point():
    rows = {r.target: (r.source, r.match) for r in channel_sources(skeletons.load("ap10k"), skeletons.load("horse26"))}
    assert list(rows) == list(skeletons.load("horse26").names)
    # AP-10K calls the elbow shoulder and the carpus elbow
    assert rows["l_elbow"] == ("L_Shoulder", "exact")
    assert rows["r_knee"] == ("R_Elbow", "exact")
    assert rows["lh_fetlock"] == ("L_B_Paw", "near")
    assert rows["withers"] == ("Neck", "near")
    assert {match for _, match in rows.values()} == {"exact", "near"}


def test_horse10_leaves_points_random():
    rows = channel_sources(skeletons.load("horse10"), skeletons.load("horse26"))
    assert {row.target for row in rows if row.match == "random"} >= {"l_eye", "l_ear", "tail_end", "l_hip"}
    assert sum(row.match == "exact" for row in rows) == 14


@pytest.mark.parametrize("source", ["ap10k", "animalpose", "superanimal_quadruped"])
def test_left_stays_left(source):
    source, target = skeletons.load(source), skeletons.load("horse26")
    found = {row.target: row.source for row in channel_sources(source, target)}
    for keypoint in target.keypoints:
        if keypoint.swap:
            mirrored = source.keypoints[source.index[found[keypoint.name]]].swap
            assert found[keypoint.swap] == mirrored
            assert source.keypoints[source.index[mirrored]].side == ("right" if keypoint.side == "left" else "left")


def test_the_same_skeleton_is_carried_one_to_one():
    horse = skeletons.load("horse26")
    assert [(r.target, r.source, r.match) for r in channel_sources(horse, horse)] == [
        (name, name, "exact") for name in horse.names
    ]


def test_a_skeleton_of_ones_own_inherits_what_it_shares_with_ours(tmp_path, own_skeleton_file):
    target = skeletons.load(own_skeleton_file(tmp_path / "mine.json", ["saddle", "l_elbow", "tail_end", "Nose"]))
    rows = [(row.source, row.match) for row in channel_sources(skeletons.load("ap10k"), target)]
    assert rows == [("", "random"), ("L_Shoulder", "exact"), ("Root of tail", "near"), ("Nose", "exact")]


# --- carrying the channels -------------------------------------------------------------------------------------------


def small_states(kernel=1):
    def state(start, channels):
        values = torch.arange(channels * 3 * kernel * kernel, dtype=torch.float32) + start
        return {
            "backbone.a": torch.ones(2),
            "head.final_layer.weight": values.reshape(channels, 3, kernel, kernel),
            "head.final_layer.bias": torch.arange(channels, dtype=torch.float32) + start,
            "head.mlp.1.weight": torch.full((2, 2), float(start)),
        }

    return state(1000, 17), state(-9000, 26)


def test_every_channel_comes_from_where_the_table_says():
    given, own = small_states(kernel=7)
    source, target = skeletons.load("ap10k"), skeletons.load("horse26")
    carried, table = transfer_head(given, source, target, own)
    for i, row in enumerate(table):
        j = source.index[row.source]
        assert torch.equal(carried["head.final_layer.weight"][i], given["head.final_layer.weight"][j])
        assert carried["head.final_layer.bias"][i] == given["head.final_layer.bias"][j]
    assert torch.equal(carried["head.mlp.1.weight"], given["head.mlp.1.weight"])
    assert torch.equal(own["head.final_layer.bias"], small_states()[1]["head.final_layer.bias"])


def test_channels_without_counterpart_keep_the_networks_own_start():
    given, own = small_states()
    target = skeletons.load("horse26")
    given = {name: value[:2] if "final" in name else value for name, value in given.items()}
    two = skeletons.parse(
        {"keypoints": [{"name": n, "half": "upper", "sigma": 0.1} for n in ("withers", "unheard_of")]}, "two"
    )
    carried, table = transfer_head(given, two, target, own)
    known = target.index["withers"]
    others = [i for i in range(26) if i != known]
    assert [row.match for row in table].count("random") == 25
    assert torch.equal(carried["head.final_layer.weight"][others], own["head.final_layer.weight"][others])
    assert carried["head.final_layer.bias"][known] == 1000


@pytest.mark.parametrize("change", ["kernel", "features", "no bias", "channels"])
def test_an_output_layer_of_another_kind_is_left_out_whole(change):
    given, own = small_states()
    if change == "kernel":
        given["head.final_layer.weight"] = torch.zeros(17, 3, 7, 7)
    elif change == "features":
        given["head.final_layer.weight"] = torch.zeros(17, 5, 1, 1)
    elif change == "no bias":
        del given["head.final_layer.bias"]
    else:
        given = {name: value[:16] if "final" in name else value for name, value in given.items()}
    carried, table = transfer_head(given, skeletons.load("ap10k"), skeletons.load("horse26"), own)
    assert {row.match for row in table} == {"random"}
    assert sorted(carried) == ["backbone.a", "head.mlp.1.weight"]


def test_weights_in_half_precision_become_the_networks():
    given, own = small_states()
    given = {name: value.half() for name, value in given.items()}
    carried, _ = transfer_head(given, skeletons.load("ap10k"), skeletons.load("horse26"), own)
    assert carried["head.final_layer.weight"].dtype == torch.float32


# --- real models and real files --------------------------------------------------------------------------------------


def test_hrnet_from_a_file_of_mmpose_0_predicts_the_same_heatmaps(tmp_path):
    path = tmp_path / manifest()["hrnet_w32_animalpose"].file_name
    checkpoint.save(path, {"state_dict": to_old_names(trained("hrnet", "animalpose").state_dict()), "meta": {}})
    model = build("hrnet", "horse26")
    report = initialise(model, checkpoint.load(path), path)

    assert report.left_out == []
    assert report.loaded == len(model.state_dict())
    assert "hrnet_w32_animalpose" in report.origin
    pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        mine, theirs = model(pictures, None), trained("hrnet", "animalpose")(pictures, None)
    source = skeletons.load("animalpose")
    order = [source.index[row.source] for row in report.table]
    assert torch.allclose(mine, theirs[:, order], atol=1e-6)
    assert theirs.std() > 0.01


def test_rtmpose_from_a_file_of_17_points(tmp_path):
    path = tmp_path / "pretrained.pth"
    source = skeletons.load("ap10k")
    checkpoint.save(
        path,
        {
            "state_dict": trained("rtmpose", "ap10k").state_dict(),
            "meta": {"skeleton": {"name": "ap10k", "source": "ap10k", "keypoints": list(source.names)}},
        },
    )
    model = build("rtmpose", "horse26")
    report = initialise(model, checkpoint.load(path), path)

    assert report.left_out == []
    theirs, mine = trained("rtmpose", "ap10k").state_dict(), model.state_dict()
    assert theirs["head.final_layer.weight"].shape[0] == 17
    assert mine["head.final_layer.weight"].shape == (26, *theirs["head.final_layer.weight"].shape[1:])
    for name in theirs:
        if "final_layer" not in name:
            assert torch.equal(mine[name], theirs[name]), name
    order = [source.index[row.source] for row in report.table]
    for name in ("head.final_layer.weight", "head.final_layer.bias"):
        assert torch.equal(mine[name], theirs[name][order])


def test_a_model_of_the_same_points_predicts_the_same(tmp_path):
    model = build("rtmpose", "horse26")
    other = trained("rtmpose", "horse26")
    initialise(model, {"state_dict": other.state_dict()}, "x.pth")
    pictures = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        for mine, theirs in zip(model(pictures, None), other(pictures, None), strict=True):
            assert torch.equal(mine, theirs)


def test_the_same_points_in_another_order_are_matched_by_name(tmp_path):
    names = skeletons.load("horse26").names
    shuffled = [names[i] for i in np.random.default_rng(0).permutation(26)]
    model = build("hrnet", "horse26")
    given = trained("hrnet", "horse26").state_dict()
    initialise(model, {"state_dict": given, "meta": {"skeleton": {"name": "s", "keypoints": shuffled}}}, "x.pth")
    bias = model.state_dict()["head.final_layer.bias"]
    assert [bias[names.index(name)].item() for name in shuffled] == given["head.final_layer.bias"].tolist()


def test_random_leaves_the_whole_head_alone():
    model = build("rtmpose", "horse26")
    before = own_state(model)
    other = trained("rtmpose", "ap10k")
    report = initialise(model, {"state_dict": other.state_dict()}, "x.pth", head_init="random")
    after = model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in after if name.startswith("head."))
    assert all(torch.equal(after[n], other.state_dict()[n]) for n in after if n.startswith("backbone."))
    assert {row.match for row in report.table} == {"random"}
    heads = {name for name in after if name.startswith("head.")}
    assert {line.split(":")[0] for line in report.left_out} == heads
    assert all("head_init is 'random'" in line for line in report.left_out)


def test_another_input_size_leaves_out_what_depends_on_it_and_names_it():
    model = build("rtmpose", "horse26", 0, "codec.input_size=(96,128)")
    before = own_state(model)
    given = trained("rtmpose", "ap10k").state_dict()
    report = initialise(model, {"state_dict": given}, "x.pth")
    assert report.left_out == [
        "head.mlp.1.weight: (256, 16) in the file, (256, 48) in this model",
        "head.cls_x.weight: (128, 256) in the file, (192, 256) in this model",
        "head.cls_y.weight: (128, 256) in the file, (256, 256) in this model",
    ]
    after = model.state_dict()
    assert torch.equal(after["head.cls_x.weight"], before["head.cls_x.weight"])
    assert torch.equal(after["head.gau.o.weight"], given["head.gau.o.weight"])
    assert {row.match for row in report.table} == {"exact", "near"}


def test_unknown_keypoints_keep_the_rest_of_the_head():
    model = build("rtmpose", "horse26")
    before = own_state(model)
    given = dict(trained("rtmpose", "ap10k").state_dict())
    for name in ("weight", "bias"):
        given[f"head.final_layer.{name}"] = given[f"head.final_layer.{name}"][:5]
    report = initialise(model, {"state_dict": given}, "x.pth")
    after = model.state_dict()
    assert {row.match for row in report.table} == {"random"}
    assert report.origin == "the checkpoint does not say what its 5 keypoints are"
    assert torch.equal(after["head.final_layer.weight"], before["head.final_layer.weight"])
    assert torch.equal(after["head.gau.o.weight"], given["head.gau.o.weight"])
    assert [line.split(":")[0] for line in report.left_out] == ["head.final_layer.weight", "head.final_layer.bias"]


def test_a_backbone_alone_is_a_fine_start():
    model = build("rtmpose", "horse26")
    given = {n: v for n, v in trained("rtmpose", "ap10k").state_dict().items() if n.startswith("backbone.")}
    report = initialise(model, {"state_dict": given}, "backbone.pth")
    assert report.loaded == len(given)
    assert all(line.endswith("not in the file, keeps its start") for line in report.left_out)
    assert format_transfer_table(report) == (
        "head: 26 keypoints: 26 random (backbone.pth has no output layer for keypoints)"
    )


def test_a_checkpoint_of_another_network_is_refused_and_changes_nothing():
    model = build("rtmpose", "horse26")
    before = own_state(model)
    with pytest.raises(UserError, match="of another network: 0% of this backbone \\(CSPNeXt\\)"):
        initialise(model, {"state_dict": trained("hrnet", "ap10k").state_dict()}, "x.pth")
    # a wider sibling shares names and a few shapes
    wider = build("rtmpose", "ap10k", 0, "model.backbone.widen_factor=0.25", "model.head.in_channels=128")
    with pytest.raises(UserError, match="of another network") as caught:
        initialise(model, {"state_dict": wider.state_dict()}, "x.pth")
    assert "in the file" in caught.value.problems[0]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_unknown_head_init_is_refused():
    with pytest.raises(UserError, match="did you mean 'transfer'"):
        initialise(build("rtmpose", "horse26"), {"state_dict": {}}, "x.pth", head_init="transfr")


def test_the_table_for_the_log():
    model = build("hrnet", "horse26")
    report = initialise(model, {"state_dict": trained("hrnet", "ap10k").state_dict()}, "x.pth")
    lines = format_transfer_table(report).splitlines()
    assert lines[0] == (
        "head: 26 keypoints: 15 exact, 11 near (ap10k, a guess: the checkpoint names no keypoints, but has 17)"
    )
    assert lines[1] == "  nose        Nose          exact"
    assert lines[10] == "  tail_end    Root of tail  near"
    assert len(lines) == 27


# --- names of MMPose 0.x ---------------------------------------------------------------------------------------------


def test_old_names_of_a_head_with_convolutions_are_read_as_mmpose_reads_them():
    def head():
        return MODELS.get("HeatmapHead")(
            in_channels=4,
            out_channels=3,
            deconv_out_channels=(4,),
            deconv_kernel_sizes=(4,),
            conv_out_channels=(5, 6),
            conv_kernel_sizes=(3, 1),
        )

    torch.manual_seed(0)
    made = head()
    new, last = made.state_dict(), len(made.conv_layers)
    old = {
        name.replace("conv_layers.", "final_layer.")
        if name.startswith("conv_layers.")
        else name.replace("final_layer.", f"final_layer.{last}."): value
        for name, value in new.items()
    }
    theirs = head()
    theirs.load_state_dict(dict(old))
    upgraded = checkpoint.upgrade_keys({f"keypoint_head.{name}": value for name, value in old.items()})
    assert set(upgraded) == {f"head.{name}" for name in theirs.state_dict()}
    for name, value in theirs.state_dict().items():
        assert torch.equal(upgraded[f"head.{name}"], value)


@pytest.mark.parametrize("family", ["rtmpose", "hrnet"])
def test_new_names_stay(family):
    state = trained(family, "ap10k").state_dict()
    assert list(checkpoint.upgrade_keys(state)) == list(state)
