"""Frames that show coloured discs, and a model and a detector that see discs: what they must say is known."""

from fractions import Fraction

import cv2
import numpy as np

from equistera import skeleton as skeletons
from equistera.frames import Frame
from equistera.mm.prediction.predict import Pose
from equistera.mm.prediction.stream import Box

SKELETON = skeletons.load("horse26")
#: Where the points of an animal are around its middle, in radii.
OFFSETS = np.stack([np.cos(np.arange(26)), np.sin(1.7 * np.arange(26))], axis=1)
RADIUS, SIZE = 20, (320, 240)
COLORS = ((255, 0, 0), (0, 0, 255))


class SeesDiscs:
    """Stands for a model: sure of a disc that lies well in its crop, of nothing elsewhere; counts its looks."""

    skeleton = SKELETON

    def __init__(self):
        self.looks = []

    def poses(self, crops, batch_size=16):
        crops = list(crops)
        self.looks.append(len(crops))
        for image, (x, y, width, height) in crops:
            left, top = max(0, int(x)), max(0, int(y))
            part = image[top : max(top, int(y + height)), left : max(left, int(x + width))].astype(int)
            seen = np.argwhere(part.max(axis=2) - part.min(axis=2) > 100) if part.size else np.empty((0, 2))
            middle = np.array([left, top]) + (seen.mean(axis=0)[::-1] if len(seen) else [width / 2, height / 2])
            sure = 0.95 if len(seen) > 0.9 * np.pi * RADIUS**2 else 0.1
            yield Pose(middle + RADIUS * OFFSETS, np.full(26, sure), np.array([x, y, width, height]))


class FindsDiscs:
    """Stands for a detector; remembers the frames that it was asked about, and those that it glanced at."""

    def __init__(self):
        self.asked, self.glanced = [], []

    def glance(self, frames):
        self.glanced += [frame.number for frame in frames]
        return self(frames)

    def __call__(self, frames):
        self.asked += [frame.number for frame in frames]
        return [[Box(box) for box in self._boxes(frame.image)] for frame in frames]

    def _boxes(self, image):
        for color in COLORS:
            seen = np.argwhere((np.abs(image.astype(int) - color) < 60).all(axis=2))
            if len(seen) > 200:
                (top, left), (bottom, right) = seen.min(axis=0), seen.max(axis=0)
                yield (float(left), float(top), float(right - left), float(bottom - top))


def film(*paths):
    """Frames at 25 a second in which discs go along paths [T, 2]; NaN where there is none."""
    for t in range(len(paths[0])):
        image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
        for path, color in zip(paths, COLORS, strict=False):
            if np.isfinite(path[t]).all():
                cv2.circle(image, np.rint(path[t]).astype(int).tolist(), RADIUS, color, -1)
        yield Frame(f"frame {t}", t, image, time=Fraction(t, 25))
