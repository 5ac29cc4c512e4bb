"""Surfaces made of tubes: rows of cross-sections, joined to quads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mesh:
    """Triangles with what the coat and the light need to know at every vertex.

    Attributes:
        vertices: float64 [V, 3], metres.
        normals: float32 [V, 3], unit, outwards.
        uv: float32 [V, 2], along the tube (0-1) and around it (0-1, plus the tube's number).
        part: int64 [V], what the vertex belongs to.
        faces: int64 [F, 3].
    """

    vertices: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    part: np.ndarray
    faces: np.ndarray

    def moved(self, turn: np.ndarray, shift: np.ndarray) -> Mesh:
        """The mesh after a rotation [3, 3] and then a shift [3]."""
        return Mesh(
            self.vertices @ turn.T + shift, self.normals @ turn.T.astype(np.float32), self.uv, self.part, self.faces
        )


def tubes(grids: np.ndarray, part: int | np.ndarray) -> Mesh:
    """Joins cross-sections to closed tubes (their ends stay open: end with a small section).

    Args:
        grids: [N, R, S, 3]: N tubes of R cross-sections of S points each.
        part: Part number of all tubes, or one for each [N].

    Returns:
        The mesh; its triangles show their front on the outside.
    """
    count, rows, sides, _ = grids.shape
    along = np.gradient(grids, axis=1)
    around = np.roll(grids, -1, axis=2) - np.roll(grids, 1, axis=2)
    normals = np.cross(along, around)
    outwards = grids - grids.mean(axis=2, keepdims=True)
    # mirrored tubes run around the other way
    sign = np.sign(np.einsum("nrsk,nrsk->n", normals, outwards))
    normals *= sign[:, None, None, None]
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-12
    u, v = np.meshgrid(np.linspace(0, 1, rows), np.arange(sides) / sides, indexing="ij")
    uv = np.stack([u, v], axis=-1)[None] + np.arange(count)[:, None, None, None] * [0.0, 1.0]
    row, side = (index.ravel() for index in np.meshgrid(np.arange(rows - 1), np.arange(sides), indexing="ij"))
    following = (side + 1) % sides
    a, b = row * sides + side, row * sides + following
    c, d = a + sides, b + sides
    one = np.concatenate([np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)])
    faces = np.where(sign[:, None, None] > 0, one[None], one[None, :, ::-1])
    faces = faces + (np.arange(count) * rows * sides)[:, None, None]
    return Mesh(
        vertices=grids.reshape(-1, 3),
        normals=normals.reshape(-1, 3).astype(np.float32),
        uv=uv.reshape(-1, 2).astype(np.float32),
        part=np.repeat(np.broadcast_to(part, count), rows * sides),
        faces=faces.reshape(-1, 3),
    )


def join(meshes: list[Mesh]) -> Mesh:
    """One mesh of several."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return Mesh(
        vertices=np.concatenate([m.vertices for m in meshes]),
        normals=np.concatenate([m.normals for m in meshes]),
        uv=np.concatenate([m.uv for m in meshes]),
        part=np.concatenate([m.part for m in meshes]),
        faces=np.concatenate([m.faces + start for m, start in zip(meshes, starts, strict=True)]),
    )
