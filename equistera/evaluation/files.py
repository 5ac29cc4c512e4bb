"""What an evaluation leaves of each model: its files, and a row an animal of how good it was and what went wrong."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from equistera.evaluation.instances import PCK
from equistera.evaluation.keypoint_metrics import left_right_swaps
from equistera.evaluation.metrics import Scored
from equistera.files import atomic_write, write_json
from equistera.outputs import record

#: Names of the files, as :func:`write_model` writes them.
METRICS, PREDICTIONS, PER_PICTURE = FILES = ("metrics.json", "predictions.json", "per_picture.csv")
#: Who writes them, for the records of folders.
TOOL = "test"

#: Columns of :func:`animal_rows`.
FIELDS = (
    "image_id",
    "file_name",
    "ann_id",
    "points",
    "OKS",
    PCK,
    "median_px",
    "worst_keypoint",
    "worst_px",
    "mean_confidence",
    "swapped",
)


def animal_rows(scored: Scored) -> list[dict]:
    """What a per-picture CSV holds: a dict of :data:`FIELDS` for every animal, in the file's order.

    ``swapped`` names the keypoints that lie on their mirror image, separated by spaces. What an animal without a
    prediction does not have is None.
    """
    animals = scored.animals
    names, swapped = np.array(animals.skeleton.names), left_right_swaps(animals)
    rows = []
    for n, error in enumerate(animals.error_px):
        labelled, missed = animals.labelled[n], bool(animals.missed[n])
        worst = None if missed else int(np.nanargmax(error))
        rows.append(
            {
                "image_id": animals.image_ids[n].item(),
                "file_name": animals.file_names[animals.image_ids[n].item()],
                "ann_id": animals.ann_ids[n].item(),
                "points": int(labelled.sum()),
                "OKS": float(animals.oks[n]),
                PCK: float(animals.correct[n, labelled].mean()) if np.isfinite(animals.size[n]) else None,
                "median_px": None if missed else float(np.median(error[labelled])),
                "worst_keypoint": None if missed else str(names[worst]),
                "worst_px": None if missed else float(error[worst]),
                "mean_confidence": None if missed else float(animals.scores[n, labelled].mean()),
                "swapped": " ".join(names[swapped[n]]),
            }
        )
    return rows


def worst_and_typical(scored: Scored, worst: int, typical: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of animals to look at, two int arrays.

    So many of the lowest OKS, worst first (of equal OKS the larger error first), and so many around the median OKS of
    the rest.
    """
    animals = scored.animals
    error = np.where(np.isnan(animals.error_px), 0, np.minimum(animals.error_px, 1e9)).sum(axis=1)
    order = np.lexsort((-error, animals.oks))
    rest = order[worst:]
    start = max(0, (len(rest) - typical) // 2)
    return order[:worst], rest[start : start + typical]


def write_model(folder: Path, scored: Scored, results: list[dict], about: Mapping[str, object]) -> None:
    """Writes one model's files into a folder; earlier ones of the same names are replaced.

    ``results`` are its predictions; ``about`` stands before the metrics: which checkpoint, which split.
    """
    write_json(folder / METRICS, {**about, **scored.metrics}, indent=1)
    write_json(folder / PREDICTIONS, results)
    with atomic_write(folder / PER_PICTURE) as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(animal_rows(scored))
    for name in FILES:
        record(TOOL, folder / name)
