"""29 labelled pictures and 29 without labels, beside 58 labelled ones: what is tools/train.py --unlabelled worth?

Examples:
  OMP_NUM_THREADS=1 python benchmarks/unlabelled.py --out work_dirs/unlabelled
  python benchmarks/unlabelled.py --out /tmp/short --short           does it all run? two minutes

Three films of small horses (walk, trot, canter; a camera that stands still; 640x480) are rendered. Of their frames 58
are to train on, 16 to validate and calibrate, 58 to test; four points of each are labelled. A seed draws which 29 of
the 58 keep their labels. The demo's network is trained from random weights, with the same number of optimiser steps of
the same batch in each arm, on

- 58: all of them,
- 29: the half,
- 29 + 29 by one: the half, and the other half as the model of "29" labels it,
- 29 + 29 by one, from it: the same, beginning with that model's weights, which had as many steps already,
- 29 + 29 by three: likewise by three models of the same 29, of which all must agree.

Boxes are the true ones, as in the test. No epoch is chosen by its score. Errors are in pixels on the 58 test frames,
and, of the labels that the teachers gave, against the truth.

Every training leaves its result.json and is not repeated, so a benchmark that was stopped goes on where it was.
OUT/results.json holds the runs and OUT/results.md the table, which is printed as well.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from bench_folder import PROJECT, TINY, BenchFolder, once_evaluated, subset, without_labels

from equistera import cli
from equistera import skeleton as skeletons
from equistera.dataset.boxes import box_around
from equistera.dataset.coco import category_of, load_annotations
from equistera.errors import UserError
from equistera.evaluation.instances import pair
from equistera.files import atomic_write, read_json, write_json

ALL, HALF, ONE, FROM, THREE = ARMS = "58", "29", "29 + 29 by one", "29 + 29 by one, from it", "29 + 29 by three"
POINTS = ("nose", "l_ear", "r_ear", "tail_base")
FPS = 10

CONFIG = '''"""Written by benchmarks/unlabelled.py."""

_base_ = "{root}/configs/demo_rtmpose_t.py"
'''


@dataclass(frozen=True)
class Settings:
    """What a benchmark consists of; results of different settings are never mixed.

    Attributes:
        films: How many.
        seconds: Of each.
        train, val, test: Frames.
        arms: Which are run.
        seeds: How many times.
        steps: Optimiser steps of each training.
        batch: Animals in each.
        sure: Confidence from which a teacher's point is taught; None: the usual one.
        options: Overrides of the config.
    """

    films: int = 3
    seconds: float = 6.0
    train: int = 58
    val: int = 16
    test: int = 58
    arms: tuple[str, ...] = ARMS
    seeds: int = 3
    steps: int = 840
    batch: int = 8
    sure: float | None = None
    options: tuple[str, ...] = ()

    def to_json(self) -> dict:
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


SHORT = Settings(
    films=1, seconds=2.6, train=8, val=4, test=4, arms=(ALL, ONE), seeds=1, steps=400, batch=4, sure=0.0, options=TINY
)


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for data, runs and results")
    parser.add_argument("--short", action="store_true", help="everything tiny: shows that it runs, measures nothing")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(Settings.arms), help="which to run")
    for name, what in (("seeds", "runs of each arm"), ("steps", "of each training"), ("batch", "animals in a step")):
        parser.add_argument(f"--{name}", type=cli.at_least(1), default=getattr(Settings, name), help=what)
    parser.add_argument("--threads", type=cli.at_least(1), default=os.cpu_count() or 1, help="CPU threads of a run")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    return parser.parse_args(argv)


class Bench(BenchFolder):
    """The folder of this benchmark and the runs that fill it."""

    def __init__(self, out: Path, settings: Settings, device: str, threads: int):
        super().__init__(out, threads, device)
        self.settings, self.root = settings, self.out / "data"
        self.config, self.points = self.out / "config.py", self.out / "points.json"

    def start(self) -> None:
        """Makes folder and data, or makes sure that they are of these settings."""
        settings = self.settings.to_json()
        self.claim({key: value for key, value in settings.items() if key not in ("arms", "seeds")})
        self.config.write_text(CONFIG.format(root=PROJECT.as_posix()), encoding="utf-8")
        full = read_json(PROJECT / "equistera" / "skeletons" / "horse26.json")
        chosen = [point for point in full["keypoints"] if point["name"] in POINTS]
        write_json(self.points, {"keypoints": chosen, "links": [["nose", "l_ear"], ["nose", "r_ear"]]})
        if not (self.root / "annotations" / "val.json").exists():
            # written last
            shutil.rmtree(self.root, ignore_errors=True)
            self._frames()

    def _frames(self) -> None:
        """Renders the films and cuts them into frames, drawn once for all seeds."""
        from equistera.video import VideoFrames

        films = ["--videos", self.settings.films, "--seconds", self.settings.seconds, "--fps", FPS, "--camera", "still"]
        made = ["--video", self.out / "films", *films, "--seed", 58, "--workers", self.threads, "--overwrite"]
        self.call(self.out / "films.log", "tools/make_demo_data.py", *made)
        skeleton, frames = skeletons.load(str(self.points)), []
        for path in sorted((self.out / "films").glob("*.mp4")):
            truth = _truth(path.with_suffix(".truth.csv"))
            for frame in VideoFrames(path, None).frames():
                points = truth[frame.number]
                if all(np.isfinite(points[name][0]) for name in POINTS):
                    frames.append((f"{path.stem}_{frame.number:06d}.jpg", frame.image, points))
        wanted = self.settings.test + self.settings.train + self.settings.val
        if len(frames) < wanted:
            raise UserError(f"{len(frames)} frames show all four points, {wanted} are needed")
        random.Random(58).shuffle(frames)
        for split in ("test", "train", "val"):
            count = getattr(self.settings, split)
            _write_split(self.root, split, frames[:count], skeleton)
            frames = frames[count:]

    def seed(self, seed: int) -> list[dict]:
        """All results of a seed, computed or read."""
        names = sorted(image["file_name"] for image in read_json(self._labels("train"))["images"])
        half = sorted(random.Random(seed).sample(names, len(names) // 2))
        folder, results = self.out / "runs" / f"seed{seed}", []
        unlabelled = self._unlabelled(folder / "pictures", {*names} - {*half})
        teachers = [folder / f"teacher{n}" for n in range(3)]
        for arm in self.settings.arms:
            run = folder / arm.replace(",", "").replace(" ", "_")
            if arm == ALL:
                results.append(self._trained(run, arm, seed, names))
                continue
            count = 3 if arm == THREE else 1
            taught = [self._trained(teacher, HALF, seed + 100 * n, half) for n, teacher in enumerate(teachers[:count])]
            if arm == HALF:
                results.append({**taught[0], "arm": HALF, "seed": seed})
                continue
            results.append(self._trained(run, arm, seed, half, unlabelled, teachers[:count]))
        return results

    def _labels(self, split: str) -> Path:
        return self.root / "annotations" / f"{split}.json"

    def _unlabelled(self, folder: Path, names: Collection[str]) -> Path:
        """A folder of pictures, with where the animals are and nothing else of the labels."""
        if not (folder / "boxes.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            without_labels(self._labels("train"), self.root / "images" / "train", folder, names)
        return folder

    def _trained(
        self, folder: Path, arm: str, seed: int, pictures: Sequence[str], more: Path | None = None,
        teachers: Sequence[Path] = (),
    ) -> dict:  # fmt: skip
        """A run's result, computed or read; its confidences are calibrated, too."""
        result = folder / "result.json"
        if result.exists():
            return read_json(result)
        shutil.rmtree(folder, ignore_errors=True)
        settings, labels = self.settings, folder.with_name(f"{folder.name}.json")
        subset(self._labels("train"), labels, pictures)
        samples = len(pictures) if more is None else settings.train
        epochs = max(1, settings.steps // (samples // settings.batch))
        options = [*once_evaluated(epochs), f"train_dataloader.dataset.ann_file={labels}"]
        options += [f"train_dataloader.batch_size={settings.batch}", "train_dataloader.drop_last=True"]
        what = [self.config, "--data-root", self.root, "--skeleton", self.points, "--work-dir", folder, "--seed", seed]
        if more is not None:
            options.append(f"train_dataloader.dataset.epoch_samples={samples}")
            what += ["--init", teachers[0] / "best.pth"] if arm == FROM else []
            what += ["--unlabelled", more, "--teacher", *teachers]
            what += [] if settings.sure is None else ["--sure", settings.sure]
        log = folder.with_name(f"{folder.name}.log")
        options += settings.options
        seconds = self.call(log, "tools/train.py", *what, "--device", self.device, "--cfg-options", *options)
        skeleton, scores = skeletons.load(str(self.points)), folder / "scores"
        where = ["--data-root", self.root, "--device", self.device]
        if arm == HALF:
            # calibrates its confidences
            self.call(folder.with_name(f"{folder.name}.val.log"), "tools/test.py", folder, "--split", "val", *where)
        where += ["--split", "test", "--out", scores]
        self.call(folder.with_name(f"{folder.name}.test.log"), "tools/test.py", folder, *where)
        truth = load_annotations(self._labels("test"), skeleton)
        errors = _errors(truth, read_json(scores / "predictions.json"), skeleton)
        content = {"arm": arm, "seed": seed, "seconds": round(seconds, 1), **errors}
        if more is not None:
            content["labels"] = self._of_labels(folder / "unlabelled", skeleton)
        write_json(result, content, indent=1)
        print(f"seed {seed}, {arm}: median {errors['median']:.2f} px, mean {errors['mean']:.2f} px", flush=True)
        return content

    def _of_labels(self, folder: Path, skeleton: skeletons.Skeleton) -> dict:
        """How many points the teachers labelled, of how many, and how far off they are."""
        coco, report = (
            load_annotations(folder / "annotations" / "train.json", skeleton),
            read_json(folder / "report.json"),
        )
        known = load_annotations(self._labels("train"), skeleton)
        named = {image["id"]: image["file_name"] for image in known["images"]}
        truth = {named[a["image_id"]]: np.reshape(a["keypoints"], (-1, 3)) for a in known["annotations"]}
        named = {image["id"]: image["file_name"] for image in coco["images"]}
        off = []
        for annotation in coco["annotations"]:
            points, right = np.reshape(annotation["keypoints"], (-1, 3)), truth[named[annotation["image_id"]]]
            both = (points[:, 2] > 0) & (right[:, 2] > 0)
            off += np.linalg.norm(points[both, :2] - right[both, :2], axis=1).tolist()
        asked = sum(report["points"].values()) + sum(report["refused"].values())
        return {"taken": len(off), "of": asked, "median": statistics.median(off), "mean": statistics.fmean(off)}


def _truth(table: Path) -> list[dict[str, list[float]]]:
    """Of each frame x, y and confidence of each point; NaN outside of the picture."""
    import csv

    frames: dict[int, list] = {}
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values = [float(row[key] or "nan") for key in ("x", "y", "confidence")]
            frames.setdefault(int(row["frame"]), []).append((row["keypoint"], values))
    return [dict(frames[number]) for number in sorted(frames)]


def _write_split(root: Path, split: str, frames: Sequence[tuple], skeleton: skeletons.Skeleton) -> None:
    import cv2

    images, annotations = [], []
    for number, (name, image, truth) in enumerate(frames, 1):
        height, width = image.shape[:2]
        with atomic_write(root / "images" / split / name, "wb") as file:
            file.write(cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        whole = np.array(list(truth.values()))
        box = box_around(whole[np.isfinite(whole[:, 0]), :2], width, height)
        points = np.array([truth[name] for name in skeleton.names])
        # what is hidden has half the confidence
        points[:, 2] = np.where(points[:, 2] == 1, 2, 1)
        annotations.append(
            {
                "id": number, "image_id": number, "category_id": 1, "bbox": [float(v) for v in box], "iscrowd": 0,
                "area": float(box[2] * box[3]), "keypoints": points.ravel().tolist(), "num_keypoints": len(points),
            }
        )  # fmt: skip
    content = {"images": images, "annotations": annotations, "categories": [category_of(skeleton)]}
    write_json(root / "annotations" / f"{split}.json", content)


def _errors(truth: dict, predictions: list[dict], skeleton: skeletons.Skeleton) -> dict[str, float]:
    """Median and mean of all labelled points, pixels."""
    off = pair(truth, predictions, skeleton).error_px
    off = off[np.isfinite(off)]
    return {"median": float(np.median(off)), "mean": float(off.mean())}


def table_of(results: Sequence[Mapping]) -> str:
    """A row of Markdown for each arm: errors of all seeds, and beside those of "58", seed by seed."""
    arms = list(dict.fromkeys(result["arm"] for result in results))
    runs = {arm: {r["seed"]: r for r in results if r["arm"] == arm} for arm in arms}
    lines = [
        "| trained on | median error, px | mean error, px | mean of each seed | mean beside 58 | "
        "points labelled by teachers | their mean error, px |",
        "|---|---|---|---|---|---|---|",
    ]
    for arm, own in runs.items():
        median, mean = (statistics.fmean(run[key] for run in own.values()) for key in ("median", "mean"))
        each = ", ".join(f"{run['mean']:.2f}" for run in own.values())
        both = own.keys() & runs.get(ALL, {}).keys()
        beside = statistics.fmean(own[s]["mean"] for s in both) / statistics.fmean(runs[ALL][s]["mean"] for s in both)
        labels = [run["labels"] for run in own.values() if "labels" in run]
        taken = f"{sum(one['taken'] for one in labels)} of {sum(one['of'] for one in labels)}" if labels else ""
        wrong = f"{statistics.fmean(one['mean'] for one in labels):.2f}" if labels else ""
        lines.append(f"| {arm} | {median:.2f} | {mean:.2f} | {each} | {beside:.2f} | {taken} | {wrong} |")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    given = {name: getattr(args, name) for name in ("seeds", "steps", "batch")}
    settings = SHORT if args.short else Settings(**given, arms=tuple(args.arms))
    bench = Bench(args.out, settings, args.device, args.threads)
    bench.start()
    results = [run for seed in range(settings.seeds) for run in bench.seed(seed)]
    bench.write({"settings": settings.to_json(), "runs": results}, table_of(results))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
