"""Triangles to pixels: a depth buffer and, for every covered pixel, its triangle and the place on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equistera.synthetic.camera import NEAR, Camera
from equistera.synthetic.mesh import Mesh


@dataclass(frozen=True)
class Fragments:
    """What a mesh covers in a picture, pixel by pixel.

    Attributes:
        pixel: int64 [N], row * width + column, each once.
        depth: float64 [N], along the optical axis.
        corners: int64 [N, 3], the vertices of the nearest triangle.
        weights: float32 [N, 3], perspective-correct barycentric coordinates in it.
    """

    pixel: np.ndarray
    depth: np.ndarray
    corners: np.ndarray
    weights: np.ndarray

    def of(self, attribute: np.ndarray) -> np.ndarray:
        """Interpolates an attribute of the vertices ([V] or [V, C]) to the pixels."""
        shares = self.weights.T if attribute.ndim == 1 else self.weights.T[..., None]
        one, two, three = (attribute[self.corners[:, k]] for k in range(3))
        return shares[0] * one + shares[1] * two + shares[2] * three

    def nearest(self, attribute: np.ndarray) -> np.ndarray:
        """The attribute of the nearest corner, for what cannot be mixed."""
        return attribute[self.corners[np.arange(len(self.corners)), np.argmax(self.weights, axis=1)]]


def rasterize(mesh: Mesh, camera: Camera) -> Fragments:
    """Draws a closed mesh into a depth buffer.

    Triangles that turn their back are skipped, and so are those nearer than ``camera.NEAR``. Every triangle is cut
    into the spans of its rows, the spans into pixels, and each pixel keeps the nearest.
    """
    points, depth = camera.project(mesh.vertices)
    corners = points[mesh.faces]
    edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]
    far = depth > NEAR
    front = (area < -1e-9) & far[mesh.faces[:, 0]] & far[mesh.faces[:, 1]] & far[mesh.faces[:, 2]]
    faces, corners, area = mesh.faces[front], corners[front], area[front]
    face, x, y = _pixels(corners, camera.width, camera.height)
    weights = _barycentric(corners[face], area[face], x, y)
    inverse = weights / depth[faces[face]]
    nearness = inverse[:, 0] + inverse[:, 1] + inverse[:, 2]
    # depth and candidate in one number: the maximum per pixel picks both, and ties always the same way
    key = (np.round(nearness * (NEAR * 2**30)).astype(np.int64) << 32) | np.arange(len(face))
    best = np.full(camera.width * camera.height, -1, dtype=np.int64)
    np.maximum.at(best, y * camera.width + x, key)
    pixel = np.flatnonzero(best >= 0)
    winner = best[pixel] & 0xFFFFFFFF
    return Fragments(
        pixel=pixel,
        depth=1 / nearness[winner],
        corners=faces[face[winner]],
        weights=(inverse[winner] / nearness[winner, None]).astype(np.float32),
    )


def silhouette(points: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels covered by any triangle, whichever side it shows.

    Args:
        points: [V, 2], pixels; triangles with a NaN corner are skipped.
        faces: [F, 3].
        size: Width and height.

    Returns:
        bool [H, W].
    """
    usable = np.isfinite(points[:, 0])
    corners = points[faces[usable[faces[:, 0]] & usable[faces[:, 1]] & usable[faces[:, 2]]]]
    _, x, y = _pixels(corners, *size)
    mask = np.zeros((size[1], size[0]), dtype=bool)
    mask[y, x] = True
    return mask


def _pixels(corners: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pixels whose centre lies in a triangle ([F, 3, 2]): number of the triangle, column, row."""
    one, two, three = corners[..., 1].T
    lowest, highest = np.minimum(np.minimum(one, two), three), np.maximum(np.maximum(one, two), three)
    first = np.clip(np.ceil(lowest), 0, height).astype(np.int64)
    last = np.clip(np.floor(highest), -1, height - 1).astype(np.int64)
    face, y = _spread(first, np.maximum(last - first + 1, 0))
    left, right = _span(corners[face], y)
    first = np.clip(np.ceil(left), 0, width).astype(np.int64)
    last = np.clip(np.floor(right), -1, width - 1).astype(np.int64)
    row, x = _spread(first, np.maximum(last - first + 1, 0))
    return face[row], x, y[row]


def _spread(first: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts up from every ``first``, ``count`` times: the entry each number came from, and the numbers."""
    entry = np.repeat(np.arange(len(first)), count)
    offset = np.arange(len(entry)) - np.repeat(np.cumsum(count) - count, count)
    return entry, first[entry] + offset


def _span(corners: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a row enters and leaves a triangle that it crosses."""
    left, right = np.full(len(y), np.inf), np.full(len(y), -np.inf)
    for start, end in ((0, 1), (1, 2), (2, 0)):
        (x0, y0), (x1, y1) = corners[:, start].T, corners[:, end].T
        rise = y1 - y0
        crossed = (np.minimum(y0, y1) <= y) & (y <= np.maximum(y0, y1)) & (rise != 0)
        x = x0 + (y - y0) * (x1 - x0) / np.where(crossed, rise, 1.0)
        left = np.where(crossed, np.minimum(left, x), left)
        right = np.where(crossed, np.maximum(right, x), right)
    # a row that crosses no edge has an empty span
    empty = left > right
    return np.where(empty, 0.0, left), np.where(empty, -1.0, right)


def _barycentric(corners: np.ndarray, area: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    (ax, ay), (bx, by), (cx, cy) = (corners[:, k].T for k in range(3))
    b = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
    c = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
    # rounding may put a pixel on an edge a hair outside
    b, c = np.clip(b, 0.0, 1.0), np.clip(c, 0.0, 1.0)
    return np.stack([np.maximum(1 - b - c, 0.0), b, c], axis=1)
