"""Moving horses made of points, with whatever goes wrong planted in them: no video and no model needed."""

import numpy as np

from equistera import skeleton as skeletons
from equistera.tracks.tracks import Tracks

HORSE = skeletons.load("horse26")

#: Where the points of a standing horse that looks to the right are: body lengths from the withers, y down.
BODY = {
    "nose": (0.62, 0.02), "l_eye": (0.53, -0.14), "r_eye": (0.53, -0.14), "l_ear": (0.47, -0.24),
    "r_ear": (0.47, -0.24), "neck": (0.22, 0.16),
    "withers": (0.0, 0.0), "back": (-0.35, 0.04), "tail_base": (-0.72, 0.06),
    "tail_end": (-0.85, 0.45),
}  # fmt: skip
#: Of each leg: where its top is, and its points with the length of what leads to them.
LEGS = {
    "lf": ((0.05, 0.30), {"l_elbow": 0.02, "l_knee": 0.28, "lf_fetlock": 0.22, "lf_hoof": 0.10}),
    "rf": ((0.05, 0.30), {"r_elbow": 0.02, "r_knee": 0.28, "rf_fetlock": 0.22, "rf_hoof": 0.10}),
    "lh": ((-0.62, 0.24), {"l_hip": 0.02, "l_hock": 0.36, "lh_fetlock": 0.22, "lh_hoof": 0.10}),
    "rh": ((-0.62, 0.24), {"r_hip": 0.02, "r_hock": 0.36, "rh_fetlock": 0.22, "rh_hoof": 0.10}),
}
#: When each leg starts its stride, shares of it (Hildebrand 1965: lateral sequence walk; diagonal trot).
PHASES = {
    "walk": {"lh": 0.0, "lf": 0.25, "rh": 0.5, "rf": 0.75},
    "trot": {"lh": 0.0, "rf": 0.02, "rh": 0.5, "lf": 0.52},
}
STRIDE = {"walk": 1.1, "trot": 0.7}


def true_points(
    times: np.ndarray,
    gait: str = "trot",
    length: float = 150.0,
    start: float = 100.0,
    speed: float | None = None,
    height: float = 200.0,
    side: float = 8.0,
    phase: float = 0.0,
) -> np.ndarray:
    """[T, K, 2] pixels of a horse that goes to the right (``speed`` body lengths a second; negative: to the left)."""
    stride = STRIDE[gait]
    speed = {"walk": 0.7, "trot": 1.5}[gait] if speed is None else speed
    looks = 1.0 if speed >= 0 else -1.0
    points = np.zeros((len(times), len(HORSE), 2))
    turn = 2 * np.pi * (times / stride + phase)
    bob = 0.03 * np.sin(2 * turn)
    for name, (x, y) in BODY.items():
        points[:, HORSE.index[name]] = np.stack([np.full_like(bob, x), y + bob * (1.0 if x < 0.2 else 1.4)], axis=-1)
    for leg, ((x, y), parts) in LEGS.items():
        cycle = turn - 2 * np.pi * PHASES[gait][leg]
        swing = 0.42 * np.sin(cycle)
        # the leg folds while it swings forward
        fold = 0.9 * np.clip(np.cos(cycle), 0, None) ** 2
        at = np.stack([np.full_like(bob, x), y + bob], axis=-1)
        for n, (name, bone) in enumerate(parts.items()):
            angle = swing - fold * (n >= 2) * (1.0 if leg.endswith("f") else 0.8) + 0.3 * fold * (n < 2)
            at = at + bone * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
            points[:, HORSE.index[name]] = at
    # the far side lies a little higher and ahead
    far = np.array([k.side == ("right" if looks < 0 else "left") for k in HORSE.keypoints])
    points[..., 0] *= looks
    points = points * length + np.array([start, height])
    points[..., 0] += (speed * length * times)[:, None]
    points[:, far] += np.array([looks * side / 2, -side / 2])
    return points


def frame_times(count: int, fps: float = 25.0) -> np.ndarray:
    return np.arange(count) / fps


def seen(
    truth: np.ndarray,
    times: np.ndarray,
    noise: float = 1.5,
    seed: int = 0,
    outliers: float = 0.0,
    missing: float = 0.0,
    size: tuple[int, int] = (1280, 480),
) -> Tracks:
    """What a model says of points [T, A, K, 2]: noise in pixels, shares of outliers and of points that are missed."""
    rng = np.random.default_rng(seed)
    raw = truth + rng.normal(0, noise, truth.shape)
    confidence = rng.beta(12, 1.5, truth.shape[:3])
    wild = rng.random(truth.shape[:3]) < outliers
    raw[wild] += rng.normal(0, 40, (wild.sum(), 2))
    confidence[wild] = rng.beta(2, 4, wild.sum())
    gone = rng.random(truth.shape[:3]) < missing
    confidence[gone] = rng.beta(1, 9, gone.sum())
    raw[gone] += rng.normal(0, 40, (gone.sum(), 2))
    return Tracks.of(HORSE.names, times, raw, confidence, size=size, source="moving.mp4")


def same(a: Tracks, b: Tracks) -> bool:
    """Whether two tracks are equal to the last bit."""
    fields = ("times", "points", "confidence", "raw", "changed", "spread")
    alike = all(np.array_equal(getattr(a, f), getattr(b, f), equal_nan=f != "changed") for f in fields)
    return alike and all(getattr(a, f) == getattr(b, f) for f in ("keypoints", "individuals", "size", "source"))


def with_swaps(
    tracks: Tracks, seed: int = 0, share: float = 0.06, longest: int = 12, kinds: tuple[str, ...] = ("fore", "hind")
) -> tuple[Tracks, np.ndarray]:
    """The same with limbs exchanged for some frames, and which: bool [T, A, K]."""
    rng = np.random.default_rng(seed)
    parts = {
        "fore": ("elbow", "knee", "f_fetlock", "f_hoof"),
        "hind": ("hip", "hock", "h_fetlock", "h_hoof"),
        "whole": ("",),
    }
    planted = np.zeros(tracks.confidence.shape, dtype=bool)
    for a in range(len(tracks.individuals)):
        for kind in kinds:
            columns = [
                k
                for k, point in enumerate(HORSE.keypoints)
                if point.swap and any(part in point.name for part in parts[kind])
            ]
            done = 0
            while done < share * len(tracks) / len(kinds):
                length = int(rng.integers(1, longest + 1))
                start = int(rng.integers(1, len(tracks) - length - 1))
                planted[start : start + length, a, columns] = True
                done += length
    mirror = HORSE.flip_indices
    raw = np.where(planted[..., None], tracks.raw[:, :, mirror], tracks.raw)
    confidence = np.where(planted, tracks.confidence[:, :, mirror], tracks.confidence)
    return Tracks.of(HORSE.names, tracks.times, raw, confidence, size=tracks.size), planted
