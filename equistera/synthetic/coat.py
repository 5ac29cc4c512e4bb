"""Colours of a horse: base coat, points, white marks, hair, hooves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equistera.synthetic import anatomy, noise
from equistera.synthetic.anatomy import Build
from equistera.synthetic.body import PART

#: Base coat, hair, and share of black on the legs; sRGB 0-255 ranges (dark to light).
COLORS = {
    "bay": ((88, 48, 26), (142, 84, 46), (22, 18, 16), 1.0),
    "dark bay": ((46, 29, 20), (76, 46, 28), (18, 15, 14), 1.0),
    "chestnut": ((104, 58, 34), (156, 94, 56), None, 0.0),
    "flaxen chestnut": ((112, 66, 40), (156, 98, 60), (205, 180, 135), 0.0),
    "black": ((24, 22, 23), (44, 39, 38), (16, 15, 16), 0.0),
    "grey": ((150, 148, 146), (226, 224, 220), (190, 188, 184), 0.0),
    "dapple grey": ((105, 106, 110), (160, 160, 163), (150, 150, 152), 0.35),
    "palomino": ((182, 132, 70), (214, 170, 104), (236, 225, 200), 0.0),
    "buckskin": ((178, 138, 84), (208, 168, 112), (26, 21, 18), 0.95),
    "dun": ((150, 122, 88), (182, 152, 114), (40, 32, 26), 0.7),
}
COLOR_WEIGHTS = {
    "bay": 0.25, "dark bay": 0.10, "chestnut": 0.18, "flaxen chestnut": 0.06, "black": 0.10, "grey": 0.11,
    "dapple grey": 0.06, "palomino": 0.06, "buckskin": 0.05, "dun": 0.03,
}  # fmt: skip
_WHITE, _SKIN_DARK, _SKIN_PINK = np.array([232, 228, 222.0]), np.array([48, 42, 42.0]), np.array([205, 160, 150.0])


@dataclass(frozen=True)
class Coat:
    """Looks of one horse; colours are sRGB 0-255.

    Attributes:
        name: Key of ``COLORS``.
        base: [3].
        hair: [3].
        points: 0-1, how black legs and muzzle are.
        socks: [4], height of the white on each leg, in heights at the withers; 0 for none.
        blaze: Half width of the white on the face, in head lengths; 0 for none.
        pinto: Share of the body that is white.
        dapples: Strength of the dapples.
        offset: [3], where in the noise this horse's patterns lie.
        dark_hooves: Whether hooves without a sock are dark.
        gloss: Strength of the sheen.
    """

    name: str
    base: np.ndarray
    hair: np.ndarray
    points: float
    socks: np.ndarray
    blaze: float
    pinto: float
    dapples: float
    offset: np.ndarray
    dark_hooves: bool
    gloss: float


def sample_coat(rng: np.random.Generator, build: Build) -> Coat:
    """Draws the looks of a horse."""
    name = str(rng.choice(list(COLOR_WEIGHTS), p=list(COLOR_WEIGHTS.values())))
    dark, light, hair, points = COLORS[name]
    base = np.array(dark) + rng.random() * (np.array(light, float) - np.array(dark))
    base = base * rng.uniform(0.9, 1.1)
    hair = base * rng.uniform(0.7, 1.1) if hair is None else np.array(hair) * rng.uniform(0.8, 1.15)
    # feathers mostly come with high white legs
    socks = np.where(rng.random(4) < (0.75 if build.feather else 0.32), rng.choice([0.09, 0.14, 0.20, 0.27], 4), 0.0)
    return Coat(
        name=name,
        base=np.clip(base, 0, 240),
        hair=np.clip(hair, 0, 245),
        points=points,
        socks=socks,
        blaze=float(rng.uniform(0.03, 0.14)) if rng.random() < 0.4 else 0.0,
        pinto=float(rng.uniform(0.25, 0.6)) if rng.random() < 0.12 and "grey" not in name else 0.0,
        dapples=1.0 if name == "dapple grey" else float(rng.uniform(0, 0.25)) * (rng.random() < 0.3),
        offset=rng.uniform(0, 48, 3),
        dark_hooves=bool(rng.random() < 0.7),
        gloss=float(rng.uniform(0.05, 0.35)),
    )


def paint(coat: Coat, part: np.ndarray, rest: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Colours pixels of a horse before light falls on them.

    Args:
        coat: The looks.
        part: [N], ``body.PART`` numbers.
        rest: [N, 3], place on the standard horse at rest; NaN for hair.
        uv: [N, 2], place on the tube.

    Returns:
        float32 [N, 3], sRGB 0-255.
    """
    volume, offset = noise.volume(), coat.offset.astype(np.float32)
    color = np.tile(coat.base.astype(np.float32), (len(part), 1))
    hair = np.isnan(rest[:, 0])
    skin = np.flatnonzero(~hair)
    place, own = rest[skin], part[skin]
    z = place[:, 2]
    tint = color[skin]
    # lighter belly and inside of the legs, darker back: what countershading does to most coats
    tint *= (1 + 0.10 * np.clip((0.75 - z) / 0.3, -1, 1))[:, None]
    coarse = noise.at(volume, place * 22 + offset)
    tint *= (1 + 0.05 * coarse)[:, None]
    if coat.dapples:
        spots = noise.at(volume, place * 60 + offset)
        where = np.clip((z - 0.40) / 0.15, 0, 1) * ((own == PART["trunk"]) | (own >= PART["lf_leg"]))
        tint *= (1 + 0.16 * coat.dapples * where * np.tanh(1.5 * spots))[:, None]
    if coat.points:
        legs = np.clip((0.40 - z) / 0.12 + 0.2 * coarse, 0, 1) * (own >= PART["lf_leg"]) * (own <= PART["rh_hoof"])
        tint = _mix(tint, coat.hair, coat.points * 0.92 * legs)
    if coat.pinto:
        threshold = np.quantile(volume, 1 - coat.pinto)
        patches = noise.at(volume, place * 9 + offset[::-1])
        on_body = own != PART["head"]
        tint = _mix(tint, _WHITE, _step(patches - threshold, 0.05) * on_body)
    for leg, sock in zip(anatomy.LEGS, coat.socks, strict=True):
        if sock:
            height = sock * (1 + 0.18 * coarse)
            mine = (own == PART[f"{leg}_leg"]) | (own == PART[f"{leg}_hoof"])
            tint = _mix(tint, _WHITE, mine * _step(height - z, 0.008))
    tint = _paint_head(coat, tint, own, place, coarse)
    hooves = (own >= PART["lf_hoof"]) & (own <= PART["rh_hoof"])
    for leg, sock in zip(anatomy.LEGS, coat.socks, strict=True):
        pale = sock > 0 or not coat.dark_hooves
        horn = np.array([172, 150, 122.0]) if pale else np.array([52, 46, 42.0])
        tint = np.where((hooves & (own == PART[f"{leg}_hoof"]))[:, None], horn * (0.85 + 0.1 * coarse[:, None]), tint)
    tint = np.where((own == PART["eyes"])[:, None], np.array([14.0, 10, 9]), tint)
    color[skin] = tint
    # streaks along every lock, and every lock a little lighter or darker than the next
    along, around = uv[hair].T
    strand = noise.at(volume, np.stack([along * 3, around * 40, part[hair] * 7.0], axis=1))
    lock = np.modf(np.sin(np.floor(around) * 12.9898) * 43758.547)[0]
    feather = (part[hair] == PART["feather"]) & (coat.socks.max() > 0)
    color[hair] = np.where(feather[:, None], _WHITE, coat.hair) * (1 + 0.14 * strand + 0.16 * lock)[:, None]
    return np.clip(color, 0, 255)


def _paint_head(coat: Coat, tint: np.ndarray, own: np.ndarray, place: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """White on the face and the bare skin of the muzzle; the head at rest looks along ``HEAD_ANGLE_DEG``."""
    head = own == PART["head"]
    angle = np.radians(anatomy.HEAD_ANGLE_DEG)
    start = np.array([0.735, 1.21])
    dx, dz = place[:, 0] - start[0], place[:, 2] - start[1]
    along = (dx * np.cos(angle) + dz * np.sin(angle)) / anatomy.HEAD_LENGTH
    up = (-dx * np.sin(angle) + dz * np.cos(angle)) / anatomy.HEAD_LENGTH
    across = place[:, 1] / anatomy.HEAD_LENGTH
    muzzle = _step(along - 0.86 - 0.02 * coarse, 0.08) * head
    tint = _mix(tint, _SKIN_DARK, muzzle * (0.35 + 0.5 * (coat.points > 0)))
    if coat.blaze:
        width = coat.blaze * (1 + 0.25 * coarse)
        face = head * (up > -0.02) * _step(along - 0.10, 0.05) * _step(0.95 - along, 0.05)
        tint = _mix(tint, _WHITE, face * _step(width - np.abs(across), 0.02))
        tint = _mix(tint, _SKIN_PINK, head * 0.6 * _step(along - 0.93, 0.03) * _step(width - np.abs(across), 0.02))
    nostril = np.hypot((along - 0.935) / 0.030, (up + 0.045) / 0.026) < 1
    return _mix(tint, np.array([18.0, 14, 14]), head * nostril * (np.abs(across) > 0.03) * 0.9)


def _mix(color: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    return color + (np.asarray(other, np.float32) - color) * share.astype(np.float32)[:, None]


def _step(value: np.ndarray, softness: float) -> np.ndarray:
    """0 below zero, 1 above, over a width of twice ``softness``."""
    return np.clip(0.5 + value / (2 * softness), 0, 1)
