"""A pinhole camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Nothing nearer than this is drawn, metres.
NEAR = 0.2


@dataclass(frozen=True)
class Camera:
    """A camera in the world.

    Attributes:
        position: [3], metres.
        axes: [3, 3], rows: right, down, forward.
        focal: Pixels.
        width: Pixels.
        height: Pixels.
        center: Where the optical axis meets the picture, pixels.
    """

    position: np.ndarray
    axes: np.ndarray
    focal: float
    width: int
    height: int
    center: tuple[float, float]

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Projects points of the world.

        Args:
            points: [..., 3], metres.

        Returns:
            Pixels [..., 2] ((0, 0) is the centre of the top left pixel) and depth along the optical axis [...].
            Pixels of points that are not in front of the camera mean nothing.
        """
        seen = (points - self.position) @ self.axes.T
        depth = seen[..., 2]
        safe = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
        return seen[..., :2] * (self.focal / safe)[..., None] + np.array(self.center), depth

    def rays(self) -> np.ndarray:
        """float32 [H, W, 3]: direction in the world through every pixel, with length 1 along the optical axis."""
        x = ((np.arange(self.width) - self.center[0]) / self.focal)[:, None] * self.axes[0]
        y = ((np.arange(self.height) - self.center[1]) / self.focal)[:, None] * self.axes[1] + self.axes[2]
        return x.astype(np.float32)[None] + y.astype(np.float32)[:, None]

    def scaled(self, factor: float) -> Camera:
        """The same view on a picture ``factor`` times as large."""
        return Camera(
            self.position,
            self.axes,
            self.focal * factor,
            max(1, round(self.width * factor)),
            max(1, round(self.height * factor)),
            ((self.center[0] + 0.5) * factor - 0.5, (self.center[1] + 0.5) * factor - 0.5),
        )


def look_at(
    position: np.ndarray,
    target: np.ndarray,
    roll: float,
    focal: float,
    size: tuple[int, int],
    center: tuple[float, float] | None = None,
) -> Camera:
    """A camera at ``position`` whose optical axis goes through ``target``.

    Args:
        position: [3].
        target: [3], not straight above or below.
        roll: Radians about the optical axis.
        focal: Pixels.
        size: Width and height.
        center: Where the target appears; the middle of the picture by default.
    """
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    turned = np.stack([np.cos(roll) * right + np.sin(roll) * down, np.cos(roll) * down - np.sin(roll) * right, forward])
    return Camera(
        np.asarray(position, float), turned, focal, size[0], size[1], center or ((size[0] - 1) / 2, (size[1] - 1) / 2)
    )
