"""Verification from end to end: read, check everything, gather what was found."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from equistera.dataset.split_files import recorded_rule
from equistera.dataset.verify.annotation_file import AnnotationFile, read
from equistera.dataset.verify.duplicates import check_duplicates, check_leaks, contents
from equistera.dataset.verify.findings import Finding, Item, by_severity, gather
from equistera.dataset.verify.geometry import check_limbs
from equistera.dataset.verify.labels import check_labels
from equistera.dataset.verify.pictures import PictureState, check_pictures, inspect_all
from equistera.dataset.verify.structure import check_structure
from equistera.dataset.verify.swaps import check_swaps
from equistera.errors import UserError
from equistera.skeleton import Skeleton


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        files: The files that were read.
        states: Of each file's pictures, in the order of its ``pictures``.
        findings: All of them, errors first.
    """

    files: tuple[AnnotationFile, ...]
    states: tuple[tuple[PictureState, ...], ...]
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> bool:
        """Whether there is an error among the findings."""
        return any(finding.check.severity == "error" for finding in self.findings)


def verify(
    paths: Sequence[str | Path],
    skeleton: Skeleton,
    *,
    image_dirs: Sequence[str | Path] = (),
    decode: bool = True,
    group_by: str | None = None,
    workers: int | None = None,
) -> Verification:
    """Checks annotation files, their pictures, and what they have in common.

    Args:
        paths: COCO keypoint files.
        skeleton: The points they should hold.
        image_dirs: Picture folder of each file, or one for all; by default as the guide lays them out.
        decode: Decode every picture; else only headers are read, and near-duplicates stay unknown.
        group_by: Which pictures belong together, see :func:`equistera.dataset.split.picture_groups`; by default what
            the ``split.json`` beside the files says.
        workers: Threads for the pictures; as many as cores by default.

    Returns:
        Every finding.

    Raises:
        UserError: A file or folder cannot be read at all, is named twice, or ``group_by`` does not fit the file names.
    """
    if len(image_dirs) not in (0, 1, len(paths)):
        raise UserError(f"{len(image_dirs)} picture folders for {len(paths)} files: give one for all, or one for each")
    if len({Path(path).resolve() for path in paths}) < len(paths):
        raise UserError(f"a file is named twice: {', '.join(map(str, paths))}")
    folders = [*image_dirs] * (len(paths) if len(image_dirs) == 1 else 1) or [None] * len(paths)
    files = tuple(read(path, folder, skeleton) for path, folder in zip(paths, folders, strict=True))
    states = tuple(tuple(inspect_all(file, decode, workers)) for file in files)
    known = contents([state for own in states for state in own])
    findings: list[Finding] = []
    for file, own in zip(files, states, strict=True):
        items = itertools.chain(
            check_annotations(file), check_pictures(file, own), check_duplicates(file, own, known), _omitted(decode)
        )
        findings += gather(items, str(file.path), file.populations)
    for first, second in itertools.combinations(zip(files, states, strict=True), 2):
        rules = {recorded_rule(file.path.parent) for file, _ in (first, second)} if group_by is None else {group_by}
        # files of different splits have no rule in common
        items = check_leaks(first, second, known, rules.pop() if len(rules) == 1 else "")
        findings += gather(items, f"{first[0].path} and {second[0].path}", {})
    return Verification(files, states, tuple(by_severity(findings)))


def _omitted(decode: bool) -> list[Item]:
    """What the user has asked to leave out."""
    if decode:
        return []
    what = ("near-duplicates", "damage inside pictures")
    return [Item("not-checked", f"{one}: --quick reads only the headers of pictures") for one in what]


def check_annotations(file: AnnotationFile) -> itertools.chain:
    """The checks that need no picture."""
    return itertools.chain(check_structure(file), check_labels(file), check_limbs(file), check_swaps(file))


def findings_after(file: AnnotationFile, content: dict, states: Sequence[PictureState]) -> list[Finding]:
    """What is still wrong with a repaired copy.

    Args:
        file: The file before the repair.
        content: From :func:`equistera.dataset.verify.fix.repair`.
        states: Of the file's pictures.
    """
    repaired = replace(file, content=content)
    by_name = {entry["file_name"]: state for entry, state in zip(file.pictures, states, strict=True)}
    own = [by_name[entry["file_name"]] for entry in repaired.pictures]
    items = itertools.chain(check_annotations(repaired), check_pictures(repaired, own))
    return by_severity(gather(items, str(file.path), repaired.populations))
