"""Real photos of horses, 50 to 400 of them labelled: what each part of the toolkit is worth beside stock settings.

Examples:
  python benchmarks/real_horses.py --data DIR --others DIR --out work_dirs/real_horses --jobs 2
  python benchmarks/real_horses.py --data DIR --out work_dirs/real_horses --arms "one rate, rendered" --sizes 400
  python benchmarks/real_horses.py --data DIR --out /tmp/short --short            does it all run? a few minutes

--data holds AnimalPose's horses (Cao et al. 2019): horses.json and images/. --others is a data set of ours with
AnimalPose's other animals (skeleton animalpose, train and val), for the starts that need it.

A third of the pictures, those whose name's SHA-1 is 0 modulo 3, only score; of the others every seed draws its labelled
pictures, the smaller sets within the larger ones. benchmarks/real_horses.toml says what the arms and the starts are.
All arms have the same number of optimiser steps. Nothing is evaluated on the way and the last averaged weights count,
so the test pictures choose nothing. Both ways to test count, with --flip-test (MMPose's default) and without.

Every run leaves OUT/runs/.../result.json and is not repeated. OUT/results.md has the table and the paired differences
to the first arm.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import runpy
import shutil
import statistics
import threading
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench_folder import PROJECT, BenchFolder, once_evaluated, subset, with_interval, without_labels

from equistera import cli
from equistera.checkpoints import manifest, path_of
from equistera.errors import UserError
from equistera.files import link_or_copy, read_json, write_json

#: AnimalPose's own names of the points, and those of the skeleton "animalpose".
NAMES = {
    "left_eye": "L_Eye", "right_eye": "R_Eye", "nose": "Nose", "left_ear": "L_EarBase", "right_ear": "R_EarBase",
    "left_front_elbow": "L_F_Elbow", "right_front_elbow": "R_F_Elbow", "left_back_elbow": "L_B_Elbow",
    "right_back_elbow": "R_B_Elbow", "left_front_knee": "L_F_Knee", "right_front_knee": "R_F_Knee",
    "left_back_knee": "L_B_Knee", "right_back_knee": "R_B_Knee", "left_front_paw": "L_F_Paw",
    "right_front_paw": "R_F_Paw", "left_back_paw": "L_B_Paw", "right_back_paw": "R_B_Paw", "throat": "Throat",
    "withers": "Withers", "tailbase": "TailBase",
}  # fmt: skip
#: Pictures of the two thirds that training validates on; none of the rest is.
VALIDATION = 40
#: Input and loaders of --short.
SMALL = ("codec.input_size=(64,64)", "train_dataloader.num_workers=0", "val_dataloader.num_workers=0")
SCORES = ("AP", "PCK@0.1", "swap_rate", "median_px")

CONFIG = """\"\"\"Written by benchmarks/real_horses.py.\"\"\"

_base_ = "{config}"

from_scratch = {from_scratch}
skeleton = "animalpose"
{strategy}
"""


@dataclass(frozen=True)
class Arm:
    """One way to train; see benchmarks/real_horses.toml."""

    config: str = "configs/demo_lite0.py"
    start: str = "efficientnet_lite0"
    trainer: str = "ours"
    strategy: str = "one rate"
    augmentation: str | Mapping = ""
    options: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    teacher: str = ""


@dataclass(frozen=True)
class Start(Arm):
    """Weights to begin with: trained on ``data``, "rendered" or "others", for so many steps."""

    data: str = "rendered"
    steps: int = 2700
    batch: int = 16
    pictures: int = 1200
    render: tuple[str, ...] = ()


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="horses.json and images/")
    parser.add_argument("--others", type=Path, metavar="DIR", help="data set of other animals, 20 points")
    parser.add_argument("--out", type=Path, required=True, help="folder for data, runs and results")
    parser.add_argument("--arms-file", type=Path, default=Path(__file__).with_suffix(".toml"), help="(default: ours)")
    parser.add_argument("--arms", nargs="+", help="which of them (default: all)")
    text = "score on what a seed did not draw, not on the third that only scores: to choose between arms"
    parser.add_argument("--choose", action="store_true", help=text)
    parser.add_argument(
        "--sizes", type=cli.at_least(8), nargs="+", default=[50, 100, 200, 400], help="labelled pictures"
    )
    parser.add_argument("--seeds", type=cli.at_least(1), default=3)
    parser.add_argument("--steps", type=cli.at_least(1), default=1500, help="optimiser steps of each training")
    parser.add_argument("--batch", type=cli.at_least(1), default=16, help="animals in a step")
    text = "overrides for every training, as of tools/train.py: codec.input_size=(192,192)"
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE", help=text)
    parser.add_argument("--jobs", type=cli.at_least(1), default=1, help="trainings side by side")
    parser.add_argument("--threads", type=cli.at_least(1), default=os.cpu_count() or 1, help="CPU threads in all")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--short", action="store_true", help="everything tiny: shows that it runs, measures nothing")
    return parser.parse_args(argv)


def scores_only(file_name: str) -> bool:
    """Whether a picture belongs to the third that is never trained on."""
    return int(hashlib.sha1(file_name.encode()).hexdigest(), 16) % 3 == 0


class Bench(BenchFolder):
    """The folder of this benchmark, and the runs that fill it."""

    def __init__(self, args):
        super().__init__(args.out, args.threads, args.device)
        self.args, self.steps, self.batch = args, args.steps, args.batch
        self.options: tuple[str, ...] = tuple(args.cfg_options)
        content = tomllib.loads(args.arms_file.read_text(encoding="utf-8"))
        as_tuples = lambda own: {k: tuple(v) if isinstance(v, list) else v for k, v in own.items()}  # noqa: E731
        common = content.get("common", {})
        of_starts = common | content.get("common_start", {})
        self.arms = {name: Arm(**as_tuples(common | own)) for name, own in content["arms"].items()}
        self.starts = {name: Start(**as_tuples(of_starts | own)) for name, own in content["starts"].items()}
        if unknown := set(args.arms or ()) - self.arms.keys():
            raise UserError(f"no such arm: {', '.join(sorted(unknown))}", hint=f"There are: {'; '.join(self.arms)}")
        if args.short:
            self.steps, self.batch = 4, 4
            self.starts = {k: replace(v, steps=4, batch=4, pictures=8) for k, v in self.starts.items()}
        self.root = self.out / "data" / "horses"
        # trainings side by side may need the same start, teacher or pictures, which are made once
        self.making: defaultdict[object, threading.Lock] = defaultdict(threading.Lock)

    def data(self) -> None:
        """Makes the data set of real horses: train is what seeds draw from, test the third that scores."""
        if (self.root / "annotations" / "test.json").exists():
            return
        shutil.rmtree(self.root, ignore_errors=True)
        coco = read_json(self.args.data / "horses.json")
        skeleton = read_json(PROJECT / "equistera" / "skeletons" / "animalpose.json")
        names = [point["name"] for point in skeleton["keypoints"]]
        (category,) = coco["categories"]
        order = [[NAMES[name] for name in category["keypoints"]].index(name) for name in names]
        others = sorted(i["file_name"] for i in coco["images"] if not scores_only(i["file_name"]))
        validation = set(random.Random(0).sample(others, VALIDATION))
        splits: dict[str, list] = {"train": [], "val": [], "test": []}
        for image in coco["images"]:
            name = image["file_name"]
            splits["test" if scores_only(name) else "val" if name in validation else "train"].append(image)
        for split, images in splits.items():
            if self.args.short:
                images = images[:24]
            ids = {image["id"] for image in images}
            own = [dict(a) for a in coco["annotations"] if a["image_id"] in ids]
            for annotation in own:
                points = [annotation["keypoints"][3 * k : 3 * k + 3] for k in order]
                annotation["keypoints"] = list(itertools.chain(*points))
            for image in images:
                place = self.root / "images" / split / image["file_name"]
                place.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(self.args.data / "images" / image["file_name"], place, symbolic=True)
            content = {"images": images, "annotations": own, "categories": [{**category, "keypoints": names}]}
            write_json(self.root / "annotations" / f"{split}.json", content)

    def config(self, name: str, arm: Arm | Start) -> Path:
        """Writes the config of an arm or a start."""
        base = PROJECT / arm.config
        lines = []
        if arm.strategy == "one rate":
            from equistera.mm import config as configs
            from equistera.training.stages import layout_for

            model = configs.load(str(base)).model
            stages = layout_for(model.backbone.type.rsplit(".", 1)[-1], model.get("stages"))
            phase = {"name": "all", "start": 0, "lr_factor": 1.0, "augmentation": arm.augmentation or "aggressive"}
            opens = {"_delete_": True, **{stage.name: 0 for stage in stages}}
            rates = dict.fromkeys(("early", "middle", "head"), 0.001)
            lines.append(f"strategy = dict(tier_lr={rates}, opens_at={opens}, phases=[{phase}])")
        elif arm.strategy == "three phases":
            ours = runpy.run_path(str(PROJECT / "configs/_base_/schedules/three_phase.py"))["strategy"]
            own = {key: ours[key] for key in ("tier_lr", "opens_at")}
            own = {key: {"_delete_": True, **value} for key, value in own.items()}
            lines.append(f"strategy = dict(**{own}, phases={ours['phases']})")
        elif arm.augmentation:
            lines.append(f"train_dataloader = dict(dataset=dict(augmentation={arm.augmentation!r}))")
        path = self.out / "configs" / f"{slug(name)}.py"
        path.parent.mkdir(exist_ok=True)
        text = CONFIG.format(config=base.as_posix(), from_scratch=arm.start == "scratch", strategy="\n".join(lines))
        path.write_text(text, encoding="utf-8")
        return path

    def weights(self, name: str) -> Path | None:
        """The weights of a start, trained once, of a published file or of any other; None for random ones."""
        if name == "scratch":
            return None
        if name not in self.starts:
            return path_of(name) if name in manifest() else Path(name).resolve()
        folder = self.out / "starts" / name
        with self.making[folder]:
            if not (folder / "finished.json").exists():
                self._make_start(name, folder)
        return folder / "best.pth"

    def _make_start(self, name: str, folder: Path) -> None:
        start = self.starts[name]
        shutil.rmtree(folder, ignore_errors=True)
        if start.data == "rendered":
            counts = {"train": start.pictures, "val": 16, "test": 4}
            options = [word.format(others=self.args.others) for word in start.render]
            # one folder for all starts that are rendered alike
            which = f"_{hashlib.sha1(repr(options).encode()).hexdigest()[:6]}" if options else ""
            place = f"data/rendered{start.pictures}{which}"
            with self.making[place]:
                options += "--workers", str(self.args.threads)
                root, count = self.horses(place, 1001, counts, "animalpose", options), start.pictures
        else:
            if not self.args.others:
                raise UserError(f"the start {name!r} needs --others DIR")
            root = self.args.others.resolve()
            count = len(read_json(root / "annotations" / "train.json")["annotations"])
        length = start.steps, start.batch
        seconds = self._train(start, self.config(f"start {name}", start), folder, root, count, length, 0)
        write_json(folder / "finished.json", {**asdict(start), "seconds": round(seconds, 1)}, indent=1)

    def folder(self, name: str, size: int, seed: int) -> Path:
        """Where a run lies."""
        return self.out / "runs" / f"{slug(name)}_{size}_seed{seed}"

    def run(self, name: str, size: int, seed: int) -> dict:
        """One run's result, computed or read."""
        folder = self.folder(name, size, seed)
        with self.making[folder]:
            if not (folder / "result.json").exists():
                self._make_run(name, size, seed, folder)
        return read_json(folder / "result.json")

    def _make_run(self, name: str, size: int, seed: int, folder: Path) -> None:
        arm = self.arms[name]
        shutil.rmtree(folder, ignore_errors=True)
        pictures = sorted(image["file_name"] for image in read_json(self.root / "annotations" / "train.json")["images"])
        if size > len(pictures):
            raise UserError(f"{size} labelled pictures asked for, there are {len(pictures)} to draw from")
        # nested: a smaller set lies within the larger ones
        drawn = random.Random(seed).sample(pictures, len(pictures))[:size]
        labels = folder / "labelled.json"
        animals = subset(self.root / "annotations" / "train.json", labels, drawn)
        options = (*arm.options, f"train_dataloader.dataset.ann_file={labels}")
        arguments = arm.arguments
        if arm.teacher:
            self.run(arm.teacher, size, seed)
            place, labelled = folder / "unlabelled_pictures", self.root / "annotations" / "train.json"
            without_labels(labelled, self.root / "images" / "train", place, set(pictures) - set(drawn))
            arguments += "--unlabelled", str(place), "--teacher", str(self.folder(arm.teacher, size, seed))
        config, length = self.config(name, arm), (self.steps, self.batch)
        own_arm = replace(arm, options=options, arguments=arguments)
        seconds = self._train(own_arm, config, folder, self.root, animals, length, seed)
        where = ["--data-root", self.root, "--split", "test", "--device", self.device]
        # a run of ours has its own copy of its config, with its options
        model, own = [folder, *where], []
        if arm.trainer == "stock":
            model, own = [config, folder / "final.pth", *where], self._options(arm)
        if self.args.choose:
            subset(self.root / "annotations" / "train.json", folder / "rest.json", set(pictures) - set(drawn))
            loader = "test_dataloader.dataset"
            own += [f"{loader}.ann_file={folder / 'rest.json'}", f"{loader}.data_prefix.img=images/train"]
        model += ["--cfg-options", *own] if own else []
        about = {"arm": name, "pictures": size, "animals": animals, "seed": seed, "seconds": round(seconds, 1)}
        content = {**about, **self._scores(folder, model), "flip": self._scores(folder, [*model, "--flip-test"])}
        write_json(folder / "result.json", content, indent=1)
        print(f"{name}, {size} pictures, seed {seed}: AP {content['AP']:.3f}", flush=True)

    def _scores(self, folder: Path, model: Sequence[object]) -> dict[str, float]:
        out = folder / "scores"
        self.call(folder / "test.log", "tools/test.py", *model, "--out", out, "--overwrite")
        metrics = read_json(out / "metrics.json")
        return {score: metrics[score] for score in SCORES}

    def _train(
        self, arm: Arm, config: Path, folder: Path, root: Path, animals: int, length: tuple[int, int], seed: int
    ):
        """Trains for so many steps of so many animals; returns the seconds."""
        folder.mkdir(parents=True, exist_ok=True)
        steps, batch = length[0], min(length[1], animals)
        options = [*once_evaluated(max(1, round(steps / (animals // batch)))), f"train_dataloader.batch_size={batch}"]
        weights = self.weights(arm.start)
        start = ["--init", weights] if weights else []
        what = [config, *start, "--data-root", root, "--work-dir", folder, "--seed", seed, "--device", self.device]
        if arm.trainer == "stock":
            script, what = "benchmarks/stock_training.py", [*what, "--head-init", "random", "--threads", self.threads]
            what += arm.arguments
        else:
            script, what = "tools/train.py", [*what, "--amp", *arm.arguments]
        return self.call(folder / "train.log", script, *what, "--cfg-options", *options, *self._options(arm))

    def _options(self, arm: Arm) -> list[str]:
        """Overrides for an arm's config, the benchmark's before its own."""
        small: tuple[str, ...] = ()
        if self.args.short:
            from equistera.mm import config as configs

            heatmaps = "heatmap_size" in configs.load(str(PROJECT / arm.config)).codec
            small = (*SMALL, *(["codec.heatmap_size=(16,16)"] if heatmaps else []))
        return [*self.options, *small, *arm.options]


def slug(name: str) -> str:
    return name.replace(",", "").replace(" ", "_")


def table_of(results: Sequence[Mapping], first: str) -> str:
    """A row for each arm and size, and what the arms' AP with ``--flip-test`` is beside that of the arm ``first``.

    The differences are paired by seed, with their 95 % intervals: once with the same pictures, once with half of them.
    """
    score = {(r["arm"], r["pictures"], r["seed"]): r["flip"]["AP"] for r in results}
    arms, sizes, seeds = (list(dict.fromkeys(r[key] for r in results)) for key in ("arm", "pictures", "seed"))
    lines = [
        "| arm | pictures | AP | with flip | of each seed | PCK@0.1 | mirror image | with flip | median error, px |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for arm, size in itertools.product(arms, sizes):
        runs = [r for r in results if (r["arm"], r["pictures"]) == (arm, size)]
        if runs:
            ways = runs, [run["flip"] for run in runs]
            plain, flip = ({name: statistics.fmean(r[name] for r in of) for name in SCORES} for of in ways)
            row = [arm, str(size), f"{plain['AP']:.3f}", f"{flip['AP']:.3f}"]
            row += [", ".join(f"{run['flip']['AP']:.3f}" for run in runs), f"{flip['PCK@0.1']:.3f}"]
            row += [f"{plain['swap_rate']:.3f}", f"{flip['swap_rate']:.3f}", f"{flip['median_px']:.1f}"]
            lines.append(f"| {' | '.join(row)} |")
    for share, words in ((1, "with the same pictures"), (2, "with half the pictures")):
        lines += [
            "",
            f"| less {first}, {words} | {' | '.join(map(str, sizes))} | all |",
            "|---" * (len(sizes) + 2) + "|",
        ]
        for arm in (name for name in arms if share > 1 or name != first):
            pairs = [
                [
                    score[arm, size // share, seed] - score[first, size, seed]
                    for seed in seeds
                    if (arm, size // share, seed) in score and (first, size, seed) in score
                ]
                for size in sizes
            ]
            if any(pairs):
                cells = [with_interval(own) if own else "" for own in (*pairs, list(itertools.chain(*pairs)))]
                lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    if args.short:
        args.sizes, args.seeds = [8], 1
    bench = Bench(args)
    chosen = args.arms or list(bench.arms)
    settings = {"steps": bench.steps, "batch": bench.batch, "options": list(bench.options)}
    bench.claim(settings | ({"choose": True} if args.choose else {}))
    bench.data()
    # seed by seed, so that a benchmark that is stopped early has every kind of run
    runs = [(arm, size, seed) for seed, size, arm in itertools.product(range(args.seeds), args.sizes, chosen)]
    bench.threads = max(1, args.threads // args.jobs)
    failed: list[str] = []

    def one(run: tuple[str, int, int]) -> dict | None:
        try:
            return bench.run(*run)
        except UserError as error:  # the others stand
            failed.append(f"{run[0]}, {run[1]} pictures, seed {run[2]}: {error}")
            print(f"FAILED: {failed[-1]}", flush=True)
            return None

    with ThreadPoolExecutor(args.jobs) as pool:
        # beside the runs that need none of them
        starts = pool.map(bench.weights, sorted({bench.arms[name].start for name in chosen}))
        results = [result for result in pool.map(one, runs) if result]
        list(starts)
    bench.threads = args.threads
    bench.write(
        {"arms": {name: asdict(bench.arms[name]) for name in chosen}, "runs": results}, table_of(results, chosen[0])
    )
    if failed:
        raise UserError("not measured:", failed)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
