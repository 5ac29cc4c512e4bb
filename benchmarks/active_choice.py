"""Are 100 pictures that tools/pick_frames.py picks worth 150 random ones?

Examples:
  python benchmarks/active_choice.py --out work_dirs/active_choice --jobs 2
  python benchmarks/active_choice.py --out /tmp/short --short           does it all run? two minutes

A model that knows AP-10K's 17 points from other synthetic horses, as a public checkpoint does, is trained on 60
pictures with 26 points. With it, tools/pick_frames.py picks 100 of 1,500 further ones. Then the same first weights are
trained on 60 + these, on 60 + 100 random and on 60 + 150 random ones (which hold those 100), and scored by
tools/test.py on pictures that none has seen. A seed draws the 60, the random ones, and the order of the training.

Every training has the same number of optimiser steps, with the same batch: its epochs are fewer where it has more
pictures. So no arm has more time than another, and the larger one sees each picture less often; equal epochs would give
the larger one more steps as well. No epoch is chosen by its score.

Other arms: "cover" and "spread" pick by that --rule, "diverse" and "diverse spread" without a model, "doubtful" as
"picked", but not knowing the 60 pictures. Arms and seeds can be added to a folder that is there.

Every training leaves its result.json and is not repeated, so a benchmark that was stopped goes on where it was.
OUT/results.json holds the runs and OUT/results.md the table, which is printed as well.
"""

from __future__ import annotations

import csv
import os
import random
import shutil
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from bench_folder import PROJECT, TINY, BenchFolder, once_evaluated, subset, with_interval

from equistera import cli
from equistera.errors import UserError
from equistera.files import link_or_copy, read_json, write_json

PICKED, FEW, MANY, DOUBTFUL = "picked", "random", "random more", "doubtful"
#: Options of tools/pick_frames.py by arm.
RULES = {
    PICKED: (),
    DOUBTFUL: (),
    "cover": ("--rule", "cover"),
    "spread": ("--rule", "spread"),
    "diverse": (),
    "diverse spread": ("--rule", "spread"),
}
ARMS = (*RULES, FEW, MANY)
SCORES = ("AP", "AP50", "PCK@0.1", "median_px")

# light augmentation from the start: the pictures to test on are drawn like those to train on, and time is short
CONFIG = """\"\"\"Written by benchmarks/active_choice.py.\"\"\"

_base_ = "{config}"

from_scratch = {from_scratch}
"""


@dataclass(frozen=True)
class Settings:
    """What a benchmark consists of; results of different settings are never mixed.

    Attributes:
        config: Config that is trained.
        init: Weights that every training starts from; "" makes some, "scratch" starts from random ones.
        data: Data set with train, val and test; "" renders one.
        pool: Pictures to choose from.
        first: Pictures that are labelled to begin with.
        picked: Pictures that are picked, and drawn in the arm of equally many.
        more: Random pictures of the larger arm.
        arms: Which are run.
        seeds: How many times.
        steps: Optimiser steps of each training.
        batch: Pictures in each.
        pretraining_pictures: Pictures with 17 points.
        pretraining_epochs: Epochs on them.
        test_pictures: Pictures that score the runs.
        options: Overrides of the config.
    """

    config: str = "configs/demo_rtmpose_t.py"
    init: str = ""
    data: str = ""
    pool: int = 1500
    first: int = 60
    picked: int = 100
    more: int = 150
    arms: tuple[str, ...] = (PICKED, FEW, MANY)
    seeds: int = 5
    steps: int = 1200
    batch: int = 8
    pretraining_pictures: int = 1200
    pretraining_epochs: int = 20
    test_pictures: int = 200
    options: tuple[str, ...] = ()

    def count(self, arm: str) -> int:
        """Pictures that an arm has beside the first ones."""
        return self.more if arm == MANY else self.picked

    def to_json(self) -> dict:
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


SHORT = Settings(
    init="scratch", pool=16, first=8, picked=4, more=6, arms=(PICKED, MANY), seeds=1, steps=4, batch=4,
    test_pictures=4, options=TINY,
)  # fmt: skip


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for data, runs and results")
    parser.add_argument("--short", action="store_true", help="everything tiny: shows that it runs, measures nothing")
    parser.add_argument("--config", default=Settings.config, help="what is trained")
    parser.add_argument(
        "--init", default="", metavar="FILE", help="start every training from these weights, or scratch"
    )
    parser.add_argument(
        "--data", default="", metavar="DIR", help="data set with train, val and test (default: rendered)"
    )
    for name, what in (
        ("pool", "pictures to choose from"),
        ("first", "pictures that are labelled to begin with"),
        ("picked", "pictures that are picked"),
        ("more", "pictures of the larger random arm"),
        ("seeds", "runs of each arm"),
        ("steps", "optimiser steps of each training"),
        ("batch", "pictures in a step"),
        ("pretraining-epochs", "on 17 points"),
    ):
        default = getattr(Settings, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=cli.at_least(1), default=default, help=what)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(Settings.arms), help="which to run")
    parser.add_argument("--jobs", type=cli.at_least(1), default=1, help="seeds side by side, each with its threads")
    parser.add_argument("--threads", type=cli.at_least(1), default=os.cpu_count() or 1, help="CPU threads in all")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    return parser.parse_args(argv)


class Bench(BenchFolder):
    """The folder of this benchmark and the runs that fill it."""

    def __init__(self, out: Path, settings: Settings, device: str, threads: int):
        super().__init__(out, threads, device)
        self.settings = settings
        self.config = self.out / "config.py"
        self.root = Path(settings.data).resolve() if settings.data else self.out / "data" / "horse26"

    def start(self) -> Path | None:
        """Makes folder and data, or makes sure that they are of these settings; returns the weights to start from."""
        settings = self.settings
        self.claim({key: value for key, value in settings.to_json().items() if key not in ("arms", "seeds")})
        base = (PROJECT / settings.config).as_posix()
        self.config.write_text(CONFIG.format(config=base, from_scratch=settings.init == "scratch"), encoding="utf-8")
        if not settings.data:
            counts = {"train": settings.first + settings.pool, "val": 48, "test": settings.test_pictures}
            if settings is SHORT:
                counts["val"] = 4
            self.horses("data/horse26", 3003, counts)
        there = len(read_json(self.root / "annotations" / "train.json")["images"])
        if there < settings.first + settings.pool:
            raise UserError(f"{self.root} has {there} training pictures, {settings.first + settings.pool} are needed")
        if settings.init:
            return None if settings.init == "scratch" else Path(settings.init).resolve()
        return self._pretrained()

    def _pretrained(self) -> Path:
        """The model that knows 17 points, trained once."""
        folder = self.out / "pretrained"
        finished = folder / "finished.json"
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)
            counts = {"train": self.settings.pretraining_pictures, "val": 16, "test": 4}
            root = self.horses("data/ap10k", 1001, counts, "ap10k")
            epochs = self.settings.pretraining_epochs
            what = [PROJECT / self.settings.config, "--skeleton", "ap10k", "--data-root", root, "--device", self.device]
            start = ["--from-scratch", "--work-dir", folder, "--seed", 0]
            options = [*once_evaluated(epochs), *self.settings.options]
            seconds = self.call(self.out / "pretrained.log", "tools/train.py", *what, *start, "--cfg-options", *options)
            write_json(finished, {"seconds": round(seconds, 1)}, indent=1)
        return folder / "best.pth"

    def seed(self, seed: int, init: Path | None) -> list[dict]:
        """All results of a seed, computed or read."""
        settings = self.settings
        names = [image["file_name"] for image in read_json(self.root / "annotations" / "train.json")["images"]]
        drawn = random.Random(seed).sample(sorted(names), settings.first + settings.pool)
        first, pool = drawn[: settings.first], drawn[settings.first :]
        folder = self.out / "runs" / f"seed{seed}"
        results = [self._trained(folder / "first", "first", first, seed, init)]
        for arm in settings.arms:
            if arm in (FEW, MANY):
                # nested: the larger one holds the smaller one
                more = random.Random(1000 + seed).sample(pool, max(settings.picked, settings.more))[
                    : settings.count(arm)
                ]
            else:
                more = self._picked(folder / arm.replace(" ", "_"), arm, first, pool, folder / "first" / "best.pth")
            results.append(self._trained(folder / arm.replace(" ", "_"), arm, [*first, *more], seed, init))
        return results

    def _trained(self, folder: Path, arm: str, pictures: Sequence[str], seed: int, init: Path | None) -> dict:
        result = folder / "result.json"
        if result.exists():
            return read_json(result)
        for left in [path for path in folder.glob("*") if path.name not in ("pick", "pick.log", "first.json")]:
            # of a training that was stopped
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        labels = folder / "subset.json"
        subset(self.root / "annotations" / "train.json", labels, pictures)
        epochs = max(1, round(self.settings.steps / max(1, len(pictures) // self.settings.batch)))
        options = [*once_evaluated(epochs), f"train_dataloader.dataset.ann_file={labels}"]
        options += [f"train_dataloader.batch_size={self.settings.batch}", *self.settings.options]
        start = ["--init", init] if init else []
        what = [self.config, *start, "--data-root", self.root, "--work-dir", folder, "--seed", seed]
        log = folder.with_name(f"{folder.name}.log")
        seconds = self.call(log, "tools/train.py", *what, "--device", self.device, "--cfg-options", *options)
        where = ["--data-root", self.root, "--split", "test", "--out", folder / "scores", "--device", self.device]
        # the run's own copy of its config: its options hold for the network, too. It calibrates confidences as well
        self.call(folder.with_name(f"{folder.name}.test.log"), "tools/test.py", folder, *where)
        metrics = read_json(folder / "scores" / "metrics.json")
        about = {"arm": arm, "seed": seed, "pictures": len(pictures), "epochs": epochs, "seconds": round(seconds, 1)}
        content = {**about, **{name: metrics[name] for name in SCORES}}
        write_json(result, content, indent=1)
        print(f"seed {seed}, {arm}, {len(pictures)} pictures: AP {content['AP']:.3f}", flush=True)
        return content

    def _picked(self, folder: Path, arm: str, first: Sequence[str], pool: Sequence[str], weights: Path) -> list[str]:
        """What tools/pick_frames.py picks from the pool."""
        out = folder / "pick"
        if not (out / "chosen.html").exists():
            shutil.rmtree(folder, ignore_errors=True)
            (folder / "pool").mkdir(parents=True)
            for name in pool:
                link_or_copy(self.root / "images" / "train" / name, folder / "pool" / name, symbolic=True)
            options = ["--n", self.settings.picked, "--out", out, "--group-by", "none", *RULES[arm]]
            known = folder / "first.json"
            subset(self.root / "annotations" / "train.json", known, first)
            if arm != DOUBTFUL:
                options += ["--ann-file", known, "--img-dir", self.root / "images" / "train"]
            if not arm.startswith("diverse"):
                options += ["--checkpoint", weights.parent, "--boxes", self._boxes(), "--device", self.device]
            seconds = self.call(folder / "pick.log", "tools/pick_frames.py", folder / "pool", *options)
            print(f"{arm}: {self.settings.picked} of {len(pool)} picked in {seconds:.0f} s", flush=True)
            shutil.rmtree(folder / "pool")
        with (out / "chosen.csv").open(newline="", encoding="utf-8") as file:
            names = [Path(row["source"]).name for row in csv.DictReader(file)]
        if len(names) != self.settings.picked or not set(names) <= set(pool):
            raise UserError(f"{out} holds {len(names)} pictures, expected {self.settings.picked} of the pool")
        return names

    def _boxes(self) -> Path:
        """Where the animals are, and nothing else of the labels."""
        path = self.out / "boxes.json"
        if not path.exists():
            coco = read_json(self.root / "annotations" / "train.json")
            boxes = [{key: a[key] for key in ("id", "image_id", "category_id", "bbox")} for a in coco["annotations"]]
            category = [{"id": c["id"], "name": c["name"]} for c in coco["categories"]]
            write_json(path, {"images": coco["images"], "annotations": boxes, "categories": category})
        return path


def table_of(results: Sequence[Mapping]) -> str:
    """A row of Markdown for each arm, and below the paired differences to the random ones with their 95% intervals."""
    arms = list(dict.fromkeys(result["arm"] for result in results))
    score = {arm: {r["seed"]: r for r in results if r["arm"] == arm} for arm in arms}
    lines = ["| arm | pictures | AP | AP of each seed | PCK@0.1 | median error, px |", "|---|---|---|---|---|---|"]
    for arm, runs in score.items():
        mean = {name: statistics.fmean(run[name] for run in runs.values()) for name in SCORES}
        each = ", ".join(f"{run['AP']:.3f}" for run in runs.values())
        pictures = next(iter(runs.values()))["pictures"]
        row = [arm, str(pictures), f"{mean['AP']:.3f}", each, f"{mean['PCK@0.1']:.3f}", f"{mean['median_px']:.1f}"]
        lines.append(f"| {' | '.join(row)} |")
    lines += ["", "| difference | AP (95% interval) | PCK@0.1 (95% interval) | seeds |", "|---|---|---|---|"]
    for arm in arms:
        for other in (FEW, MANY):
            seeds = sorted(score[arm].keys() & score.get(other, {}).keys())
            if arm in ("first", FEW, MANY) or not seeds:
                continue
            cells = [
                with_interval([score[arm][s][name] - score[other][s][name] for s in seeds])
                for name in ("AP", "PCK@0.1")
            ]
            lines.append(f"| {arm} - {other} | {cells[0]} | {cells[1]} | {len(seeds)} |")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    names = (
        "config",
        "init",
        "data",
        "pool",
        "first",
        "picked",
        "more",
        "seeds",
        "steps",
        "batch",
        "pretraining_epochs",
    )
    settings = SHORT if args.short else Settings(**{n: getattr(args, n) for n in names}, arms=tuple(args.arms))
    bench = Bench(args.out, settings, args.device, args.threads)
    init = bench.start()
    bench.threads = max(1, args.threads // args.jobs)
    with ThreadPoolExecutor(args.jobs) as pool:
        results = [run for runs in pool.map(lambda seed: bench.seed(seed, init), range(settings.seeds)) for run in runs]
    bench.threads = args.threads
    bench.write({"settings": settings.to_json(), "runs": results}, table_of(results))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
