"""What carrying the head over is worth, with the three-phase strategy and with stock settings.

Examples:
  python benchmarks/head_transfer.py --out work_dirs/head_transfer
  python benchmarks/head_transfer.py --out /tmp/smoke --smoke          does it all run? a few minutes

The model of configs/demo_rtmpose_t.py learns AP-10K's 17 points on synthetic horses, as that config trains. Then it is
trained on horse26's 26 points with 40 and with 160 other pictures, with a transferred and with a random head, by the
three phases of configs/_base_/schedules/three_phase.py and by stock MMPose's schedule (benchmarks/stock_training.py),
for equal epochs, with several seeds; a seed also draws the pictures. Each is scored with tools/test.py on pictures that
none has seen.

Every run leaves OUT/runs/NAME/result.json and is not repeated, so a benchmark that was stopped goes on where it was.
OUT/results.json holds the runs and OUT/results.md the table, which is printed as well.
"""

from __future__ import annotations

import itertools
import os
import random
import runpy
import statistics
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from bench_folder import PROJECT, BenchFolder, once_evaluated, subset

from equistera import cli
from equistera.files import read_json, write_json

STRATEGIES = ("three-phase", "stock")
HEADS = ("transfer", "random")
SCORES = ("AP", "AP50", "PCK@0.1", "median_px")

PRETRAINING_CONFIG = PROJECT / "configs" / "demo_rtmpose_t.py"

# the network of the demo under the strategy of the main configs, whose stage 4 this network does not have
CONFIG = """\"\"\"Written by benchmarks/head_transfer.py.\"\"\"

_base_ = "{config}"

from_scratch = False
strategy = dict(opens_at={opens_at}, phases={phases})
"""


@dataclass(frozen=True)
class Settings:
    """What a benchmark consists of; results of different settings are never mixed.

    Attributes:
        pretraining_pictures: Pictures with 17 points.
        pretraining_epochs: Epochs on them, from scratch.
        amp: Whether they are computed in mixed precision.
        pictures: Numbers of pictures with 26 points.
        epochs: Epochs on those, the same for every run.
        heads: Heads that are compared.
        seeds: How many times each is run.
        test_pictures: Pictures that score the runs.
        batch: Batch size of the runs on 26 points.
    """

    pretraining_pictures: int = 1200
    pretraining_epochs: int = 30
    amp: bool = False
    pictures: tuple[int, ...] = (40, 160)
    epochs: int = 60
    heads: tuple[str, ...] = HEADS
    seeds: int = 3
    test_pictures: int = 100
    batch: int = 8

    def to_json(self) -> dict:
        return {**asdict(self), "pictures": list(self.pictures), "heads": list(self.heads)}


SMOKE = Settings(
    pretraining_pictures=24, pretraining_epochs=3, pictures=(16,), epochs=3, seeds=1, test_pictures=8, batch=4
)


@dataclass(frozen=True)
class Run:
    """One training run of the comparison."""

    strategy: str
    head: str
    pictures: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.pictures}_{self.strategy}_{self.head}_seed{self.seed}"


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for data, runs and results")
    parser.add_argument("--smoke", action="store_true", help="everything tiny: shows that it runs, measures nothing")
    parser.add_argument("--seeds", type=int, default=Settings.seeds, help="runs of each kind")
    parser.add_argument("--epochs", type=int, default=Settings.epochs, help="epochs of every run on 26 points")
    parser.add_argument("--pretraining-epochs", type=int, default=Settings.pretraining_epochs, help="on 17 points")
    parser.add_argument("--amp", action="store_true", help="pretraining in mixed precision")
    parser.add_argument("--pictures", type=int, nargs="+", default=Settings.pictures, help="with 26 points, for a run")
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=HEADS, help="which heads to compare")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side, each with its share of the threads")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads in all")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    return parser.parse_args(argv)


class Bench(BenchFolder):
    """The folder of this benchmark and the runs that fill it."""

    def __init__(self, out: Path, settings: Settings, device: str, threads: int):
        super().__init__(out, threads, device)
        self.settings = settings
        self.config = self.out / "config.py"

    def start(self) -> None:
        """Makes the folder, or makes sure that it holds a benchmark with the same settings."""
        self.claim(self.settings.to_json())
        strategy = runpy.run_path(str(PROJECT / "configs/_base_/schedules/three_phase.py"))["strategy"]
        opens_at = {name: share for name, share in strategy["opens_at"].items() if name != "stage4"}
        # the last stage there is trains from the start
        opens_at |= {"stage3": strategy["opens_at"]["stage4"], "_delete_": True}
        text = CONFIG.format(config=PRETRAINING_CONFIG.as_posix(), opens_at=opens_at, phases=strategy["phases"])
        self.config.write_text(text, encoding="utf-8")

    def ready(self, name: str, skeleton: str, seed: int, train: int) -> Path:
        """A synthetic data set, made once."""
        pictures = {"train": train, "val": 16, "test": self.settings.test_pictures}
        return self.horses(f"data/{name}", seed, pictures, skeleton)

    def pretrained(self) -> Path:
        """The model that knows 17 points, trained once."""
        folder = self.out / "pretrained"
        finished = folder / "finished.json"
        if not finished.exists():
            root = self.ready("ap10k", "ap10k", 1001, self.settings.pretraining_pictures)
            options = once_evaluated(self.settings.pretraining_epochs)
            common = ["--skeleton", "ap10k", "--data-root", root, "--device", self.device]
            start = ["--from-scratch", "--work-dir", folder, "--seed", 0, *(["--amp"] if self.settings.amp else [])]
            log = self.out / "pretrained.log"
            self.call(log, "tools/train.py", PRETRAINING_CONFIG, *common, *start, "--cfg-options", *options)
            write_json(finished, self.score(folder / "best.pth", root, "ap10k"), indent=1)
        return folder / "best.pth"

    def score(self, weights: Path, root: Path, skeleton: str) -> dict:
        """The scores of a checkpoint on the test pictures."""
        out = weights.parent / "scores"
        where = ["--data-root", root, "--skeleton", skeleton, "--split", "test", "--out", out]
        log = weights.parent / "test.log"
        self.call(log, "tools/test.py", self.config, weights, *where, "--device", self.device)
        metrics = read_json(out / "metrics.json")
        return {name: metrics[name] for name in SCORES}

    def target_data(self) -> Path:
        """The data set with 26 points that every run draws its pictures from."""
        return self.ready("horse26", "horse26", 2002, 2 * max(self.settings.pictures))

    def run(self, run: Run, init: Path) -> dict:
        """One run's result, computed or read."""
        folder = self.out / "runs" / run.name
        result = folder / "result.json"
        if result.exists():
            return read_json(result)
        root = self.target_data()
        pictures = [image["file_name"] for image in read_json(root / "annotations" / "train.json")["images"]]
        drawn = random.Random(run.seed).sample(pictures, run.pictures)
        labels = root / "annotations" / f"train_{run.pictures}_seed{run.seed}.json"
        subset(root / "annotations" / "train.json", labels, drawn)
        options = [*once_evaluated(self.settings.epochs), f"train_dataloader.dataset.ann_file={labels}"]
        options.append(f"train_dataloader.batch_size={self.settings.batch}")
        common = [self.config, "--init", init, "--data-root", root, "--work-dir", folder, "--seed", run.seed]
        common += ["--device", self.device]
        log = self.out / "runs" / f"{run.name}.log"
        if run.strategy == "stock":
            more = ["--head-init", run.head, "--threads", self.threads, "--cfg-options", *options]
            seconds = self.call(log, "benchmarks/stock_training.py", *common, *more)
        else:
            seconds = self.call(log, "tools/train.py", *common, "--cfg-options", *options, f"head_init={run.head}")
        weights = folder / ("final.pth" if run.strategy == "stock" else "best.pth")
        content = {**asdict(run), "training_seconds": round(seconds, 1), **self.score(weights, root, "horse26")}
        write_json(result, content, indent=1)
        print(f"{run.name}: AP {content['AP']:.3f}", flush=True)
        return content


def table_of(results: Iterable[dict]) -> str:
    """A row of Markdown for each kind of run, with the mean over its seeds and the AP of each."""
    lines = [
        "| pictures | strategy | head | AP | AP of each seed | PCK@0.1 | median error, px |",
        "|---|---|---|---|---|---|---|",
    ]
    kinds: dict[tuple, list[dict]] = {}
    for result in results:
        kinds.setdefault((result["pictures"], result["strategy"], result["head"]), []).append(result)
    for kind, runs in kinds.items():
        mean = {name: statistics.fmean(run[name] for run in runs) for name in SCORES}
        each = ", ".join(f"{run['AP']:.3f}" for run in runs)
        row = [*kind, f"{mean['AP']:.3f}", each, f"{mean['PCK@0.1']:.3f}", f"{mean['median_px']:.1f}"]
        lines.append("| " + " | ".join(map(str, row)) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    chosen = {name: getattr(args, name) for name in ("seeds", "epochs", "pretraining_epochs", "amp")}
    chosen |= {"pictures": tuple(args.pictures), "heads": tuple(args.heads)}
    settings = SMOKE if args.smoke else Settings(**chosen)
    bench = Bench(args.out, settings, args.device, args.threads)
    bench.start()
    init = bench.pretrained()
    pretrained = read_json(init.parent / "finished.json")
    print(f"pretrained on 17 points: AP {pretrained['AP']:.3f}", flush=True)
    # seed by seed, so that a benchmark that is stopped early has every kind of run
    kinds = itertools.product(range(settings.seeds), settings.pictures, STRATEGIES, settings.heads)
    runs = [Run(strategy, head, pictures, seed) for seed, pictures, strategy, head in kinds]
    bench.target_data()
    bench.threads = max(1, args.threads // args.jobs)
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda run: bench.run(run, init), runs))
    bench.threads = args.threads
    bench.write({"settings": settings.to_json(), "pretrained": pretrained, "runs": results}, table_of(results))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
