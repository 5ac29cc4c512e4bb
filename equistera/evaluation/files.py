"""The files that an evaluation leaves of each model: metrics, predictions, a row for each animal."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from equistera.evaluation.metrics import Scored
from equistera.evaluation.per_animal import FIELDS, animal_rows
from equistera.files import atomic_write, write_json
from equistera.outputs import record

#: Names of the files, as :func:`write_model` writes them.
METRICS, PREDICTIONS, PER_PICTURE = FILES = ("metrics.json", "predictions.json", "per_picture.csv")
#: Who writes them, for the records of folders.
TOOL = "test"


def write_model(folder: Path, scored: Scored, results: list[dict], about: Mapping[str, object]) -> None:
    """Writes one model's files; earlier ones of the same names are replaced.

    Args:
        folder: Made if need be.
        scored: The model's metrics and animals.
        results: Its predictions, COCO keypoint results.
        about: What stands before the metrics: which checkpoint, which split.
    """
    write_json(folder / METRICS, {**about, **scored.metrics}, indent=1)
    write_json(folder / PREDICTIONS, results)
    with atomic_write(folder / PER_PICTURE) as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(animal_rows(scored))
    for name in FILES:
        record(TOOL, folder / name)
