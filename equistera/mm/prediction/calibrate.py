"""The calibrations that a test needs: those stored beside the checkpoints, the missing ones fitted on val."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from equistera.errors import WriteError
from equistera.evaluation.calibration import Calibration, fit_on_results, store_calibration, stored_calibration
from equistera.mm.prediction.ensemble import ENSEMBLE, fuse_results
from equistera.mm.prediction.predict import Predictor
from equistera.mm.prediction.split_predictions import Split, files_of, predict_split


def calibrations_of(
    predictors: Mapping[str, Predictor],
    checkpoints: Mapping[str, Path],
    predicted: tuple[Split, Mapping[str, list[dict]]],
    flip_test: bool,
    ensemble: bool,
) -> dict[str, Calibration]:
    """Calibrations by the model's name; freshly fitted ones are stored beside their checkpoints.

    Where the split that was predicted on is val, every calibration is fitted anew on it. Else those stored for these
    very weights and settings are taken, and val is predicted on for the others (and for an ensemble, which has no
    file). A model without one (no validation set, or too few points in it) is absent.

    Args:
        predictors, checkpoints: Models and their weights' files by name.
        predicted: A split and the predictions on it, as :func:`~.split_predictions.predict_split` returned them.
        flip_test: Whether predictions are averaged with those on the mirrored picture.
        ensemble: Whether an ensemble's is wanted too.

    Raises:
        UserError: A stored calibration is broken, or the validation set is.
    """
    split, results = predicted
    found: dict[str, Calibration] = {}
    lead = next(iter(predictors.values()))
    if split.name != "val":
        for name, path in checkpoints.items():
            if calibration := stored_calibration(path, flip_test, predictors[name].settings):
                found[name] = calibration
        missing = {name: model for name, model in predictors.items() if name not in found or ensemble}
        if not missing:
            return found
        ann_file, _ = files_of(lead.config, "val")
        if not (split.root / ann_file).is_file():
            print(f"confidences stay as they are: there is no {ann_file} to calibrate them on", file=sys.stderr)
            return found
        split = Split.of(lead.config, "val", lead.skeleton)
        results = predict_split(missing, split, ensemble)
    for name in [*checkpoints, *([ENSEMBLE] if ensemble else [])]:
        if name in found:
            continue
        own = results.get(name) or fuse_results(
            [results[name] for name in predictors], [found.get(name) for name in predictors], split.ground_truth
        )
        calibration, about = fit_on_results(split.ground_truth, own, lead.skeleton)
        if calibration is None:
            print(f"{name}: {split.ann_file} has too few labelled points to calibrate confidences on", file=sys.stderr)
            continue
        found[name] = calibration
        if name in checkpoints:
            about = {"ann_file": str(split.root / split.ann_file), **about}
            _store(checkpoints[name], calibration, about, flip_test, predictors[name].settings)
    return found


def _store(checkpoint: Path, calibration: Calibration, about: dict, flip_test: bool, settings: str) -> None:
    try:
        path = store_calibration(checkpoint, calibration, flip_test, settings, **about)
    except WriteError as error:
        # a checkpoint on a read-only disk can still be tested
        print(f"the calibration could not be stored beside {checkpoint.name}: {error.reason}", file=sys.stderr)
    else:
        print(f"calibration fitted on {Path(about['ann_file']).name}: {path}", file=sys.stderr)
