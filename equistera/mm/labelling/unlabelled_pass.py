"""The pass over unlabelled pictures: what teachers are sure of becomes the data set, and a stopped pass goes on.

What has been seen is kept line by line in the folder (:class:`Journal`), so that what is seen twice is at most
:data:`TOGETHER` pictures.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from equistera.dataset.animals import read_animals
from equistera.dataset.boxes import clip_box
from equistera.dataset.coco import category_of
from equistera.dataset.mixed import Mapped, map_points
from equistera.errors import UserError, WriteError
from equistera.evaluation.calibration import missing_because
from equistera.files import atomic_write, link_or_copy, write_json
from equistera.labelling import sure
from equistera.labelling.chosen import portable
from equistera.labelling.doubt import Seen
from equistera.labelling.sources import Sampled, Source, readings
from equistera.labelling.unlabelled import EVERY, NAME, Tally, UnlabelledOptions
from equistera.looking import LookOptions
from equistera.mm.devices import compute_on
from equistera.mm.labelling.picking import Animals, further
from equistera.mm.prediction.follow import BEGIN
from equistera.mm.prediction.loaded import say_other_animals
from equistera.mm.prediction.pose_drawing import RAW, Confidence
from equistera.mm.prediction.predict import Predictor
from equistera.mm.prediction.search import WITHOUT_DETECTOR, SearchedBoxes
from equistera.mm.prediction.stream import AnnotatedBoxes, BoxSource
from equistera.progress import track
from equistera.skeleton import Skeleton

#: Pictures that are looked at together and kept together: what a stopped pass does again at most; and their crops.
TOGETHER, BATCH = 8, 16
#: Quality of the JPEGs that frames become: they are trained on.
QUALITY = 95
ANN_FILE, IMAGES, REPORT = "annotations/train.json", "images/train", "report.json"


def label(
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
            "Train the teacher longer or on more labels, name several, or say where the animals are (--det; a lower "
            "--det-thr finds more); a lower --sure teaches more mistakes",
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
