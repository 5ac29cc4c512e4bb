"""Everything that docs/benchmarks.md says about a GPU, measured within minutes on a bare machine; see gpu.sh.

Examples:
  bash benchmarks/gpu.sh --out work_dirs/gpu
  bash benchmarks/gpu.sh --out work_dirs/gpu --parts step_16 exact epochs
  bash benchmarks/gpu.sh --out /tmp/smoke --device cpu --short --minutes 30      does it all run?

At batch 16 and 64, with RTMPose-M and HRNet-W32:
step      the bare training step beside stock MMPose
train     the whole of training beside the bare step and beside stock's loop
compiled  the bare step with torch.compile
data      what the loaders deliver

infer     prediction beside MMPoseInferencer; evaluation
epochs    20 epochs of 800 pictures with RTMPose-M, and what 300 would take
demo      ./setup.sh demo: data, training, test
exact     with randomness.deterministic: two runs, and one that is killed (kill -9) and resumed, have the same weights
parity    the same 20 training steps on the GPU and on the CPU: how far the weights are apart

OUT/results.json and OUT/results.md are written after each part; a part that failed, or that there was no time for, is
named in both, and the exit code is 1. What matters most comes first; the rest is for another call with --parts.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bench_folder import PROJECT, TINY, BenchFolder, once_evaluated

from equistera import cli
from equistera.errors import UserError
from equistera.files import read_json

MODELS = ("rtmpose_m_ap10k", "hrnet_w32_ap10k")
#: Steps that both devices do, and how far apart weights may be afterwards, as a share of their way. AdamW moves
#: a weight at its full rate however small its gradient is, also where only rounding decides the gradient's sign.
PARITY_STEPS, PARITY_LIMIT = 20, 0.05
EPOCHS, PICTURES, ALL_EPOCHS = 20, 800, 300


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for data, logs and results")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="default: all")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu (default: cuda)")
    parser.add_argument("--minutes", type=float, default=8, help="what is not done by then is named (default: 8)")
    parser.add_argument("--short", action="store_true", help="as little of everything as shows that it runs")
    return parser.parse_args(argv)


class Machine(BenchFolder):
    """The folder of these measurements, how much of everything is asked for, and until when."""

    def __init__(self, out: Path, device: str, short: bool, minutes: float):
        super().__init__(out, 1 if short else os.cpu_count() or 1, device)
        self.short = short
        self.models = ("demo_rtmpose_t",) if short else MODELS
        self.ends = time.monotonic() + 60 * minutes

    @property
    def patience(self) -> float:
        """Seconds that are left."""
        return max(0.0, self.ends - time.monotonic())

    def figures(self, name: str, *words: object, models: Sequence[str] | None = None) -> list[dict]:
        """Cases of ``tools/benchmark.py``, for all models unless some are named."""
        file = self.out / f"{name}.json"
        configs = [PROJECT / f"configs/{model}.py" for model in models or self.models]
        words = (*words, "--config", *configs, "--device", self.device, "--folder", self.out / "photos")
        few = ["--rounds", 1, "--pictures", 4, "--cfg-options", *TINY] if self.short else []
        self.call(self.out / f"{name}.log", "tools/benchmark.py", *words, "--json", file, "--overwrite", *few)
        return read_json(file)["cases"]

    def run_of(self, name: str, data: Path, settings: Sequence[str], config: str = "demo_rtmpose_t") -> list[str]:
        """Words for a run of ``tools/train.py`` in OUT/runs/NAME."""
        words = [PROJECT / f"configs/{config}.py", "--data-root", data, "--work-dir", self.out / "runs" / name]
        settings = [*settings, *(TINY if self.short else ())]
        words += ["--device", self.device, "--amp", *(["--cfg-options", *settings] if settings else [])]
        return list(map(str, words))

    def train(self, name: str, *run: object, **changes: object) -> float:
        """Does a run, see :meth:`run_of`; returns its seconds."""
        return self.call(self.out / f"{name}.log", "tools/train.py", *self.run_of(name, *run, **changes))


def parity(machine: Machine) -> list[dict]:
    """Weights after the same steps in float32 on both devices, by the distance that they moved."""
    import torch
    from speed.networks import first_batch, ours, stepper
    from speed.options import Options, load, start

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    result = []
    tiny = list(TINY) if machine.short else []
    folder = str(machine.out / "photos")
    options = Options(device=machine.device, folder=folder, batch_size=4, pictures=4, cfg_options=tiny)
    start(options)
    for model in machine.models:
        config = load(options, str(PROJECT / f"configs/{model}.py"), options.sizes[0])
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
        result.append({"model": model, "apart": float((there - here).norm() / (here - start_at).norm())})
    if not all(each["apart"] <= PARITY_LIMIT for each in result):
        found = [f"{each['model']}: by {each['apart']:.3g} of their way" for each in result]
        raise UserError(f"weights are apart, expected by {PARITY_LIMIT} of their way at most:", found)
    return result


def exact(machine: Machine) -> dict:
    """Whether two runs, and one that was killed and resumed, end with the same bytes of weights."""
    data = machine.horses("few", 1, {"train": 64, "val": 16, "test": 16})
    settings = ["randomness.deterministic=True", "train_cfg.max_epochs=6"]
    settings += ["train_cfg.val_interval=2", "default_hooks.checkpoint.interval=1"]
    seconds = [machine.train(name, data, settings) for name in ("first", "second")]
    runs = machine.out / "runs"
    command = [sys.executable, str(PROJECT / "tools/train.py"), *machine.run_of("killed", data, settings)]
    with (machine.out / "killed.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        while not list((runs / "killed").glob("epoch_*.pth")) and process.poll() is None and machine.patience:
            time.sleep(0.05)
        found = sorted(path.name for path in (runs / "killed").glob("epoch_*.pth"))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        if process.wait() != -signal.SIGKILL or not found:
            raise UserError(f"no run to resume: it ended with {process.returncode}; its log is {log.name}")
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


#: Words of ``tools/benchmark.py`` that differ from its own.
SPEED = {
    "step": ("step", "--rounds", 3, "--seconds", 0.5),
    "train": ("train", "--rounds", 3, "--phases", 3, "--steps", 40),
    # takes minutes before its first step
    "compiled": ("step", "--rounds", 3, "--seconds", 0.5, "--compile", "--against", "nothing", "--phases", 3),
}


def speed(what: str, batch: int, machine: Machine) -> list[dict]:
    """What training costs at a batch size; ``what`` is one of ``SPEED``."""
    few = ["--phases", 1, "--batch-size", 4, *(["--steps", 2] if what == "train" else [])] if machine.short else []
    return machine.figures(f"{what}_{batch}", *SPEED[what], "--amp", "--batch-size", batch, *few)


def data(batch: int, machine: Machine) -> list[dict]:
    """``benchmark.py data``, which takes one config, for some numbers of workers."""
    workers = [0] if machine.short else sorted({min(count, machine.threads) for count in (4, 16)})
    few = ["--batch-size", 4, "--seconds", 0.1] if machine.short else []
    words = ["data", "--workers", *workers, "--batch-size", batch, "--rounds", 1, "--sizes", "1280x960", *few]
    return [case for model in machine.models for case in machine.figures(f"data_{batch}", *words, models=[model])]


def infer(machine: Machine) -> list[dict]:
    """``benchmark.py infer`` at batch 16."""
    return machine.figures("infer", "infer", "--amp", "--rounds", 3, "--seconds", 1)


def epochs(machine: Machine) -> dict:
    """Twenty epochs of the user's case, and what all would take by the mean time of a step."""
    pictures, count = (32, 2) if machine.short else (PICTURES, EPOCHS)
    data = machine.horses("800", 2, {"train": pictures, "val": 48, "test": 1})
    settings = [*once_evaluated(count), "default_hooks.logger.interval=1", "from_scratch=True"]
    whole = machine.train("epochs", data, settings, config=machine.models[0])
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
    trained = machine.train("demo", data, once_evaluated(1) if machine.short else [])
    scores = machine.out / "demo_scores"
    words = [machine.out / "runs" / "demo", "--data-root", data, "--device", machine.device, "--out", scores]
    tested = machine.call(machine.out / "demo_test.log", "tools/test.py", *words, "--flip-test")
    metrics = read_json(scores / "metrics.json")
    return {"data": made, "training": trained, "test": tested, "AP": metrics["AP"], "PCK@0.1": metrics["PCK@0.1"]}


PARTS: dict[str, Callable[[Machine], dict | list]] = {
    "step_16": partial(speed, "step", 16),
    "step_64": partial(speed, "step", 64),
    "epochs": epochs,
    "exact": exact,
    "parity": parity,
    "train_64": partial(speed, "train", 64),
    "data_64": partial(data, 64),
    "compiled_64": partial(speed, "compiled", 64),
    "demo": demo,
    "train_16": partial(speed, "train", 16),
    "data_16": partial(data, 16),
    "compiled_16": partial(speed, "compiled", 16),
    "infer": infer,
}


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(_cell, value)) if isinstance(value, list) else " ".join(str(value).replace("|", "/").split())


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
                lines.append(f"| {name} | | {'; '.join(f'{key}: {_cell(value)}' for key, value in case.items())} |")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    from equistera import device

    device.choose(args.device)
    machine = Machine(args.out, args.device, args.short, args.minutes)
    results, failed = {}, []
    for name in args.parts:
        began = time.monotonic()
        try:
            if not machine.patience:
                raise UserError(f"not run: {args.minutes:g} minutes were over")
            results[name] = PARTS[name](machine)
        except Exception as error:  # whatever one part runs into, the others stand
            if not isinstance(error, UserError):
                traceback.print_exc()
            results[name] = {"failed": str(error) or type(error).__name__}
            failed.append(name)
        print(f"{name}: {time.monotonic() - began:.0f} s{', FAILED' if name in failed else ''}", flush=True)
        machine.write({"parts": results}, table(results), say=False)
    print(table(results))
    if failed:
        raise UserError(f"not measured: {', '.join(failed)}", [], f"see {machine.out / 'results.md'}")


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
