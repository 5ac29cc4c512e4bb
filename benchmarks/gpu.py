"""Everything that docs/benchmarks.md says about a GPU, measured within minutes on a bare machine; see gpu.sh.

Examples:
  bash benchmarks/gpu.sh --out work_dirs/gpu
  python benchmarks/gpu.py --out work_dirs/gpu --parts step_16 exact epochs
  python benchmarks/gpu.py --out /tmp/smoke --device cpu --short            does it all run?

parity   the same 20 training steps on the GPU and on the CPU: how far the weights are apart
exact    with randomness.deterministic: two runs, and one that is killed with kill -9 and resumed, have the same weights
step_16  the bare training step beside stock MMPose at batch 16, step_64 at 64, compiled with torch.compile
train_64 the whole of training at batch 64 beside the bare step and beside stock's loop
data     what the loaders deliver
infer    prediction beside MMPoseInferencer; evaluation
epochs   20 epochs of 800 pictures with RTMPose-M, and what 300 would take
demo     ./setup.sh demo: data, training, test

OUT/results.json and OUT/results.md are written after each part; a part that failed, or that there was no time for, is
named in both, and the exit code is 1.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench_folder import PROJECT, BenchFolder

from equistera import cli
from equistera.errors import UserError
from equistera.files import read_json

MODELS = ("rtmpose_m", "hrnet_w32")
#: Steps that both devices do, and how far apart weights may be afterwards, as a share of their way. AdamW moves
#: a weight at its full rate however small its gradient is, also where only rounding decides the gradient's sign.
PARITY_STEPS, PARITY_LIMIT = 20, 0.05
EPOCHS, PICTURES, ALL_EPOCHS = 20, 800, 300


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for data, logs and results")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="default: all")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu (default: cuda)")
    parser.add_argument("--minutes", type=float, default=8, help="no part begins after so long (default: 8)")
    parser.add_argument("--short", action="store_true", help="as little of everything as shows that it runs")
    return parser.parse_args(argv)


class Machine(BenchFolder):
    """The folder of these measurements, and how much of everything is asked for."""

    def __init__(self, out: Path, device: str, short: bool):
        super().__init__(out, os.cpu_count() or 1, device)
        self.patience = 200
        self.short = short

    def figures(self, name: str, *words: object) -> list[dict]:
        """Cases of ``tools/benchmark.py``."""
        file = self.out / f"{name}.json"
        common = ["--json", file, "--overwrite", "--device", self.device, "--folder", self.out / "photos"]
        rounds = ["--rounds", 1, "--config", PROJECT / "configs/demo_rtmpose_t.py", "--phases", 1] if self.short else []
        if self.short and words[0] in ("data", "infer"):
            rounds = rounds[:-2]
        self.call(self.out / f"{name}.log", "tools/benchmark.py", *words, *common, *rounds)
        return read_json(file)["cases"]

    def train(self, name: str, data: Path, *words: object, config: str = "demo_rtmpose_t") -> float:
        """A run of ``tools/train.py`` in OUT/runs/NAME; returns its seconds."""
        common = ["--data-root", data, "--work-dir", self.out / "runs" / name, "--device", self.device]
        return self.call(self.out / f"{name}.log", "tools/train.py", PROJECT / f"configs/{config}.py", *common, *words)


def parity(machine: Machine) -> dict:
    """Weights after the same steps in float32 on both devices, by the distance that they moved."""
    import torch
    from speed.networks import first_batch, ours, stepper
    from speed.options import Options, load, start

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    result = {}
    for model in MODELS if not machine.short else ("demo_rtmpose_t",):
        name = model if machine.short else f"{model}_ap10k"
        options = Options(device=machine.device, folder=str(machine.out / "photos"), batch_size=4, pictures=8)
        start(options)
        config = load(options, str(PROJECT / f"configs/{name}.py"), options.sizes[0])
        batch = first_batch(config.train_dataloader)
        weights = []
        for device in (machine.device, "cpu"):
            torch.manual_seed(0)
            network, wrapper = ours(config, 1 if machine.short else 3)
            if device == machine.device:
                before = {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}
            network.load_state_dict(before)
            # the optimiser holds the same parameters: moving them keeps it theirs
            network.to(device)
            stepper(network, wrapper, batch, 2 if machine.short else PARITY_STEPS)()
            weights.append({key: value.detach().cpu().double() for key, value in network.named_parameters()})
        there, here = (torch.cat([value.flatten() for value in each.values()]) for each in weights)
        start_at = torch.cat([before[key].double().flatten() for key in weights[0]])
        apart = float((there - here).norm() / (here - start_at).norm())
        result[model] = {"apart": apart, "limit": PARITY_LIMIT}
        if not apart <= PARITY_LIMIT:
            raise UserError(f"{model}: weights are {apart:.3g} of their way apart, expected {PARITY_LIMIT} at most")
    return result


def exact(machine: Machine) -> dict:
    """Whether two runs, and one that was killed and resumed, end with the same bytes of weights."""
    data = machine.horses("few", 1, {"train": 64, "val": 16, "test": 16})
    settings = ["--amp", "--cfg-options", "randomness.deterministic=True", "train_cfg.max_epochs=6"]
    settings += ["train_cfg.val_interval=2", "default_hooks.checkpoint.interval=1"]
    seconds = [machine.train(name, data, *settings) for name in ("first", "second")]
    runs = machine.out / "runs"
    command = [sys.executable, str(PROJECT / "tools/train.py"), str(PROJECT / "configs/demo_rtmpose_t.py")]
    command += ["--data-root", str(data), "--work-dir", str(runs / "killed"), "--device", machine.device, *settings]
    with (machine.out / "killed.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        while not list((runs / "killed").glob("epoch_*.pth")) and process.poll() is None:
            time.sleep(0.05)
        found = sorted(path.name for path in (runs / "killed").glob("epoch_*.pth"))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    resume = ["--work-dir", runs / "killed", "--device", machine.device, "--resume"]
    machine.call(machine.out / "resumed.log", "tools/train.py", *resume)
    ends = {name: _weights_of(runs / name) for name in ("first", "second", "killed")}
    if len(set(ends.values())) > 1:
        raise UserError("runs that should be the same are not:", [f"{name}: {end}" for name, end in ends.items()])
    return {"weights": ends["first"], "found after kill -9": found, "seconds": seconds}


def _weights_of(run: Path) -> str:
    import torch

    state = torch.load(run / "best.pth", map_location="cpu", weights_only=True)["state_dict"]
    content = b"".join(key.encode() + value.contiguous().numpy().tobytes() for key, value in sorted(state.items()))
    return hashlib.sha256(content).hexdigest()[:16]


def _quick(machine: Machine, name: str, *words: object, batch: int) -> list[dict]:
    few = ["--rounds", 3, "--batch-size", 4 if machine.short else batch]
    return machine.figures(name, *words, "--amp", *few)


def step_16(machine: Machine) -> list[dict]:
    """``benchmark.py step``."""
    return _quick(machine, "step_16", "step", "--seconds", 0.5, batch=16)


def step_64(machine: Machine) -> list[dict]:
    """``benchmark.py step``."""
    return _quick(machine, "step_64", "step", "--seconds", 0.5, batch=64)


def train_64(machine: Machine) -> list[dict]:
    """``benchmark.py train``."""
    words = ["train", "--phases", 3, "--steps", 2 if machine.short else 40]
    return _quick(machine, "train_64", *words, batch=64)


def compiled(machine: Machine) -> list[dict]:
    """``benchmark.py step --compile``: takes minutes before its first step."""
    words = ["step", "--compile", "--against", "nothing", "--phases", 3, "--seconds", 0.5]
    return _quick(machine, "compiled", *words, batch=64)


def data(machine: Machine) -> list[dict]:
    """``benchmark.py data`` for some numbers of workers."""
    workers = [0] if machine.short else sorted({min(count, machine.threads) for count in (4, 16)})
    config = PROJECT / "configs/rtmpose_m_ap10k.py"
    words = ["--config", config, "--workers", *workers, "--batch-size", 64, "--rounds", 1, "--sizes", "1280x960"]
    return machine.figures("data", "data", *words)


def infer(machine: Machine) -> list[dict]:
    """``benchmark.py infer`` at batch 16."""
    return machine.figures("infer", "infer", "--amp", "--rounds", 3, "--seconds", 1)


def epochs(machine: Machine) -> dict:
    """Twenty epochs of the user's case, and what all would take by the mean time of a step."""
    pictures, count = (32, 2) if machine.short else (PICTURES, EPOCHS)
    data = machine.horses("800", 2, {"train": pictures, "val": 48, "test": 1})
    words = ["--from-scratch", "--amp", "--cfg-options", f"train_cfg.max_epochs={count}"]
    words += [f"train_cfg.val_interval={count}", "default_hooks.logger.interval=1"]
    config = "demo_rtmpose_t" if machine.short else "rtmpose_m_ap10k"
    whole = machine.train("epochs", data, *words, config=config)
    log = next((machine.out / "runs" / "epochs").glob("*/vis_data/scalars.json")).read_text().splitlines()
    rows = [row for row in map(json.loads, log) if "loss" in row]
    each = sum(row["time"] for row in rows) / len(rows)
    steps = -(-pictures // 16) * count
    all_hours = each * steps / count * ALL_EPOCHS / 3600
    return {"epochs": count, "pictures": pictures, "seconds": whole, "step": each, "300 epochs, hours": all_hours}


def demo(machine: Machine) -> dict:
    """The demo's three commands."""
    counts = {"train": 64, "val": 16, "test": 16} if machine.short else {"train": 1200, "val": 48, "test": 48}
    began = time.monotonic()
    data = machine.horses("demo", 0, counts)
    made = time.monotonic() - began
    few = ["--cfg-options", "train_cfg.max_epochs=1", "train_cfg.val_interval=1"] if machine.short else []
    trained = machine.train("demo", data, "--amp", *few)
    run, scores = machine.out / "runs" / "demo", machine.out / "demo_scores"
    words = [PROJECT / "configs/demo_rtmpose_t.py", run / "best.pth", "--data-root", data, "--device", machine.device]
    tested = machine.call(machine.out / "demo_test.log", "tools/test.py", *words, "--flip-test", "--out", scores)
    metrics = read_json(scores / "metrics.json")
    return {"data": made, "training": trained, "test": tested, "AP": metrics["AP"], "PCK@0.1": metrics["PCK@0.1"]}


PARTS: dict[str, Callable[[Machine], dict | list]] = {
    part.__name__: part for part in (step_16, step_64, infer, epochs, demo, exact, parity, train_64, data, compiled)
}


def table(results: dict) -> str:
    """The results as Markdown."""
    lines = ["| part | what | figures |", "|---|---|---|"]
    for name, result in results.items():
        for case in result if isinstance(result, list) else [result]:
            if "rates" in case:
                rates = [f"{who} {spread['median']:.4g} {case['unit']}" for who, spread in case["rates"].items()]
                ratios = [
                    f"{pair} {r['median']:.3g} ({r['low']:.3g}-{r['high']:.3g})" for pair, r in case["ratios"].items()
                ]
                lines.append(f"| {name} | {case['case']} | {'; '.join(rates + ratios)} |")
            else:
                lines.append(f"| {name} | | {'; '.join(f'{key}: {value}' for key, value in case.items())} |")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    machine = Machine(args.out, args.device, args.short)
    from equistera import device

    device.choose(args.device)
    results, failed, began = {}, [], time.monotonic()
    for name in args.parts:
        if time.monotonic() - began > args.minutes * 60:
            results[name] = {"not run": f"{args.minutes:g} minutes were over"}
            failed.append(name)
            continue
        start = time.monotonic()
        try:
            results[name] = PARTS[name](machine)
        except UserError as error:
            results[name] = {"failed": str(error)}
            failed.append(name)
        print(f"{name}: {time.monotonic() - start:.0f} s{', FAILED' if name in failed else ''}", flush=True)
        machine.write({"parts": results}, table(results), say=False)
    print(table(results))
    if failed:
        raise UserError(f"not measured: {', '.join(failed)}", [], f"see {machine.out / 'results.md'}")


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
