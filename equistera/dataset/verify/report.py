"""The verification report: one HTML page that opens without a network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from equistera import html
from equistera.dataset.verify import suspects
from equistera.dataset.verify.annotation_file import AnnotationFile
from equistera.dataset.verify.command import Verification
from equistera.dataset.verify.findings import tally
from equistera.drawing import plain

#: Examples shown of each finding.
_EXAMPLES = 8


def report_page(result: Verification) -> str:
    """The whole page."""
    drawings = (visibility, positions, sizes) if any(file.labelled.any() for file in result.files) else ()
    return html.render(
        "verification.html",
        title=f"Verification of {', '.join(file.path.name for file in result.files)}",
        tally=tally(result.findings),
        worst=result.findings[0].check.severity if result.findings else "good",
        files=[_counts(file) for file in result.files],
        findings=result.findings,
        examples=_EXAMPLES,
        suspects=suspects.gallery_of(result.files, result.states, result.findings),
        plots={draw.__name__: html.plot(draw(result.files)) for draw in drawings},
        sheet=suspects.sheet_of(result.files, result.states),
    )


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


#: Okabe and Ito's colour-blind-safe blue and orange.
_VISIBLE, _HIDDEN, _NONE = "#0072b2", "#e69f00", "#d9dde3"
#: Bins across the box in a heat map, and the room shown around the box.
_BINS, _ROOM = 24, 0.1


def visibility(files: Sequence[AnnotationFile]) -> Figure:
    """Bars: on how many labelled animals each keypoint is visible, hidden, or not labelled."""
    names = files[0].skeleton.names
    flags = np.concatenate([file.flags[file.labelled.any(axis=1)] for file in files])
    shares = [100 * (flags > 1).mean(axis=0), 100 * ((flags > 0) & (flags <= 1)).mean(axis=0)]
    figure = Figure(figsize=(9, 0.24 * len(names) + 1.2))
    axes = figure.add_subplot()
    left = np.zeros(len(names))
    for share, color, label in (
        (shares[0], _VISIBLE, "visible"),
        (shares[1], _HIDDEN, "hidden"),
        (100 - shares[0] - shares[1], _NONE, "not labelled"),
    ):
        axes.barh(range(len(names)), share, left=left, color=color, label=label, height=0.75)
        left += share
    axes.set_yticks(range(len(names)), [plain(name) for name in names], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"% of {len(flags)} labelled animals")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure


def positions(files: Sequence[AnnotationFile]) -> Figure:
    """A heat map for each keypoint: where in the animal's box it lies; the frame is the box."""
    names = files[0].skeleton.names
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = np.concatenate(
            [(file.labelled_points - file.boxes[:, None, :2]) / file.boxes[:, None, 2:] for file in files]
        )
    columns = 7
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(1.45 * columns, 1.62 * rows))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    edges = np.linspace(-_ROOM, 1 + _ROOM, _BINS + 1)
    for axes, name, points in zip(grid, names, inside.transpose(1, 0, 2), strict=False):
        known = points[np.isfinite(points).all(axis=1)]
        counts, _, _ = np.histogram2d(known[:, 1], known[:, 0], bins=(edges, edges))
        axes.imshow(counts, cmap="magma", extent=(edges[0], edges[-1], edges[-1], edges[0]), interpolation="nearest")
        axes.plot([0, 1, 1, 0, 0], [0, 0, 1, 1, 0], color="white", linewidth=0.7, alpha=0.6)
        axes.set_title(f"{plain(name)} ({len(known)})", fontsize=8, pad=3)
    for axes in grid:
        axes.set_axis_off()
    figure.subplots_adjust(left=0.01, right=0.99, top=0.96, bottom=0.01, wspace=0.06, hspace=0.2)
    return figure


def sizes(files: Sequence[AnnotationFile]) -> Figure:
    """Histograms: sides of the boxes in pixels, their shape, and their share of the picture."""
    boxes = np.concatenate([file.boxes[:, 2:] for file in files])
    pictures = np.concatenate([file.annotation_picture_sizes for file in files])
    good = np.isfinite(boxes).all(axis=1) & (boxes > 0).all(axis=1)
    boxes, pictures = boxes[good], pictures[good]
    side = np.sqrt(boxes.prod(axis=1))
    share = 100 * boxes.prod(axis=1) / pictures.prod(axis=1)
    figure = Figure(figsize=(10, 2.6))
    for axes, values, label in zip(
        figure.subplots(1, 3),
        (side, boxes[:, 0] / boxes[:, 1], share[np.isfinite(share)]),
        ("square root of the box's area, pixels", "width / height of the box", "box, % of the picture"),
        strict=True,
    ):
        axes.hist(values, bins=30, color=_VISIBLE)
        axes.set_xlabel(label)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supylabel("animals", fontsize=10, x=0.02)
    figure.tight_layout()
    return figure
