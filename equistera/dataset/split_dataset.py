"""Splitting a data set from start to end, for ``tools/split_dataset.py`` and ``tools/convert_dataset.py``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from equistera import commands
from equistera.dataset.images import ImageError, check_inside, picture_path
from equistera.dataset.phash import duplicate_groups
from equistera.dataset.place import clear, image_dir, place
from equistera.dataset.split import SPLITS, ImageId, SplitSpec, assign, merge_groups, picture_groups
from equistera.dataset.split_files import SPLIT_FILE, planned_files, read_split, write_splits
from equistera.dataset.split_report import concerns, copies, table, torn_by_name
from equistera.errors import UserError
from equistera.words import counted


def split_dataset(
    ann_file: str | Path,
    img_dir: str | Path | None,
    out_dir: str | Path,
    spec: SplitSpec,
    *,
    images: str = "link",
    overwrite: bool = False,
    redraw: bool = False,
) -> str:
    """Splits one annotation file as :func:`split_coco` does.

    Args:
        ann_file: COCO keypoint file.
        img_dir: Folder that its file names are relative to; None to split the annotations only: near-duplicates are
            not looked for and no picture is put anywhere.
        out_dir: As in :func:`split_coco`, and so are the others.
        spec: How to split.
        images: Way to put the pictures.
        overwrite: Replace an existing split.
        redraw: With ``overwrite``: do not keep its pictures where they are.

    Returns:
        A report for the terminal.

    Raises:
        UserError: Whatever keeps the split from being made; nothing is written then.
    """
    ann_file, out_dir = Path(ann_file), Path(out_dir)
    if ann_file.resolve() in {(out_dir / f"{name}.json").resolve() for name in (*SPLITS, "split")}:
        raise UserError(
            f"{ann_file} would be overwritten by its own split", hint="Rename it, or choose another --output."
        )
    # only here is its start paid for
    from equistera.dataset.split_input import read_to_split

    coco = read_to_split(ann_file)
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    paths = {} if img_dir is None else _paths(names, img_dir)
    return split_coco(coco, paths, out_dir, spec, images=images, overwrite=overwrite, redraw=redraw)


def split_coco(
    coco: dict,
    paths: Mapping[ImageId, Path],
    out_dir: Path,
    spec: SplitSpec,
    *,
    images: str = "link",
    overwrite: bool = False,
    redraw: bool = False,
) -> str:
    """Splits COCO content and puts the pictures of each split into its own folder.

    The user's pictures themselves are only read. Annotation files are written last, ``split.json`` at the very end:
    an interrupted run leaves nothing that looks finished.

    Args:
        coco: COCO content with unique ids and file names.
        paths: Where each picture is now, by image id; empty to split the annotations only: near-duplicates are not
            looked for and no picture is put anywhere.
        out_dir: Folder for the files of :func:`write_splits`; pictures go to ``images/`` beside it.
        spec: How to split.
        images: One of :data:`equistera.dataset.place.WAYS`.
        overwrite: Replace the files of an existing split; its pictures stay in their splits.
        redraw: With ``overwrite``: do not keep them.

    Returns:
        A report for the terminal.

    Raises:
        UserError: Whatever keeps the split from being made; nothing is written then.
    """
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    earlier = read_split(out_dir)
    kept = {} if redraw else earlier
    planned_files(out_dir, spec.names, overwrite=overwrite)
    groups = picture_groups(names, spec.group_by)
    duplicates = duplicate_groups(paths, spec.duplicate_distance) if paths else []
    augmented = copies(names)
    joined = merge_groups(groups, [*duplicates, *augmented])
    assignment = assign(coco, joined, spec.fractions, spec.seed, kept)
    places = {check_inside(image_dir(out_dir, assignment[i]), names[i], links=True): path for i, path in paths.items()}
    place(places, images, overwrite=overwrite)
    files = write_splits(coco, assignment, out_dir, spec, overwrite=overwrite)
    cleared: list[str] = []
    if paths:
        sources = {names[i]: path for i, path in paths.items()}
        cleared = clear([image_dir(out_dir, name) for name in SPLITS], sources, earlier, places.keys())

    known = sum(name in kept for name in names.values())
    lines = [
        f"{counted(len(names), 'pictures')} in {counted(len(set(groups.values())), 'groups')} (by {spec.group_by})"
    ]
    if not paths:
        lines.append("no --img-dir: near-duplicates were not looked for, and pictures not put into folders")
    elif not duplicates:
        lines.append("no near-duplicates")
    for together, what in ((duplicates, "near-duplicates"), (augmented, "augmented copies")):
        if together:
            left = counted(len(set(joined.values())), "groups")
            lines.append(f"{sum(map(len, together))} of them are {what}, kept together: {left}")
    if known:
        lines.append(
            f"{known} kept where {out_dir / SPLIT_FILE} has them, {len(names) - known} new ones placed "
            "(--redraw draws all of them anew)"
        )
    lines += ["", table(coco, assignment), ""]
    lines += [f"warning: {concern}" for concern in concerns(coco, joined, assignment, spec.fractions)]
    if spec.group_by == "none":
        lines += [f"warning: {concern}" for concern in torn_by_name(names, assignment)]
    lines += cleared
    lines += [f"wrote {path}" for path in (*files.values(), out_dir / SPLIT_FILE)]
    lines.append(f"next: {commands.tool('verify_dataset', '--ann-file', *files.values())}")
    return "\n".join(lines)


def _paths(names: dict[ImageId, str], img_dir: str | Path) -> dict[ImageId, Path]:
    paths, problems = {}, []
    for image_id, name in names.items():
        try:
            paths[image_id] = picture_path(img_dir, name)
        except ImageError as error:
            problems.append(error.summary)
    if problems:
        raise UserError("file names that are not followed:", problems)
    return paths
