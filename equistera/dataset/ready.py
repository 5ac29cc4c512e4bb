"""Is a data set there and whole? The check before a run, seconds where training would fail after hours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from equistera.commands import verify_command
from equistera.dataset.coco import load_annotations
from equistera.dataset.formats.values import positive_size
from equistera.dataset.images import ImageError, check_whole, read_header
from equistera.dataset.paths import picture_path
from equistera.errors import UserError
from equistera.skeleton import Skeleton
from equistera.words import counted

#: What is said of a picture that is not the one that was labelled, but a scaled or turned copy.
_RESIZED = "labelled as one of"


def check_split(ann_file: Path, image_dir: Path, skeleton: Skeleton) -> dict:
    """Reads an annotation file and makes sure that every picture it labels is there, whole and as large as it says.

    Returns:
        The content as :func:`equistera.dataset.coco.load_annotations` gives it.

    Raises:
        UserError: The file cannot be used, or pictures are missing, cut short, of another size or outside the folder:
            all are named.
    """
    coco = load_annotations(ann_file, skeleton)
    labelled = {annotation["image_id"] for annotation in coco["annotations"]}
    images = [image for image in coco["images"] if image["id"] in labelled]
    if not images:
        raise UserError(
            f"{ann_file} has no animal with a labelled keypoint ({counted(len(coco['images']), 'pictures')})",
            hint="tools/verify_dataset.py says what is in it",
        )
    with ThreadPoolExecutor(max_workers=min(8, 2 * (os.cpu_count() or 1))) as pool:
        problems = [problem for problem in pool.map(lambda image: _problem(image_dir, image), images) if problem]
    if problems:
        resized = any(_RESIZED in problem for problem in problems)
        raise UserError(
            f"{len(problems)} of {counted(len(images), 'pictures')} of {ann_file} cannot be used:",
            problems,
            f"Pictures are looked for in {image_dir}. "
            + ("Put the pictures there that were labelled, not smaller, larger or turned copies. " if resized else "")
            + f"More about it: {verify_command(ann_file, skeleton.option)}",
        )
    return coco


def _problem(image_dir: Path, image: dict) -> str:
    name, stated = image["file_name"], positive_size(image.get("width"), image.get("height"))
    try:
        path = picture_path(image_dir, name)
        header = read_header(path)
        check_whole(path, header)
    except ImageError as error:
        return f"{name}: {error.summary}"
    if stated not in (None, header.size):
        found = f"{header.width}x{header.height}"
        return f"{name}: {_RESIZED} {stated[0]}x{stated[1]}, the picture has {found}"
    return ""


def missing_files(data_root: Path, ann_files: Sequence[str]) -> None:
    """Stops where a data root lacks annotation files.

    Raises:
        UserError: Names the files and what makes them.
    """
    missing = [name for name in ann_files if not (data_root / name).is_file()]
    if missing:
        there = "exists" if data_root.is_dir() else "does not exist"
        raise UserError(
            f"no annotations: {', '.join(missing)} not found below {data_root} (which {there})",
            hint="Make them with tools/convert_dataset.py, or synthetic ones with tools/make_demo_data.py; "
            "--data-root names another folder. docs/data.md shows the layout.",
        )
