"""Writes trained networks as files for other programs: the work behind ``tools/export.py``."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

import equistera
from equistera.checkpoints import file_hash
from equistera.crops.geometry import BOX_PADDING
from equistera.errors import UserError
from equistera.evaluation.calibration import (
    ONE_VIEW,
    Calibration,
    store_calibration,
    stored_background,
    stored_calibration,
)
from equistera.exported import CONFIDENCE, CROPS, POINTS, Exported, content_of
from equistera.exporting import PLAIN, TOOL, ExportJob
from equistera.files import replace, write_text
from equistera.mm import config as configs
from equistera.mm.export import formats
from equistera.mm.export.check import difference, reference
from equistera.mm.export.crops import as_arrays, own_crops
from equistera.mm.export.detector import DetectorExport, is_detector
from equistera.mm.export.graph import PoseGraph
from equistera.mm.export.plain import export_plain
from equistera.mm.export.quantize import quantize
from equistera.mm.network import checkpoint
from equistera.mm.prediction.predict import Predictor
from equistera.mm.prediction.split_predictions import (
    ENSEMBLE,
    Split,
    by_input,
    calibrations_of,
    files_of,
    predict_split,
)
from equistera.model_card import Member, model_card
from equistera.named_models import short_names
from equistera.outputs import record
from equistera.words import counted

#: Fewer crops than these are named where int8 is fitted on them: what ranges numbers have is read off them.
_FEW_CROPS = 50


def export(job: ExportJob) -> None:
    """Exports what was asked for.

    Raises:
        UserError: The networks do not belong together or to their configs, there is no graph for one, or the file
            says something else than they do.
    """
    options = job.options
    if options.to == PLAIN:
        ((config, path),) = job.models
        export_plain(config, path, options.out, options.skeleton, options.overwrite)
        return
    if any(is_detector(path) for _, path in job.models):
        _export_detector(job)
    else:
        _export_pose(job)


def _export_pose(job: ExportJob) -> None:
    options = job.options
    predictors, checkpoints = _loaded(job)
    lead = next(iter(predictors.values()))
    samples = own_crops(lead, options.check)
    calibration = _calibration(predictors, checkpoints, options.flip)
    graph = PoseGraph([predictor.model for predictor in predictors.values()], calibration).eval()
    about = _about(job, predictors, calibration)
    expected, crops = reference([*predictors.values()], samples, calibration), as_arrays(samples)
    example = torch.from_numpy(np.repeat(crops[:1], 1 if about.batch else 2, axis=0))
    ports = formats.Ports(CROPS, (POINTS, CONFIDENCE), example, any_batch=not about.batch)
    with _unfinished(job) as written:
        _write(job, graph, ports, about, written[0])
        checked = _check(job, written[0], about, expected, crops)
        if options.int8:
            checked = _to_int8(written[0], about, expected, crops)
    beside = []
    if options.to == "onnx" and calibration is not None:
        # beside the file as beside a checkpoint: what it says is calibrated already
        how = {"applied": "in the graph", **_background(job, lead)}
        beside = [store_calibration(job.path, Calibration(), False, about.settings, ONE_VIEW, **how)]
    _finish(job, about, checked, beside)


def _export_detector(job: ExportJob) -> None:
    detector = DetectorExport(job)
    with _unfinished(job) as written:
        _write(job, detector.graph, detector.ports, detector.about, written[0])
        checked = detector.check(_RUN[job.options.to](written[0]), job.tolerance)
    _finish(job, detector.about, checked, [])


@contextlib.contextmanager
def _unfinished(job: ExportJob) -> Iterator[list[Path]]:
    """Where the files are written before they take their places, which they do when all went well."""
    job.path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=job.path.parent, prefix=".export_") as folder:
        written = [Path(folder) / path.name for path in job.files]
        yield written
        for path, target in zip(written, job.files, strict=True):
            replace(path, target)


def _finish(job: ExportJob, about: Exported, checked: str, beside: Sequence[Path]) -> None:
    """Writes the card and says what there is."""
    members = [
        Member(path, digest, checkpoint.load(path)["meta"])
        for (_, path), digest in zip(job.models, about.members, strict=True)
    ]
    write_text(job.card, model_card(job.path, about, members, checked))
    for path in (*job.files, *beside, job.card):
        record(TOOL, path)
    print("written:", *job.files, *beside, job.card, sep="\n  ")


def _background(job: ExportJob, lead: Predictor) -> dict[str, dict]:
    """What is known of boxes without an animal, of a single model."""
    if len(job.models) > 1:
        return {}
    ((_, path),) = job.models
    threshold = stored_background(path, job.options.flip, lead.settings)
    return {"background": {"threshold": threshold}} if threshold else {}


def _loaded(job: ExportJob) -> tuple[dict[str, Predictor], dict[str, Path]]:
    """Models and checkpoints by name.

    Raises:
        UserError: Their raw outputs cannot be averaged.
    """
    options, predictors = job.options, {}
    names = short_names([path for _, path in job.models], taken=ENSEMBLE)
    root = str(Path(options.data_root).resolve()) if options.data_root else None
    for name, (config, path) in zip(names, job.models, strict=True):
        predictors[name] = Predictor(
            config,
            path,
            device="cpu",
            flip_test=options.flip,
            data_root=root,
            skeleton=configs.skeleton_argument(options.skeleton),
        )
    lead = next(iter(predictors.values()))
    if len(groups := by_input(predictors)) > 1 or any(
        p.skeleton.names != lead.skeleton.names for p in predictors.values()
    ):
        raise UserError(
            "only networks that take the same crops and speak of the same keypoints, bins or cells become one graph:",
            [f"{', '.join(group)}: {next(iter(group.values())).config.codec.to_dict()}" for group in groups],
            "Export each by itself; tools/test.py --ensemble says what their average point by point is worth",
        )
    return predictors, dict(zip(names, (path for _, path in job.models), strict=True))


def _calibration(
    predictors: Mapping[str, Predictor], checkpoints: Mapping[str, Path], flip: bool
) -> Calibration | None:
    """The stored one of a single model; else one that is fitted on the validation set, where there is one."""
    name, lead = next(iter(predictors.items()))
    ensemble = len(predictors) > 1
    if not ensemble and (stored := stored_calibration(checkpoints[name], flip, lead.settings)):
        return stored
    ann_file, _ = files_of(lead.config, "val")
    if not (Path(lead.config.data_root) / ann_file).is_file():
        print(f"confidences stay as they are: there is no {ann_file} to calibrate them on")
        return None
    split = Split.of(lead.config, "val", lead.skeleton)
    results = predict_split(predictors, split, ensemble)
    return calibrations_of(predictors, checkpoints, (split, results), flip, ensemble).get(
        ENSEMBLE if ensemble else name
    )


def _about(job: ExportJob, predictors: Mapping[str, Predictor], calibration: Calibration | None) -> Exported:
    lead, options = next(iter(predictors.values())), job.options
    return Exported(
        kind="pose",
        codec=lead.config.codec.to_dict(),
        padding=BOX_PADDING,
        skeleton={"name": lead.skeleton.name, "content": content_of(lead.skeleton)},
        calibrated=calibration is not None,
        calibration=None if calibration is None else vars(calibration),
        flip=options.flip,
        batch=0 if options.dynamic_batch else 1,
        precision="int8" if options.int8 else "float32",
        members=tuple(file_hash(path) for _, path in job.models),
        animals=tuple(sorted({name for predictor in predictors.values() for name in predictor.animals})),
        trained_on=tuple(sorted({mark for predictor in predictors.values() for mark in predictor.trained_on})),
        settings=lead.settings,
        equistera_version=equistera.__version__,
    )


def _write(job: ExportJob, graph: torch.nn.Module, ports: formats.Ports, about: Exported, path: Path) -> None:
    print(f"writing {counted(len(job.models), 'networks')} as {job.options.to} ...", flush=True)
    if job.options.to == "torchscript":
        formats.to_torchscript(graph, ports, about.as_text(), path)
        return
    onnx = path.with_suffix(".onnx")
    formats.to_onnx(graph, ports, about.as_text(), onnx)
    if job.options.to == "openvino":
        formats.to_openvino(onnx, about.as_text(), path)


_RUN = {"onnx": formats.run_onnx, "openvino": formats.run_openvino, "torchscript": formats.run_torchscript}


def _check(job: ExportJob, path: Path, about: Exported, expected: Sequence[np.ndarray], crops: np.ndarray) -> str:
    found = difference(formats.in_turn(_RUN[job.options.to](path), crops, about.batch), expected)
    print(f"beside this project's own predictions: {found.in_words()}", flush=True)
    if found.worst > job.tolerance:
        raise UserError(
            f"{counted(found.jumps(job.tolerance), 'points')} of {found.pixels.size} differ by more than "
            f"{job.tolerance:g} px of the crop: nothing was written",
            hint="A network that hardly knows its points chooses between places that are equally likely, and the last "
            "bit decides; --tolerance PIXELS allows more",
        )
    return found.in_words()


def _to_int8(path: Path, about: Exported, expected: Sequence[np.ndarray], crops: np.ndarray) -> str:
    """Puts an int8 copy in the place of a file; returns how it compares."""
    target = path.with_name(f"int8_{path.name}")
    print(f"int8, fitted on {counted(len(crops), 'crops')} ...", flush=True)
    if len(crops) < _FEW_CROPS:
        print(f"  warning: these are few; {_FEW_CROPS} and more, of what it will see, show the range of its numbers")
    quantize(path, target, crops, CROPS, about.batch)
    found = difference(formats.in_turn(formats.run_onnx(target), crops, about.batch), expected)
    print(f"int8 beside full precision: {found.in_words()}")
    print("  what that costs in AP says tools/test.py on this file and on the checkpoint")
    replace(target, path)
    return found.in_words()
