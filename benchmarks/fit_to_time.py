"""Ten minutes from random weights on 58 pictures: ``--max-time`` beside stock MMPose's settings.

Examples:
  python benchmarks/fit_to_time.py --out work_dirs/fit_to_time
  python benchmarks/fit_to_time.py --out /tmp/smoke --minutes 0.5          does it all run?

HRNet-W32 and RTMPose-s are trained on 58 synthetic pictures of 640x480, each for the same time: by
``tools/train.py --max-time --amp`` with the demo's light augmentation, and by MMPose's AP-10K settings
(benchmarks/stock_minutes.py). All are scored with tools/test.py on 48 pictures that none has seen, beside a
constant guess, the mean pose in the box. Nothing else should run on the machine.

OUT/results.json and OUT/results.md hold the figures; a run that has its result.json is not repeated.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench_folder import PROJECT, BenchFolder

from equistera import cli
from equistera.files import read_json, write_json

PICTURES = {"train": 58, "val": 16, "test": 48}

MODELS = {"HRNet-W32": "hrnet_w32", "RTMPose-s": "rtmpose_s"}
OURS, STOCK = "ours, --max-time --amp", "stock AP-10K settings"

SCORES = ("median_px", "PCK@0.1", "AP")

CONFIG = '''"""Written by benchmarks/fit_to_time.py."""

_base_ = [
    "{root}/configs/_base_/default_runtime.py",
    "{root}/configs/_base_/datasets/horse26.py",
    "{root}/configs/_base_/schedules/three_phase.py",
    "{root}/configs/_base_/models/{model}.py",
]

from_scratch = True
strategy = dict(
    reference_lr={lr},
    # as configs/demo_rtmpose_t.py: in so few steps random weights learn nothing under strong augmentation
    phases=[dict(name="all", start=0, lr_factor=1.0, augmentation="light")],
)
optim_wrapper = dict(optimizer=dict(lr={lr}, weight_decay={weight_decay}))
'''

#: As in configs/hrnet_w32_ap10k.py and configs/_base_/schedules/three_phase.py.
LR, WEIGHT_DECAY = {"HRNet-W32": 0.0005, "RTMPose-s": 0.004}, {"HRNet-W32": 0.01, "RTMPose-s": 0.05}


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for data, runs and results")
    parser.add_argument("--minutes", type=float, default=10.0, help="time of each run")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS), help="which networks")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads of a run")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--seed", type=int, default=0, help="of the runs; the pictures are always the same")
    return parser.parse_args(argv)


class Bench(BenchFolder):
    """The folder of this benchmark and the runs that fill it."""

    def __init__(self, args):
        super().__init__(args.out, args.threads, args.device)
        self.minutes, self.seed = args.minutes, args.seed

    def config(self, model: str) -> Path:
        path = self.out / f"{MODELS[model]}.py"
        rates = {"lr": LR[model], "weight_decay": WEIGHT_DECAY[model]}
        path.write_text(CONFIG.format(root=PROJECT.as_posix(), model=MODELS[model], **rates), encoding="utf-8")
        return path

    def run(self, model: str, settings: str) -> dict:
        """One run's result, computed or read."""
        folder = self.out / "runs" / f"{MODELS[model]}_{'ours' if settings == OURS else 'stock'}"
        result = folder / "result.json"
        if result.exists():
            return read_json(result)
        folder.mkdir(parents=True, exist_ok=True)
        config, root = self.config(model), self.horses("data", 5826, PICTURES)
        common = [config, "--data-root", root, "--work-dir", folder / "run", "--device", self.device]
        common += ["--seed", self.seed]
        if settings == OURS:
            log = folder / "train.log"
            seconds = self.call(log, "tools/train.py", *common, "--max-time", f"{60 * self.minutes:g}s", "--amp")
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
    bench.write({"minutes": args.minutes, "pictures": PICTURES, "runs": results}, table_of(results))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
