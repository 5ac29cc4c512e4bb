"""When a hoof lands and lifts off: where it leaves the line that it draws while it stands."""

from __future__ import annotations

import numpy as np

#: Candidates for each of the two moments.
_CANDIDATES = 40
#: How early a stance may end, as a share of the way to the hoof's turning point (a hoof turns right after it has lifted
#: off and right before it lands), and how far beyond that point it is looked at, as a part of the stride.
_EARLIEST, _BEYOND = 0.35, 0.1
#: A hoof draws away from its line as this power of the time: between one that lands while it still moves along the
#: ground (1) and one that slows down first (2).
_POWER = 1.5
#: Part of a stance whose frames have to be known for the speed while it lasts.
_MOST = 0.6
#: Harmonics of the wave that tells about where a hoof turns.
_HARMONICS = 5


def stance_of(phase: np.ndarray, seen: np.ndarray, number: np.ndarray, count: int) -> tuple[float, float, np.ndarray]:
    """The stance that several strides of a leg have in common.

    In each stride the hoof draws its own line while it stands, along the body and in height (a view that turns tilts
    them); it leaves all of them at the same moments of the stride and in the same manner. Those moments are chosen
    that leave the least squares.

    Args:
        phase: [S], of the stride, -0.5 to 0.5; at 0 it surely stands.
        seen: [S, 2], the hoof's place along the body and its height.
        number: [S], of the stride.
        count: Of strides.

    Returns:
        Touch-down and lift-off, phases, and [count], by how much each stride's line falls in a stride; NaN for those
        that tell none.
    """
    first, last = _turns(phase, seen[:, 0], number)
    kept = (phase >= first - _BEYOND) & (phase <= last + _BEYOND)
    phase, seen, number = phase[kept], seen[kept], number[kept]
    downs = first * np.linspace(_EARLIEST, 1, _CANDIDATES)
    offs = last * np.linspace(_EARLIEST, 1, _CANDIDATES)
    # [S, candidates] each: 0 as long as the hoof stands
    before, after = np.maximum(downs - phase[:, None], 0), np.maximum(phase[:, None] - offs, 0)
    bends, places = (
        _without_lines(phase, number, count, each) for each in (np.hstack([before, after]) ** _POWER, seen)
    )
    square, along = bends.T @ bends, bends.T @ places
    # by how much each pair of moments lowers the squares: two unknowns, so that the solution can be written down
    first_square, last_square = np.diag(square)[:_CANDIDATES, None], np.diag(square)[_CANDIDATES:]
    cross = square[:_CANDIDATES, _CANDIDATES:]
    one, other = along[:_CANDIDATES], along[_CANDIDATES:]
    determinant = np.maximum(first_square * last_square - cross**2, 1e-12 * first_square * last_square + 1e-30)
    both = last_square * (one**2).sum(axis=1)[:, None] + first_square * (other**2).sum(axis=1)
    gain = (both - 2 * cross * (one @ other.T)) / determinant
    a, b = np.unravel_index(int(gain.argmax()), gain.shape)
    down = downs[a] + _top(gain[:, b], int(a)) * (downs[1] - downs[0])
    off = offs[b] + _top(gain[a], int(b)) * (offs[1] - offs[0])
    stands = (phase > down) & (phase < off)
    return float(down), float(off), _slopes(phase[stands], number[stands], count, seen[stands, 0], off - down)


def _sums(values: np.ndarray, number: np.ndarray, count: int) -> np.ndarray:
    """[count, ...]: sums over each stride's rows."""
    result = np.zeros((count, *values.shape[1:]))
    np.add.at(result, number, values)
    return result


def _without_lines(phase: np.ndarray, number: np.ndarray, count: int, values: np.ndarray) -> np.ndarray:
    """[S, C]: what is left of each column when each stride's own line is taken out of it."""
    here = np.maximum(np.bincount(number, minlength=count), 1)[:, None]
    values = values - (_sums(values, number, count) / here)[number]
    centred = phase - (_sums(phase[:, None], number, count) / here)[number, 0]
    spread = np.maximum(_sums(centred[:, None] ** 2, number, count), 1e-12)
    slopes = _sums(centred[:, None] * values, number, count) / spread
    return values - centred[:, None] * slopes[number]


def _slopes(phase: np.ndarray, number: np.ndarray, count: int, values: np.ndarray, stance: float) -> np.ndarray:
    """[count]: the slope of the line through each stride's values; NaN where less than most of a stance is there."""
    result = np.full(count, np.nan)
    for n in np.unique(number):
        mine = number == n
        if mine.sum() >= 4 and np.ptp(phase[mine]) > _MOST * stance:
            result[n] = np.polyfit(phase[mine], values[mine], 1)[0]
    return result


def _top(values: np.ndarray, at: int) -> float:
    """Where the parabola through the highest value and its neighbours is highest, in steps from it."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, here, after = values[at - 1 : at + 2]
    bend = before - 2 * here + after
    return float(0.5 * (before - after) / bend) if bend < 0 else 0.0


def _turns(phase: np.ndarray, way: np.ndarray, number: np.ndarray) -> tuple[float, float]:
    """The phases at which a way is highest before and lowest after 0: of a wave, so that noise does not tell."""
    design = _waves(phase)
    weights = np.linalg.solve(design.T @ design + 1e-6 * len(phase) * np.eye(design.shape[1]), design.T @ way)
    before, after = np.linspace(-0.45, -0.05, 201), np.linspace(0.05, 0.45, 201)
    return float(before[np.argmax(_waves(before) @ weights)]), float(after[np.argmin(_waves(after) @ weights)])


def _waves(phase: np.ndarray) -> np.ndarray:
    columns = [np.ones_like(phase)]
    for k in range(1, _HARMONICS + 1):
        columns += [np.cos(2 * np.pi * k * phase), np.sin(2 * np.pi * k * phase)]
    return np.stack(columns, axis=1)
