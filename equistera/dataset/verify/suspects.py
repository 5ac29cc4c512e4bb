"""Pictures for the report: the most suspicious annotations, drawn, and a contact sheet of the whole set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from equistera import html
from equistera.dataset.images import ImageError, read_reduced
from equistera.dataset.verify.annotation_file import AnnotationFile
from equistera.dataset.verify.findings import Finding, Item
from equistera.dataset.verify.pictures import PictureState
from equistera.drawing import contact_sheet, draw_box, draw_pose, put_text, stroke_scale

#: Longest side to which photos are reduced for drawing.
_DECODED = 1600
#: Longest side of a drawn suspect, and the room around its box as a share of the box.
_SUSPECT_SIDE, _ROOM = 560, 0.15
#: How far outside a canvas a point is drawn at most, as a share of its sides.
_OUTSIDE = 0.1
_MARK = (255, 64, 64)
_EMPTY = (72, 76, 82)


def gallery_of(
    files: Sequence[AnnotationFile],
    states: Sequence[Sequence[PictureState]],
    findings: Iterable[Finding],
    count: int = 24,
) -> list[tuple[Finding, Item, str]]:
    """Draws the worst annotations, kind by kind in turn so that each kind is seen; with its drawing each.

    Args:
        files: The files verified.
        states: Of their pictures.
        findings: Errors first.
        count: Number of pictures.
    """
    by_path = {str(file.path): (file, own) for file, own in zip(files, states, strict=True)}
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
    return [(finding, item, _suspect(*by_path[finding.where], item)) for finding, item in chosen]


def _worst_of_each(finding: Finding) -> list[Item]:
    """The worst item of each annotation concerned, worst first."""
    worst: dict[int, Item] = {}
    for item in finding.items:
        if item.annotation is not None:
            worst.setdefault(item.annotation, item)
    return list(worst.values())


def _suspect(file: AnnotationFile, states: Sequence[PictureState], item: Item) -> str:
    canvas, scale = _canvas(file, states, item.annotation)
    points = file.labelled_points[item.annotation] * scale
    box = file.boxes[item.annotation] * scale
    canvas, offset, zoom = _crop(canvas, points, box)
    points, box = _beside(canvas, (points - offset) * zoom), np.concatenate([box[:2] - offset, box[2:]]) * zoom
    if np.isfinite(box).all():
        draw_box(canvas, box)
    draw_pose(canvas, points, file.skeleton, visible=file.flags[item.annotation])
    _mark(canvas, points, item.points, file)
    return html.photo(canvas, item.text, max_side=_SUSPECT_SIDE, quality=80)


def _canvas(file: AnnotationFile, states: Sequence[PictureState], n: int) -> tuple[np.ndarray, float]:
    """The picture of an annotation, reduced, and its pixels for one of the file; grey where it cannot be read."""
    place = file.picture_of(n)
    size = file.annotation_picture_sizes[n]
    if place is not None and states[place].header is not None:
        try:
            rgb = read_reduced(states[place].path, _DECODED)
        except ImageError:
            pass  # reported as a finding; drawn on grey
        else:
            # coordinates are those of the size that the file gives, even where it is wrong: that is what one should see
            return rgb, rgb.shape[1] / (size[0] if np.isfinite(size[0]) else states[place].header.width)
    if not np.isfinite(size).all():
        known = file.labelled_points[n][file.labelled[n]]
        size = known.max(axis=0) + 10 if len(known) else np.array([320.0, 240.0])
    width, height = np.clip(size, 16, _MAX_GREY)
    scale = min(1.0, _DECODED / max(width, height))
    return np.full((max(1, round(height * scale)), max(1, round(width * scale)), 3), _EMPTY, np.uint8), scale


#: Side of a grey canvas before it is reduced: sizes in broken files can be anything.
_MAX_GREY = 20_000


def _crop(canvas: np.ndarray, points: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The part around the animal, scaled to the size it is shown at; its corner and the scale."""
    import cv2

    known = points[np.isfinite(points).all(axis=1)]
    corners = [known] if len(known) else []
    if np.isfinite(box).all():
        corners.append(np.stack([box[:2], box[:2] + box[2:]]))
    limits = np.array([canvas.shape[1], canvas.shape[0]])
    low, high = np.zeros(2), limits.astype(float)
    if corners:
        # a point far away must not drag the rest of the picture in
        extent = np.clip(np.concatenate(corners), 0, limits)
        room = _ROOM * max(np.ptp(extent, axis=0).max(), 1.0)
        low = np.clip(extent.min(axis=0) - room, 0, limits)
        high = np.clip(extent.max(axis=0) + room, 0, limits)
        if (high - low < 16).any():
            low, high = np.zeros(2), limits.astype(float)
    low, high = np.floor(low).astype(int), np.ceil(high).astype(int)
    part = canvas[low[1] : high[1], low[0] : high[0]]
    zoom = _SUSPECT_SIDE / max(part.shape[:2])
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    size = max(1, round(part.shape[1] * zoom)), max(1, round(part.shape[0] * zoom))
    return cv2.resize(part, size, interpolation=how), low.astype(float), zoom


def _beside(canvas: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points far outside the canvas moved to just outside: the size of what is drawn follows how far they reach."""
    side = np.array([canvas.shape[1], canvas.shape[0]])
    return np.clip(points, -_OUTSIDE * side, (1 + _OUTSIDE) * side)


def _mark(canvas: np.ndarray, points: np.ndarray, marked: Sequence[int], file: AnnotationFile) -> None:
    """A ring and the name for each point that a finding is about."""
    import cv2

    scale = stroke_scale(max(canvas.shape[:2]))
    for k in marked:
        if np.isfinite(points[k]).all():
            x, y = (round(float(value)) for value in points[k])
            cv2.circle(canvas, (x, y), round(7 * scale), _MARK, max(1, round(1.5 * scale)), cv2.LINE_AA)
            put_text(canvas, file.skeleton.names[k], (x + 9 * scale, y - 5 * scale))


def sheet_of(
    files: Sequence[AnnotationFile], states: Sequence[Sequence[PictureState]], count: int = 30, columns: int = 6
) -> tuple[str, str] | None:
    """A contact sheet of labelled animals spread evenly over all files and its caption; None if there is none."""
    labelled = [
        (file, own, n)
        for file, own in zip(files, states, strict=True)
        for n in np.flatnonzero(file.labelled.any(axis=1)).tolist()
        if file.picture_of(n) is not None and not own[file.picture_of(n)].code
    ]
    if not labelled:
        return None
    chosen = np.unique(np.linspace(0, len(labelled) - 1, count).round().astype(int))
    tiles = []
    for file, own, n in (labelled[i] for i in chosen):
        canvas, scale = _canvas(file, own, n)
        tile, offset, zoom = _crop(canvas, file.labelled_points[n] * scale, file.boxes[n] * scale)
        points = _beside(tile, (file.labelled_points[n] * scale - offset) * zoom)
        draw_pose(tile, points, file.skeleton, visible=file.flags[n])
        tiles.append(tile)
    sheet = contact_sheet(tiles, columns, cell=(240, 200))
    caption = f"{len(tiles)} of {len(labelled)} labelled animals"
    return html.photo(sheet, caption, max_side=max(sheet.shape), quality=75), caption
