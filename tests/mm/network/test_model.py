import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmpose.registry import MODELS

from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.network.staged import StagedOptimWrapperConstructor


def built(name="demo_rtmpose_t.py", *overrides):
    config = configs.load(f"configs/{name}", overrides)
    return MODELS.build(config.model), config


@pytest.fixture(scope="module")
def small():
    return built("demo_rtmpose_t.py", "codec.input_size=(64,64)")


@pytest.mark.parametrize(
    ("config", "millions"),
    # 13.96 M with 26 keypoints was measured on stock MMPose; HRNet-W32 has 28.5 M (Sun et al. 2019, table 1)
    # and HRNet-W48 63.6 M; RTMPose-s and -l 5.47 M and 27.66 M with 17 (MMPose, projects/rtmpose);
    # ViTPose-B 90 M (Xu et al. 2022, table 9)
    [
        ("rtmpose_m_ap10k.py", 13.6),
        ("rtmpose_m_5k.py", 13.6),
        ("hrnet_w32_ap10k.py", 28.5),
        ("hrnet_w32_animalpose.py", 28.5),
        ("hrnet_w48_ap10k.py", 63.6),
        ("hrnet_w48_animalpose.py", 63.6),
        ("rtmpose_s_aic_coco.py", 5.7),
        ("rtmpose_l_aic_coco.py", 28.2),
        ("vitpose_s_ap10k.py", 24.3),
        ("vitpose_b_ap10k.py", 90.0),
    ],
)
def test_sizes_and_heads(config, millions):
    model, _ = built(config)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.03)
    assert model.head.out_channels == 26
    assert [stage.name for stage in model.stages] == ["stem", "stage1", "stage2", "stage3", "stage4", "head"]


def test_the_head_follows_the_skeleton_and_the_codec():
    model, _ = built("demo_rtmpose_t.py", "skeleton=ap10k", "codec.input_size=(96,128)")
    assert model.head.final_layer.out_channels == 17
    assert model.head.cls_x.out_features == 192
    assert model.head.cls_y.out_features == 256


def test_frozen_stages_have_no_gradient_and_keep_their_statistics(small):
    model, _ = small
    model.freeze({"stem", "stage1", "stage2"})
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    features = model.extract_feat(torch.randn(4, 3, 64, 64))
    sum(part.square().mean() for part in features).backward()
    for name, parameter in model.named_parameters():
        frozen = name.startswith(("backbone.stem", "backbone.stage1", "backbone.stage2"))
        assert (parameter.grad is None) == (frozen or name.startswith("head"))
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert any(name.startswith("backbone.stage3") for name in moved)
    assert not any(name.startswith(("backbone.stem", "backbone.stage1", "backbone.stage2")) for name in moved)
    model.freeze(())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(module.training for module in model.modules())


def test_frozen_norms_stay_in_eval_mode_after_evaluation(small):
    model, _ = small
    model.freeze({"stage1"})
    model.eval()
    model.train()
    modes = {m.training for m in model.backbone.stage1.modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert modes == {False}
    model.freeze(())


def test_a_few_groups_cover_every_parameter_once(small):
    model, _ = small
    wrapper = StagedOptimWrapperConstructor(
        ConfigDict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=0.1, weight_decay=0.05))
    )(model)
    groups = wrapper.optimizer.param_groups
    assert len(groups) == 2 * len(model.stages) == 10
    assert groups[0]["stage"] == "head"
    given = [id(p) for group in groups for p in group["params"]]
    assert sorted(given) == sorted(id(p) for p in model.parameters())
    for group in groups:
        assert all((p.ndim > 1) == (group["weight_decay"] > 0) for p in group["params"])


def test_paramwise_settings_are_refused_rather_than_ignored():
    with pytest.raises(UserError, match="paramwise_cfg has no effect"):
        StagedOptimWrapperConstructor(dict(type="OptimWrapper", optimizer=dict(type="AdamW")), dict(norm_decay_mult=0))


def test_mixed_precision_computes_the_backbone_in_bfloat16():
    exact, config = built("demo_rtmpose_t.py", "codec.input_size=(64,64)")
    mixed = MODELS.build({**config.model, "precision": "bfloat16"})
    mixed.load_state_dict(exact.state_dict())
    exact.eval(), mixed.eval()
    picture = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        (a,), (b,) = exact.extract_feat(picture), mixed.extract_feat(picture)
    assert b.dtype == torch.float32
    assert not torch.equal(a, b)
    assert torch.allclose(a, b, atol=0.05 * a.abs().max())


HRNET_OF_FEW = [
    "codec.input_size=(64,64)", "codec.heatmap_size=(16,16)", "model.head.in_channels=8",
    "model.backbone.extra.stage2.num_channels=(8,16)", "model.backbone.extra.stage3.num_channels=(8,16,32)",
    "model.backbone.extra.stage4.num_channels=(8,16,32,64)", "model.backbone.extra.stage3.num_modules=1",
    "model.backbone.extra.stage4.num_modules=1",
]  # fmt: skip


@pytest.mark.parametrize(
    "options", [("demo_rtmpose_t.py", "codec.input_size=(64,64)"), ("hrnet_w32_ap10k.py", *HRNET_OF_FEW)]
)
def test_dropout_takes_feature_maps_from_the_head_in_training_alone(options, monkeypatch):
    model, _ = built(*options, "model.dropout=0.5")
    maps = torch.ones(4, 200, 2, 2)
    monkeypatch.setattr(model, "extract_feat", lambda inputs: (maps,))
    monkeypatch.setattr(model.head, "forward", lambda features: features[-1])
    monkeypatch.setattr("equistera.mm.network.model.head_loss", lambda head, features, samples: {"features": features})
    (dropped,) = model.train().loss(torch.zeros(4, 3, 64, 64), [])["features"]
    # whole maps are gone, about half of them, and the others are twice as strong
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(dropped, dropped[:, :, :1, :1].expand_as(dropped))
    assert 0.4 < (dropped == 0).float().mean() < 0.6
    (whole,) = model.eval().raw_outputs(torch.zeros(4, 3, 64, 64))
    assert torch.equal(whole, maps)


@pytest.mark.parametrize(
    ("name", "options", "within"),
    [
        ("demo_rtmpose_t.py", ["codec.input_size=(64,64)"], 0.01),
        # a heatmap's cell is four pixels wide, and a mirrored map is shifted by one where 3/4 would be right
        ("hrnet_w32_ap10k.py", [], 3),
        ("hrnet_w32_ap10k.py", ["codec.unbiased=True"], 1.01),
        ("hrnet_w32_ap10k.py", ["codec.type=UDPHeatmap"], 0.02),
    ],
)
def test_outputs_on_a_mirrored_picture_are_put_back(name, options, within):
    """Points encoded as the mirrored picture shows them decode to where they are, under the exchanged names."""
    model, _ = built(name, *options)
    width = model.input_size[0]
    points = np.random.default_rng(0).uniform(0.2 * width, 0.7 * width, (1, 26, 2)).round().astype(np.float32)
    mirrored = points[:, model.skeleton.flip_indices] * [-1, 1] + [width - 1, 0]
    encoded = model.head.decoder.encode(mirrored.astype(np.float32), np.ones((1, 26), np.float32))
    if "heatmaps" in encoded:
        outputs = (torch.from_numpy(encoded["heatmaps"])[None],)
    else:
        outputs = tuple(torch.from_numpy(encoded[f"keypoint_{axis}_labels"]) for axis in "xy")
    back = model.unmirrored(outputs)
    decoded = model.head.decode(back if len(back) > 1 else back[0])
    # what decodes a UDP heatmap says it in shares of the box times the input's size
    found = decoded[0].keypoints * ((width - 1) / width if model.use_udp else 1)
    np.testing.assert_allclose(found, points, atol=within)


def test_a_mirrored_heatmap_is_shifted_where_its_codec_asks_for_it():
    plain, udp = "hrnet_w32_ap10k.py", ("hrnet_w32_ap10k.py", "codec.type=UDPHeatmap")
    assert built(plain)[0].test_cfg["shift_heatmap"] is True
    assert built(*udp)[0].test_cfg["shift_heatmap"] is False
    assert "shift_heatmap" not in built("demo_rtmpose_t.py")[0].test_cfg
    config = configs.load(f"configs/{udp[0]}", udp[1:])
    config.model.test_cfg.shift_heatmap = True
    with pytest.raises(UserError, match="would be shifted by a cell"):
        MODELS.build(config.model)


def test_heatmaps_of_three_channels_a_keypoint_are_refused():
    config = configs.load("configs/hrnet_w32_ap10k.py", ["codec.type=UDPHeatmap"])
    config.model.codec.heatmap_type = "combined"
    with pytest.raises(UserError, match="expected 'gaussian', found 'combined'"):
        MODELS.build(config.model)


def test_flip_test_averages_both_pictures(small):
    model, _ = small
    model.eval()
    inputs = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        plain, turned = model.raw_outputs(inputs), model.unmirrored(model.raw_outputs(inputs.flip(-1)))
        model.test_cfg["flip_test"] = True
        both = model.raw_outputs(inputs)
    model.test_cfg["flip_test"] = False
    for mean, straight, back in zip(both, plain, turned, strict=True):
        torch.testing.assert_close(mean, (straight + back) / 2)
