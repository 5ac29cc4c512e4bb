"""Scores checkpoints on a split: the work behind ``tools/test.py``."""

from __future__ import annotations

import itertools
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from equistera.checkpoints import file_hash
from equistera.dataset.coco import load_annotations
from equistera.dataset.images import read_rgb
from equistera.dataset.paths import picture_path
from equistera.dataset.split import picture_groups
from equistera.errors import UserError
from equistera.evaluation.comparison import compare, format_comparison, format_table, score_models
from equistera.evaluation.constant_guess import constant_results, mean_pose
from equistera.evaluation.files import FILES, TOOL, write_model
from equistera.evaluation.instances import pair
from equistera.evaluation.metrics import Scored
from equistera.evaluation.report import report
from equistera.files import atomic_write, write_json
from equistera.labelling.ceiling import ceiling_line, read_ceiling
from equistera.looking import DetectorOptions, scales_of
from equistera.mm import config as configs
from equistera.mm.prediction.detect import boxes_of
from equistera.mm.prediction.end_to_end import end_to_end, in_words
from equistera.mm.prediction.loaded import say_other_animals
from equistera.mm.prediction.predict import Predictor
from equistera.mm.prediction.split_predictions import (
    ENSEMBLE,
    Split,
    calibrations_of,
    files_of,
    fuse_results,
    predict_split,
)
from equistera.mm.run.fingerprint import picture_marks
from equistera.named_models import members, short_names
from equistera.outputs import Written, check_targets, record

#: Enough for two digits of a 95 % interval, in a fraction of a second.
BOOTSTRAP_DRAWS = 1000

COMPARISON, REPORT = "comparison.json", "report.html"


@dataclass(frozen=True)
class TestOptions(DetectorOptions):
    """What the user asked for; see ``tools/test.py --help``."""

    models: list[str]
    data_root: str | None = None
    skeleton: str | None = None
    split: str | None = None
    out: str | None = None
    compare: bool = False
    ensemble: bool = False
    report: bool = False
    overwrite: bool = False
    flip_test: bool = False
    scales: list[float] | None = None
    body_length: list[str] | None = None
    group_by: str = "none"
    device: str | None = None
    cfg_options: list[str] = field(default_factory=list)


def test(options: TestOptions) -> dict[str, dict]:
    """Predicts, evaluates, prints tables and writes the files.

    Returns:
        By the model's name its metrics, see :func:`equistera.evaluation.metrics.evaluate`.

    Raises:
        UserError: Data or checkpoints cannot be used.
    """
    predictors, checkpoints = _loaded(options)
    if len(predictors) < 2 and (options.compare or options.ensemble):
        wanted = "--compare" if options.compare else "--ensemble"
        raise UserError(
            f"{wanted} needs at least two checkpoints, found one",
            hint="WORK_DIR WORK_DIR ..., or CONFIG CHECKPOINT CHECKPOINT ...",
        )
    for line in _same_weights(checkpoints):
        print(line)
    lead = next(iter(predictors.values()))
    detector = options.detector()
    split = Split.of(lead.config, options.split or _split_there(lead), lead.skeleton)
    # what can be refused is refused before the long work
    groups = None if options.group_by == "none" else picture_groups(split.file_names.values(), options.group_by)
    if options.body_length:
        anywhere = constant_results(split.ground_truth, np.zeros((len(lead.skeleton), 2)), lead.skeleton)
        pair(split.ground_truth, anywhere, lead.skeleton, options.body_length)
    out = Path(options.out) if options.out else _default_out(list(checkpoints.values()), split.name)
    names = [*predictors, *([ENSEMBLE] if options.ensemble else [])]
    # of several models each has a folder
    folders = {name: out / name if len(names) > 1 else out for name in names}
    ceiling = read_ceiling((split.root / split.ann_file).parent, lead.skeleton)
    targets = [folder / file for folder in folders.values() for file in FILES]
    targets += [out / COMPARISON] * options.compare + [out / REPORT] * options.report
    check_targets("--out", targets, overwrite=options.overwrite, tool=TOOL)
    _say_what_was_seen(predictors, split)
    results = predict_split(predictors, split, options.ensemble)
    calibrations = calibrations_of(predictors, checkpoints, (split, results), options.flip_test, options.ensemble)
    if options.ensemble and ENSEMBLE not in results:
        results[ENSEMBLE] = fuse_results(
            list(results.values()), [calibrations.get(name) for name in predictors], split.ground_truth
        )
    train_file = split.root / files_of(lead.config, "train")[0]
    training = load_annotations(train_file, lead.skeleton) if train_file.is_file() else None
    scored = score_models(
        split.ground_truth,
        results,
        lead.skeleton,
        # on the pictures that it was fitted on, a calibration would look better than it is
        {} if split.name == "val" else calibrations,
        draws=BOOTSTRAP_DRAWS,
        mean_pose=mean_pose(training, lead.skeleton) if training else None,
        body_length=options.body_length,
        groups=groups and {image_id: groups[name] for image_id, name in split.file_names.items()},
    )
    comparison = compare(scored) if options.compare else None
    metrics = {name: model.metrics for name, model in scored.items()}
    pairs = comparison["pairs"] if comparison else []
    # before anything can go wrong with the files
    print(format_comparison(metrics, pairs) if len(scored) > 1 else format_table(*metrics.values()), flush=True)
    if ceiling is not None:
        print(ceiling_line(ceiling, bool(options.body_length)), flush=True)
    found: dict[str, dict] = {}
    if detector is not None:
        where = boxes_of(detector, options.det_class, options.det_thr)
        say_other_animals(detector, options.det_class, lead)
        found = end_to_end(predictors, split, where, results)
        print(*itertools.starmap(in_words, found.items()), sep="\n", flush=True)
        if options.ensemble:
            print("  (the ensemble is scored in the annotated boxes alone)")
        how = {"detector": str(detector.weights), "threshold": where.threshold}
        found = {name: {**how, **scores} for name, scores in found.items()}
    # what an earlier test left here and this one does not write anew would stand beside other models' figures
    for path in (out / COMPARISON, out / REPORT):
        if Written().by(TOOL, path):
            path.unlink()
    for name, model in scored.items():
        paths: dict[str, Any] = {"ensemble_of": [str(path) for path in checkpoints.values()]}
        about: dict[str, Any] = paths
        if name in checkpoints:
            # by its hash a model card knows it again in another folder, and not where another has taken its place
            about = {"checkpoint": str(checkpoints[name]), "checkpoint_sha256": file_hash(checkpoints[name])}
        about |= {"split": split.name, "flip_test": options.flip_test, "scales": lead.scales}
        about |= {"found_boxes": found[name]} if name in found else {}
        about |= {"human_ceiling": ceiling} if ceiling is not None else {}
        write_model(folders[name], model, results[name], about)
    if comparison:
        write_json(out / COMPARISON, comparison, indent=1)
        record(TOOL, out / COMPARISON)
    if options.report:
        with atomic_write(out / REPORT) as file:
            said = {f"found boxes, {name}": in_words(name, scores) for name, scores in found.items()}
            if ceiling is not None:
                said["human ceiling"] = ceiling_line(ceiling, bool(options.body_length))
            file.write(_page(scored, checkpoints, split, pairs, options, said))
        record(TOOL, out / REPORT)
    print("written:", *targets, sep="\n  ")
    return metrics


def _same_weights(checkpoints: Mapping[str, Path]) -> list[str]:
    """A line for each file that several models are copies of: side by side or averaged, they say nothing new."""
    copies = defaultdict(list)
    for name, path in checkpoints.items():
        copies[file_hash(path)].append(name)
    return [
        f"{', '.join(names)}: the same weights, byte for byte, so they score the same and average to themselves"
        for names in copies.values()
        if len(names) > 1
    ]


def _loaded(options: TestOptions) -> tuple[dict[str, Predictor], dict[str, Path]]:
    """Models and checkpoints by name; all on the data and with the keypoints of the first one."""
    pairs = members(options.models, exported=True)
    root = str(Path(options.data_root).resolve()) if options.data_root else None
    predictors: dict[str, Predictor] = {}
    for name, (config, path) in zip(short_names([path for _, path in pairs], taken=ENSEMBLE), pairs, strict=True):
        predictor = Predictor(
            config,
            path,
            device=options.device,
            flip_test=options.flip_test,
            scales=scales_of(options.scales),
            cfg_options=options.cfg_options,
            data_root=root,
            skeleton=configs.skeleton_argument(options.skeleton),
        )
        lead = next(iter(predictors.values()), predictor)
        if predictor.skeleton.names != lead.skeleton.names:
            raise UserError(
                f"{path} predicts the {len(predictor.skeleton)} keypoints of {predictor.skeleton.name!r}, the first "
                f"model the {len(lead.skeleton)} of {lead.skeleton.name!r}",
                hint="Only models with the same keypoints in the same order can be set side by side.",
            )
        root = predictor.config.data_root
        predictors[name] = predictor
    return predictors, dict(zip(predictors, (path for _, path in pairs), strict=True))


def _split_there(predictor: Predictor) -> str:
    """``test``; where there is none the validation set, which is said."""
    root, (test_file, _), (val_file, _) = (
        Path(predictor.config.data_root),
        *(files_of(predictor.config, name) for name in ("test", "val")),
    )
    if (root / test_file).is_file() or not (root / val_file).is_file():
        return "test"
    print(
        f"no {root / test_file}: scored on {val_file} instead, by which the best weights were chosen, so expect a "
        "little less of new pictures"
    )
    return "val"


def _say_what_was_seen(predictors: Mapping[str, Predictor], split: Split) -> None:
    """Names models that were trained on pictures they are scored on."""
    folder = split.root / split.images
    pictures = picture_marks(picture_path(folder, name) for name in split.file_names.values())
    for name, predictor in predictors.items():
        if seen := len(pictures & predictor.trained_on):
            print(
                f"note: {name} was trained on {seen} of the {len(pictures)} pictures that it is scored on: "
                "expect less of new ones"
            )


def _default_out(checkpoints: list[Path], split: str) -> Path:
    """Beside the checkpoint; of several, in the folder that holds all of theirs."""
    folders = [path.resolve().parent for path in checkpoints]
    return folders[0] / split if len(folders) == 1 else Path(os.path.commonpath(folders)) / f"comparison_{split}"


def _page(
    scored: Mapping[str, Scored],
    checkpoints: Mapping[str, Path],
    split: Split,
    pairs: Sequence[dict],
    options: TestOptions,
    said: Mapping[str, str],
) -> str:
    paths = {name: str(path.resolve()) for name, path in checkpoints.items()}
    return report(
        scored,
        lambda image_id: read_rgb(picture_path(split.root / split.images, split.file_names[image_id])),
        title=f"{', '.join(scored)} on {split.name}",
        pairs=pairs,
        about={
            **{f"checkpoint {name}" if len(scored) > 1 else "checkpoint": path for name, path in paths.items()},
            "data": f"{split.root / split.ann_file} ({split.name})",
            "flip test": "yes" if options.flip_test else "no",
            "scales": " ".join(f"{scale:g}" for scale in scales_of(options.scales)),
            **said,
            "tested": time.strftime("%Y-%m-%d %H:%M"),
        },
    )
