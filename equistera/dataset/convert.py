"""From exports of labelling tools to a data set: read, match, annotate, split, for ``tools/convert_dataset.py``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from equistera import commands
from equistera.dataset.annotate import annotate, frame_of
from equistera.dataset.coco import category_of, write_json
from equistera.dataset.convert_report import files_read, skipped
from equistera.dataset.formats.records import Animal, Export, Picture, Skip, Unusable
from equistera.dataset.horses import Selection, select
from equistera.dataset.images import ImageError, ImageHeader, check_inside, is_complete, read_header
from equistera.dataset.locate import NOT_FOUND, PictureFinder
from equistera.dataset.matching import read_keypoint_map
from equistera.dataset.place import clear, image_dir, place
from equistera.dataset.repeats import Labelled, take_once, told
from equistera.dataset.sources import UNSPLIT, annotation_files, keep_input, read_all
from equistera.dataset.split import SPLITS, SplitSpec
from equistera.dataset.split_dataset import split_coco
from equistera.dataset.split_files import planned_files, read_coco
from equistera.errors import UserError
from equistera.progress import track
from equistera.skeleton import Skeleton

#: Reason of a picture that is there but cannot be read.
_NOT_USABLE = "the picture file cannot be used"


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        input: Annotation file, or a folder with one or more of them.
        output: Folder for the annotation files; pictures go to ``images/`` beside it.
        skeleton: The skeleton to convert to.
        format: One of :data:`equistera.dataset.formats.NAMES` or ``auto``.
        img_dir: Folder of the pictures; by default the input's.
        keypoint_map: File for :func:`equistera.dataset.matching.read_keypoint_map`.
        categories: Categories that are horses; see :func:`equistera.dataset.horses.select`.
        split: How to split, or None for one file.
        images: One of :data:`equistera.dataset.place.WAYS`.
        strict: Make every skipped item an error.
        overwrite: Replace output that exists.
        redraw: With ``overwrite``: draw an existing split anew.
    """

    input: Path
    output: Path
    skeleton: Skeleton
    format: str = "auto"
    img_dir: Path | None = None
    keypoint_map: Path | None = None
    categories: Sequence[str] = ()
    split: SplitSpec | None = field(default_factory=SplitSpec)
    images: str = "link"
    strict: bool = False
    overwrite: bool = False
    redraw: bool = False


@dataclass
class Conversion:
    """What became of the input.

    Attributes:
        images: COCO images.
        annotations: COCO annotations.
        paths: Where each picture is, by image id.
        skips: What was left out for a fault, and why.
        others: Animals that are no horses, by category.
        read: Pictures and animals read.
        notes: What the user should know although nothing is lost.
    """

    images: list[dict] = field(default_factory=list)
    annotations: list[dict] = field(default_factory=list)
    paths: dict[int, Path] = field(default_factory=dict)
    skips: list[Skip] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    read: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


def convert_dataset(request: Request) -> str:
    """Converts the input and writes the data set.

    Returns:
        A report for the terminal.

    Raises:
        UserError: Whatever keeps the data set from being made; with ``strict``, anything skipped. Nothing is written
            then.
    """
    generated = [request.output, *(image_dir(request.output, name) for name in (*SPLITS, UNSPLIT))]
    files = annotation_files(request.input, request.format, leave_out=generated)
    keep_input(files, request.output)
    # what is wrong with the request is said before anything is read, which may take minutes
    _check_free(request)
    keypoint_map = read_keypoint_map(request.keypoint_map, request.skeleton) if request.keypoint_map else {}
    root = request.img_dir or (request.input if request.input.is_dir() else request.input.parent)
    finder = PictureFinder(root, generated)
    exports, notes = read_all(files, request.format)
    selections = _select_all(exports, request, keypoint_map)
    done = convert(selections, finder, request.skeleton, pictures_needed=request.images != "none")
    unused = set(keypoint_map) - {name for e in exports for names in e.keypoints.values() for name in names}
    notes += done.notes
    notes += [f"the keypoint map names {name!r}, which is in none of the files" for name in sorted(unused)]
    if not done.images or (request.strict and done.skips):
        problems = [str(skip) for skip in done.skips] + [f"{n} x not a horse: {c!r}" for c, n in done.others.items()]
        raise UserError(
            f"{len(done.skips)} items cannot be converted, and --strict is set:"
            if done.images
            else "nothing to convert:",
            problems,
            _hint(done, root),
        )
    try:
        written = _write(done, request)
    except UserError as error:
        # why too few pictures are left for a split, for instance
        skipped_before = [f"skipped before: {skip}" for skip in done.skips]
        raise UserError(error.summary, [*error.problems, *skipped_before], error.hint) from error
    return "\n".join([*_report(selections, done, notes, request.skeleton), "", written])


def convert(
    selections: Sequence[Selection], finder: PictureFinder, skeleton: Skeleton, *, pictures_needed: bool = True
) -> Conversion:
    """Converts exports to COCO entries.

    Args:
        selections: What to convert.
        finder: Knows the pictures.
        skeleton: Order of the keypoints.
        pictures_needed: Whether a picture that is not found is skipped although the export gives its size.

    Returns:
        The entries; a picture that comes up twice is taken once.

    Raises:
        UserError: As :func:`equistera.dataset.repeats.take_once`.
    """
    done = Conversion()
    labelled: list[Labelled] = []
    jobs = [(selection, picture) for selection in selections for picture in selection.export.pictures]
    for selection in selections:
        done.skips += selection.export.skips
        done.read.update(skip.what for skip in selection.export.skips)
    for selection, picture in track(jobs, "converting"):
        animals = [animal for animal in picture.animals if animal.category in selection.categories]
        done.read.update(picture=1, horse=len(animals))
        done.others.update(a.category for a in picture.animals if a.category not in selection.categories)
        if not animals:
            continue
        try:
            place = _labelled(picture, animals, selection, finder, skeleton, pictures_needed)
        except Unusable as error:
            done.skips.append(Skip("picture", picture.where, error.reason, error.detail))
            continue
        if place.entries:
            labelled.append(place)
        else:
            done.skips += place.skips
    once = take_once(labelled)
    done.skips += once.skips
    done.notes += told(once.repeated)
    # what is taken once is not counted as read twice, or a part would seem to be missing
    for place in once.repeated:
        done.read.subtract(picture=1, horse=len(place.entries) + sum(skip.what == "horse" for skip in place.skips))
    for image_id, place in enumerate(once.kept, 1):
        frame = place.frame
        done.skips += place.skips
        done.images.append({"id": image_id, "file_name": place.file_name, "width": frame.width, "height": frame.height})
        for entry in place.entries:
            done.annotations.append({"id": len(done.annotations) + 1, "image_id": image_id, "category_id": 1, **entry})
        if place.path is not None:
            done.paths[image_id] = place.path
    return done


def _labelled(
    picture: Picture,
    animals: Sequence[Animal],
    selection: Selection,
    finder: PictureFinder,
    skeleton: Skeleton,
    pictures_needed: bool,
) -> Labelled:
    """A picture's horses as COCO entries.

    Raises:
        Unusable: The picture is not found, or is not the one that was labelled.
    """
    file_name, header = _look_up(picture, selection.export, finder, pictures_needed)
    frame = frame_of(picture, header)
    entries, skips = [], []
    for animal in animals:
        try:
            entry, outside = annotate(animal, frame, selection.match.target, skeleton)
        except Unusable as error:
            skips.append(Skip("horse", picture.where, error.reason, error.detail))
            continue
        entries.append(entry)
        skips += [Skip("point", picture.where, "lies outside the picture", name) for name in outside]
    path = None if header is None else finder.root / file_name
    return Labelled(file_name, selection.export.path, picture.where, frame, entries, skips, path)


def _check_free(request: Request) -> None:
    """Stops where output exists that is not to be replaced."""
    if request.split is not None:
        planned_files(request.output, request.split.names, overwrite=request.overwrite)
        return
    target = request.output / f"{UNSPLIT}.json"
    if target.exists() and not request.overwrite:
        raise UserError(
            f"{target} exists already and is not overwritten", hint="Add --overwrite, or choose another --output."
        )


def _select_all(exports: Sequence[Export], request: Request, keypoint_map: dict) -> list[Selection]:
    selections, errors = [], []
    for export in exports:
        try:
            selections.append(select(export, request.skeleton, keypoint_map, request.categories))
        except UserError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise UserError(f"{len(errors)} of {len(exports)} files cannot be matched:", map(str, errors))
    return selections


def _look_up(
    picture: Picture, export: Export, finder: PictureFinder, pictures_needed: bool
) -> tuple[str, ImageHeader | None]:
    """File name relative to the picture folder, and the picture's header (None if it is not there nor needed)."""
    folder = export.path.absolute().parent.resolve()
    root = finder.root.resolve()
    beside = folder.relative_to(root).as_posix() if folder.is_relative_to(root) and folder != root else ""
    try:
        file_name = finder.find(picture.names, beside)
    except Unusable as error:
        if pictures_needed or error.reason != NOT_FOUND:
            raise
        # relative on every system, or training would refuse it
        name = picture.plain_name or picture.names[-1]
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        return "/".join(part for part in parts if not part.endswith(":")) or name, None
    path = finder.root / file_name
    try:
        header = read_header(path)
        if not is_complete(path):
            raise Unusable("the picture file is cut short", file_name)
    except ImageError as error:
        raise Unusable(_NOT_USABLE, error.summary) from error
    return file_name, header


def _report(selections: Sequence[Selection], done: Conversion, notes: Sequence[str], skeleton: Skeleton) -> list[str]:
    others = ", ".join(f"{category or 'no category'} {count}" for category, count in done.others.most_common(10))
    return [
        *files_read(selections, skeleton),
        f"converted  {len(done.images)} of {done.read['picture']} pictures, "
        f"{len(done.annotations)} of {done.read['horse']} horses",
        *([f"left out   {done.others.total()} animals that are not horses: {others}"] if done.others else []),
        *skipped(done.skips),
        *(f"note       {note}" for note in notes),
    ]


def _hint(done: Conversion, root: Path) -> str:
    if any(skip.reason == NOT_FOUND for skip in done.skips):
        return f"Pictures were looked for in {root}; --img-dir names another folder."
    if any(skip.reason == _NOT_USABLE for skip in done.skips):
        return "Put the pictures right that cannot be used, and run this again; the annotations need no change."
    if done.others and not done.images:
        return "If these are horses all the same, name them with --category."
    return "Put the items right in the labelling tool and export again" + (
        ", or convert the rest without --strict." if done.images else "."
    )


def _write(done: Conversion, request: Request) -> str:
    coco = {
        "info": {"description": f"Converted from {request.input.name}"},
        "images": done.images,
        "annotations": done.annotations,
        "categories": [category_of(request.skeleton)],
    }
    if request.split is not None:
        return split_coco(
            coco,
            done.paths,
            request.output,
            request.split,
            images=request.images,
            overwrite=request.overwrite,
            redraw=request.redraw,
        )
    target = request.output / f"{UNSPLIT}.json"
    folder = image_dir(request.output, UNSPLIT)
    names = {image["id"]: image["file_name"] for image in done.images}
    places = {check_inside(folder, names[image_id], links=True): path for image_id, path in done.paths.items()}
    place(places, request.images, overwrite=request.overwrite)
    earlier = _names_in(target)
    write_json(target, coco)
    cleared = clear([folder], set(earlier) - set(names.values()), (), done.paths.values())
    pictures = ["--img-dir", folder] if request.images != "none" else []
    split = commands.tool("split_dataset", "--ann-file", target, *pictures, "--output", request.output)
    hint = "" if pictures else "\n(--img-dir names the folder of the pictures, to keep near-duplicates together)"
    return "\n".join([*cleared.told(), f"wrote {target}; split it with:\n  {split}{hint}"])


def _names_in(path: Path) -> list[str]:
    """The pictures of an annotation file that is about to be replaced, as far as it can be read."""
    try:
        return [image["file_name"] for image in read_coco(path)["images"]]
    except UserError:
        return []
