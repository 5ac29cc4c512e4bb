"""Weights in every wrapping that programs give them are read; what is something else is told by its name."""

import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmpose.registry import MODELS
from torch import nn

from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm.network import checkpoint

DEMO = "configs/demo_rtmpose_t.py"


@pytest.fixture(scope="module")
def network(tiny):
    """An untrained tiny network; not to be changed."""
    return MODELS.build(configs.load(DEMO, tiny()).model)


@pytest.fixture(scope="module")
def weights(network):
    """Its weights by name."""
    return network.state_dict()


class Stock(BaseModel):
    """The parts of a pose network under stock MMEngine, with a loss that needs no data."""

    def __init__(self, network):
        super().__init__()
        self.backbone, self.head = network.backbone, network.head

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return {"loss": sum((p**2).sum() for p in self.parameters())}


@pytest.fixture(scope="module")
def stock(tiny, tmp_path_factory):
    """What MMEngine's own Runner saves after a step, averaged weights and schedulers included."""
    folder = tmp_path_factory.mktemp("stock")
    runner = Runner(
        model=Stock(MODELS.build(configs.load(DEMO, tiny()).model)),
        work_dir=str(folder),
        train_dataloader={
            "batch_size": 1,
            "num_workers": 0,
            "dataset": [{"inputs": torch.zeros(1), "data_samples": 0}] * 2,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
        },
        optim_wrapper={"optimizer": {"type": "AdamW", "lr": 1e-4}},
        param_scheduler=[{"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 2}],
        train_cfg={"by_epoch": True, "max_epochs": 1},
        custom_hooks=[{"type": "EMAHook"}],
        default_scope="mmengine",
        experiment_name="stock",
        log_level="ERROR",
    )
    runner.message_hub.update_info("best", np.float64(0.5))
    runner.train()
    return folder / "epoch_1.pth"


def fits(network, content) -> bool:
    checkpoint.load_exactly(network, content["state_dict"], "x.pth", "")
    return True


def test_what_stock_mmengine_saves_is_read(network, stock):
    with pytest.raises(pickle.UnpicklingError):
        torch.load(stock, weights_only=True)
    content = checkpoint.load(stock)
    assert fits(network, content)
    assert content["meta"]["epoch"] == 1
    assert {"optimizer", "param_schedulers", "message_hub", "ema_state_dict"} <= content.keys()


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_numbers_of_both_numpys_are_read(network, weights, tmp_path, core):
    file = tmp_path / "x.pth"
    torch.save({"state_dict": weights, "best": np.float32(0.5), "sigmas": np.ones(3), "kind": np.array(["a"])}, file)
    swapped = tmp_path / "swapped.pth"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(swapped, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("data.pkl"):
                assert b"numpy._core.multiarray" in data
                data = data.replace(b"numpy._core.multiarray", f"{core}.multiarray".encode())
            new.writestr(name, data)
    content = checkpoint.load(swapped)
    assert fits(network, content)
    assert content["best"] == np.float32(0.5)
    assert list(content["kind"]) == ["a"]


WRAPPED = {
    "of several devices": lambda w: {"state_dict": {f"module.{n}": v for n, v in w.items()}},
    "compiled": lambda w: {"model": {f"_orig_mod.{n}": v for n, v in w.items()}},
    "compiled inside": lambda w: {n.replace("backbone.", "backbone._orig_mod."): v for n, v in w.items()},
    "Lightning": lambda w: {"state_dict": {f"model.{n}": v for n, v in w.items()}, "pytorch-lightning_version": "2"},
    "average alone": lambda w: {"ema_state_dict": {"steps": torch.ones(1), **{f"module.{n}": v for n, v in w.items()}}},
    "nested": lambda w: {"epoch": 3, "model": {"state_dict": w}},
    "meta is nothing": lambda w: {"state_dict": w, "meta": None},
    "meta is text": lambda w: {"state_dict": w, "meta": "best of all"},
    "half": lambda w: {"state_dict": {n: v.half() if v.is_floating_point() else v for n, v in w.items()}},
    "bfloat16": lambda w: {"state_dict": {n: v.bfloat16() if v.is_floating_point() else v for n, v in w.items()}},
    "MMEngine's config": lambda w: {"state_dict": w, "config": ConfigDict(a=ConfigDict(b=1))},
    "a command line": lambda w: {"state_dict": w, "args": __import__("argparse").Namespace(lr=1), "at": Path("/x")},
    "not weights among them": lambda w: {"state_dict": {**w, "epoch": 3, "name": "x"}},
}  # fmt: skip


@pytest.mark.parametrize("kind", WRAPPED)
def test_the_same_weights_in_another_wrapping(network, weights, tmp_path, kind):
    torch.save(WRAPPED[kind](weights), tmp_path / "x.pth")
    content = checkpoint.load(tmp_path / "x.pth")
    content["state_dict"].pop("steps", None)
    assert fits(network, content)
    assert isinstance(content["meta"], dict)


def write_safetensors(path, weights, cut=0):
    names = {torch.float32: "F32", torch.int64: "I64", torch.bfloat16: "BF16"}
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, value in weights.items():
        data = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": names[value.dtype], "shape": list(value.shape), "data_offsets": offsets}
        body += data
    text = json.dumps(header).encode()
    whole = struct.pack("<Q", len(text)) + text + body
    path.write_bytes(whole[: len(whole) - cut])


def test_safetensors(network, weights, tmp_path):
    write_safetensors(tmp_path / "x.safetensors", weights)
    content = checkpoint.load(tmp_path / "x.safetensors")
    assert fits(network, content)
    assert all(torch.equal(content["state_dict"][name], value) for name, value in weights.items())
    write_safetensors(tmp_path / "half.safetensors", {"backbone.x": torch.ones(2, dtype=torch.bfloat16)})
    assert checkpoint.load(tmp_path / "half.safetensors")["state_dict"]["backbone.x"].tolist() == [1, 1]
    write_safetensors(tmp_path / "cut.safetensors", weights, cut=1)
    with pytest.raises(UserError, match=r"broken or no checkpoint .*lies beyond the end"):
        checkpoint.load(tmp_path / "cut.safetensors")


@pytest.mark.parametrize("beginning", ["", "encoder.", "model.backbone.body.", "net.backbone.model."])
def test_a_backbone_alone_starts_a_network_whatever_its_names_begin_with(network, weights, beginning):
    own = {name: value + 1 for name, value in weights.items() if name.startswith("backbone.")}
    given = {name.replace("backbone.", beginning, 1): value for name, value in own.items()}
    before = {name: value.clone() for name, value in weights.items()}
    loaded, left_out = checkpoint.load_fitting(network, {**given, "fc.weight": torch.ones(10, 4)})
    assert loaded == len(own)
    assert any(line.startswith("fc.weight: (10, 4) in the file") for line in left_out)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in own.items())
    network.load_state_dict(before)


# --- what is something else ------------------------------------------------------------------------------------------


def zipped(path, name, data=b"x"):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, data)


OTHERS = {
    "x.pth": (lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid x"), "pointer of Git LFS"),
    "page.pth": (lambda p: p.write_text("\n<!DOCTYPE html><html>404"), "a web page"),
    "keras.pth": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\nxxxx"), "an HDF5 file"),
    "a.pth": (lambda p: p.write_bytes(b"\x1f\x8b\x08xxxx"), "a gzip archive"),
    "b.pth": (lambda p: zipped(p, "inner/best.pth"), "a zip archive of 1 files, such as inner/best.pth"),
    "c.pt": (lambda p: zipped(p, "c/constants.pkl"), "as TorchScript"),
    "index.json": (lambda p: p.write_text('{"weight_map": {}}'), "JSON text"),
    "snapshot-1000.index": (lambda p: p.write_bytes(b"\0\0\0"), "TensorFlow"),
    "d.pth": (lambda p: torch.save(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), p), "more than weights .*torch.nn"),
    "folder.pth": (lambda p: p.mkdir(), "is a folder"),
    "list.pth": (lambda p: torch.save([torch.zeros(3)], p), "no 'state_dict', found list"),
    "keys.pth": (lambda p: torch.save({"epoch": 3, "loss": 0.5}, p), "no 'state_dict', found epoch, loss"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_something_else_is_told_by_its_kind(tmp_path, name):
    write, finding = OTHERS[name]
    write(tmp_path / name)
    with pytest.raises(UserError, match=finding):
        checkpoint.load(tmp_path / name)


def test_a_whole_pickled_network_comes_with_the_way_out(tmp_path):
    torch.save(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), tmp_path / "x.pth")
    with pytest.raises(UserError) as caught:
        checkpoint.load(tmp_path / "x.pth")
    assert "torch.save(network.state_dict(), FILE)" in caught.value.hint


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["backbone.a", "neck.b", "bbox_head.c"], "a detector"),
        (["backbone.model.conv1.weight", "heads.bodypart.heatmap_head.x"], "a pose network of DeepLabCut"),
        (["model.0.conv.weight", "model.22.x"], "a network of YOLO"),
        (["conv1.weight", "fc.weight"], "a classifier of pictures"),
    ],
)
def test_weights_of_another_network_are_told_by_their_names(network, names, kind):
    state = {name: torch.zeros(1) for name in names}
    with pytest.raises(UserError, match=rf"another network: 0% .*it holds {kind} \({len(names)} weights"):
        checkpoint.load_fitting(network, state)
    with pytest.raises(UserError, match=rf"does not belong to this config: .*it holds {kind}"):
        checkpoint.load_exactly(network, state, "x.pth", "")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(weights, tmp_path, bad):
    state = {name: value.clone() for name, value in weights.items()}
    state["head.final_layer.bias"][3] = bad
    torch.save({"state_dict": state}, tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x\.pth holds numbers that are not finite") as caught:
        checkpoint.load(tmp_path / "x.pth")
    assert caught.value.problems == ["head.final_layer.bias: 1 of 26 values"]


HOLLOW = {
    "repeated": torch.zeros(1).expand(100_000, 100_000),
    "none": torch.zeros(2, device="meta"),
    "sparse": torch.zeros(4).to_sparse(),
}


@pytest.mark.parametrize("kind", HOLLOW)
def test_tensors_that_do_not_hold_their_numbers_are_refused_by_name(weights, tmp_path, kind):
    torch.save({"state_dict": {**weights, "head.x": HOLLOW[kind]}}, tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x\.pth holds tensors without numbers of their own") as caught:
        checkpoint.load(tmp_path / "x.pth")
    assert caught.value.problems == [f"head.x: {tuple(HOLLOW[kind].shape)}"]


def test_a_file_that_unpacks_to_more_than_it_has_is_not_unpacked(weights, tmp_path):
    torch.save({"state_dict": weights}, tmp_path / "x.pth")
    with zipfile.ZipFile(tmp_path / "x.pth", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/99", bytes(10_000_000))
        # the same entry again and again, which would take minutes
        archive.filelist += archive.filelist[-1:] * 10_000
    with pytest.raises(UserError, match="it unpacks to more bytes than it has"):
        checkpoint.load(tmp_path / "x.pth")


def test_a_bit_that_has_turned_is_noticed(weights, tmp_path):
    torch.save({"state_dict": weights}, tmp_path / "x.pth")
    data = bytearray((tmp_path / "x.pth").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "x.pth").write_bytes(data)
    with pytest.raises(UserError, match=r"x\.pth is broken or no checkpoint: the check sum of .* is wrong"):
        checkpoint.load(tmp_path / "x.pth")
