"""Drawing poses on pictures: one look for contact sheets, predictions, reports and verification.

Left, middle and right of the body have the schema's colours (see ``skeleton.SIDE_COLORS``); limbs carry a dark
outline, so that they stand out on any coat and for any eye. Pictures are RGB, uint8 [H, W, 3]. Plots take their
colours from here, and the names that people gave as matplotlib shows them unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from equistera.skeleton import Skeleton

_OUTLINE, _WHITE = (20, 20, 20), (255, 255, 255)
#: OpenCV draws at 1/2**SHIFT of a pixel.
_SHIFT = 4

#: Beyond the picture in a part of it.
BEYOND_THE_PICTURE = (60, 60, 60)

#: Colour-blind-safe palette of Okabe and Ito (2008), without its yellow, which is faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

_LONGEST = 60
#: Scripts up to here (Latin, IPA) are in every weight of the font that matplotlib brings; of others it draws boxes and
#: fills the terminal with warnings.
_FIRST_UNKNOWN = "\u0250"


def draw_pose(
    image: np.ndarray,
    points: np.ndarray,
    skeleton: Skeleton,
    *,
    scores: np.ndarray | None = None,
    visible: np.ndarray | None = None,
    threshold: float = 0.3,
    scale: float | None = None,
) -> None:
    """Draws limbs and keypoints in place.

    The limbs of the right side lie under those of the left one. Points that are uncertain (score below
    ``threshold``) or labelled as hidden are small and dimmed, as are limbs that end in one.

    Args:
        image: RGB uint8 [H, W, 3]; changed.
        points: float [K, 2], pixels; a point that is not finite is left out.
        skeleton: Names, links and colours.
        scores: float [K], confidence of a prediction.
        visible: int [K], COCO flags of an annotation: 0 is not drawn, 1 is hidden, 2 is visible.
        threshold: Confidence from which a point counts as found.
        scale: Size of strokes; from the size of the pose by default.
    """
    import cv2

    points = np.asarray(points, dtype=np.float64)
    shown = np.isfinite(points).all(axis=1)
    dim = np.zeros(len(points), dtype=bool)
    if visible is not None:
        shown &= np.asarray(visible) > 0
        dim |= np.asarray(visible) == 1
    if scores is not None:
        dim |= np.asarray(scores) < threshold
    if not shown.any():
        return
    # far-away predictions would overflow OpenCV's fixed-point coordinates
    points = np.clip(np.where(shown[:, None], points, 0), -1e5, 1e5)
    if scale is None:
        extent = float(np.ptp(points[shown], axis=0).max()) if shown.sum() > 1 else 0.0
        scale = stroke_scale(max(extent, 0.2 * max(image.shape[:2])))
    overlay = image.copy() if (dim & shown).any() else image

    def at(point: np.ndarray) -> tuple[int, int]:
        return tuple(np.round(point * (1 << _SHIFT)).astype(int).tolist())

    order = {"right": 0, "middle": 1, "left": 2}
    ranks = [order[keypoint.side] for keypoint in skeleton.keypoints]
    colored = zip(*skeleton.link_indices.T.tolist(), skeleton.link_colors.tolist(), strict=True)
    limbs = sorted(
        ((a, b, color) for a, b, color in colored if shown[a] and shown[b]),
        key=lambda limb: min(ranks[limb[0]], ranks[limb[1]]),
    )
    for faint in (True, False):
        canvas = overlay if faint else image
        for a, b, color in limbs:
            if bool(dim[a] or dim[b]) == faint:
                width = max(1, round(scale * (1.0 if faint else 1.8)))
                cv2.line(canvas, at(points[a]), at(points[b]), _OUTLINE, width + 2, cv2.LINE_AA, _SHIFT)
                cv2.line(canvas, at(points[a]), at(points[b]), color, width, cv2.LINE_AA, _SHIFT)
        if faint and overlay is not image:
            cv2.addWeighted(overlay, 0.55, image, 0.45, 0, dst=image)
    for k in np.flatnonzero(shown):
        radius = round(max(1.5, scale * (1.6 if dim[k] else 2.4)) * (1 << _SHIFT))
        cv2.circle(image, at(points[k]), radius + (1 << _SHIFT), _OUTLINE, -1, cv2.LINE_AA, _SHIFT)
        cv2.circle(image, at(points[k]), radius, skeleton.keypoints[k].color, 1 if dim[k] else -1, cv2.LINE_AA, _SHIFT)


def draw_box(image: np.ndarray, bbox: Sequence[float], label: str = "", scale: float | None = None) -> None:
    """Draws a white box (x, y, width, height) with an optional label in place; ``scale`` as for :func:`draw_pose`."""
    import cv2

    x, y, w, h = (float(np.clip(v, -1e5, 1e5)) for v in bbox)
    scale = scale or stroke_scale(max(image.shape[:2]))
    corners = (round(x), round(y)), (round(x + w), round(y + h))
    cv2.rectangle(image, *corners, _OUTLINE, max(2, round(scale * 1.4) + 1))
    cv2.rectangle(image, *corners, _WHITE, max(1, round(scale * 0.7)))
    if label:
        put_text(image, label, (x + 2 * scale, y + 11 * scale), scale)


def put_text(image: np.ndarray, text: str, at: tuple[float, float], scale: float | None = None) -> None:
    """Writes white, outlined text whose base line starts at ``at`` (pixels), in place; ``scale`` 1 is 7 pixels high."""
    import cv2

    scale = scale or stroke_scale(max(image.shape[:2]))
    where, size = (round(at[0]), round(at[1])), 0.32 * scale
    for ink, width in ((_OUTLINE, max(2, round(scale * 1.5))), (_WHITE, max(1, round(scale * 0.5)))):
        cv2.putText(image, text, where, cv2.FONT_HERSHEY_SIMPLEX, size, ink, width, cv2.LINE_AA)


def stroke_scale(extent: float) -> float:
    """Stroke unit for something ``extent`` pixels large: 1 at 300 pixels, growing more slowly than the size."""
    return max(0.6, math.sqrt(extent / 300.0))


def viewing_scale(image: np.ndarray, extent: float) -> float:
    """Stroke unit for a picture [H, W, 3] that will be looked at as a whole, on a screen, whatever its size.

    Strokes grow with the picture, so that they are as wide on a photo of 12 megapixels as on a small one when both
    fill the screen; around a small animal (``extent``: its longer side, pixels) they stay thin enough.
    """
    return max(0.6, min(max(image.shape[:2]) / 500, extent / 150))


def side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Two RGB pictures of one height with a white line between."""
    gap = max(2, round(left.shape[1] / 160))
    return np.concatenate([left, np.full((left.shape[0], gap, 3), 255, np.uint8), right], axis=1)


def contact_sheet(
    images: Sequence[np.ndarray], columns: int, cell: tuple[int, int] = (320, 240), gap: int = 4
) -> np.ndarray:
    """RGB pictures of any size in rows on a white sheet, each fitted into its cell (width, height; ``gap`` between)."""
    width, height = cell
    rows = max(1, math.ceil(len(images) / columns))
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, image in enumerate(images):
        small = fitted(image, cell)
        y = (i // columns) * (height + gap) + (height - small.shape[0]) // 2
        x = (i % columns) * (width + gap) + (width - small.shape[1]) // 2
        sheet[y : y + small.shape[0], x : x + small.shape[1]] = small
    return sheet


def fitted(image: np.ndarray, cell: Sequence[int]) -> np.ndarray:
    """The picture, [H, W, 3], scaled to fit into a cell (width and height, pixels)."""
    import cv2

    factor = min(cell[0] / image.shape[1], cell[1] / image.shape[0])
    size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)


def view(
    shape: tuple[int, ...], bbox: np.ndarray, points: np.ndarray, panel: tuple[int, int]
) -> tuple[np.ndarray, float]:
    """Which part to show: the box and all points with a margin, moved where the panel would reach beyond the picture.

    ``shape`` is the picture's, ``bbox`` [4] x, y, width, height and ``points`` [N, 2] pixels, ``panel`` its width and
    height.

    Returns:
        The picture's coordinates of the panel's corner, float64 [2], and panel pixels per picture pixel: a point p of
        the picture lies at ``(p - corner) * factor``.
    """
    corners = np.concatenate([points, bbox[None, :2], bbox[None, :2] + bbox[None, 2:]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    factor = float((np.array(panel) / (1.2 * np.maximum(high - low, 1))).min())
    window = np.array(panel) / factor
    room = np.array([shape[1], shape[0]]) - window
    return np.where(room >= 0, np.clip((low + high - window) / 2, 0, np.maximum(room, 0)), room / 2), factor


def cut(picture: np.ndarray, corner: np.ndarray, factor: float, panel: tuple[int, int]) -> np.ndarray:
    """The part of a picture that fills a panel, see :func:`view`; what lies beyond the picture is grey."""
    import cv2

    filled = np.full((panel[1], panel[0], 3), BEYOND_THE_PICTURE, np.uint8)
    size = np.array([picture.shape[1], picture.shape[0]])
    low = np.clip(np.floor(corner), 0, size).astype(int)
    high = np.clip(np.ceil(corner + np.array(panel) / factor), 0, size).astype(int)
    if (high <= low).any():
        return filled
    x0, y0 = np.clip(np.round((low - corner) * factor), 0, panel).astype(int)
    x1, y1 = np.clip(np.round((high - corner) * factor), 0, panel).astype(int)
    if x1 > x0 and y1 > y0:
        interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        part = picture[low[1] : high[1], low[0] : high[0]]
        filled[y0:y1, x0:x1] = cv2.resize(part, (int(x1 - x0), int(y1 - y0)), interpolation=interpolation)
    return filled


def plain(text: str) -> str:
    """Text as matplotlib shows it unchanged: short, Latin, no mathematics, no leading _ (which hides a legend)."""
    short = text if len(text) <= _LONGEST else f"...{text[-_LONGEST:]}"
    known = "".join(c if c < _FIRST_UNKNOWN and c.isprintable() else "?" for c in short).replace("$", r"\$")
    return f" {known}" if known.startswith("_") else known
