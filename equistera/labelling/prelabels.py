"""What a model says of pictures, as animals for a labelling tool: the points that it is sure of, the rest counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from equistera.dataset.boxes import EDGE, clip_box
from equistera.dataset.formats.records import Animal, Picture
from equistera.dataset.formats.values import ABSENT, VISIBLE
from equistera.skeleton import Skeleton
from equistera.words import counted

#: Digits of pixels and of confidences that are written.
_PIXELS, _CONFIDENCE = 2, 4
#: Points that a line names.
_OFTEN = 5


@dataclass
class Prelabels:
    """Pictures with predicted animals, and what was left out of them.

    Attributes:
        skeleton: Names the points.
        threshold: Points of less confidence are left out.
        pictures: So far.
        kept: Points.
        unsure: Points that were left out for their confidence, by name.
        outside: Points that were left out, for they lie outside of their picture.
        no_box: Animals that were left out, for they lie outside of their picture.
        no_point: Animals of which only the box is left.
    """

    skeleton: Skeleton
    threshold: float
    pictures: list[Picture] = field(default_factory=list)
    kept: int = 0
    unsure: Counter[str] = field(default_factory=Counter)
    outside: int = 0
    no_box: int = 0
    no_point: int = 0

    @property
    def animals(self) -> int:
        """How many there are."""
        return sum(len(picture.animals) for picture in self.pictures)

    def add(
        self, name: str, size: tuple[int, int], poses: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray, float, str]]
    ) -> None:
        """Takes in a picture.

        Args:
            name: Of its file, with ``/``.
            size: Width and height, pixels.
            poses: Of each animal points float [K, 2], confidences float [K] (calibrated where they can be), box
                x, y, width, height, how sure it is that there is an animal in the box, and what that is called.
        """
        animals = [animal for pose in poses if (animal := self._animal(size, *pose)) is not None]
        self.pictures.append(Picture((name,), name, tuple(animals), size))

    def ordered(self, names: Sequence[str] | None) -> list[Picture]:
        """The pictures in the order of names, others behind them; without names, the least sure first."""
        if names is None:
            return sorted(self.pictures, key=lambda picture: (picture.score, picture.names))
        places = {name: i for i, name in enumerate(names)}
        return sorted(self.pictures, key=lambda picture: (places.get(picture.names[0], len(places)), picture.names))

    def said(self) -> list[str]:
        """Lines for the terminal: what was left out, and of which pictures nothing is known."""
        lines = [f"kept       {counted(self.kept, 'points')}; the model does not say which are hidden: all are visible"]
        if self.unsure:
            often = ", ".join(f"{name} {count}" for name, count in self.unsure.most_common(_OFTEN))
            lines.append(
                f"left out   {counted(self.unsure.total(), 'points')} below {self.threshold:g}; most often: {often}"
            )
        if self.outside:
            lines.append(f"left out   {counted(self.outside, 'points')} outside of their picture")
        if self.no_box:
            lines.append(f"left out   {counted(self.no_box, 'animals')} outside of their picture")
        if self.no_point:
            lines.append(f"           {counted(self.no_point, 'animals')} of which only the box is left")
        if empty := sum(not picture.animals for picture in self.pictures):
            lines.append(f"           {counted(empty, 'pictures')} without an animal: label or skip them")
        return lines

    def _animal(
        self, size: tuple[int, int], points: np.ndarray, confidence: np.ndarray, box: np.ndarray, sure: float, word: str
    ) -> Animal | None:
        clipped = clip_box([float(value) for value in box], *size)
        if clipped is None:
            self.no_box += 1
            return None
        inside = ((points >= -EDGE) & (points <= np.subtract(size, 1) + EDGE)).all(axis=1)
        kept = inside & (confidence >= self.threshold)
        self.kept += int(kept.sum())
        self.outside += int((~inside).sum())
        self.unsure.update(name for name, left in zip(self.skeleton.names, inside & ~kept, strict=True) if left)
        self.no_point += not kept.any()
        # nothing may lie outside, not even by rounding, or tools refuse it; what is left out keeps its place, for CVAT
        x, y = np.clip(points, 0, np.subtract(size, 1)).round(_PIXELS).T.tolist()
        places = {name: (x[k], y[k], VISIBLE if kept[k] else ABSENT) for k, name in enumerate(self.skeleton.names)}
        confidences = {name: round(float(confidence[k]), _CONFIDENCE) for k, name in enumerate(self.skeleton.names)}
        left, top, width, height = (round(value, _PIXELS) for value in clipped)
        score = round(float(confidence.mean() * min(1.0, max(0.0, sure))), _CONFIDENCE)
        return Animal(places, (left, top, width, height), word, round(width * height, 2), score, confidences)
