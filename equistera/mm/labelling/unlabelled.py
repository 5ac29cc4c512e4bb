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
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config

from equistera import skeleton as skeletons
from equistera.checkpoints import file_hash
from equistera.dataset.animals import read_animals
from equistera.dataset.boxes import clip_box
from equistera.dataset.coco import category_of
from equistera.dataset.images import ImageError
from equistera.dataset.mixed import Mapped, map_points
from equistera.dataset.phash import DISTANCE, turned_hashes
from equistera.errors import UserError, WriteError
from equistera.evaluation.calibration import calibration_path, missing_because
from equistera.files import atomic_write, link_or_copy, read_json, write_json
from equistera.inputs import find_config
from equistera.labelling import sure
from equistera.labelling.box_notes import notes_on_boxes
from equistera.labelling.chosen import portable
from equistera.labelling.doubt import Seen
from equistera.labelling.sources import Sampled, Source, find_sources, readings
from equistera.labelling.unlabelled import EVERY, NAME, Tally, UnlabelledOptions, usual_weight
from equistera.looking import LookOptions
from equistera.mm import config as configs
from equistera.mm.data.dataset import KeypointDataset
from equistera.mm.devices import compute_on
from equistera.mm.labelling.picking import Animals, further
from equistera.mm.prediction.follow import BEGIN
from equistera.mm.prediction.loaded import say_other_animals
from equistera.mm.prediction.pose_drawing import RAW, Confidence
from equistera.mm.prediction.predict import Predictor
from equistera.mm.prediction.search import WITHOUT_DETECTOR, SearchedBoxes
from equistera.mm.prediction.stream import AnnotatedBoxes, BoxSource
from equistera.mm.run.fingerprint import mark_of
from equistera.mm.run.mixing import own_marks, own_sets
from equistera.mm.run.settle import configured
from equistera.progress import track
from equistera.skeleton import Skeleton
from equistera.training.options import TrainOptions
from equistera.training.work_dir import held, holds_run

#: Pictures that are looked at together and kept together: what a stopped pass does again at most; and their crops.
TOGETHER, BATCH = 8, 16
#: Quality of the JPEGs that frames become: they are trained on.
QUALITY = 95
#: Of how this is done: labels of another version are made again.
VERSION = 1
ANN_FILE, IMAGES, REPORT = "annotations/train.json", "images/train", "report.json"


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
            _label(asked, sources, own.names, skeleton, own.kinds[0] if len(own.kinds) == 1 else "", folder, tally)
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
        for part, coco, folder in own_sets(config, skeleton):
            for path in (Path(folder, image["file_name"]) for image in coco["images"]):
                names.setdefault(path.name.casefold(), []).append((f"your {part} set", path))
            if part == "train":
                kinds, animals = coco["animals"], len(coco["annotations"])
        return cls(own_marks(config, skeleton), names, kinds, animals)


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


def _label(
    asked: UnlabelledOptions,
    sources: Sequence[tuple[Source, str]],
    names: Collection[str],
    skeleton: Skeleton,
    kind: str,
    folder: Path,
    tally: Tally,
) -> None:
    """Looks at all pictures and writes the data set; goes on where an earlier pass was stopped."""
    see, confident, mapped, lines = _teachers(asked, skeleton)
    print(f"{NAME}:", *lines, sep="\n  ", flush=True)
    films = [[source] for source, _ in sources if source.video]
    pictures = [source for source, _ in sources if not source.video]
    few = [pictures[start : start + TOGETHER] for start in range(0, len(pictures), TOGETHER)]
    done = Journal(folder / "seen.jsonl")
    for number, group in enumerate(itertools.chain(films, track(few, "pictures", unit="batches"))):
        if (number, -1) in done:
            continue
        for reading in readings(group, EVERY):
            frames = (
                track(reading.items, reading.title, reading.total, "frames") if number < len(films) else reading.items
            )
            items = (item for item in frames if _frame_name(*item).casefold() not in names)
            for part, batch in enumerate(_together(items)):
                if (number, part) not in done:
                    seen = see([one for _, one in batch])
                    found = [
                        _found(source, one, animals, skeleton.names, folder, confident, mapped)
                        for (source, one), animals in zip(batch, seen, strict=True)
                    ]
                    done.add(number, part, found)
            done.add(number, -1, reading.problems)
    for (_, part), content in sorted(done.items()):
        if part < 0:
            tally.problems += content
        for one in content if part >= 0 else ():
            tally.add(one)
    if not tally.taken:
        raise UserError(
            f"the teachers are sure of nothing in {asked.folder}",
            [*lines, *tally.said()],
            "Train the teacher longer or on more labels, name several, or say where the animals are (--det); "
            "a lower --sure teaches more mistakes",
        )
    _write(done, {source.name: source.path for source in pictures}, skeleton, kind, folder)
    write_json(folder / REPORT, {"said": [*lines, *tally.said()], **tally.to_json()}, indent=1)


def _together(items: Iterator[tuple[Source, Sampled]]) -> Iterator[list[tuple[Source, Sampled]]]:
    while batch := [*itertools.islice(items, TOGETHER)]:
        yield batch


class Journal(dict):
    """What has been seen, by group and part, kept line by line; a last line that is half-written is as if not there."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            with contextlib.suppress(ValueError):
                group, part, content = json.loads(line)
                self[group, part] = content

    def add(self, group: int, part: int, content: list) -> None:
        """Keeps the pictures of a part; of the part -1, when a group is done, what could not be read of it."""
        # behind whatever a killed process left
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n" + json.dumps([group, part, content]))
        except OSError as error:
            raise WriteError(self.path, error) from error
        self[group, part] = content


def _teachers(
    asked: UnlabelledOptions, skeleton: Skeleton
) -> tuple[Callable[[Sequence[Sampled]], list[list[Seen]]], float, Mapped, list[str]]:
    """Sees the animals of frames; from which confidence on a point is sure; which points are whose; and all in words.

    Raises:
        UserError: A teacher cannot be used, or none of its points is the student's.
    """
    compute_on(asked.device)
    (config, path), *others = asked.teachers()
    first = Predictor(config, path, asked.device, amp=None)
    models = [(first, Confidence.of(path, False, None, first.settings))]
    models += [further(LookOptions(device=asked.device), first, *pair) for pair in others]
    mapped = map_points(skeleton, first.skeleton)
    lines = []
    for (_, own), (predictor, confidence) in zip(asked.teachers(), models, strict=True):
        fitted = confidence.calibration is not None
        known = "calibrated" if fitted else f"not calibrated ({missing_because(own, False, predictor.settings)})"
        lines.append(f"teacher    {own}: {known}")
    calibrated = all(confidence.calibration is not None for _, confidence in models)
    usual = sure.CONFIDENT if calibrated else RAW
    confident = usual if asked.sure is None else asked.sure
    kind = "probability of being right" if calibrated else "uncalibrated confidence, which says little"
    lines.append(f"sure       from {confident:g} on ({kind}), and within {sure.AGREED:g} of its size in all views")
    if first.skeleton.names != skeleton.names:
        lacking = [name for name, column in zip(skeleton.names, mapped.columns, strict=True) if column < 0]
        lines.append(
            f"points     {len(mapped.taken)} of the teacher's {first.skeleton.name} are ours; not labelled are "
            f"{', '.join(lacking) or 'none'}"
        )
    where, begin = _where(asked, first, models[0][1], lines)
    return Animals(models, where, BATCH, begin).see, confident, mapped, lines


def _where(
    asked: UnlabelledOptions, predictor: Predictor, confidence: Confidence, lines: list[str]
) -> tuple[BoxSource, float]:
    """Says where to look, and from which confidence of a box on in films."""
    if asked.boxes is not None:
        lines.append(f"boxes      those of {asked.boxes}")
        return AnnotatedBoxes(read_animals(str(asked.boxes), predictor.skeleton)), 0.0
    if (detector := asked.detector()) is not None:
        # mmdet's part of the import takes a while that others need not wait for
        from equistera.mm.prediction.detect import boxes_of

        say_other_animals(detector, asked.det_class, predictor)
        lines.append(f"boxes      found by {detector.kind or detector.weights}")
        return boxes_of(detector, asked.det_class, asked.det_thr), BEGIN if asked.det_thr is None else asked.det_thr
    lines.append(f"boxes      {WITHOUT_DETECTOR}")
    return SearchedBoxes(predictor, confidence.apply, BATCH), 0.0


def _frame_name(source: Source, one: Sampled) -> str:
    """What tools/pick_frames.py calls a frame; a picture's own name, which has been looked at."""
    return f"{portable(source.path.stem)}_{one.frame.number:06d}.jpg" if source.video else ""


def _found(
    source: Source,
    one: Sampled,
    animals: Sequence[Seen],
    names: Sequence[str],
    folder: Path,
    confident: float,
    mapped: Mapped,
) -> dict:
    """What is sure of a picture, ready for JSON, points by the student's ``names``; a frame becomes a file."""
    height, width = one.frame.image.shape[:2]
    file_name = portable(f"{source.name}/{one.frame.number:06d}.jpg" if source.video else source.name)
    entries = []
    for seen in animals:
        why = sure.refusals(seen, (width, height), confident)
        box = clip_box(seen.box.tolist(), width, height)
        places = np.clip(seen.agreed, 0, np.subtract((width, height), 1)).round(2).tolist()
        ours = {name: c for name, c in zip(names, mapped.columns.tolist(), strict=True) if c >= 0}
        points = {name: places[column] for name, column in ours.items() if not why[column]}
        refused = Counter(str(why[column]) for column in ours.values() if why[column])
        if points and (box is None or not sure.is_taken(len(points), len(ours))):
            refused["few"], points = len(points), {}
        entries.append({"box": box and np.round(box, 2).tolist(), "points": points, "refused": refused})
    if source.video and any(entry["points"] for entry in entries):
        _, encoded = cv2.imencode(".jpg", one.frame.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        with atomic_write(folder / IMAGES / file_name, "wb") as file:
            file.write(encoded.tobytes())
    return {"of": source.name, "name": file_name, "size": [width, height], "frame": source.video, "animals": entries}


def _write(done: Journal, pictures: Mapping[str, Path], skeleton: Skeleton, kind: str, folder: Path) -> None:
    """The pictures that have a sure animal, and their annotations."""
    images, annotations = [], []
    for one in (one for (_, part), content in sorted(done.items()) if part >= 0 for one in content):
        animals = [animal for animal in one["animals"] if animal["points"]]
        if not animals:
            continue
        if not one["frame"]:
            _link(pictures[one["of"]], folder / IMAGES / one["name"])
        width, height = one["size"]
        images.append({"id": len(images) + 1, "file_name": one["name"], "width": width, "height": height})
        for animal in animals:
            points = np.zeros((len(skeleton), 3))
            for name, place in animal["points"].items():
                points[skeleton.index[name]] = [*place, 2]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": images[-1]["id"],
                    "category_id": 1,
                    "bbox": animal["box"],
                    "area": animal["box"][2] * animal["box"][3],
                    "iscrowd": 0,
                    "keypoints": points.ravel().tolist(),
                    "num_keypoints": len(animal["points"]),
                }
            )
    category = {**category_of(skeleton), "name": kind}
    write_json(folder / ANN_FILE, {"images": images, "annotations": annotations, "categories": [category]})


def _link(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            link_or_copy(source, target, symbolic=True)
    except OSError as error:
        raise WriteError(target, error) from error
