"""How much memory does training on thousands of large photos take, and does it grow?

Makes photos of 12 megapixels (noise, which JPEG cannot skip), gives a few dozen of them thousands of names, trains a
small network with tools/train.py and looks at every process once a second: resident memory without the mapped crop
cache, which all of them share and the system may take back. Ends with exit code 1 beyond the limits.

Examples:
  python benchmarks/memory.py --work-dir /tmp/memory
  python benchmarks/memory.py --work-dir /tmp/smoke --pictures 60 --photos 4 --epochs 8
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from equistera import cli, skeleton
from equistera.errors import UserError
from equistera.progress import track

#: Resident MB that a process may take besides the cache, and by which it may grow from the first tenth of the epochs
#: to the last.
LIMIT, GROWTH = 2000, 25
KINDS = ("heap", "shared", "files", "cache")
WIDTH, HEIGHT = 4032, 3024
#: A network that takes little of the time; the sample path is that of RTMPose-M.
SMALL = [
    "model.backbone.widen_factor=0.125",
    "model.backbone.deepen_factor=0.167",
    "model.head.in_channels=128",
    "model.head.gau_cfg.hidden_dims=32",
    "model.head.gau_cfg.s=16",
]


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--work-dir", required=True, help="where photos, cache and run go (20 GB)")
    parser.add_argument("--pictures", type=int, default=5000, help="names of photos")
    parser.add_argument("--photos", type=int, default=24, help="different photos")
    parser.add_argument("--epochs", type=int, default=50, help="5 or more")
    parser.add_argument("--workers", type=int, default=2, help="loader workers")
    parser.add_argument("--config", default="configs/rtmpose_m_ap10k.py")
    parser.add_argument("--cfg-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE")
    return parser.parse_args(argv)


def make_data(root: Path, pictures: int, photos: int) -> None:
    """Noise photos with one animal each; names beyond the first ``photos`` are hard links."""
    rng = np.random.default_rng(0)
    horse = skeleton.load("horse26")
    category = {"id": 1, "name": "horse", "keypoints": list(horse.names), "skeleton": []}
    for split, count in (("train", pictures), ("val", photos)):
        folder = root / "images" / split
        folder.mkdir(parents=True)
        images, annotations = [], []
        for i in track(range(count), f"photos of {split}"):
            path = folder / f"{i:05d}.jpg"
            if i < photos:
                coarse = rng.integers(0, 256, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8)
                picture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.int16)
                cv2.randn(noise := np.empty_like(picture), (0, 0, 0), (12, 12, 12))
                cv2.imwrite(str(path), cv2.add(picture, noise, dtype=cv2.CV_8U), [cv2.IMWRITE_JPEG_QUALITY, 90])
            else:
                _another_name(folder / f"{i % photos:05d}.jpg", path)
            size = rng.uniform((0.35, 0.4), (0.75, 0.85)) * (WIDTH, HEIGHT)
            corner = rng.uniform(0, 1, 2) * ((WIDTH, HEIGHT) - size)
            points = corner + rng.uniform(0.03, 0.97, (26, 2)) * size
            images.append({"id": i + 1, "file_name": path.name, "width": WIDTH, "height": HEIGHT})
            annotations.append({
                "id": i + 1,
                "image_id": i + 1,
                "category_id": 1,
                "bbox": [*corner, *size],
                "area": float(size.prod()),
                "iscrowd": 0,
                "num_keypoints": 26,
                "keypoints": np.column_stack([points, np.full(26, 2)]).ravel().tolist(),
            })  # fmt: skip
        (root / "annotations").mkdir(exist_ok=True)
        content = {"images": images, "annotations": annotations, "categories": [category]}
        (root / "annotations" / f"{split}.json").write_text(json.dumps(content))


def _another_name(photo: Path, name: Path) -> None:
    try:
        os.link(photo, name)
    except OSError:
        # no hard links here, or no more of one file
        shutil.copyfile(photo, name)


def processes(root: int) -> list[int]:
    """A process and all below it."""
    found = [root]
    for pid in found:
        try:
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        except OSError:
            # it ended
            continue
    return found


def resident(pid: int) -> dict[str, float]:
    """Resident MB of a process: its ``heap``, ``shared`` batches, mapped ``files`` and the crop ``cache``."""
    kilobytes, kind = dict.fromkeys(KINDS, 0), ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split(maxsplit=5)
        if not words[0].endswith(":"):
            kind = _kind(words[5] if len(words) > 5 else "")
        elif words[0] == "Rss:":
            kilobytes[kind] += int(words[1])
    return {kind: value / 1e3 for kind, value in kilobytes.items()}


def _kind(mapped: str) -> str:
    if mapped.endswith(".crops/pixels"):
        return "cache"
    if mapped.startswith("/dev/shm/"):
        return "shared"
    return "files" if mapped.startswith("/") else "heap"


def epoch_of(run: Path) -> int:
    """The epoch that a run has logged last, from 1; 0 before it has logged any."""
    logs = sorted(run.glob("*/vis_data/scalars.json"))
    lines = logs[-1].read_text().splitlines()[-3:] if logs else []
    for line in reversed(lines):
        if line.endswith("}") and "epoch" in (record := json.loads(line)):
            return record["epoch"]
    return 0


def watch(command: list[str], folder: Path, log: Path) -> dict[int, list[tuple[int, dict[str, float]]]]:
    """Runs a training into ``folder``; by process: epoch and resident MB by kind, at each look."""
    seen = defaultdict(list)
    with log.open("w") as file:
        run = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            while run.poll() is None:
                epoch = epoch_of(folder)
                for pid in processes(run.pid):
                    try:
                        seen[pid].append((epoch, resident(pid)))
                    except OSError:
                        # it ended between the two looks
                        continue
                time.sleep(1)
        finally:
            run.kill()
    if run.returncode:
        raise UserError(f"training failed with exit code {run.returncode}; see {log}")
    return seen


def _own(sizes: dict[str, float]) -> float:
    return sum(sizes.values()) - sizes["cache"]


def print_course(pid: int, looks: list[tuple[int, dict[str, float]]], epochs: int) -> float | None:
    """Prints a process' memory by tenths of the run; returns its growth in MB, None if it did not live so long."""
    # the first epoch fills what is filled once; the last one ends with an evaluation and the plots
    parts = np.array_split(range(2, epochs), min(10, epochs - 2))
    rows = [[sizes for epoch, sizes in looks if epoch in part] for part in parts]
    if not all(rows):
        return None
    print(f"  process {pid}, mean resident MB: own, of it {', '.join(KINDS[:-1])}; besides the crop cache")
    means = []
    for part, row in zip(parts, rows, strict=True):
        mean = {kind: sum(sizes[kind] for sizes in row) / len(row) for kind in KINDS}
        means.append(_own(mean))
        values = "  ".join(f"{mean[kind]:6.1f}" for kind in KINDS)
        print(f"    epochs {part[0]:3}-{part[-1]:<3} {means[-1]:7.1f}   {values}")
    return means[-1] - means[0]


def main(argv: Sequence[str]) -> int:
    args = parse_args(argv)
    if args.epochs < 5:
        raise UserError(f"--epochs {args.epochs}: growth shows over 5 or more")
    if not Path("/proc/self/smaps").exists():
        raise UserError("resident memory is read from /proc, which this system does not have")
    folder = Path(args.work_dir).resolve()
    data = folder / f"data_{args.pictures}_{args.photos}"
    if not (data / "annotations" / "val.json").exists():
        shutil.rmtree(data, ignore_errors=True)
        make_data(data, args.pictures, args.photos)
    options = [*SMALL, f"train_cfg.max_epochs={args.epochs}", f"train_cfg.val_interval={args.epochs}"]
    options += [f"default_hooks.checkpoint.interval={args.epochs}"]
    options += [f"train_dataloader.num_workers={args.workers}"]
    tool = Path(__file__).resolve().parents[1] / "tools" / "train.py"
    command = [sys.executable, tool, args.config, "--from-scratch", "--data-root", data, "--work-dir", folder / "run"]
    seen = watch(
        [*map(str, command), "--cfg-options", *options, *args.cfg_options], folder / "run", folder / "train.log"
    )
    print(f"{args.pictures} pictures of {WIDTH}x{HEIGHT}, {args.epochs} epochs; log: {folder / 'train.log'}")
    worst = max(_own(sizes) for looks in seen.values() for _, sizes in looks)
    growths = [growth for pid, looks in seen.items() if (growth := print_course(pid, looks, args.epochs)) is not None]
    if not growths:
        raise UserError(f"{args.epochs} epochs passed faster than they can be watched: use more --pictures")
    growth = max(growths)
    good = worst < LIMIT and growth < GROWTH
    verdict = "good" if good else "NOT GOOD"
    print(f"{verdict}: at most {worst:.0f} MB (limit {LIMIT}), growth {growth:.0f} MB (limit {GROWTH})")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
