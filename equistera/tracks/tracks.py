"""What is known of the animals of one video; every other part of this room takes it and gives it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Bits of :attr:`Tracks.changed`: left and right exchanged; was NaN or not believed; moved by the smoother.
SWAPPED, FILLED, SMOOTHED = 1, 2, 4


@dataclass(frozen=True, eq=False)
class Tracks:
    """The points of A animals over the T frames of one video; K keypoints each. Its arrays cannot be written to.

    Pixels are those of the frame as it is displayed (a phone's rotation applied), the centres of pixels at whole
    numbers.

    Attributes:
        keypoints: K names.
        individuals: A names: ``animal1``, ``animal2``, ..., or the user's.
        times: float64 [T], seconds since the video's start: the frames' own presentation times, strictly rising.
        points: float64 [T, A, K, 2], the best that is known, after repair and cleaning; NaN where nothing is.
        confidence: float32 [T, A, K], calibrated probability that the raw point is right (PCK@0.1); NaN where the
            animal was not seen.
        raw: float64 [T, A, K, 2], as the model said it once it was given to an individual.
        changed: uint8 [T, A, K], bits :data:`SWAPPED`, :data:`FILLED`, :data:`SMOOTHED`.
        spread: float32 [T, A, K], standard deviation of ``points`` along one axis, pixels; NaN where it is not known.
        size: Width and height of the frames; None where a file does not say.
        source: Name of the video.

    Raises:
        ValueError: Shapes do not fit each other, names occur twice, or times do not rise.
    """

    keypoints: tuple[str, ...]
    individuals: tuple[str, ...]
    times: np.ndarray
    points: np.ndarray
    confidence: np.ndarray
    raw: np.ndarray
    changed: np.ndarray
    spread: np.ndarray
    size: tuple[int, int] | None
    source: str

    def __post_init__(self) -> None:
        for field in ("keypoints", "individuals"):
            names = tuple(getattr(self, field))
            if len(set(names)) < len(names):
                raise ValueError(f"{field} occur twice: {names}")
            object.__setattr__(self, field, names)
        shape = (len(self.times), len(self.individuals), len(self.keypoints))
        kinds: dict[str, tuple[type, tuple[int, ...]]] = {
            "times": (np.float64, shape[:1]),
            "points": (np.float64, (*shape, 2)),
            "confidence": (np.float32, shape),
            "raw": (np.float64, (*shape, 2)),
            "changed": (np.uint8, shape),
            "spread": (np.float32, shape),
        }
        for field, (kind, wanted) in kinds.items():
            # a view of its own, so that the caller's array stays as it is
            array = np.asarray(getattr(self, field), dtype=kind).view()
            if array.shape != wanted:
                raise ValueError(f"{field}: expected {wanted}, found {array.shape}")
            array.setflags(write=False)
            object.__setattr__(self, field, array)
        if not np.isfinite(self.times).all() or (np.diff(self.times) <= 0).any():
            raise ValueError("times must be finite and rise strictly")

    @classmethod
    def of(
        cls,
        keypoints: Sequence[str],
        times: np.ndarray,
        raw: np.ndarray,
        confidence: np.ndarray,
        *,
        individuals: Sequence[str] | None = None,
        size: tuple[int, int] | None = None,
        source: str = "",
    ) -> Tracks:
        """Tracks in which nothing is changed yet.

        Args:
            keypoints: K names.
            times: [T], seconds.
            raw: [T, A, K, 2], pixels.
            confidence: [T, A, K].
            individuals: A names; ``animal1``, ``animal2``, ... by default.
            size: Width and height of the frames.
            source: Name of the video.
        """
        shape = np.shape(raw)[:3]
        names = individual_names(shape[1]) if individuals is None else tuple(individuals)
        raw = np.array(raw, dtype=np.float64)
        return cls(
            keypoints=tuple(keypoints),
            individuals=names,
            times=times,
            points=raw,
            confidence=confidence,
            raw=raw,
            changed=np.zeros(shape, np.uint8),
            spread=np.full(shape, np.nan, np.float32),
            size=size,
            source=source,
        )

    def with_(self, **changes: Any) -> Tracks:
        """The same with other values of some attributes."""
        return dataclasses.replace(self, **changes)

    def __len__(self) -> int:
        """Frames."""
        return len(self.times)

    @functools.cached_property
    def index(self) -> dict[str, int]:
        """Position of every keypoint by its name."""
        return {name: k for k, name in enumerate(self.keypoints)}

    @functools.cached_property
    def fps(self) -> float:
        """Median rate, frames a second; NaN with fewer than two frames."""
        return float(1 / np.median(np.diff(self.times))) if len(self) > 1 else np.nan

    @functools.cached_property
    def known(self) -> np.ndarray:
        """bool [T, A, K]: where there is a point."""
        return np.isfinite(self.points).all(axis=-1)

    @functools.cached_property
    def seen(self) -> np.ndarray:
        """bool [T, A, K]: where the model gave a point."""
        return np.isfinite(self.raw).all(axis=-1)


def individual_names(count: int) -> tuple[str, ...]:
    """``animal1``, ``animal2``, ..."""
    return tuple(f"animal{number}" for number in range(1, count + 1))
