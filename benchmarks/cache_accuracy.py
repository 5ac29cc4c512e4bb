"""Is accuracy what pays for speed? The demo trained with the crop cache and on the plain path.

All runs see the same epochs, draws and boxes. ``plain`` decodes whole photos, warps them bilinearly as MMPose does and
packs data samples; ``cache`` is this project's path. (Without a cache that gives the same samples, to the bit.) Prints
val AP after the last epoch, each seed and the mean with its standard deviation, and paired differences to ``plain``.

Examples:
  python benchmarks/cache_accuracy.py --data-root data/demo --work-dir work_dirs/cache_accuracy
  python benchmarks/cache_accuracy.py --data-root data/demo --work-dir /tmp/smoke --seeds 1
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from equistera import cli
from equistera.errors import UserError

PATHS = ("plain", "cache")


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--config", default="configs/demo_rtmpose_t.py", help="config file")
    parser.add_argument("--data-root", required=True, help="folder with annotations/ and images/")
    parser.add_argument("--work-dir", required=True, help="where the runs go; runs that are finished there are kept")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--amp", action="store_true", help="mixed precision")
    parser.add_argument("--cfg-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE")
    parser.add_argument("--one", nargs=2, metavar=("PATH", "SEED"), help="train only this run, in this process")
    return parser.parse_args(argv)


def register_plain() -> None:
    """The steps of the plain path, under names that configs can use."""
    import cv2
    import numpy as np
    from mmpose.registry import TRANSFORMS
    from mmpose.structures.bbox import get_warp_matrix

    from equistera.mm.data.transforms import CropToInput, LoadPicture

    @TRANSFORMS.register_module()
    class PlainLoad(LoadPicture):
        """Decodes the whole photo."""

        def transform(self, results: dict) -> dict:
            results["img"] = cv2.imread(str(results["img_path"]))
            results["ori_shape"] = results["img_shape"] = results["img"].shape[:2]
            return results

    @TRANSFORMS.register_module()
    class PlainWarp(CropToInput):
        """Warps bilinearly, whatever the size of the photo, then mirrors."""

        def transform(self, results: dict) -> dict:
            photo, rotation = results["img"], float(results["bbox_rotation"][0])
            results = super().transform(results)
            matrix = get_warp_matrix(results["input_center"], results["input_scale"], rotation, self.input_size)
            warped = cv2.warpAffine(photo, matrix, self.input_size, flags=cv2.INTER_LINEAR)
            results["img"] = np.ascontiguousarray(warped[:, ::-1]) if results["flip"] else warped
            return results


def plain_options(config: str) -> list[str]:
    """``--cfg-options`` that put the plain path's steps in the place of ours."""
    from equistera.mm import config as configs

    replaced = {"LoadPicture": "PlainLoad", "CropToInput": "PlainWarp", "PackTraining": "PackPoseInputs"}
    read = configs.load(config)
    options = ["train_dataloader.collate_fn.type=pseudo_collate"]
    for loader in ("train_dataloader", "val_dataloader"):
        for i, step in enumerate(read[loader].dataset.pipeline):
            if step["type"] in replaced:
                options.append(f"{loader}.dataset.pipeline.{i}.type={replaced[step['type']]}")
    return options


def train_one(args, path: str, seed: int) -> None:
    from equistera.mm.run.train import TrainOptions, train

    options = list(args.cfg_options)
    if path == "plain":
        register_plain()
        options += plain_options(args.config)
    train(
        TrainOptions(
            args.config,
            work_dir=str(folder_of(args, path, seed)),
            data_root=args.data_root,
            seed=seed,
            amp=args.amp,
            cfg_options=options,
            cache="off" if path == "plain" else "auto",
        )
    )


def folder_of(args, path: str, seed: int) -> Path:
    return Path(args.work_dir) / f"{path}_{seed}"


def last_ap(folder: Path) -> float:
    """val AP of the newest log's last evaluation."""
    logs = sorted(folder.glob("*/vis_data/scalars.json"))
    if not logs:
        raise UserError(f"{folder} holds no finished run")
    records = [json.loads(line) for line in logs[-1].read_text().splitlines()]
    return [record["val/AP"] for record in records if "val/AP" in record][-1]


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    if args.one:
        return train_one(args, args.one[0], int(args.one[1]))
    if args.seeds < 1:
        raise UserError(f"--seeds {args.seeds}: expected 1 or more")
    found: dict[str, list[float]] = {path: [] for path in PATHS}
    for seed in range(args.seeds):
        for path in PATHS:
            folder = folder_of(args, path, seed)
            if not (folder / "training_curves.png").exists():
                command = [sys.executable, __file__, *argv, "--one", path, str(seed)]
                if subprocess.run(command, check=False).returncode:
                    raise UserError(f"the run {path}, seed {seed} failed; see above")
            found[path].append(last_ap(folder))
    print(f"\nval AP after the last epoch, {args.seeds} seed(s)")
    for path, scores in found.items():
        apart = [a - b for a, b in zip(scores, found["plain"], strict=True)]
        print(
            f"  {path:<6} {_spread(scores)}   to plain {_spread(apart)}   "
            + "  ".join(f"{score:.3f}" for score in scores)
        )
    return None


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):+.4f} +- {statistics.stdev(values) if len(values) > 1 else 0:.4f}"


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
