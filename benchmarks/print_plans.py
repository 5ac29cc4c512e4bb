"""Prints the plans of the three pretrained configs for 800 and 5,000 pictures, as docs/plans.md shows them.

Examples:
  python benchmarks/print_plans.py > docs/plans.md

The pictures are tiny and of one colour; a plan depends only on how many there are. Of every ten, eight are to train and
one is to validate. No pretrained weights are needed. What is the machine's is left out: the free space on disk, and
that the weights are missing there.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from equistera import cli, skeleton
from equistera.dataset.coco import category_of
from equistera.errors import UserError
from equistera.files import write_json

PROJECT = Path(__file__).resolve().parents[1]

CONFIGS = ("rtmpose_m_ap10k", "hrnet_w32_ap10k", "hrnet_w32_animalpose")
COUNTS = (800, 5000)
SIDE = 64

HEAD = """# Plans

What `tools/train.py CONFIG --plan` prints for the pretrained configs, with 800 and with 5,000 pictures of one horse
each, of which 640 and 4,000 are to train. `--plan --json FILE` writes the same for programs. A plan that cannot work is
refused, with the reason and the fix; `tests/training/test_training_plan.py` has every refusal.

This page is made by `python benchmarks/print_plans.py > docs/plans.md`.
"""


def make_data(root: Path, count: int) -> None:
    """Writes annotation files of ``count`` pictures and the pictures."""
    horse = skeleton.load("horse26")
    _, jpeg = cv2.imencode(".jpg", np.full((SIDE, SIDE, 3), 128, np.uint8))
    rng = np.random.default_rng(count)
    (root / "annotations").mkdir(parents=True)
    for split, pictures in (("train", count * 8 // 10), ("val", count // 10)):
        folder = root / "images" / split
        folder.mkdir(parents=True)
        images, annotations = [], []
        for number in range(1, pictures + 1):
            name = f"{number:05}.jpg"
            (folder / name).write_bytes(jpeg.tobytes())
            images.append({"id": number, "file_name": name, "width": SIDE, "height": SIDE})
            points = np.column_stack([rng.uniform(8, 56, (len(horse), 2)), np.full(len(horse), 2)])
            annotations.append(
                {
                    "id": number,
                    "image_id": number,
                    "category_id": 1,
                    "keypoints": points.ravel().tolist(),
                    "num_keypoints": len(horse),
                    "bbox": [8.0, 8.0, 48.0, 48.0],
                    "area": 48.0 * 48.0,
                    "iscrowd": 0,
                }
            )
        content = {"images": images, "annotations": annotations, "categories": [category_of(horse)]}
        write_json(root / "annotations" / f"{split}.json", content)


def plan_text(config: str, root: Path) -> str:
    """What ``--plan`` prints, without what is the machine's."""
    command = [sys.executable, str(PROJECT / "tools" / "train.py"), f"configs/{config}.py", "--plan"]
    done = subprocess.run([*command, "--data-root", str(root)], cwd=PROJECT, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"the plan of {config} is refused:", done.stderr.splitlines())
    text = done.stdout.split("\n  note: the pretrained weights are missing")[0]
    text = re.sub(r"\n  time .*measured steps", "", text)
    return re.sub(r" of [\d.]+ GB free on disk", " on disk", text).rstrip()


def main(argv: Sequence[str]) -> None:
    cli.parser(__doc__).parse_args(argv)
    print(HEAD)
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            make_data(Path(folder) / "data", count)
            for config in CONFIGS:
                text = plan_text(config, Path(folder) / "data")
                print(f"## {config}, {count:,} pictures\n\n```\n{text}\n```\n".rstrip(), end="\n\n")


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
