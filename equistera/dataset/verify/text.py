"""Findings in words, for a terminal or a log."""

from __future__ import annotations

from collections.abc import Sequence

from equistera.dataset.verify.annotation_file import AnnotationFile
from equistera.dataset.verify.findings import Finding, tally
from equistera.dataset.verify.run import Verification
from equistera.words import counted

#: Examples shown of a finding.
EXAMPLES = 5


def summary(result: Verification, examples: int = EXAMPLES) -> str:
    """The whole result: each file in a line, its findings, and a last line that counts them."""
    blocks = ["\n".join(_overview(file) for file in result.files)]
    blocks += [describe(finding, examples, with_place=len(result.files) > 1) for finding in result.findings]
    return "\n\n".join([*blocks, tally(result.findings)])


def _overview(file: AnnotationFile) -> str:
    parts = {"images": "pictures", "annotations": "annotations"}
    counts = ", ".join(counted(len(file.content[part]), noun) for part, noun in parts.items())
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
