"""What verification reports: single items, gathered into one finding for each kind of mistake in each file.

The kinds, with what each does to training, stand in ``checks.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Check:
    """A kind of mistake.

    Attributes:
        code: Short name, stable, for people and scripts to search for.
        severity: One of :data:`SEVERITIES`; errors make the exit code 1.
        title: What is wrong, for a headline.
        effect: What it would do to training or evaluation.
        counts: What is counted: ``annotations``, ``pictures``, ``keypoints`` or "" for single places.
        effect_everywhere: The effect when all of them have it, where that is another one.
        fix: What ``--fix`` does about it; "" where no repair is safe.
    """

    code: str
    severity: str
    title: str
    effect: str
    counts: str = ""
    effect_everywhere: str = ""
    fix: str = ""


def _read_checks() -> dict[str, Check]:
    table = tomllib.loads(Path(__file__).with_name("checks.toml").read_text(encoding="utf-8"))
    return {code: Check(code, **entry) for code, entry in table.items()}


#: By code, in the order in which findings are listed.
CHECKS = _read_checks()


@dataclass(frozen=True)
class Item:
    """One place where one thing is wrong.

    Attributes:
        code: Key of :data:`CHECKS`.
        text: What was found and where.
        annotation: Position among the file's annotations, or None.
        picture: Position among the file's pictures, or None.
        points: Keypoints it is about.
        badness: For ordering: the most suspicious first; equal ones stay in the file's order.
    """

    code: str
    text: str
    annotation: int | None = None
    picture: int | None = None
    points: tuple[int, ...] = ()
    badness: float = 0.0


@dataclass(frozen=True)
class Finding:
    """All items of one kind in one file (or between two).

    Attributes:
        check: What is wrong and what it does.
        where: The file, or the files it is between.
        items: Worst first.
        population: Number of annotations, pictures or keypoints there are, 0 where that says nothing.
    """

    check: Check
    where: str
    items: tuple[Item, ...]
    population: int = 0

    @property
    def count(self) -> int:
        """Number of annotations or pictures concerned; of items, where they name neither."""
        places = {(item.annotation, item.picture) for item in self.items}
        return len(self.items) if (None, None) in places else len(places)

    @property
    def everywhere(self) -> bool:
        """Whether nothing is without the mistake."""
        return self.population > 1 and self.count >= self.population

    @property
    def extent(self) -> str:
        """``"12 of 700 annotations"``."""
        if not self.population:
            return f"{self.count} times" if self.count > 1 else "once"
        return f"{self.count} of {self.population} {self.check.counts}"

    @property
    def effect(self) -> str:
        """What it would do to training or evaluation."""
        return self.check.effect_everywhere if self.everywhere and self.check.effect_everywhere else self.check.effect


def gather(items: Iterable[Item], where: str, populations: Mapping[str, int]) -> list[Finding]:
    """One finding for each code of the items found in one place, in the order of :data:`CHECKS`.

    ``populations`` tells how many ``annotations``, ``pictures`` and ``keypoints`` there are.
    """
    groups: dict[str, list[Item]] = {code: [] for code in CHECKS}
    for item in items:
        groups[item.code].append(item)
    return [
        Finding(
            CHECKS[code],
            where,
            tuple(sorted(group, key=lambda item: -item.badness)),
            populations.get(CHECKS[code].counts, 0),
        )
        for code, group in groups.items()
        if group
    ]


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, then warnings, then notes; else the order stays."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.check.severity))


def not_checked(what: str, found: int, unit: str, needed: int) -> Item:
    """A check that had too little to go by: ``"left and right of the whole set: 12 side views, 30 are needed"``."""
    return Item("not-checked", f"{what}: {found} {unit}, {needed} are needed")


def tally(findings: Iterable[Finding]) -> str:
    """``"2 errors, 1 warning; 1 check not made"`` or ``"nothing wrong found"``, as far as it was checked."""
    findings = list(findings)
    omitted = sum(len(finding.items) for finding in findings if finding.check.code == "not-checked")
    severities = [finding.check.severity for finding in findings if finding.check.code != "not-checked"]
    counts = [(severities.count(severity), severity) for severity in SEVERITIES]
    found = ", ".join(f"{n} {severity}{'s' * (n > 1)}" for n, severity in counts if n)
    if not omitted:
        return found or "nothing wrong found"
    checks = f"{omitted} check{'s' * (omitted > 1)} not made"
    return f"{found}; {checks}" if found else f"nothing wrong found in what was checked; {checks}"
