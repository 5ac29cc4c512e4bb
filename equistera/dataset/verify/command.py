"""The job of ``tools/verify_dataset.py``: read, check everything, tell what was found, write what was asked for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from equistera import commands
from equistera import skeleton as skeletons
from equistera.dataset.split_dataset import recorded_rule
from equistera.dataset.verify.annotation_file import AnnotationFile, default_image_dir, read
from equistera.dataset.verify.duplicates import check_duplicates, check_leaks, contents
from equistera.dataset.verify.entries import check_labels, check_structure
from equistera.dataset.verify.findings import Finding, Item, by_severity, gather, tally
from equistera.dataset.verify.fix import repair
from equistera.dataset.verify.geometry import check_limbs
from equistera.dataset.verify.pictures import check_pictures, inspected
from equistera.dataset.verify.swaps import check_swaps
from equistera.errors import UserError
from equistera.files import write_json, write_text
from equistera.outputs import check_targets
from equistera.skeleton import Skeleton
from equistera.words import counted

#: Examples shown of a finding.
EXAMPLES = 5


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        files: The files that were read, whose pictures were looked at.
        findings: All of them, errors first.
    """

    files: tuple[AnnotationFile, ...]
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
    opened = [read(path, folder, skeleton) for path, folder in zip(paths, folders, strict=True)]
    files = tuple(inspected(file, decode, workers) for file in opened)
    known = contents([state for file in files for state in file.picture_states])
    what = ("near-duplicates", "damage inside pictures") if not decode else ()
    omitted = [Item("not-checked", f"{one}: --quick reads only the headers of pictures") for one in what]
    findings: list[Finding] = []
    for file in files:
        items = itertools.chain(check_annotations(file), check_pictures(file), check_duplicates(file, known), omitted)
        findings += gather(items, str(file.path), file.populations)
    for first, second in itertools.combinations(files, 2):
        rules = {recorded_rule(file.path.parent) for file in (first, second)} if group_by is None else {group_by}
        # files of different splits have no rule in common
        leaks = check_leaks(first, second, known, rules.pop() if len(rules) == 1 else "")
        findings += gather(leaks, f"{first.path} and {second.path}", {})
    return Verification(files, tuple(by_severity(findings)))


def check_annotations(file: AnnotationFile) -> itertools.chain:
    """The checks that need no picture."""
    return itertools.chain(check_structure(file), check_labels(file), check_limbs(file), check_swaps(file))


def findings_after(file: AnnotationFile, content: dict) -> list[Finding]:
    """What is still wrong with a repaired copy, ``content``, of a file."""
    repaired = replace(file, content=content)
    items = itertools.chain(check_annotations(repaired), check_pictures(repaired))
    return by_severity(gather(items, str(file.path), repaired.populations))


def verify_dataset(
    paths: Sequence[str | Path],
    *,
    skeleton: str = skeletons.DEFAULT,
    image_dirs: Sequence[str | Path] = (),
    quick: bool = False,
    group_by: str | None = None,
    report: Path | None = None,
    fix: Path | None = None,
    overwrite: bool = False,
    examples: int = EXAMPLES,
    workers: int | None = None,
) -> int:
    """Verifies, prints what was found, and writes the report and the repaired copy.

    Args:
        paths: See :func:`verify`, as for ``image_dirs``, ``group_by`` and ``workers``.
        skeleton: Name or path, see :func:`equistera.skeleton.load`.
        quick: Read only the headers of pictures.
        report: HTML file to write.
        fix: JSON file to write a repaired copy to; for one input file.
        overwrite: Replace a report or copy that exists; never an input.
        examples: Examples printed of each finding.

    Returns:
        The exit code: 1 if there are errors in the files given, else 0.

    Raises:
        UserError: The check could not run.
    """
    if fix and len(paths) != 1:
        raise UserError(f"--fix repairs one file at a time, found {len(paths)}")
    for option, target in (("--report", report), ("--fix", fix)):
        if target is not None:
            check_targets(option, [target], inputs=paths, overwrite=overwrite)
    result = verify(
        paths, skeletons.load(skeleton), image_dirs=image_dirs, decode=not quick, group_by=group_by, workers=workers
    )
    print(summary(result, examples))
    if report:
        # plots and drawing are not paid for without a report
        from equistera.dataset.verify.report import report_page

        write_text(report, report_page(result))
        print(f"report: {report}")
    if fix:
        _fix(result, fix)
    return int(result.failed)


def _fix(result: Verification, target: Path) -> None:
    file = result.files[0]
    content, changes = repair(file)
    left = findings_after(file, content)
    if changes:
        write_json(target, content)
    print(changes_text(changes, left, str(target)))
    if changes and default_image_dir(target).resolve() != file.image_dir.resolve():
        again = commands.tool(
            "verify_dataset", "--ann-file", target, "--img-dir", file.image_dir, *file.skeleton.option
        )
        print(f"to verify it, name its picture folder:\n  {again}")


def summary(result: Verification, examples: int = EXAMPLES) -> str:
    """The whole result: each file in a line, its findings, and a last line that counts them."""
    blocks = ["\n".join(_overview(file) for file in result.files)]
    blocks += [describe(finding, examples, with_place=len(result.files) > 1) for finding in result.findings]
    return "\n\n".join([*blocks, tally(result.findings)])


def _overview(file: AnnotationFile) -> str:
    counts = ", ".join(
        counted(len(file.content[part]), noun)
        for part, noun in (("images", "pictures"), ("annotations", "annotations"))
    )
    return f"{file.path}: {counts}, skeleton {file.skeleton.name}, pictures in {file.image_dir}"


def describe(finding: Finding, examples: int = EXAMPLES, *, with_place: bool = False) -> str:
    """One finding: what, how often, what it does, examples, and whether ``--fix`` helps."""
    check = finding.check
    place = f" in {finding.where}" if with_place else ""
    lines = [f"{check.severity.upper()} {check.title}: {finding.extent}{place} [{check.code}]", f"  {finding.effect}"]
    lines += [f"  - {item.text}" for item in finding.items[:examples]]
    if len(finding.items) > examples:
        lines.append(f"  ... and {len(finding.items) - examples} more")
    if check.fix:
        lines.append(f"  --fix {check.fix}")
    return "\n".join(lines)


def changes_text(changes: Sequence[str], left: Sequence[Finding], target: str) -> str:
    """What ``--fix`` did and what it left."""
    if not changes:
        return f"nothing that is safe to repair; {target} was not written"
    remains = [f"  {finding.check.title}: {finding.extent}" for finding in left if finding.check.severity != "note"]
    lines = [f"repaired copy: {target}", *(f"  {change}" for change in changes)]
    return "\n".join([*lines, "left in it, for you to decide:", *remains] if remains else lines)
