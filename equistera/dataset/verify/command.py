"""The job of ``tools/verify_dataset.py``: verify, tell, and write what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from equistera import commands
from equistera import skeleton as skeletons
from equistera.dataset.verify.annotation_file import AnnotationFile, default_image_dir
from equistera.dataset.verify.findings import Finding, tally
from equistera.dataset.verify.fix import repair
from equistera.dataset.verify.run import Verification, findings_after, verify
from equistera.errors import UserError
from equistera.files import atomic_write, write_json
from equistera.outputs import check_folder, same_file
from equistera.words import counted


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
    examples: int = 5,
    workers: int | None = None,
) -> int:
    """Verifies, prints what was found, and writes the report and the repaired copy.

    Args:
        paths: COCO keypoint files.
        skeleton: Name or path, see :func:`equistera.skeleton.load`.
        image_dirs: Picture folder of each file, or one for all.
        quick: Read only the headers of pictures.
        group_by: See :func:`equistera.dataset.verify.run.verify`.
        report: HTML file to write.
        fix: JSON file to write a repaired copy to; for one input file.
        overwrite: Replace a report or copy that exists; never an input.
        examples: Examples printed of each finding.
        workers: Threads; as many as cores by default.

    Returns:
        The exit code: 1 if there are errors in the files given, else 0.

    Raises:
        UserError: The check could not run.
    """
    if fix and len(paths) != 1:
        raise UserError(f"--fix repairs one file at a time, found {len(paths)}")
    for option, target in (("--report", report), ("--fix", fix)):
        _check_target(option, target, paths, overwrite)
    result = verify(
        paths,
        skeletons.load(skeleton),
        image_dirs=image_dirs,
        decode=not quick,
        group_by=group_by,
        workers=workers,
    )
    print(summary(result, examples))
    if report:
        # plots and drawing are not paid for without a report
        from equistera.dataset.verify.report import report_page

        with atomic_write(report) as file:
            file.write(report_page(result))
        print(f"report: {report}")
    if fix:
        _fix(result, fix)
    return int(result.failed)


def _check_target(option: str, target: Path | None, inputs: Sequence[str | Path], overwrite: bool) -> None:
    if target is None:
        return
    if any(same_file(target, path) for path in inputs):
        raise UserError(f"{option} {target} is an input, and those are never changed", hint="Choose another name.")
    if target.is_dir():
        raise UserError(f"{option} {target} is a folder, expected a file name")
    check_folder(option, target.parent)
    if target.exists() and not overwrite:
        raise UserError(f"{target} exists already", hint="Add --overwrite to replace it, or choose another name.")


def _fix(result: Verification, target: Path) -> None:
    file, states = result.files[0], result.states[0]
    content, changes = repair(file, states)
    left = findings_after(file, content, states)
    if changes:
        write_json(target, content)
    print(changes_told(changes, left, str(target)))
    if changes and default_image_dir(target).resolve() != file.image_dir.resolve():
        again = commands.tool("verify_dataset", "--ann-file", target, "--img-dir", file.image_dir)
        print(f"to verify it, name its picture folder:\n  {again}")


#: Examples shown of a finding.
EXAMPLES = 5


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


def changes_told(changes: Sequence[str], left: Sequence[Finding], target: str) -> str:
    """What ``--fix`` did and what it left."""
    if not changes:
        return f"nothing that is safe to repair; {target} was not written"
    remains = [f"  {finding.check.title}: {finding.extent}" for finding in left if finding.check.severity != "note"]
    lines = [f"repaired copy: {target}", *(f"  {change}" for change in changes)]
    return "\n".join([*lines, "left in it, for you to decide:", *remains] if remains else lines)
