"""Labels for unlabelled pictures by one or several teachers: the data set that ``tools/train.py --unlabelled`` adds.

It lies in the work dir: pictures (links where the disk has them) and frames, a COCO file in which points that are not
sure are not labelled, so that they weigh nothing in the loss, and a report. What has been labelled stays when the
work is stopped, and all of it is used again as long as nothing that decides it has changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from equistera import skeleton as skeletons
from equistera.checkpoints import file_hash
from equistera.dataset.images import ImageError
from equistera.dataset.phash import DISTANCE, turned_hashes
from equistera.errors import UserError
from equistera.evaluation.calibration import calibration_path
from equistera.files import read_json, write_json
from equistera.inputs import find_config
from equistera.labelling import sure
from equistera.labelling.box_notes import notes_on_boxes
from equistera.labelling.sources import Source, find_sources
from equistera.labelling.unlabelled import EVERY, NAME, Tally, UnlabelledOptions, usual_weight
from equistera.mm import config as configs
from equistera.mm.data.dataset import KeypointDataset
from equistera.mm.labelling.unlabelled_pass import REPORT, label
from equistera.mm.run.fingerprint import mark_of
from equistera.mm.run.mixing import own_marks, own_sets
from equistera.mm.run.settle import configured
from equistera.skeleton import Skeleton
from equistera.training.options import TrainOptions
from equistera.training.work_dir import held, holds_run

#: Of how this is done: labels of another version are made again.
VERSION = 1


def labelled(options: TrainOptions, asked: UnlabelledOptions, alone: bool = True) -> dict:
    """The source that the unlabelled pictures become, an entry for a run's ``sources``; they are labelled if need be.

    Args:
        options: Of the run, its work dir chosen.
        asked: What is to be labelled, and by whom.
        alone: Whether this is the only process of the run, which may do it.

    Raises:
        UserError: The teachers cannot be used, nothing is sure, or the work dir has a run with other labels.
    """
    folder, config = options.folder / NAME, configured(options)[0]
    if config.train_dataloader.dataset.type != KeypointDataset.__name__:
        raise UserError(f"--unlabelled is for pose models, {options.config} trains a detector", hint="Leave it out")
    skeleton, tally = skeletons.load(config.skeleton), Tally()
    own = _Own.of(config, skeleton)
    sources = _new(asked, folder, skeleton, own, tally)
    now = _decisive(asked, sources, own.names, skeleton)
    record = folder / "asked.json"
    before = read_json(record) if record.is_file() else None
    if before is None and folder.exists():
        raise UserError(f"{folder} is in the way: no labels of this tool are in it", hint="--work-dir names another")
    changed = [key for key in now if before is not None and before.get(key) != now[key]]
    if changed and holds_run(options.folder):
        raise UserError(
            f"the run in {options.folder} learns from labels that were made with other {', '.join(changed)}",
            hint="Go on without --unlabelled and --teacher; or --work-dir names another folder, for a new run",
        )
    if before is None or changed or not (folder / REPORT).is_file():
        if not alone:
            raise UserError(
                "unlabelled pictures are labelled in one process",
                hint="Once with --plan in a single process; then as you have it",
            )
        if changed:
            # somebody may have corrected them, or put more there
            aside = next(p for n in itertools.count(1) if not (p := folder.with_name(f"{NAME}-{n}")).exists())
            folder.rename(aside)
            print(f"{NAME}: labelled again, with other {', '.join(changed)}; those before lie in {aside}", flush=True)
        write_json(record, now, indent=1)
        with held(folder):
            label(asked, sources, own.names, skeleton, own.kinds[0] if len(own.kinds) == 1 else "", folder, tally)
    report = read_json(folder / REPORT)
    source = {"weight": usual_weight(report["taken"], own.animals), **asked.source}
    weight = f"weight     {source['weight']:g} samples of them for each of yours"
    print(f"{NAME}: {asked.folder}", *report["said"], weight, f"lie in     {folder}", sep="\n  ", flush=True)
    return {**source, "data_root": str(folder), "name": NAME, "val_ann_file": None}


@dataclass(frozen=True)
class _Own:
    """A run's own data: the part that has a picture of a mark, those of a file name, and what it is trained on."""

    marks: dict[str, str]
    names: dict[str, list[tuple[str, Path]]]
    kinds: list[str]
    animals: int

    @classmethod
    def of(cls, config: Config, skeleton: Skeleton) -> _Own:
        names: dict[str, list[tuple[str, Path]]] = {}
        kinds, animals = [], 0
        sets = [*own_sets(config, skeleton)]
        for part, coco, folder in sets:
            for path in (Path(folder, image["file_name"]) for image in coco["images"]):
                names.setdefault(path.name.casefold(), []).append((f"your {part} set", path))
            if part == "train":
                kinds, animals = coco["animals"], len(coco["annotations"])
        return cls(own_marks(sets), names, kinds, animals)


def _new(
    asked: UnlabelledOptions, folder: Path, skeleton: Skeleton, own: _Own, tally: Tally
) -> list[tuple[Source, str]]:
    """The films, and the pictures that are not in the run's own data, each once, with their marks."""
    sources, tally.notes = find_sources([str(asked.folder)], folder, ignored=asked.boxes)
    if asked.boxes:
        tally.notes += notes_on_boxes(asked.boxes, skeleton, [source for source in sources if not source.video])
    kept: dict[str, Source] = {}
    for source in sources:
        # one that cannot be read has none
        mark = mark_of(source.path) or source.name
        if mark in own.marks:
            tally.left_out[f"also in {own.marks[mark]}"] += 1
        elif where := _saved_again(source.path, own.names.get(source.path.name.casefold(), ())):
            tally.left_out[f"saved again, with the name and the look of one in {where}"] += 1
        elif mark in kept:
            tally.left_out["there twice"] += 1
        else:
            kept[mark] = source
    if not kept:
        raise UserError(
            f"--unlabelled {asked.folder}: nothing is left to label",
            tally.said()[: len(tally.notes) + 1],
            "Put pictures there that have no labels yet, or leave --unlabelled out",
        )
    return [(source, mark) for mark, source in kept.items()]


def _saved_again(path: Path, labelled: Sequence[tuple[str, Path]]) -> str:
    """Which part of a run's own data has a picture of the same name that looks the same, "" for none.

    A name alone says little: many folders have a 000001.jpg.
    """
    for part, other in labelled:
        # what cannot be read is told when it is looked at
        with contextlib.suppress(ImageError):
            if (turned_hashes(path)[0] ^ turned_hashes(other)[0]).bit_count() <= DISTANCE:
                return part
    return ""


def _decisive(
    asked: UnlabelledOptions, sources: Sequence[tuple[Source, str]], names: Collection[str], skeleton: Skeleton
) -> dict[str, str]:
    """What the labels follow from, by what people call it: labels of the same are not made again."""
    teachers = []
    for config, path in asked.teachers():
        fitted = calibration_path(path)
        content = configs.as_text(configs.read(config)) or find_config(config).read_text(encoding="utf-8")
        teachers.append([file_hash(path), file_hash(fitted) if fitted.is_file() else "", content])
    detector = asked.detector()
    parts = {
        "pictures": [[source.name, mark] for source, mark in sources],
        # of which the frames are left out that are labelled
        "labelled names": sorted(names) if any(source.video for source, _ in sources) else [],
        "teachers": teachers,
        "detector": [file_hash(detector.weights), asked.det_class, asked.det_thr] if detector else [],
        "boxes": file_hash(asked.boxes) if asked.boxes else "",
        "keypoints": skeleton.names,
        "rules": [VERSION, asked.sure, sure.CONFIDENT, sure.AGREED, sure.LEAST_SHARE, EVERY],
    }
    return {name: hashlib.sha256(json.dumps(part).encode()).hexdigest()[:16] for name, part in parts.items()}
