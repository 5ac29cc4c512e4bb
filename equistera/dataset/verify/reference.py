"""Horses without a mistake, to compare a small data set with; it has too few of its own to say what is ordinary.

They are synthetic, of 320x240 pixels. To make them anew after a change of the skeleton or the renderer::

    python tools/make_demo_data.py --out /tmp/horses --train 400 --val 0 --test 0 --seed 77 --size 320x240
    python -m equistera.dataset.verify.reference /tmp/horses/annotations/train.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from equistera import skeleton as skeletons
from equistera.files import read_json, write_json
from equistera.skeleton import Skeleton

_FILE = Path(__file__).with_name("reference_horses.json")
#: Horses that are kept; more change little and cost every verification time.
_COUNT = 400


def reference_for(skeleton: Skeleton) -> np.ndarray | None:
    """float64 [400, K, 3]: x, y, visibility flag, (0, 0, 0) where not labelled; None for other points than ours."""
    if skeleton.names != skeletons.load(skeletons.DEFAULT).names:
        return None
    return np.array(json.loads(_FILE.read_text(encoding="utf-8")), dtype=float).reshape(-1, len(skeleton), 3)


def write_reference(ann_file: str) -> None:
    """Takes the first horses of an annotation file as the new reference, rounded to pixels."""
    annotations = read_json(ann_file)["annotations"][:_COUNT]
    write_json(_FILE, [[round(value) for value in entry["keypoints"]] for entry in annotations])


if __name__ == "__main__":
    write_reference(sys.argv[1])
