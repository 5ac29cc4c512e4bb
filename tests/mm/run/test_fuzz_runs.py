"""Damaged and hostile checkpoints, calibrations, run records and logs: an answer or a UserError, and no code is run."""

import contextlib
import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections import OrderedDict

import mutants
import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.evaluation.calibration import (
    Calibration,
    calibration_path,
    missing_because,
    store_calibration,
    stored_calibration,
)
from equistera.mm import config as configs
from equistera.mm.network import checkpoint
from equistera.mm.network.checkpoint_record import refuse_contradictions
from equistera.mm.network.transfer import initialise
from equistera.mm.run.settle import settle
from equistera.mm.run.train import train
from equistera.monitor.follow import monitor
from equistera.monitor.plan import RUN_FILE
from equistera.named_models import own_config
from equistera.training import options as train_options
from equistera.training.options import TrainOptions, with_record

DEMO = "configs/demo_rtmpose_t.py"


class Runs:
    """Unpickled in the ordinary way it runs something."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call

    def __deepcopy__(self, memo):
        return self


def code(folder, rng):
    """An object that makes a file, in one of many ways."""
    mark = str(folder / "ran")
    return rng.choice(
        [
            Runs(os.system, f"touch {mark}"),
            Runs(eval, f"open({mark!r}, 'w')"),
            Runs(exec, f"open({mark!r}, 'w')"),
            Runs(io.open, mark, "w"),
            Runs(getattr, Runs(__import__, "os"), "system"),
            Runs(pickle.loads, pickle.dumps(Runs(os.system, f"touch {mark}"))),
            Runs(torch.load, mark),
            Runs(np.memmap, mark, "u1", "w+", 0, 10),
            Runs(shutil.rmtree, str(folder.parent / "outside")),
            Runs(configs.Config.fromfile, str(folder / "evil.py")),
        ]
    )


def odd_tensors():
    with contextlib.suppress(Exception):
        yield torch.zeros(4).to_sparse()
    yield from (
        torch.zeros(0), torch.tensor(1.0), torch.full((3, 3), float("nan")), torch.zeros(1).expand(100_000, 100_000),
        torch.zeros(2, dtype=torch.complex64), torch.zeros(2, dtype=torch.int64), torch.zeros(2, device="meta"),
        torch.nn.Parameter(torch.zeros(2)), torch.zeros(2, dtype=torch.bool), OrderedDict(), (1, 2), {1: 2},
        {None: 1}, b"x",
    )  # fmt: skip


def write_safetensors(path, state):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, value in state.items():
        values = value.contiguous().numpy().tobytes()
        kind = {torch.float32: "F32", torch.int64: "I64"}[value.dtype]
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    return header, data


def mutate_archive(data, rng):
    """A mutant of the pickle in a file of torch, or of the names in it, whose check sums are right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            content, name = old.read(entry), entry.filename
            if name.endswith("data.pkl") and rng.random() < 0.9:
                content = mutants.mutate_bytes(content, rng)
            if rng.random() < 0.01:
                name = rng.choice(["../ran", "/tmp/ran", name + "\0", "x" * 300, name])
            if rng.random() < 0.005:
                content = content[: rng.randrange(len(content) + 1)]
            deflated = rng.random() < 0.05
            new.writestr(name, content, zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED)
    return out.getvalue()


def bomb(path):
    """A small file of torch that unpacks to 100 GB: many entries that are one."""
    torch.save({"state_dict": {"backbone.stem.0.weight": torch.zeros(3)}}, path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/9", bytes(200_000_000))
        archive.filelist += archive.filelist[-1:] * 500


def checkpoint_kind(trained, tiny, form):
    def kind(folder):
        config = configs.load(DEMO, tiny())
        skeleton = skeletons.load("horse26")
        network = MODELS.build(config.model)
        originals = [(trained / name).read_bytes() for name in ("best.pth", "epoch_3.pth")]
        contents = [torch.load(trained / name, weights_only=True) for name in ("best.pth", "epoch_3.pth")]
        header, data = write_safetensors(folder / "a.safetensors", contents[0]["state_dict"])
        bomb(folder / "bomb.pth")
        odd = [*mutants.ODD, *odd_tensors()]

        def make(path, rng):
            which = rng.randrange(2)
            if form == "damaged":
                if rng.random() < 0.005:
                    shutil.copyfile(folder / "bomb.pth", path)
                else:
                    mutate = mutants.mutate_bytes if rng.random() < 0.3 else mutate_archive
                    path.write_bytes(mutate(originals[which], rng))
            elif form == "safetensors":
                changed = json.dumps(mutants.mutate_tree(header, rng) if rng.random() < 0.8 else header).encode()
                changed = changed if rng.random() < 0.9 else mutants.mutate_bytes(changed, rng)
                length = len(changed) if rng.random() < 0.95 else rng.choice([0, 2**31, 2**63, len(changed) - 1])
                path.write_bytes(struct.pack("<Q", length) + changed + data[: rng.choice([None, None, None, -10, 0])])
            else:
                extra = [code(folder, rng)] * 20 if form == "hostile" else []
                # tensors are told apart from lists by their kind, so that they are replaced as a whole
                content = mutants.mutate_tree(contents[which], rng, [*odd, *extra])
                if form == "hostile" and isinstance(content, dict):
                    content[rng.choice(["meta", "state_dict", "x"])] = {"a": code(folder, rng)}
                torch.save(content, path, _use_new_zipfile_serialization=rng.random() < 0.7)

        def attempt(rng):
            path = folder / ("a.safetensors" if form == "safetensors" else "a.pth")
            make(path, rng)
            try:
                content = checkpoint.load(path)
                refuse_contradictions(content, path, config, skeleton)
                initialise(network, content, path)
                checkpoint.load_exactly(network, content["state_dict"], path, "")
            finally:
                assert not (folder / "ran").exists()

        return attempt

    return kind


def resumed_kind(trained, horses, tiny):
    """A run goes on from a checkpoint of which any part but the weights was changed, to its end."""

    def kind(folder):
        work = folder / "run"
        options = {"work_dir": str(work), "data_root": str(horses)}
        train(TrainOptions(DEMO, **options, cfg_options=tiny(**{"default_hooks.checkpoint.interval": 1})))
        for name in ("best.pth", "epoch_3.pth", "latest.pth"):
            (work / name).unlink()
        (work / "epoch_2.pth").rename(folder / "kept.pth")
        content = torch.load(folder / "kept.pth", weights_only=True)
        shutil.copytree(work, folder / "clean")

        def attempt(rng):
            shutil.rmtree(work)
            shutil.copytree(folder / "clean", work)
            changed = {**content, **{part: mutants.mutate_tree(content[part], rng) for part in rng.sample(
                ["meta", "loop", "hooks", "optimizer"], rng.choice([1, 1, 2]))}}  # fmt: skip
            torch.save(changed, work / "epoch_2.pth")
            train(TrainOptions(work_dir=str(work), resume=True))

        return attempt

    return kind


def calibration_kind(folder):
    weights = folder / "best.pth"
    weights.write_bytes(b"weights")
    for flip in (False, True):
        store_calibration(weights, Calibration(1.5, -0.2), flip, "abc", points=200)
    content = json.loads(calibration_path(weights).read_text())

    def attempt(rng):
        path = calibration_path(weights)
        changed = mutants.mutate_tree(content, rng) if rng.random() < 0.8 else content
        text = json.dumps(changed).encode()
        path.write_bytes(text if rng.random() < 0.8 else mutants.mutate_bytes(text, rng))
        found = stored_calibration(weights, rng.random() < 0.5, "abc")
        if found is None:
            assert missing_because(weights, False, "abc")
        else:
            assert np.isfinite(found.apply(np.array([0, 0.5, 1]))).all()
        store_calibration(weights, Calibration(1.5, -0.2), False, "abc")

    return attempt


def copied(trained, folder):
    work = folder / "run"
    shutil.copytree(trained, work)
    return work


def record_kind(trained):
    def kind(folder):
        work = copied(trained, folder)
        (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
        content = json.loads((work / RUN_FILE).read_text())
        odd = [
            *mutants.ODD,
            str(folder / "evil.py"),
            "['os.system']",
            "model.type=os.system",
            "custom_imports.imports=['evil']",
        ]

        def attempt(rng):
            changed = mutants.mutate_tree(content, rng, odd)
            if rng.random() < 0.3 and isinstance(changed, dict):
                changed["record"] = mutants.mutate_tree(content["record"], rng, odd)
            record = changed.get("record") if isinstance(changed, dict) else None
            if isinstance(record, dict) and rng.random() < 0.9:
                record.pop("digest", None)
                record["digest"] = train_options._digest(record)
            text = json.dumps(changed).encode()
            (work / RUN_FILE).write_bytes(text if rng.random() < 0.9 else mutants.mutate_bytes(text, rng))
            refused = []
            for use in (
                lambda: settle(with_record(TrainOptions(work_dir=str(work), resume=True))),
                lambda: own_config(work),
                lambda: monitor([work], folder / "curves.png") if rng.random() < 0.05 else None,
            ):
                try:
                    use()
                except UserError as error:
                    refused.append(error)
            assert not (folder / "ran").exists()
            if refused:
                raise refused[0]

        return attempt

    return kind


def log_kind(trained):
    def kind(folder):
        work = copied(trained, folder)
        (log,) = work.glob("*/vis_data/scalars.json")
        (dump,) = work.glob("*/vis_data/config.py")
        lines, config = log.read_text().splitlines(), dump.read_bytes()
        entries = [json.loads(line) for line in lines]
        rows = [
            "[" * 100_000,
            "1e400",
            '{"epoch": 1e400}',
            "NaN",
            "{",
            '{"loss": 1, "epoch": 1, "iter": 1}',
            "9" * 10_000,
        ]

        def attempt(rng):
            kind = rng.random()
            if kind < 0.7:
                changed = mutants.mutate_tree(entries, rng)
                changed = changed if isinstance(changed, list) else [changed]
                text = [json.dumps(entry) for entry in changed]
                if rng.random() < 0.1:
                    text.insert(rng.randrange(len(text) + 1), rng.choice(rows))
                if rng.random() < 0.1:
                    rng.shuffle(text)
                content = "\n".join(text).encode() + b"\n"
            elif kind < 0.8:
                content = mutants.mutate_numbers(log_bytes, rng)
            else:
                content = mutants.mutate_bytes(log_bytes, rng)
            log.write_bytes(content)
            dump.write_bytes(mutants.mutate_bytes(config, rng) if rng.random() < 0.2 else config)
            with contextlib.redirect_stdout(io.StringIO()):
                monitor([work], folder / "curves.png")

        log_bytes = log.read_bytes()
        return attempt

    return kind


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "damaged checkpoints", "checkpoints of strange values", "hostile checkpoints", "safetensors", "calibrations",
        "run records", "logs", "resumed runs",
    ],
)  # fmt: skip
def test_mutants(kind, tmp_path, trained, horses, tiny):
    kinds = {
        "damaged checkpoints": checkpoint_kind(trained, tiny, "damaged"),
        "checkpoints of strange values": checkpoint_kind(trained, tiny, "strange"),
        "hostile checkpoints": checkpoint_kind(trained, tiny, "hostile"),
        "safetensors": checkpoint_kind(trained, tiny, "safetensors"),
        "calibrations": calibration_kind,
        "run records": record_kind(trained),
        "logs": log_kind(trained),
        "resumed runs": resumed_kind(trained, horses, tiny),
    }
    folder = mutants.folder_with_traps(tmp_path)
    counted = mutants.survive(kinds[kind](folder), folder, kind, 300)
    assert counted["accepted"] > 0 or kind == "hostile checkpoints"
