"""Ten minutes from random weights on 58 pictures: ``--max-time`` beside stock MMPose's settings.

Examples:
  python benchmarks/fit_to_time.py --out work_dirs/fit_to_time
  python benchmarks/fit_to_time.py --out /tmp/smoke --minutes 0.5          does it all run?

HRNet-W32 and RTMPose-s are trained on 58 synthetic pictures of 640x480, each for the same time: by
``tools/train.py --max-time`` with the configs' three phases, and by MMPose's AP-10K settings
(benchmarks/stock_minutes.py). All are scored with tools/test.py on 48 pictures that none has seen, beside a
constant guess, the mean pose in the box. Nothing else should run on the machine.

OUT/results.json and OUT/results.md hold the figures; a run that has its result.json is not repeated.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from equistera import cli
from equistera.dataset.coco import read_json, write_json
from equistera.errors import UserError

PROJECT = Path(__file__).resolve().parents[1]

PICTURES = {"train": 58, "val": 16, "test": 48}

MODELS = {"HRNet-W32": "hrnet_w32", "RTMPose-s": "rtmpose_s"}
OURS, STOCK = "ours, --max-time", "stock AP-10K settings"

SCORES = ("median_px", "PCK@0.1", "AP")

CONFIG = '''"""Written by benchmarks/fit_to_time.py."""

_base_ = [
    "{root}/configs/_base_/default_runtime.py",
    "{root}/configs/_base_/datasets/horse26.py",
    "{root}/configs/_base_/schedules/three_phase.py",
    "{root}/configs/_base_/models/{model}.py",
]

from_scratch = True
'''

#: The same LR tiers as in configs/hrnet_w32_ap10k.py.
HRNET_LR = """strategy = dict(reference_lr=0.0005)
optim_wrapper = dict(optimizer=dict(lr=0.0005, weight_decay=0.01))
"""


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for data, runs and results")
    parser.add_argument("--minutes", type=float, default=10.0, help="time of each run")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS), help="which networks")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads of a run")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--seed", type=int, default=0, help="of the runs; the pictures are always the same")
    return parser.parse_args(argv)


class Bench:
    """The folder of a benchmark and the commands that fill it."""

    def __init__(self, args):
        self.out: Path = args.out.resolve()
        self.minutes, self.threads, self.device, self.seed = args.minutes, args.threads, args.device, args.seed
        self.out.mkdir(parents=True, exist_ok=True)

    def call(self, log: Path, script: str, *arguments: object) -> float:
        """Runs a script of the project, what it prints goes to ``log``; returns its seconds."""
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads)}
        command = [sys.executable, str(PROJECT / script), *map(str, arguments)]
        began = time.monotonic()
        with log.open("w", encoding="utf-8") as file:
            done = subprocess.run(command, cwd=self.out, env=environment, stdout=file, stderr=subprocess.STDOUT)
        if done.returncode:
            last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
            raise UserError(f"{script} ended with {done.returncode}; its log is {log}:", last)
        return time.monotonic() - began

    def data(self) -> Path:
        """The pictures, made once."""
        folder = self.out / "data"
        if not (folder / "annotations" / "val.json").exists():
            # annotations are written last: without them the pictures are of a run that was stopped
            shutil.rmtree(folder, ignore_errors=True)
            counts = [word for split, count in PICTURES.items() for word in (f"--{split}", count)]
            options = ["--seed", 5826, "--size", "640x480", "--workers", self.threads]
            self.call(self.out / "data.log", "tools/make_demo_data.py", "--out", folder, *counts, *options)
        return folder

    def config(self, model: str) -> Path:
        path = self.out / f"{MODELS[model]}.py"
        text = CONFIG.format(root=PROJECT.as_posix(), model=MODELS[model])
        path.write_text(text + (HRNET_LR if MODELS[model].startswith("hrnet") else ""), encoding="utf-8")
        return path

    def run(self, model: str, settings: str) -> dict:
        """One run's result, computed or read."""
        folder = self.out / "runs" / f"{MODELS[model]}_{'ours' if settings == OURS else 'stock'}"
        result = folder / "result.json"
        if result.exists():
            return read_json(result)
        folder.mkdir(parents=True, exist_ok=True)
        config, root = self.config(model), self.data()
        common = [config, "--data-root", root, "--work-dir", folder / "run", "--device", self.device]
        common += ["--seed", self.seed]
        if settings == OURS:
            log = folder / "train.log"
            seconds = self.call(log, "tools/train.py", *common, "--max-time", f"{60 * self.minutes:g}s")
            weights = folder / "run" / "best.pth"
        else:
            more = ["--minutes", self.minutes, "--threads", self.threads]
            seconds = self.call(folder / "train.log", "benchmarks/stock_minutes.py", *common, *more)
            weights = folder / "run" / "final.pth"
        where = ["--data-root", root, "--split", "test", "--out", folder / "scores", "--device", self.device]
        self.call(folder / "test.log", "tools/test.py", config, weights, *where)
        metrics = read_json(folder / "scores" / "metrics.json")
        content = {
            "model": model,
            "settings": settings,
            "seconds": round(seconds, 1),
            **{name: metrics[name] for name in SCORES},
            "against_constant_guess": metrics["constant_guess"]["outcome"],
            "constant_guess": {name: metrics["constant_guess"][name] for name in SCORES},
        }
        write_json(result, content, indent=1)
        return content


def table_of(results: Iterable[dict]) -> str:
    """Markdown: a row for each run and one for the constant guess."""
    lines = [
        "| model | settings | time, s | median error, px | PCK@0.1 | AP | against the guess |",
        "|---|---|---|---|---|---|---|",
    ]
    guess = None
    for result in results:
        guess = result["constant_guess"]
        row = [result["model"], result["settings"], f"{result['seconds']:.0f}", *_figures(result)]
        lines.append("| " + " | ".join([*row, result["against_constant_guess"]]) + " |")
    if guess:
        lines.append("| none | constant guess: the mean pose in the box | | " + " | ".join(_figures(guess)) + " | |")
    return "\n".join(lines)


def _figures(metrics: dict) -> list[str]:
    return [f"{metrics[name]:.{1 if name.endswith('px') else 3}f}" for name in SCORES]


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    bench = Bench(args)
    results = []
    for model in args.models:
        for settings in (OURS, STOCK):
            results.append(bench.run(model, settings))
            figures = ", ".join(f"{name} {value}" for name, value in zip(SCORES, _figures(results[-1]), strict=True))
            print(f"{model}, {settings}: {results[-1]['seconds']:.0f} s, {figures}", flush=True)
    machine = f"{platform.machine()}, {args.threads} CPU threads, {args.device}"
    write_json(
        bench.out / "results.json",
        {"minutes": args.minutes, "machine": machine, "pictures": PICTURES, "runs": results},
        indent=1,
    )
    table = table_of(results)
    (bench.out / "results.md").write_text(table + "\n", encoding="utf-8")
    print(table)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
