"""The verification report: one HTML page that opens without a network."""

from __future__ import annotations

import numpy as np

from equistera import html
from equistera.dataset.verify import plots, suspects
from equistera.dataset.verify.annotation_file import AnnotationFile
from equistera.dataset.verify.findings import Finding, tally
from equistera.dataset.verify.run import Verification

#: Examples shown of each finding.
_EXAMPLES = 8


def report_page(result: Verification) -> str:
    """The whole page."""
    files = ", ".join(file.path.name for file in result.files)
    blocks = [
        html.paragraph(html.badge(tally(result.findings), _worst(result))),
        html.table(
            ["file", "pictures", "annotations", "labelled animals", "points per animal", "pictures in"],
            [_counts(file) for file in result.files],
        ),
        html.section("Findings", _findings(result.findings)),
    ]
    if gallery := suspects.gallery_of(result.files, result.states, result.findings):
        note = "The worst of each kind; the points in question are ringed. Left is orange, right is blue."
        blocks.append(html.section("Suspects", html.paragraph(note), html.gallery(gallery)))
    if any(file.labelled.any() for file in result.files):
        blocks += [
            html.section("Visibility of each keypoint", html.figure(plots.visibility(result.files))),
            html.section(
                "Where each keypoint lies in the box",
                html.paragraph("The white frame is the box; in brackets, on how many animals the point is labelled."),
                html.figure(plots.positions(result.files)),
            ),
            html.section("Sizes of the animals", html.figure(plots.sizes(result.files))),
        ]
    if sheet := suspects.sheet_of(result.files, result.states):
        blocks.append(html.section("Contact sheet", sheet))
    return html.page(f"Verification of {files}", *blocks)


def _worst(result: Verification) -> str:
    return result.findings[0].check.severity if result.findings else "good"


def _counts(file: AnnotationFile) -> list[object]:
    animals = file.labelled.any(axis=1)
    mean = float(file.labelled[animals].sum(axis=1).mean()) if animals.any() else 0.0
    return [
        str(file.path),
        len(file.content["images"]),
        len(file.content["annotations"]),
        int(np.count_nonzero(animals)),
        f"{mean:.1f} of {len(file.skeleton)}",
        str(file.image_dir),
    ]


def _findings(findings: tuple[Finding, ...]) -> html.Html:
    if not findings:
        return html.paragraph("Nothing wrong was found.")
    return html.table(
        ["", "what", "how often", "what it does", "examples"],
        [
            [
                html.badge(finding.check.severity, finding.check.severity),
                html.lines(
                    [finding.check.title, html.Html(f'<span class="muted">{html.escape(finding.where)}</span>')]
                ),
                finding.extent,
                _effect(finding),
                html.lines([item.text for item in finding.items[:_EXAMPLES]] + _more(finding)),
            ]
            for finding in findings
        ],
    )


def _effect(finding: Finding) -> html.Html:
    fix = [html.Html(f'<span class="muted">--fix {html.escape(finding.check.fix)}</span>')] if finding.check.fix else []
    return html.lines([finding.effect, *fix])


def _more(finding: Finding) -> list[str]:
    left = len(finding.items) - _EXAMPLES
    return [f"... and {left} more"] if left > 0 else []
