"""Horses made of moving points, whose strides are known: made without the renderer."""

import numpy as np

from equistera import skeleton as skeletons
from equistera.tracks.tracks import Tracks

NAMES = skeletons.load("horse26").names
LEGS = ("lf", "rf", "lh", "rh")
#: When each hoof lands, in strides, the duty factor, and the time of a stride, seconds.
GAITS = {
    "walk": ((0.25, 0.75, 0.0, 0.5), 0.62, 1.1),
    "trot": ((0.0, 0.5, 0.5, 0.0), 0.42, 0.71),
    "canter": ((0.5, 0.25, 0.25, 0.0), 0.36, 0.58),
}
#: Way of a hoof along the body while it stands, and length of the body in pixels.
WAY, LENGTH = 0.7, 200.0


def going(
    gait="trot", *, seconds=6.0, fps=50, heading=1, pan=60.0, uneven=0.0, noise=0.0, lasts=0.15, seed=0, hard=False,
    move=True, side=1.0, names=NAMES,
):  # fmt: skip
    """Tracks of one horse.

    Args:
        gait: Of ``GAITS``.
        seconds, fps: Of the video.
        heading: +1 to the right of the picture.
        pan: Pixels a second by which the horse goes through the picture.
        uneven: MinDiff of the head, body lengths: above 0 it sinks less on the right fore.
        noise: Standard deviation by the body length, lasting ``lasts`` seconds.
        seed: Of the noise.
        hard: Hooves land while they still move along the ground.
        move: Whether it goes at all.
        side: How much of the horse's length is seen; 1 from its side.
        names: Keypoints.
    """
    starts, duty, period = GAITS[gait]
    times = np.arange(0, seconds, 1 / fps)
    phase = times / period
    index = {name: k for k, name in enumerate(names)}
    places = np.full((len(times), len(names), 2), np.nan)
    bounce = 0.03 * np.cos(4 * np.pi * (phase - duty / 2))
    # more is lower on the picture
    once = uneven / 2 * np.cos(2 * np.pi * (phase - duty / 2))
    still = {"withers": (0.5, -1.1), "tail_base": (-0.5, -1.05), "nose": (1.2, -1.3), "croup": (-0.3, -1.12)}
    still |= {f"{s}_elbow": (0.4, -0.7) for s in "lr"} | {f"{s}_hip": (-0.4, -0.8) for s in "lr"}
    still |= {f"{s}_knee": (0.37, -0.4) for s in "lr"} | {f"{s}_hock": (-0.5, -0.45) for s in "lr"}
    still |= {f"{s}_stifle": (-0.3, -0.65) for s in "lr"}
    for name, (x, y) in still.items():
        if name in index:
            places[:, index[name], 0] = x
            places[:, index[name], 1] = y + bounce + (once if name == "nose" else 0)
    for leg, start in zip(LEGS, starts, strict=True):
        part = (phase - start) % 1
        air = np.clip((part - duty) / (1 - duty), 0, 1)
        back = -WAY / duty * (1 - duty)
        # leaves as slowly as the ground goes, and lands so, or not
        way = hermite(air, -WAY / 2, WAY / 2, back, 0.0 if hard else back)
        way = np.where(part < duty, WAY / 2 - WAY * part / duty, way) * move
        lift = np.where(part < duty, 0, 0.12 * np.sin(np.pi * air)) * move
        for joint, up in (("hoof", 0.0), ("fetlock", 0.12)):
            places[:, index[f"{leg}_{joint}"], 0] = (0.4 if leg[1] == "f" else -0.45) + way
            places[:, index[f"{leg}_{joint}"], 1] = -lift - up
    points = places * LENGTH * [heading * side, 1] + [640, 400]
    points[..., 0] += (pan * (times - seconds / 2))[:, None]
    rng = np.random.default_rng(seed)
    errors = rng.standard_normal(points.shape)
    kept = np.exp(-1 / fps / lasts)
    for t in range(1, len(errors)):
        errors[t] = kept * errors[t - 1] + np.sqrt(1 - kept**2) * errors[t]
    raw = (points + noise * LENGTH * errors)[:, None]
    confidence = np.where(np.isfinite(raw).all(axis=-1), 0.9, np.nan)
    return Tracks.of(names, times, raw, confidence, size=(1280, 720), source=f"{gait}.mp4")


def hermite(s, start, end, slope, last):
    """The cubic from ``start`` to ``end`` over 0 to 1 with these slopes."""
    return (
        (2 * s**3 - 3 * s**2 + 1) * start
        + (s**3 - 2 * s**2 + s) * slope
        + (3 * s**2 - 2 * s**3) * end
        + (s**3 - s**2) * last
    )


def footfalls(gait, leg, seconds=6.0):
    """[N, 2]: touch-down and lift-off of a leg, seconds."""
    starts, duty, period = GAITS[gait]
    down = (np.arange(-1, int(seconds / period) + 1) + starts[LEGS.index(leg)]) * period
    return np.stack([down, down + duty * period], axis=1)
