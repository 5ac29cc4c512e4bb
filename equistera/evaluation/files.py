"""The files that an evaluation leaves of each model: metrics, predictions, a row for each animal."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

from equistera.errors import UserError
from equistera.evaluation.metrics import Scored
from equistera.evaluation.per_animal import FIELDS, animal_rows
from equistera.files import atomic_write, write_json
from equistera.outputs import check_json

#: Names of the files, as :func:`write_model` writes them.
METRICS, PREDICTIONS, PER_PICTURE = FILES = ("metrics.json", "predictions.json", "per_picture.csv")


#: What every ``metrics.json`` and every entry of ``predictions.json`` has, at least and just.
_SOME_METRICS = {"split", "flip_test", "AP", "per_keypoint"}
_RESULT = {"image_id", "ann_id", "category_id", "keypoints", "score"}


def check_model(option: str, folder: Path) -> None:
    """Refuses a folder in which :func:`write_model` would replace other files than those of an earlier evaluation.

    Args:
        option: What named the folder, such as ``--out``.
        folder: Need not exist.

    Raises:
        UserError: There is such a file, or the folder cannot be written.
    """
    check_json(option, folder / METRICS, "metrics of this tool", _are_metrics)
    check_json(option, folder / PREDICTIONS, "predictions of this tool", _are_predictions)
    rows = folder / PER_PICTURE
    if os.path.lexists(rows) and not _are_rows(rows):
        raise UserError(
            f"{option} {rows} exists and does not hold rows of this tool; it is kept", hint="Choose another name"
        )


def _are_metrics(content: object) -> bool:
    return isinstance(content, dict) and content.keys() >= _SOME_METRICS


def _are_predictions(content: object) -> bool:
    return isinstance(content, list) and all(isinstance(one, dict) and one.keys() == _RESULT for one in content)


def _are_rows(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.readline(1000).decode("utf-8", "replace").strip() == ",".join(FIELDS)
    except OSError:
        return False


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
