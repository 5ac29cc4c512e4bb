"""From exports of labelling tools to a data set: read, match, annotate, split, for ``tools/convert_dataset.py``."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from equistera.dataset.annotate import annotate
from equistera.dataset.coco import category_of
from equistera.dataset.formats.records import HORSE, Export, Picture, Skip
from equistera.dataset.formats.values import Unusable
from equistera.dataset.images import CutShortError, ImageError, ImageHeader, check_whole, read_header
from equistera.dataset.locate import MISSING, PictureFinder
from equistera.dataset.matching import Selection, read_keypoint_map, select
from equistera.dataset.orientation import FoundPicture, frames_of
from equistera.dataset.paths import name_parts
from equistera.dataset.place import image_dir, is_same
from equistera.dataset.readings import interpret
from equistera.dataset.repeats import Labelled, agree, repeats_note, suspicions, take_once
from equistera.dataset.sources import CONVERTED, annotation_files, keep_input, read_all
from equistera.dataset.split import SPLITS, UNSPLIT, SplitSpec
from equistera.dataset.split_dataset import earlier_names, planned_files, split_coco, write_unsplit
from equistera.errors import UserError
from equistera.progress import track
from equistera.skeleton import Skeleton
from equistera.words import counted

_MEND_PICTURES = "Put the pictures right that cannot be used, and run this again; the annotations need no change."
_MEND_LABELS = "Put the items right in the labelling tool and export again."


@dataclass(frozen=True)
class Request:
    """What the user asked for; see ``tools/convert_dataset.py --help``.

    Attributes:
        format: One of :data:`equistera.dataset.formats.NAMES` or ``auto``.
        split: How to split, or None for one file.
        images: One of :data:`equistera.dataset.place.WAYS`.
        exif: ``applied``, ``ignored`` or "" for what the files show; see :mod:`equistera.dataset.orientation`.
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
    exif: str = ""


@dataclass
class Conversion:
    """What became of the input.

    Attributes:
        taken: Every picture once, as the input labels it.
        images: COCO images.
        annotations: COCO annotations.
        paths: Where each picture is, by file name.
        skips: What was left out for a fault, and why.
        others: Animals that are no horses, by category.
        read: Pictures and animals read.
        notes: What the user should know although nothing is lost.
        suspicions: What can hardly be meant; ``strict`` refuses it.
    """

    taken: list[Labelled] = field(default_factory=list)
    images: list[dict] = field(default_factory=list)
    annotations: list[dict] = field(default_factory=list)
    paths: dict[str, Path] = field(default_factory=dict)
    skips: list[Skip] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    read: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    suspicions: list[str] = field(default_factory=list)


def convert_dataset(request: Request) -> str:
    """Converts the input, writes the data set and returns a report for the terminal.

    Raises:
        UserError: Whatever keeps the data set from being made; with ``strict``, anything skipped. Nothing is written
            then.
    """
    files, notes = keep_input(annotation_files(request.input, request.format), request.input, request.output)
    # what is wrong with the request is said before anything is read, which may take minutes
    planned_files(request.output, request.split, overwrite=request.overwrite)
    keypoint_map = read_keypoint_map(request.keypoint_map, request.skeleton) if request.keypoint_map else {}
    root = request.img_dir or (request.input if request.input.is_dir() else request.input.parent)
    finder = PictureFinder(root, _placed_before(request.output, root))
    exports, notes_of_files = read_all(files, request.format, request.categories)
    selections = select_all(exports, request, keypoint_map)
    done = read_labels(selections, finder, request)
    unused = set(keypoint_map) - {name for e in exports for names in e.keypoints.values() for name in names}
    notes += [*notes_of_files, *kinds_note(done.taken, [HORSE]), *done.notes, *done.suspicions, *finder.notes()]
    notes += [f"the keypoint map names {name!r}, which is in none of the files" for name in sorted(unused)]
    if not done.images or (request.strict and (done.skips or done.suspicions)):
        problems = _examples(done.skips) + [f"{n} x not a horse: {c!r}" for c, n in done.others.items()]
        if not problems and not done.images:
            problems = [f"{export.path} ({export.title}) has no picture with labels" for export in exports]
        problems += [f"note: {note}" for note in notes]
        kept_out = counted(len(done.skips), "items") + " cannot be converted" if done.skips else "labels are doubtful"
        raise UserError(
            f"{kept_out}, and --strict is set:" if done.images else "nothing to convert:", problems, _hint(done)
        )
    try:
        written = _write(done, request)
    except UserError as error:
        # why too few pictures are left for a split, for instance
        before = [*(f"skipped before: {skip}" for skip in done.skips), *(f"note: {note}" for note in notes)]
        raise UserError(error.summary, [*error.problems, *before], error.hint) from error
    return "\n".join([*_report(selections, done, notes, request.skeleton), "", written])


def read_labels(selections: Sequence[Selection], finder: PictureFinder, request: Request) -> Conversion:
    """Converts exports to COCO entries; a picture that comes up twice is taken once.

    Raises:
        UserError: Coordinates are no pixels of the pictures, or files contradict one another.
    """
    done = Conversion()
    labelled: list[Labelled] = []
    jobs = [(selection, picture) for selection in selections for picture in selection.export.pictures]
    for selection in selections:
        done.skips += selection.export.skips
        done.read.update(skip.what for skip in selection.export.skips)
    seen: dict[int, list[FoundPicture]] = {id(selection): [] for selection in selections}
    for selection, picture in track(jobs, "converting"):
        animals = [animal for animal in picture.animals if animal.category in selection.categories]
        done.read.update(picture=1, horse=len(animals))
        done.others.update(a.category for a in picture.animals if a.category not in selection.categories)
        if not animals:
            continue
        try:
            file_name, header = _look_up(picture, selection.export, finder, request.images != "none")
            seen[id(selection)].append(FoundPicture(picture, animals, file_name, header))
        except Unusable as error:
            done.skips.append(Skip.of("picture", picture.where, error))
    for selection in selections:
        for found in _labelled(seen[id(selection)], selection, request, done):
            if found.entries:
                labelled.append(found)
            else:
                done.skips += found.skips
    done.taken, repeated, contradicting = take_once(labelled)
    done.skips += contradicting
    done.notes += repeats_note(repeated)
    done.suspicions += suspicions(done.taken, request.skeleton.names)
    # what is taken once is not counted as read twice, or a part would seem to be missing
    for again in repeated:
        done.read["picture"] -= 1
        done.read["horse"] -= len(again.entries) + sum(skip.what == "horse" for skip in again.skips)
    for image_id, kept in enumerate(done.taken, 1):
        frame = kept.frame
        done.skips += kept.skips
        done.images.append({"id": image_id, "file_name": kept.file_name, "width": frame.width, "height": frame.height})
        for entry in kept.entries:
            done.annotations.append({"id": len(done.annotations) + 1, "image_id": image_id, "category_id": 1, **entry})
        if kept.is_there:
            done.paths[kept.file_name] = finder.path_of(kept.file_name)
    return done


def _labelled(
    seen: Sequence[FoundPicture], selection: Selection, request: Request, done: Conversion
) -> Iterator[Labelled]:
    """The horses of an export's pictures as COCO entries; what is said and left out as a whole is added to ``done``.

    What all of them say about how the export means its numbers goes before what each of them is.
    """
    export, target = selection.export, selection.match.target
    frames, notes = frames_of(seen, export, request.exif, target, request.skeleton)
    usable = []
    for one, frame in zip(seen, frames, strict=True):
        if isinstance(frame, Unusable):
            done.skips.append(Skip.of("picture", one.picture.where, frame))
        else:
            usable.append((one, frame))
    animals = [(animal, frame) for one, frame in usable for animal in one.animals]
    read, more = interpret(animals, export, target, request.skeleton)
    done.notes += [*notes, *more]
    following = iter(read)
    for one, frame in usable:
        found = Labelled(one.file_name, export.path, one.picture.where, frame, is_there=one.header is not None)
        for animal in itertools.islice(following, len(one.animals)):
            try:
                entry, left_out = annotate(animal, frame, target, request.skeleton, found.where)
                if any(agree(entry, other) for other in found.entries):
                    raise Unusable("the same animal stands in the picture twice", _box_in_words(entry))
                found.entries.append(entry)
                found.animals.append(animal)
                found.skips.extend(left_out)
            except Unusable as error:
                found.skips.append(Skip.of("horse", found.where, error))
        yield found


def _box_in_words(entry: dict) -> str:
    x, y, width, height = entry["bbox"]
    return f"of {width:.0f} x {height:.0f} pixels at ({x:.0f}, {y:.0f})"


def kinds_note(taken: Sequence[Labelled], own: Sequence[str]) -> list[str]:
    """A line for the user about kinds of animals that become one; ``own`` are the data set's words for its kinds."""
    kinds = Counter(animal.category for picture in taken for animal in picture.animals if animal.category)
    known = {word.strip().casefold() for word in own}
    lost = [f"{word} {count}" for word, count in kinds.most_common() if word.strip().casefold() not in known]
    return [f"{', '.join(lost)}: all become {own[0]!r}"] if lost and len(kinds) > 1 else []


def select_all(exports: Sequence[Export], request: Request, keypoint_map: dict) -> list[Selection]:
    selections, errors = [], []
    for export in exports:
        try:
            selections.append(select(export, request.skeleton, keypoint_map, request.categories))
        except UserError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise UserError(f"{len(errors)} of {counted(len(exports), 'files')} cannot be matched:", map(str, errors))
    return selections


def _look_up(
    picture: Picture, export: Export, finder: PictureFinder, pictures_needed: bool
) -> tuple[str, ImageHeader | None]:
    """File name relative to the picture folder, and the picture's header (None if it is not there nor needed)."""
    try:
        file_name = finder.find(picture.names, finder.beside(export.path))
    except Unusable as error:
        if pictures_needed or error.reason not in MISSING:
            hint = f"Pictures were looked for in {finder.root}; --img-dir names another folder."
            raise Unusable(error.reason, error.detail, error.hint or hint) from error
        # relative on every system, or training would refuse it
        name = picture.plain_name or picture.names[-1]
        return "/".join(part for part in name_parts(name) if not part.endswith(":")) or name, None
    path = finder.path_of(file_name)
    try:
        header = read_header(path)
        check_whole(path, header)
    except CutShortError as error:
        raise Unusable("the picture file is cut short", file_name, _MEND_PICTURES) from error
    except ImageError as error:
        raise Unusable("the picture file cannot be used", error.summary, _MEND_PICTURES) from error
    return file_name, header


def _report(selections: Sequence[Selection], done: Conversion, notes: Sequence[str], skeleton: Skeleton) -> list[str]:
    others = ", ".join(f"{category or 'no category'} {count}" for category, count in done.others.most_common(10))
    return [
        *files_read(selections, skeleton),
        f"converted  {len(done.images)} of {counted(done.read['picture'], 'pictures')}, "
        f"{len(done.annotations)} of {counted(done.read['horse'], 'horses')}",
        *([f"left out   {counted(done.others.total(), 'animals')} not horses: {others}"] if done.others else []),
        *skipped(done.skips),
        *(f"note       {note}" for note in notes),
    ]


def _hint(done: Conversion) -> str:
    """What to do about all that was skipped, the most frequent first."""
    hints = [hint for hint, _ in Counter(skip.hint or _MEND_LABELS for skip in done.skips).most_common()]
    if done.suspicions and not done.skips:
        hints.append(_MEND_LABELS)
    if done.others and not done.images:
        hints.append("If these are horses all the same, name them with --category.")
    return "\n  ".join([*hints, *(["Or convert the rest without --strict."] if done.images else [])])


def _placed_before(output: Path, root: Path) -> set[Path]:
    """Where an earlier run may have put pictures, which are not to be found as if they were the user's."""
    folders = [image_dir(output, split).resolve() for split in (*SPLITS, UNSPLIT)]
    # a folder that the user names as that of the pictures holds the user's
    folders = [folder for folder in folders if not root.resolve().is_relative_to(folder)]
    names = earlier_names(output)
    placed = {folder / name for folder in folders for name in names}
    # a run that was killed has no record of its pictures yet: they are named in their folder as in the user's
    placed |= {
        path
        for folder in folders
        for path in folder.rglob("*")
        if path not in placed and path.is_file() and is_same(path, root / path.relative_to(folder))
    }
    return placed


def _write(done: Conversion, request: Request) -> str:
    coco = {
        "info": {"description": f"{CONVERTED} {request.input.name}"},
        "images": done.images,
        "annotations": done.annotations,
        "categories": [category_of(request.skeleton)],
    }
    if request.split is None:
        return write_unsplit(coco, done.paths, request.output, request.images, overwrite=request.overwrite)
    return split_coco(
        coco,
        done.paths,
        request.output,
        request.split,
        request.skeleton.option,
        images=request.images,
        overwrite=request.overwrite,
        redraw=request.redraw,
    )


#: Skipped items of one reason that a refusal names.
_EXAMPLES = 3


def files_read(selections: Sequence[Selection], skeleton: Skeleton) -> list[str]:
    """A line for each file: format, content, and how its points were matched."""
    lines = []
    for selection in selections:
        export, match = selection.export, selection.match
        horses = sum(len(picture.animals) for picture in export.pictures)
        lines.append(
            f"read       {export.path} ({export.title}): "
            f"{counted(len(export.pictures), 'pictures')}, {counted(horses, 'animals')}"
        )
        if match.public:
            count = len(match.target) + len(match.ignored)
            lines.append(
                f"           the points of {match.public}: {len(match.target)} of {count} are exactly points of "
                f"{skeleton.name}; left out: {', '.join(match.ignored)}"
            )
        elif match.ignored:
            lines.append(f"           left out as --keypoint-map says: {', '.join(match.ignored)}")
        if match.missing and match.target:
            lines.append(
                f"           not in it: {counted(len(match.missing), 'points')} of {skeleton.name}: "
                + ", ".join(match.missing)
            )
    return lines


def skipped(skips: Sequence[Skip]) -> list[str]:
    """Every skipped item, grouped by reason; long groups are cut short and counted."""
    if not skips:
        return ["skipped    nothing"]
    lines = [f"skipped    {len(skips)}:"]
    for (what, reason), members in _by_reason(skips):
        lines.append(f"  {len(members)} x {what}: {reason}")
        lines += [
            f"      {skip.where}" + (f" ({skip.detail})" if skip.detail else "") for skip in members[: UserError.SHOWN]
        ]
        if len(members) > UserError.SHOWN:
            lines.append(f"      ... and {len(members) - UserError.SHOWN} more")
    return lines


def _examples(skips: Sequence[Skip]) -> list[str]:
    """Some skipped items of every reason, for a refusal: none is hidden behind many of another."""
    lines = []
    for (what, reason), members in _by_reason(skips):
        lines += map(str, members[:_EXAMPLES])
        if len(members) > _EXAMPLES:
            lines.append(f"... and {len(members) - _EXAMPLES} more x {what}: {reason}")
    return lines


def _by_reason(skips: Sequence[Skip]) -> list[tuple[tuple[str, str], list[Skip]]]:
    """Skipped items by what they are and why, the largest group first."""
    groups: dict[tuple[str, str], list[Skip]] = defaultdict(list)
    for skip in skips:
        groups[skip.what, skip.reason].append(skip)
    return sorted(groups.items(), key=lambda group: -len(group[1]))
