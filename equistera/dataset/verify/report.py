"""The verification report: one HTML page that opens without a network, with plots and the worst annotations drawn."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.figure import Figure

from equistera import html
from equistera.dataset.images import ImageError, read_reduced
from equistera.dataset.verify.annotation_file import AnnotationFile
from equistera.dataset.verify.command import Verification
from equistera.dataset.verify.findings import Finding, Item, tally
from equistera.dataset.verify.pictures import PictureState
from equistera.drawing import contact_sheet, cut, draw_box, draw_pose, plain, put_text, stroke_scale, view

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
        suspects=gallery_of(result.files, result.findings),
        plots={draw.__name__: html.plot(draw(result.files)) for draw in drawings},
        sheet=sheet_of(result.files),
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


#: Longest side to which photos are reduced for drawing.
_DECODED = 1600
#: Pixels of a drawn suspect, and of an animal on the contact sheet.
_SUSPECT, _TILE = (560, 420), (240, 200)
#: How far outside its panel a point is drawn at most, as a share of the sides.
_OUTSIDE = 0.1
_MARK = (255, 64, 64)


def gallery_of(
    files: Sequence[AnnotationFile],
    findings: Iterable[Finding],
    count: int = 24,
) -> list[tuple[Finding, Item, str]]:
    """Draws ``count`` of the worst annotations, kind by kind in turn so that each kind is seen; with its drawing."""
    by_path = {str(file.path): file for file in files}
    queues = [(finding, _worst_of_each(finding)) for finding in findings if finding.where in by_path]
    chosen: list[tuple[Finding, Item]] = []
    seen = set()
    for rank in range(max((len(items) for _, items in queues), default=0)):
        for finding, items in queues:
            # the worst of each kind is shown even if another kind has shown the animal: other points are ringed
            if rank < len(items) and (rank == 0 or (finding.where, items[rank].annotation) not in seen):
                seen.add((finding.where, items[rank].annotation))
                chosen.append((finding, items[rank]))
        if len(chosen) >= count:
            break
    order = {id(finding): i for i, (finding, _) in enumerate(queues)}
    chosen = sorted(chosen[:count], key=lambda one: order[id(one[0])])
    return [(finding, item, _suspect(by_path[finding.where], item)) for finding, item in chosen]


def _worst_of_each(finding: Finding) -> list[Item]:
    """The worst item of each annotation concerned, worst first."""
    worst: dict[int, Item] = {}
    for item in finding.items:
        if item.annotation is not None:
            worst.setdefault(item.annotation, item)
    return list(worst.values())


def _suspect(file: AnnotationFile, item: Item) -> str:
    canvas, points = _drawn(file, item.annotation, _SUSPECT)
    _mark(canvas, points, item.points, file)
    return html.photo(canvas, item.text, max_side=max(_SUSPECT), quality=80)


def _drawn(file: AnnotationFile, n: int, panel: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """An annotation on its part of the picture (grey where that cannot be read), and its points there, [K, 2]."""
    place, size, scale = file.picture_of(n), file.annotation_picture_sizes[n], 1.0
    picture = np.zeros((0, 0, 3), np.uint8)
    state = PictureState() if place is None else file.picture_states[place]
    if state.header is not None:
        size = size if np.isfinite(size).all() else np.array(state.header.size, dtype=float)
        # what cannot be read is reported as a finding
        with contextlib.suppress(ImageError):
            picture = read_reduced(state.path, _DECODED)
            # coordinates are those of the size that the file gives, even where it is wrong: that is what one should see
            scale = picture.shape[1] / size[0]
    points, box = scale * file.labelled_points[n], scale * file.boxes[n]
    corners = np.concatenate([points, [box[:2], box[:2] + box[2:]]])
    corners = corners[np.isfinite(corners).all(axis=1)]
    if not np.isfinite(size).all():
        size = corners.max(axis=0, initial=240.0)
    shape = picture.shape[:2] if picture.size else size[::-1]
    # a point far away must not drag the rest of the picture in
    corners = np.clip(corners, 0, shape[::-1])
    low, high = (corners.min(axis=0), corners.max(axis=0)) if len(corners) else (np.zeros(2), np.array(shape[::-1]))
    corner, factor = view(shape, np.concatenate([low, high - low]), corners, panel)
    canvas = cut(picture, corner, factor, panel)
    # nor draw it larger: the size of what is drawn follows how far the points reach
    side = np.array(panel)
    points = np.clip((points - corner) * factor, -_OUTSIDE * side, (1 + _OUTSIDE) * side)
    if np.isfinite(box).all():
        draw_box(canvas, np.concatenate([box[:2] - corner, box[2:]]) * factor)
    draw_pose(canvas, points, file.skeleton, visible=file.flags[n])
    return canvas, points


def _mark(canvas: np.ndarray, points: np.ndarray, marked: Sequence[int], file: AnnotationFile) -> None:
    """A ring and the name for each point that a finding is about."""
    import cv2

    scale = stroke_scale(max(canvas.shape[:2]))
    for k in marked:
        if np.isfinite(points[k]).all():
            x, y = (round(float(value)) for value in points[k])
            cv2.circle(canvas, (x, y), round(7 * scale), _MARK, max(1, round(1.5 * scale)), cv2.LINE_AA)
            put_text(canvas, file.skeleton.names[k], (x + 9 * scale, y - 5 * scale))


def sheet_of(files: Sequence[AnnotationFile], count: int = 30) -> tuple[str, str] | None:
    """A contact sheet of labelled animals spread evenly over all files and its caption; None if there is none."""
    labelled = [
        (file, n)
        for file in files
        for n in np.flatnonzero(file.labelled.any(axis=1)).tolist()
        if file.picture_of(n) is not None and not file.picture_states[file.picture_of(n)].code
    ]
    if not labelled:
        return None
    chosen = np.unique(np.linspace(0, len(labelled) - 1, count).round().astype(int))
    sheet = contact_sheet(
        [_drawn(file, n, _TILE)[0] for file, n in (labelled[i] for i in chosen)], columns=6, cell=_TILE
    )
    caption = f"{len(chosen)} of {len(labelled)} labelled animals"
    return html.photo(sheet, caption, max_side=max(sheet.shape), quality=75), caption
