"""Writes a data set of synthetic horses: pictures, then COCO keypoint files.

A file ``demo_data.json`` in the folder says how the data set was made and names every file that belongs to it, so
that it can be replaced without touching anything else.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from equistera import __version__, skeleton
from equistera.dataset.coco import category_of
from equistera.errors import UserError, WriteError
from equistera.files import atomic_write, read_json, write_json
from equistera.progress import track
from equistera.skeleton import Skeleton
from equistera.synthetic import SPLITS
from equistera.synthetic.workers import rendered

RECORD = "demo_data.json"
_MADE_BY = "equistera make_demo_data"
_OWN_FILE = re.compile(r"images/(train|val|test)/[0-9]{6,}\.jpg|annotations/(train|val|test)\.json")
#: Smallest and largest side of a picture.
SIDE_RANGE = (64, 4096)


def write_dataset(
    out: str | Path,
    counts: Mapping[str, int],
    *,
    seed: int = 0,
    skeleton_name: str = skeleton.DEFAULT,
    size: tuple[int, int] | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    backdrops: Sequence[Path] = (),
) -> Path:
    """Makes a data set.

    Args:
        out: Folder for ``annotations/`` and ``images/``.
        counts: Number of pictures of each of ``SPLITS``; 0 leaves a split out.
        seed: The same seed and options give the same bytes.
        skeleton_name: Skeleton to label with; another than ``horse26`` gets the points that match exactly, and the
            others are not labelled.
        size: Width and height of all pictures; drawn for each by default.
        workers: Processes; one for each processor by default.
        overwrite: Replace a data set that this function made there before; no other file is touched.
        backdrops: Photos behind the horses, see :func:`equistera.synthetic.photo_backdrop.find`.

    Returns:
        The folder.

    Raises:
        UserError: An option is wrong (all are named), or the folder is not empty, or cannot be written.
    """
    out = Path(out)
    target = skeleton.load(skeleton_name)
    _check_options(counts, seed, target, size, workers)
    names = {split: [f"{index:06d}.jpg" for index in range(counts.get(split, 0))] for split in SPLITS}
    files = [f"annotations/{split}.json" for split in SPLITS if names[split]]
    files += [f"images/{split}/{name}" for split in SPLITS for name in names[split]]
    tasks = [(split, index) for split in SPLITS for index in range(len(names[split]))]
    try:
        _make_room(out, files, overwrite)
        record = {
            "made_by": _MADE_BY,
            "version": __version__,
            "seed": seed,
            "skeleton": target.name,
            "size": list(size) if size else None,
            "backdrops": len(backdrops),
            "files": files,
        }
        write_json(out / RECORD, record, indent=1)
        for split in SPLITS:
            if names[split]:
                (out / "images" / split).mkdir(parents=True, exist_ok=True)
        done = rendered(functools.partial(_make_picture, out, seed, size, backdrops), tasks, workers)
        results = dict(zip(tasks, track(done, "rendering horses", len(tasks)), strict=True))
        for split in SPLITS:
            if names[split]:
                pictures = [results[split, index] for index in range(len(names[split]))]
                write_json(out / "annotations" / f"{split}.json", coco_of(split, pictures, target, seed))
    except OSError as error:
        raise WriteError(error.filename or out, error) from error
    return out


def coco_of(split: str, pictures: Iterable[dict], target: Skeleton, seed: int) -> dict:
    """The annotation file of one split.

    ``area`` is that of the box, as in AP-10K and AnimalPose: the skeletons' sigmas were published for such areas.

    Args:
        split: Name of the split.
        pictures: ``file_name``, ``width``, ``height`` and ``labels`` of each picture.
        target: The skeleton to label with.
        seed: For the description.
    """
    from equistera.synthetic import labels

    images, annotations = [], []
    for image_id, picture in enumerate(pictures, start=1):
        images.append({"id": image_id, **{key: picture[key] for key in ("file_name", "width", "height")}})
        for label in picture["labels"]:
            keypoints = labels.convert(label.keypoints, target)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": 1,
                    "keypoints": [
                        value for x, y, v in keypoints.tolist() for value in (round(x, 2), round(y, 2), int(v))
                    ],
                    "num_keypoints": int((keypoints[:, 2] > 0).sum()),
                    "bbox": list(label.bbox),
                    "area": label.bbox[2] * label.bbox[3],
                    "iscrowd": 0,
                }
            )
    return {
        "info": {"description": f"Synthetic horses, {split}, seed {seed}", "version": __version__},
        "images": images,
        "annotations": annotations,
        "categories": [category_of(target)],
    }


def _check_options(
    counts: Mapping[str, int], seed: int, target: Skeleton, size: tuple[int, int] | None, workers: int | None
) -> None:
    problems = [f"{split}: {count} pictures, expected 0 or more" for split, count in counts.items() if count < 0]
    problems += [f"unknown split {split!r}, expected {', '.join(SPLITS)}" for split in counts if split not in SPLITS]
    if not problems and not any(counts.values()):
        problems.append("no pictures asked for: every split has 0")
    if seed < 0:
        problems.append(f"seed {seed}, expected 0 or more")
    if workers is not None and workers < 1:
        problems.append(f"{workers} workers, expected 1 or more")
    low, high = SIDE_RANGE
    if size and not all(low <= side <= high for side in size):
        problems.append(f"size {size[0]}x{size[1]}, expected sides of {low} to {high} pixels")
    if not any(match.exact for match in target.correspondence_from(skeleton.load("horse26"))):
        problems.append(f"skeleton {target.name!r} has no point that is known to be one of horse26")
    if problems:
        raise UserError("cannot make such a data set:", problems)


def _make_room(out: Path, files: list[str], overwrite: bool) -> None:
    """Makes sure that nothing foreign is in the way and removes an earlier data set, annotations first."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file, expected a folder")
    if not out.exists() or not any(out.iterdir()):
        return
    if not overwrite:
        raise UserError(
            f"{out} is not empty",
            hint="Name another folder, or replace the demo data set in it with --overwrite (other files stay).",
        )
    own = _recorded_files(out / RECORD)
    foreign = [file for file in files if file not in own and (out / file).exists()]
    if foreign:
        raise UserError(f"{out} holds files that this tool did not make and would replace:", foreign)
    for file in sorted(own):
        # "annotations" sorts before "images": a kill here leaves no annotation of a missing picture
        (out / file).unlink(missing_ok=True)


def _recorded_files(record: Path) -> set[str]:
    if not record.exists():
        return set()
    content = read_json(record)
    files = content.get("files") if isinstance(content, dict) and content.get("made_by") == _MADE_BY else None
    if not isinstance(files, list) or not all(isinstance(file, str) and _OWN_FILE.fullmatch(file) for file in files):
        raise UserError(f"{record} is not a record of this tool", hint="Name another folder.")
    return set(files)


def _make_picture(
    out: Path, seed: int, size: tuple[int, int] | None, backdrops: Sequence[Path], task: tuple[str, int]
) -> dict:
    # imported here so that the tool's --help does not wait for OpenCV
    from equistera.synthetic.sample import make_sample

    split, index = task
    made = make_sample(seed, split, index, size, backdrops=backdrops)
    name = f"{index:06d}.jpg"
    path = out / "images" / split / name
    with atomic_write(path, "wb") as file:
        file.write(made.jpeg)
    return {"file_name": name, "width": made.width, "height": made.height, "labels": made.labels}
