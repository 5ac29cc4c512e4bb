"""--amp: which precision a machine gets, and that heads train and predict in it."""

import functools
import math
import os
import signal
import types

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmpose.registry import DATASETS, MODELS

from equistera.errors import Stopped
from equistera.mm import config as configs
from equistera.mm.network import checkpoint
from equistera.mm.network import precision as precisions
from equistera.mm.prediction import predict
from equistera.mm.run import preflight, settle
from equistera.mm.run import train as training
from equistera.mm.run.console import Console

DEMO = "configs/demo_rtmpose_t.py"

SMALL_HEATMAPS = ["codec.input_size=(64,64)", "codec.heatmap_size=(16,16)"]

TINY_HRNET = [
    *SMALL_HEATMAPS,
    *(f"model.backbone.extra.stage{n}.num_modules=1" for n in (2, 3, 4)),
    "model.backbone.extra.stage1.num_blocks=(1,)",
    "model.backbone.extra.stage2.num_blocks=(1,1)",
    "model.backbone.extra.stage3.num_blocks=(1,1,1)",
    "model.backbone.extra.stage4.num_blocks=(1,1,1,1)",
    "train_dataloader.num_workers=0",
]


@pytest.mark.parametrize(
    ("machine", "precision", "wrapper", "pays"),
    [
        ({"gpu": True, "gpu_bf16": True}, "bfloat16", "OptimWrapper", True),
        ({"gpu": True, "gpu_bf16": False}, "float16", "AmpOptimWrapper", False),
        ({"gpu": False, "avx512": True}, "bfloat16", "OptimWrapper", False),
        ({"gpu": False, "amx": True}, "bfloat16", "OptimWrapper", True),
        ({"gpu": False}, None, "OptimWrapper", False),
    ],
)
def test_the_precision_follows_from_the_machine(machine, precision, wrapper, pays, monkeypatch, capsys):
    cuda = types.SimpleNamespace(
        is_available=lambda: machine["gpu"], is_bf16_supported=lambda including_emulation: machine["gpu_bf16"]
    )
    cpu = types.SimpleNamespace(
        _is_avx512_bf16_supported=lambda: machine.get("avx512", False),
        _is_amx_tile_supported=lambda: machine.get("amx", False),
    )
    monkeypatch.setattr(precisions, "torch", types.SimpleNamespace(cuda=cuda, cpu=cpu))
    config = configs.load(DEMO)
    configs.write(config, precisions.mixed_precision())
    assert config.model.get("precision") == precision
    assert config.optim_wrapper.type == wrapper
    assert precisions.mixed_precision_pays() == pays
    assert ("no bfloat16 arithmetic" in capsys.readouterr().out) == (precision is None)


@pytest.fixture(params=["rtmpose", "hrnet", "lite0"])
def case(request, tiny, horses):
    """A network in bfloat16, the same in float32 with equal weights, and a training batch."""
    name, options = {
        "rtmpose": (DEMO, tiny()),
        "hrnet": ("configs/hrnet_w32_ap10k.py", TINY_HRNET),
        "lite0": ("configs/demo_lite0.py", SMALL_HEATMAPS),
    }[request.param]
    config = configs.load(name, options, data_root=str(horses))
    preflight.finish(config, None)
    torch.manual_seed(0)
    full = MODELS.build(config.model)
    config.model.precision = "bfloat16"
    half = MODELS.build(config.model)
    half.load_state_dict(full.state_dict())
    # what MMPose's own heads take
    config.train_dataloader.dataset.pipeline[-1] = {"type": "PackPoseInputs"}
    dataset = DATASETS.build(config.train_dataloader.dataset)
    return full, half, pseudo_collate([dataset[index] for index in range(4)])


def test_a_head_learns_from_a_backbone_in_bfloat16(case):
    full, half, batch = case
    losses, gradients = [], []
    for network in (full, half):
        prepared = network.data_preprocessor(batch, training=True)
        loss = network.loss(prepared["inputs"], prepared["data_samples"])["loss_kpt"]
        loss.backward()
        losses.append(float(loss.detach()))
        gradients.append(network.head.final_layer.weight.grad.flatten())
    assert all(parameter.dtype == torch.float32 for parameter in half.parameters())
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert losses[1] != losses[0]
    assert torch.cosine_similarity(*gradients, dim=0) > 0.9


def test_deconvolutions_compute_in_the_networks_precision_and_the_last_layer_in_float32(horses):
    config = configs.load("configs/demo_lite0.py", SMALL_HEATMAPS, data_root=str(horses))
    preflight.finish(config, None)
    config.model.precision = "bfloat16"
    network = MODELS.build(config.model)
    seen = {}
    for name in ("deconv_layers.0", "deconv_layers.3", "final_layer"):
        network.head.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.update({name: output.dtype})
        )
    picture, half, full = torch.zeros(1, 3, 64, 64), torch.bfloat16, torch.float32
    network.raw_outputs(picture)
    assert seen == {"deconv_layers.0": half, "deconv_layers.3": half, "final_layer": full}
    network.precision = None
    network.raw_outputs(picture)
    assert set(seen.values()) == {full}


def test_stock_heads_fail_in_bfloat16_where_ours_do_not(case):
    """The fault of MMPose 1.3.2 that keeps the head out of autocast: its accuracy is worked out in NumPy."""
    _, half, batch = case
    prepared = half.data_preprocessor(batch, training=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = tuple(feature.bfloat16() for feature in half.extract_feat(prepared["inputs"]))
        with pytest.raises(TypeError, match="BFloat16"):
            half.head.loss(features, prepared["data_samples"])
        # as under the optimiser's wrapper, which may switch autocast on around the step
        assert torch.isfinite(half.loss(prepared["inputs"], prepared["data_samples"])["loss_kpt"])


def test_predictions_in_bfloat16_are_those_in_float32_but_for_rounding(case):
    full, half, batch = case
    outputs = []
    for network in (full.eval(), half.eval()):
        prepared = network.data_preprocessor(batch, training=False)
        with torch.no_grad():
            raw = network.raw_outputs(prepared["inputs"])
            (first, *_) = network.predict(prepared["inputs"], prepared["data_samples"])
        assert all(output.dtype == torch.float32 for output in raw)
        assert np.isfinite(first.pred_instances.keypoints).all()
        outputs.append(raw)
    for plain, rounded in zip(*outputs, strict=True):
        assert not torch.equal(plain, rounded)
        assert (plain - rounded).abs().max() < 0.05 * plain.abs().max()


def test_a_run_with_amp_trains_and_evaluates_in_bfloat16(horses, tiny, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    options = training.TrainOptions(
        DEMO, work_dir=str(tmp_path / "run"), data_root=str(horses), cfg_options=tiny(), amp=True
    )
    work = training.train(options)
    assert "bfloat16" in capsys.readouterr().out
    content = checkpoint.load(work / "latest.pth")
    assert "precision='bfloat16'" in content["meta"]["config"]
    plain = checkpoint.load(trained / "latest.pth")["state_dict"]["head.cls_x.weight"]
    rounded = content["state_dict"]["head.cls_x.weight"]
    assert rounded.dtype == torch.float32
    assert not torch.equal(plain, rounded)
    assert torch.isfinite(rounded).all()


@pytest.mark.parametrize(("amp", "pays", "mixed"), [(None, True, True), (None, False, False), (False, True, False)])
def test_prediction_is_mixed_where_that_pays_unless_it_is_told_otherwise(trained, amp, pays, mixed, monkeypatch):
    monkeypatch.setattr(precisions, "mixed_precision_pays", lambda: pays)
    monkeypatch.setattr(precisions, "mixed_precision", lambda: {"model.precision": "bfloat16"})
    for was_trained_in in ("None", "'float16'"):
        options = [f"model.precision={was_trained_in}"]
        predictor = predict.Predictor(
            next(trained.glob("*.py")), trained / "best.pth", cfg_options=options, device="cpu", amp=amp
        )
        assert predictor.model.precision == (torch.bfloat16 if mixed else None)


@pytest.fixture
def scaled_losses(monkeypatch):
    """A machine whose --amp is float16; the scaler is torch's own, on the CPU."""

    # far too large at first: the scaler halves it at every step that it leaves out
    wrapper = {"optim_wrapper.type": "AmpOptimWrapper", "optim_wrapper.loss_scale": {"init_scale": 1e9}}
    monkeypatch.setattr(settle, "mixed_precision", lambda: {"model.precision": "float16", **wrapper})
    monkeypatch.setattr(amp_optimizer_wrapper, "is_cuda_available", lambda: True)
    monkeypatch.setattr(amp_optimizer_wrapper, "GradScaler", functools.partial(torch.amp.GradScaler, "cpu"))


def test_a_run_in_float16_whose_epochs_end_in_a_shorter_group_ends(scaled_losses, horses, tiny, tmp_path):
    """Five steps accumulate for an update and an epoch has four."""
    options = training.TrainOptions(
        DEMO,
        work_dir=str(tmp_path / "run"),
        data_root=str(horses),
        cfg_options=tiny(**{"optim_wrapper.accumulative_counts": 5}),
        amp=True,
    )
    optimizer = checkpoint.load(training.train(options) / "latest.pth")["optimizer"]
    left_out = round(math.log2(1e9 / optimizer["loss_scaler"]["scale"]))
    steps = {int(state["step"]) for state in optimizer["state"].values()} or {0}
    assert steps == {3 - left_out}


def test_a_run_in_float16_scales_its_losses_leaves_out_what_overflows_and_resumes(
    scaled_losses, horses, tiny, tmp_path, monkeypatch
):
    def run(name, resume=False):
        options = tiny(**{"default_hooks.checkpoint.interval": 1})
        return training.train(
            training.TrainOptions(
                DEMO, work_dir=str(tmp_path / name), data_root=str(horses), cfg_options=options, amp=True, resume=resume
            )
        )

    def stop_in_step(console, runner, loss):
        if runner.iter == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    straight = checkpoint.load(run("straight") / "latest.pth")
    scale = straight["optimizer"]["loss_scaler"]["scale"]
    steps = {int(state["step"]) for state in straight["optimizer"]["state"].values()}
    left_out = round(math.log2(1e9 / scale))
    assert left_out > 0
    assert steps == {12 - left_out}
    assert all(bool(torch.isfinite(value).all()) for value in straight["state_dict"].values())
    with monkeypatch.context() as patched:
        patched.setattr(Console, "step", stop_in_step)
        with pytest.raises(Stopped):
            run("stopped")
    stopped = checkpoint.load(run("stopped", resume=True) / "latest.pth")
    for part in ("state_dict", "optimizer", "loop"):
        assert checkpoint.equal(straight[part], stopped[part]), part
