"""A split on disk, from start to end, for ``tools/split_dataset.py`` and ``tools/convert_dataset.py``.

Beside one annotation file a split there is ``split.json``, which remembers where every picture is, so that the data set
is not drawn anew when pictures are added. For people it also says how it was drawn, and by a SHA-256 sum from which
annotations.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from equistera import commands, skeleton
from equistera.dataset.coco import read_coco
from equistera.dataset.images import ImageError
from equistera.dataset.paths import check_inside, picture_path
from equistera.dataset.phash import duplicate_groups
from equistera.dataset.place import clear, image_dir, place
from equistera.dataset.split import SPLITS, UNSPLIT, SplitSpec, assign, merge_groups, parts_of, picture_groups
from equistera.dataset.split_report import concerns, copies, table, torn_by_name
from equistera.dataset.verify.annotation_file import AnnotationFile
from equistera.dataset.verify.entries import check_structure
from equistera.dataset.verify.findings import CHECKS
from equistera.errors import UserError
from equistera.files import read_json, write_json
from equistera.outputs import check_targets
from equistera.words import counted

SPLIT_FILE = "split.json"
#: Folder, beside the annotation files, of what they were before each merge of corrections (``--update``).
UPDATES = "updates"
#: Values of ``--update``: only corrections of animals that are there, or also animals and pictures that come and go.
POINTS, ALL = "points", "all"
_VERSION = 1
#: A repeated group that holds a repeat or a choice.
_ENDLESS = re.compile(r"[*+|}?][^()]*\)+[*+{]")
#: What splitting relies on; finding the rest is ``verify_dataset``'s job.
_NEEDED = ("picture-entry", "picture-id-twice", "picture-twice", "annotation-entry", "picture-unknown")


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
    """Splits one annotation file as :func:`split_coco` does, whose other arguments these are.

    Args:
        ann_file: COCO keypoint file.
        img_dir: Folder that its file names are relative to; None to split the annotations only: near-duplicates are
            not looked for and no picture is put anywhere.

    Raises:
        UserError: Whatever keeps the split from being made; nothing is written then.
    """
    ann_file, out_dir = Path(ann_file), Path(out_dir)
    if ann_file.resolve() in {(out_dir / f"{name}.json").resolve() for name in (*SPLITS, "split")}:
        raise UserError(
            f"{ann_file} would be overwritten by its own split", hint="Rename it, or choose another --output."
        )
    coco = read_to_split(ann_file)
    paths, problems = {}, []
    for image in coco["images"] if img_dir is not None else ():
        try:
            paths[image["file_name"]] = picture_path(img_dir, image["file_name"])
        except ImageError as error:
            problems.append(error.summary)
    if problems:
        raise UserError("file names that are not followed:", problems)
    check = _skeleton_of(coco)
    return split_coco(coco, paths, out_dir, spec, check, images=images, overwrite=overwrite, redraw=redraw)


def read_to_split(path: Path) -> dict:
    """Reads a COCO file of whatever skeleton and checks what splitting relies on.

    Returns:
        The content as it is: ``images`` with a unique ``id`` and ``file_name``, and ``annotations`` of theirs.

    Raises:
        UserError: All problems together.
    """
    content = read_coco(path)
    file = AnnotationFile(path, path.parent, content, skeleton.load(skeleton.DEFAULT))
    found = [item for item in check_structure(file) if item.code in _NEEDED]
    problems = [f"{CHECKS[item.code].title}: {item.text}" for item in found]
    if not content["images"]:
        problems.append("there are no pictures")
    try:
        json.dumps(content, allow_nan=False)
    except ValueError:
        # Python reads them all the same
        problems.append("there are numbers that are not finite (NaN, Infinity), which no JSON has")
    if problems:
        look = commands.verify_command(path, _skeleton_of(content))
        raise UserError(f"{path} cannot be split:", problems, f"Look closer: {look}")
    return content


def _skeleton_of(content: Mapping) -> list[object]:
    """The :attr:`equistera.skeleton.Skeleton.option` of whatever skeleton a file has."""
    names = [
        category["keypoints"]
        for category in content["categories"]
        if isinstance(category, dict) and isinstance(category.get("keypoints"), list)
    ]
    default = skeleton.load(skeleton.DEFAULT)
    for known in (default, *skeleton.builtin()):
        if all(map(known.is_named, names)):
            return known.option
    # a part of the usual points, of which verification says what is missing
    if all(default.find(str(name)) for own in names for name in own):
        return []
    return ["--skeleton", "YOUR_SKELETON.json"]


def split_coco(
    coco: dict,
    paths: Mapping[str, Path],
    out_dir: Path,
    spec: SplitSpec,
    check: Sequence[object] = (),
    *,
    images: str = "link",
    overwrite: bool = False,
    redraw: bool = False,
) -> str:
    """Splits COCO content and puts the pictures of each split into its own folder.

    Args:
        coco: COCO content with unique ids and file names; its other fields go into every file.
        paths: Where each picture is now, by file name; empty to split the annotations only: near-duplicates are not
            looked for and no picture is put anywhere.
        out_dir: Folder for the annotation files; pictures go to ``images/`` beside it.
        spec: How to split.
        check: The ``option`` of the skeleton, for the command that verifies the files.
        images: One of :data:`equistera.dataset.place.WAYS`.
        overwrite: Replace the files of an existing split; its pictures stay in their splits.
        redraw: With ``overwrite``: do not keep them.

    Returns:
        A report for the terminal.

    Raises:
        UserError: Whatever keeps the split from being made; nothing is written then.
    """
    names = [image["file_name"] for image in coco["images"]]
    earlier = read_split(out_dir)
    kept = {} if redraw else earlier
    files = planned_files(out_dir, spec, overwrite=overwrite)
    groups = picture_groups(names, spec.group_by)
    duplicates = duplicate_groups(paths, spec.duplicate_distance) if paths else []
    augmented = copies(names)
    joined = merge_groups(groups, [*duplicates, *augmented])
    assignment = assign(joined, spec.fractions, spec.seed, kept)
    parts = parts_of(coco, assignment)
    record = {
        "about": "Where every picture is. Keep it: pictures stay in their split when the data set grows.",
        "version": _VERSION,
        "fractions": dict(zip(SPLITS, spec.fractions, strict=False)),
        "seed": spec.seed,
        "group_by": spec.group_by,
        "duplicate_distance": spec.duplicate_distance,
        "input_sha256": content_hash(coco),
        "files": {name: {"file": files[name].name, "pictures": len(part["images"])} for name, part in parts.items()},
        # those that are gone stay remembered, in case they come back
        "pictures": dict(sorted({**earlier, **assignment}.items())),
    }

    known = sum(name in kept for name in names)
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
    lines += ["", table(parts), ""]
    lines += [f"warning: {concern}" for concern in concerns(parts, joined, assignment, spec.fractions)]
    if spec.group_by == "none":
        lines += [f"warning: {concern}" for concern in torn_by_name(assignment)]
    lines += _put(parts, paths, out_dir, images, overwrite, record)
    lines += [f"wrote {path}" for path in (*files.values(), out_dir / SPLIT_FILE)]
    lines.append(f"next: {commands.tool('verify_dataset', '--ann-file', *files.values(), *check)}")
    return "\n".join(lines)


def write_unsplit(coco: dict, paths: Mapping[str, Path], out_dir: Path, images: str, *, overwrite: bool = False) -> str:
    """Writes COCO content as one file and puts its pictures into one folder; else as :func:`split_coco`."""
    target = planned_files(out_dir, None, overwrite=overwrite)[UNSPLIT]
    lines = _put({UNSPLIT: coco}, paths, out_dir, images, overwrite)
    pictures = ["--img-dir", image_dir(out_dir, UNSPLIT)] if images != "none" else []
    split = commands.tool("split_dataset", "--ann-file", target, *pictures, "--output", out_dir)
    lines.append(f"wrote {target}; split it with:\n  {split}")
    if not pictures:
        lines.append("(--img-dir names the folder of the pictures, to keep near-duplicates together)")
    return "\n".join(lines)


def _put(
    parts: Mapping[str, dict],
    paths: Mapping[str, Path],
    out_dir: Path,
    images: str,
    overwrite: bool,
    record: dict | None = None,
) -> list[str]:
    """Puts pictures, annotation files and record in their places; tells of what an earlier run left.

    The user's pictures themselves are only read. Annotation files are written last, the record at the very end: an
    interrupted run leaves nothing that looks finished.
    """
    earlier = earlier_names(out_dir)
    named = {
        check_inside(image_dir(out_dir, split), image["file_name"], links=True): image["file_name"]
        for split, part in parts.items()
        for image in part["images"]
    }
    place({target: paths[name] for target, name in named.items() if name in paths}, images, overwrite=overwrite)
    for split, part in parts.items():
        write_json(out_dir / f"{split}.json", part)
    if record:
        write_json(out_dir / SPLIT_FILE, record, indent=1)
    folders = [image_dir(out_dir, split) for split in (SPLITS if record else parts)]
    return clear(folders, paths, earlier, named) if paths else []


def planned_files(out_dir: Path, spec: SplitSpec | None, *, overwrite: bool = False) -> dict[str, Path]:
    """The file of each split, or of all pictures, once it is sure that it may be written; asked before long work.

    Raises:
        UserError: A file exists and ``overwrite`` is not set, or a file of the existing split would be left behind
            that this one does not have.
    """
    splits = spec.names if spec else (UNSPLIT,)
    files = {name: out_dir / f"{name}.json" for name in splits}
    check_targets("--output", [*files.values(), *([out_dir / SPLIT_FILE] if spec else [])], overwrite=overwrite)
    if lost := sorted(str(old) for path in files.values() for old in (out_dir / UPDATES).glob(f"*/{path.name}")):
        raise UserError(
            "corrections that --update has merged into these annotation files would be lost; before them they were:",
            lost,
            f"convert_dataset.py --update {ALL} adds more; to begin anew all the same move {out_dir / UPDATES} away.",
        )
    others = set(read_split(out_dir).values()) - set(splits) if spec else ()
    left = [str(out_dir / f"{name}.json") for name in sorted(others) if (out_dir / f"{name}.json").exists()]
    if left:
        raise UserError(
            f"the existing split has files beside {', '.join(splits)}, which would stay with pictures in both:",
            left,
            "Move them away first.",
        )
    return files


def content_hash(coco: Mapping) -> str:
    """SHA-256, hexadecimal, of the images, annotations and categories.

    The same for any order of the entries and fields and any way to write the JSON (``1`` or ``1.0``, indentation).
    The pixels of the pictures do not count, nor do ``info`` and ``licenses``.
    """

    def plain(number: str) -> float:
        return int(float(number)) if float(number).is_integer() else float(number)

    digest = hashlib.sha256()
    for key in ("images", "annotations", "categories"):
        same = (json.loads(json.dumps(entry), parse_float=plain) for entry in coco.get(key, ()))
        digest.update(json.dumps([key, sorted(json.dumps(entry, sort_keys=True) for entry in same)]).encode())
    return digest.hexdigest()


def earlier_names(out_dir: Path) -> set[str]:
    """The pictures that earlier runs may have put beside a folder of annotation files, by file name.

    Raises:
        UserError: As :func:`read_split`.
    """
    try:
        images = read_coco(out_dir / f"{UNSPLIT}.json", ["images"])["images"]
    except UserError:
        images = []  # it is about to be replaced
    names = [image.get("file_name") for image in images if isinstance(image, dict)]
    return {*read_split(out_dir), *(name for name in names if isinstance(name, str))}


def read_split(folder: str | Path) -> dict[str, str]:
    """Split of every picture, by file name, from the ``split.json`` of a folder; empty where there is none.

    Raises:
        UserError: The file is not one that :func:`split_coco` wrote.
    """
    return _read_record(folder)["pictures"]


def recorded_rule(folder: str | Path) -> str:
    """The ``--group-by`` that the split in a folder was drawn with; "" where there is none, or none to be trusted.

    Raises:
        UserError: As :func:`read_split`.
    """
    rule = _read_record(folder).get("group_by")
    # repeats of repeats can take years, and nobody knows who wrote the file
    return rule if isinstance(rule, str) and not _ENDLESS.search(rule) else ""


def recorded_spec(folder: Path) -> SplitSpec:
    """How the split in a folder was drawn, to place more pictures in the same way.

    Raises:
        UserError: No ``split.json`` says it.
    """
    path, record = folder / SPLIT_FILE, _read_record(folder)
    rule, fractions = recorded_rule(folder), record.get("fractions")
    numbers = [record.get(key) for key in ("seed", "duplicate_distance")]
    if not rule or not isinstance(fractions, dict) or not all(isinstance(number, int) for number in numbers):
        raise UserError(
            f"no {path} says how the data set was split, so there is no place for new pictures",
            hint=f"Draw a split first ({commands.tool('split_dataset', '--help')}), or leave new pictures out.",
        )
    try:
        return SplitSpec(tuple(float(share) for share in fractions.values()), numbers[0], rule, numbers[1])
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: the fractions are no numbers") from error


def _read_record(folder: str | Path) -> dict:
    path = Path(folder) / SPLIT_FILE
    if not path.exists():
        return {"pictures": {}}
    content = read_json(path)
    if not (
        isinstance(content, dict)
        and content.get("version") == _VERSION
        and isinstance(content.get("pictures"), dict)
        and all(name in SPLITS for name in content["pictures"].values())
    ):
        raise UserError(
            f"{path} is not a split file of version {_VERSION}",
            hint="Put the original back, or move it away to draw the split anew.",
        )
    return content
