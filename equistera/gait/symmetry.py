"""How evenly head, withers and croup rise and sink on both sides.

In a stride of the trot the body sinks twice, once on each diagonal. MinDiff is the height of the minimum while the left
fore hoof stands less that while the right one does, MaxDiff the same of the maxima that follow (Keegan et al., Am J Vet
Res 62, 2001; Rhodin et al., PLoS ONE 13, 2018, give what is usual). A horse that goes evenly has 0. The croup is told
by the tail base, where the skeleton has no point ``croup``: a proxy.
"""

from __future__ import annotations

import numpy as np

from equistera.gait.body import Body
from equistera.gait.strides import Strides

#: Harmonics of the stride that a height is made of (Keegan et al. 2001 take the first and the second; the next two make
#: its shape).
HARMONICS = 4
#: Points of a stride that the fitted height is looked at.
_FINE = 200


def heights_of(body: Body) -> dict[str, np.ndarray]:
    """[T] by part, body lengths, upwards."""
    parts = {"head": ("nose",), "withers": ("withers",), "croup": ("croup" if "croup" in body.index else "tail_base",)}
    return {part: body.height(*names) for part, names in parts.items() if set(names) <= set(body.index)}


def differences(body: Body, left_fore: Strides) -> dict[str, np.ndarray]:
    """[N] each, body lengths: ``head MinDiff``, ``head MaxDiff`` and so on, of each stride of the left fore leg."""
    result = {}
    for part, height in heights_of(body).items():
        pairs = [
            _of_a_stride(body.times, height, down, end)
            for down, end in zip(left_fore.down, left_fore.next_down, strict=True)
        ]
        values = np.array(pairs, dtype=float).reshape(-1, 2)
        result[f"{part} MinDiff"], result[f"{part} MaxDiff"] = values[:, 0], values[:, 1]
    return result


def _of_a_stride(times: np.ndarray, height: np.ndarray, down: float, end: float) -> tuple[float, float]:
    inside = (times >= down) & (times < end)
    phase = (times[inside] - down) / (end - down)
    count = min(HARMONICS, max(1, (int(inside.sum()) - 2) // 2))
    if inside.sum() < 6:
        return np.nan, np.nan
    # a camera that pans or a horse that comes nearer moves evenly through the picture
    solution = np.linalg.lstsq(_waves(phase, count, drift=True), height[inside], rcond=None)[0]
    fine = np.arange(_FINE) / _FINE
    curve = _waves(fine, count, drift=False) @ np.delete(solution, 1)
    first, second = curve[: _FINE // 2], curve[_FINE // 2 :]
    # the left fore hoof stands in the first half: the body sinks on it, and rises behind it
    later = np.roll(curve, -_FINE // 4)
    return float(first.min() - second.min()), float(later[: _FINE // 2].max() - later[_FINE // 2 :].max())


def _waves(phase: np.ndarray, count: int, drift: bool) -> np.ndarray:
    columns = [np.ones_like(phase), *([phase - 0.5] if drift else [])]
    for k in range(1, count + 1):
        columns += [np.cos(2 * np.pi * k * phase), np.sin(2 * np.pi * k * phase)]
    return np.stack(columns, axis=1)
