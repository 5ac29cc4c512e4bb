"""Merges an export of corrected pictures into the annotation files of a data set, which stay as they are otherwise."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from equistera.commands import tool
from equistera.dataset.annotate import Frame
from equistera.dataset.coco import checked_entries
from equistera.dataset.convert import Conversion, Request, files_read, kinds_note, read_labels, skipped
from equistera.dataset.formats.records import HORSE, Export, Skip
from equistera.dataset.formats.values import HIDDEN, Unusable
from equistera.dataset.matching import Selection, read_keypoint_map, select
from equistera.dataset.place import image_dir, place
from equistera.dataset.repeats import Labelled
from equistera.dataset.sources import annotation_files, keep_input, read_all
from equistera.dataset.split_dataset import ALL, POINTS, SPLIT_FILE, UPDATES
from equistera.dataset.update.add import Additions, split_record
from equistera.dataset.update.changes import (
    Change,
    in_words,
    write_changes,
)
from equistera.dataset.update.known import KnownFile, read_known
from equistera.dataset.update.merge import Merge
from equistera.dataset.update.pairing import rounding
from equistera.dataset.update.pictures import DataSetPictures
from equistera.errors import UserError
from equistera.files import atomic_write, write_json
from equistera.words import counted

#: Points that a line of the report names.
_SHOWN = 5
#: Whole pictures that may lose their animals at once: so many, or so many for each that has labels. More were hardly
#: gone through.
_FEW_EMPTIED, _EMPTIED = 3, 0.1
#: The table of changes, in the dated folder.
CHANGES = "changes.csv"


def update_dataset(request: Request, what: str = POINTS) -> str:
    """Merges an export into a data set and returns a report for the terminal.

    Only what the export has otherwise changes: places, flags and boxes of the animals in its pictures. What the files
    were, and a table of all changes, go to a dated folder beside them first.

    Args:
        request: As for :func:`equistera.dataset.convert.convert_dataset`; ``output`` is the folder of the data set.
        what: :data:`POINTS` or :data:`ALL`.

    Raises:
        UserError: Something of the export cannot be read, or cannot be merged without a guess; nothing is written.
    """
    paths, notes = keep_input(annotation_files(request.input, request.format), request.input, request.output)
    keypoint_map = read_keypoint_map(request.keypoint_map, request.skeleton) if request.keypoint_map else {}
    files = read_known(request.output, request.skeleton)
    root = request.img_dir or (request.input if request.input.is_dir() else request.input.parent)
    pictures = DataSetPictures(request.output, files, root)
    words = list(request.categories) or _category_names(files)
    exports, more = read_all(paths, request.format, words)
    selections = [select(e, request.skeleton, keypoint_map, request.categories or _used(words, e)) for e in exports]
    done = read_labels(selections, pictures, request)
    left = _left_as_they_are(selections, done)
    if request.img_dir and done.taken and not pictures.used_others:
        raise UserError(
            f"none of the export's pictures is in {request.img_dir} (--img-dir); those that the data set has are in "
            f"{image_dir(request.output, '')}",
            hint="Leave --img-dir out, or give the folder of the pictures that were labelled.",
        )
    merge, fresh = _merged(done.taken, files, selections, pictures, request)
    emptied = _emptied(selections, files, pictures, done.taken)
    if what == ALL:
        fresh += emptied
        merge.only_one_side += [f"{one.where}: lacks all animals of {home}.json" for one, home, *_ in emptied]
        gone_through = {one.where for one, *_ in emptied}
        left = [skip for skip in left if skip.where not in gone_through]
    if request.strict and (done.suspicions or left):
        raise UserError("labels are doubtful or left out, and --strict is set:", [*done.suspicions, *map(str, left)])
    if done.others and any(gone for *_, gone in fresh):
        raise UserError(
            "animals of the data set seem to be deleted, while the export holds others that are left out:",
            [*(f"{counted(count, 'animals')} {word!r}" for word, count in done.others.items()), *merge.only_one_side],
            "If these are the same, name all kinds with --category; else label only one kind in such an export.",
        )
    if what == ALL and len(emptied) > max(_FEW_EMPTIED, _EMPTIED * len(done.taken)):
        raise UserError(
            f"{counted(len(emptied), 'pictures')} have animals in the data set and no label in the export, which has "
            f"labels in {len(done.taken)}:",
            [one.where for one, *_ in emptied],
            f"Leave pictures that nobody has gone through out of the export. --update {ALL} takes the animals out of "
            f"at most {_FEW_EMPTIED} whole pictures at once, or of a tenth as many as have labels.",
        )
    new = Additions.of(fresh, files, request.output, pictures, merge, what)
    changes = [*merge.changes, *new.changes]
    notes += [
        *more,
        *kinds_note(done.taken, _category_names(files)),
        *done.notes,
        *done.suspicions,
        *pictures.notes(),
        *_notes_of(done, merge, request),
    ]
    if left:
        stay = f"; --update {ALL} takes out the animals of {counted(len(emptied), 'pictures')}" * (what != ALL)
        notes.append(
            f"left out of the merge: {counted(len(left), 'pictures')}; all stays as it is there" + stay * bool(emptied)
        )
    lines = [*files_read(selections, request.skeleton), *skipped(left), *(f"note       {note}" for note in notes)]
    if not changes:
        return "\n".join([*lines, "", f"nothing to change: {request.output} has all that the export labels"])
    changed = [file for file in files.values() if str(file.text) != file.text.text]
    for file in changed:
        # nothing that could not be read again replaces a file
        checked_entries(json.loads(file.encoded()), request.skeleton, file.path)
    place(new.places, request.images)
    record = split_record(request.output, new.homes) if new.homes else {}
    kept = _keep_old(request.output, [*changed], bool(record), changes)
    for file in changed:
        with atomic_write(file.path, "wb") as target:
            target.write(file.encoded())
    if record:
        write_json(request.output / SPLIT_FILE, record, indent=1)
    lines += in_words(changes)
    if what == ALL and emptied:
        pictures_now = _some([f"{one.file_name} in {home}.json" for one, home, *_ in emptied])
        lines.append(f"  without an animal now, and nothing is learned from them: {pictures_now}")
    lines += ["", f"wrote {', '.join(str(file.path) for file in changed)}"]
    lines.append(f"every change: {kept / CHANGES}; beside it the files as they were")
    lines.append(
        f"next: {tool('verify_dataset', '--ann-file', *(file.path for file in changed), *request.skeleton.option)}"
    )
    return "\n".join(lines)


def _category_names(files: Mapping[str, KnownFile]) -> list[str]:
    """Categories of the data set's animals."""
    categories = [c for file in files.values() for c in file.content["categories"] if isinstance(c, dict)]
    return list(dict.fromkeys(str(c.get("name", "")) for c in categories if c.get("keypoints"))) or [HORSE]


def _used(words: Sequence[str], export: Export) -> list[str]:
    """The words that the export has, too; where it has none of them, it is chosen from as in any export."""
    known = {name.strip().casefold() for name in export.keypoints}
    return [word for word in words if word.strip().casefold() in known]


def _left_as_they_are(selections: Sequence[Selection], done: Conversion) -> list[Skip]:
    """The pictures that the export has no labels for, which say nothing.

    Raises:
        UserError: Anything else was left out: a point that cannot be read must not be taken for one that was deleted.
    """
    silent = [skip for selection in selections for skip in selection.export.skips if skip.what == "picture"]
    unread = [skip for skip in done.skips if not any(skip is other for other in silent)]
    if unread:
        raise UserError(
            "nothing is merged while something of the export cannot be read, or it would seem to be deleted:",
            # both places of a picture may be called the same
            list(dict.fromkeys(map(str, unread))),
            "\n  ".join(dict.fromkeys(skip.hint for skip in unread if skip.hint))
            or "Put it right in the labelling tool and export again.",
        )
    return silent


def _emptied(
    selections: Sequence[Selection],
    files: Mapping[str, KnownFile],
    pictures: DataSetPictures,
    taken: Sequence[Labelled],
) -> list[tuple[Labelled, str, list[int], list[int]]]:
    """Pictures with animals in the data set and nothing in the export, as of :func:`_merged`."""
    labelled, found = {pictures.known(one.file_name) for one in taken}, {}
    for export in (selection.export for selection in selections):
        for picture in export.empty:
            try:
                home, name = pictures.known(pictures.find(picture.names, pictures.beside(export.path)))
            except Unusable:
                # it stays as it is, among what is left out
                continue
            animals = files[home].animals.get(name, []) if home else []
            if animals and (home, name) not in labelled:
                one = Labelled(name, export.path, picture.where, Frame(0, 0), is_there=False)
                found[home, name] = (one, home, [], [animal.position for animal in animals])
    return list(found.values())


def _merged(
    taken: Sequence[Labelled],
    files: Mapping[str, KnownFile],
    selections: Sequence[Selection],
    pictures: DataSetPictures,
    request: Request,
) -> tuple[Merge, list[tuple[Labelled, str, list[int], list[int]]]]:
    """All pictures merged; and those with animals, or themselves, that only one side has: in which file, which animals.

    Raises:
        UserError: Some cannot be; all are named.
    """
    merge = Merge(request.skeleton)
    by_path = {selection.export.path: selection for selection in selections}
    tells = {path: _tells_hidden(selection.export) for path, selection in by_path.items()}
    points = {path: [np.reshape(e["keypoints"], (-1, 3)) for one in taken if one.file == path for e in one.entries]
              for path in by_path}  # fmt: skip
    same = {path: rounding(of_file) for path, of_file in points.items()}
    odd = []
    for labelled in taken:
        selection, (home, name) = by_path[labelled.file], pictures.known(labelled.file_name)
        labelled = replace(labelled, file_name=name)
        if not home:
            odd.append((labelled, "", list(range(len(labelled.entries))), []))
            continue
        merge.never_named = frozenset(selection.match.missing)
        merge.same = same[labelled.file]
        more, gone = merge.picture(files[home], labelled, tells[labelled.file])
        if more or gone:
            odd.append((labelled, home, more, gone))
    if merge.problems:
        raise UserError(
            f"{counted(len(merge.problems), 'pictures')} cannot be merged:",
            merge.problems,
            "Take them out of the export, or put them right there.",
        )
    return merge, odd


def _tells_hidden(export: Export) -> bool:
    flags = {flag for picture in export.pictures for animal in picture.animals for _, _, flag in animal.points.values()}
    # as readings.interpret takes it
    return export.tells_hidden and flags - {0} != {HIDDEN}


def _notes_of(done: Conversion, merge: Merge, request: Request) -> list[str]:
    notes = [f"{count} animals {word!r} of the export left out" for word, count in done.others.items()]
    if merge.kept_hidden:
        notes.append(
            f"the export cannot say which points are hidden: kept as it was for {counted(merge.kept_hidden, 'points')}"
        )
    if merge.not_asked:
        notes.append(
            f"in no picture of the export, and left as they are: {', '.join(sorted(merge.not_asked))} (deleted in "
            "all of them looks as if the labelling project had no such label)"
        )
    if merge.outside:
        notes.append(f"now outside of the animal's box: {_some(merge.outside)}")
    if merge.all_moved:
        notes.append(f"every single point was moved, as if it were another picture: {_some(merge.all_moved)}")
    return notes


def _some(lines: Sequence[str]) -> str:
    more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return ", ".join(lines[:_SHOWN]) + more


def _keep_old(folder: Path, files: Sequence[KnownFile], with_split: bool, changes: Sequence[Change]) -> Path:
    """Keeps the files as they were, and the table of changes, in a dated folder of their own; returns it."""
    now = datetime.datetime.now().strftime("%Y-%m-%d_%H%M%S")
    kept = folder / UPDATES / now
    for again in range(2, 1000):
        if not kept.exists():
            break
        kept = folder / UPDATES / f"{now}_{again}"
    with atomic_write(kept / CHANGES) as file:
        write_changes(file, changes)
    for path in [*(file.path for file in files), *([folder / SPLIT_FILE] if with_split else [])]:
        with atomic_write(kept / path.name, "wb") as target, path.open("rb") as source:
            shutil.copyfileobj(source, target)
    return kept
