"""What is behind and under the horses: ground, sky, trees or a stable wall."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from equistera.synthetic import noise
from equistera.synthetic.camera import Camera

#: Two colours that the ground is mixed of, and how rough it is; sRGB.
GROUNDS = {
    "grass": ((74, 98, 42), (132, 150, 74), 1.0),
    "dry grass": ((132, 120, 72), (178, 164, 104), 1.0),
    "sand": ((172, 150, 116), (206, 186, 150), 0.45),
    "earth": ((98, 78, 60), (140, 116, 92), 0.7),
    "gravel": ((128, 124, 118), (168, 164, 156), 0.8),
}
GROUND_WEIGHTS = {"grass": 0.44, "dry grass": 0.12, "sand": 0.22, "earth": 0.13, "gravel": 0.09}
WALLS = {
    "planks": ((104, 74, 48), (154, 116, 80)),
    "dark planks": ((54, 44, 38), (86, 70, 58)),
    "bricks": ((134, 74, 56), (168, 104, 80)),
    "blocks": ((138, 134, 126), (176, 172, 164)),
    "plaster": ((188, 180, 164), (222, 216, 204)),
}
_DARK = np.array([26, 23, 21], np.float32)


@dataclass(frozen=True)
class Backdrop:
    """One place; drawn by :func:`sample_backdrop`.

    Attributes:
        ground: Key of ``GROUNDS``.
        wall: Key of ``WALLS``, or empty for open country.
        wall_distance: Metres from the camera to the wall, along ``wall_normal``.
        wall_normal: [3], unit, horizontal, from the camera to the wall.
        wall_height: Metres.
        trees: Height of the trees at the horizon, as the tangent of an elevation; 0 for none.
        haze: 0-1, how far distant things take the colour of the sky.
        clouds: 0 clear to 1 overcast.
        shift: [2], where in the noise this place lies.
        tint: [2, 3], variation of the colours of ground and wall.
    """

    ground: str
    wall: str
    wall_distance: float
    wall_normal: np.ndarray
    wall_height: float
    trees: float
    haze: float
    clouds: float
    shift: np.ndarray
    tint: np.ndarray


def sample_backdrop(rng: np.random.Generator, camera: Camera, behind: float) -> Backdrop:
    """Draws a place.

    Args:
        rng: Random numbers.
        camera: The camera.
        behind: Depth in metres that the wall has to keep clear of.
    """
    wall = str(rng.choice(list(WALLS))) if rng.random() < 0.3 else ""
    forward = camera.axes[2] * [1, 1, 0]
    forward /= np.linalg.norm(forward)
    turn = rng.uniform(-0.3, 0.3)
    cosine, sine = np.cos(turn), np.sin(turn)
    normal = np.array([cosine * forward[0] - sine * forward[1], sine * forward[0] + cosine * forward[1], 0.0])
    return Backdrop(
        ground=str(rng.choice(list(GROUND_WEIGHTS), p=list(GROUND_WEIGHTS.values()))),
        wall=wall,
        wall_distance=behind + rng.uniform(0.8, 5.0),
        wall_normal=normal,
        wall_height=rng.uniform(2.6, 4.5),
        trees=float(rng.uniform(0.02, 0.32)) if rng.random() < 0.8 else 0.0,
        haze=rng.uniform(0.05, 0.5),
        clouds=rng.uniform(0, 1),
        shift=rng.uniform(0, 512, 2),
        tint=rng.uniform(0.88, 1.12, (2, 1)) * rng.uniform(0.97, 1.03, (2, 3)),
    )


def paint(backdrop: Backdrop, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Paints the place.

    Returns:
        float32 [H, W, 3], sRGB 0-255, and bool [H, W]: where ground is seen.
    """
    rays = camera.rays()
    elevation = rays[..., 2] / np.sqrt(rays[..., 0] ** 2 + rays[..., 1] ** 2)
    ground = elevation < -1e-3
    picture = np.empty(rays.shape, np.float32)
    haze = _horizon_color(backdrop)
    # only rows that hold some of it are painted
    rows = _rows_with(~ground)
    picture[rows] = _sky(backdrop, rays[rows], elevation[rows])
    if backdrop.trees:
        rows = _rows_with((elevation < 1.3 * backdrop.trees + 0.1) & (elevation > -0.03))
        _plant_trees(picture[rows], backdrop, camera, elevation[rows], haze)
    to_ground = np.full(ground.shape, np.inf, np.float32)
    if ground.any():
        rows = _rows_with(ground)
        to_ground[ground] = -np.float32(camera.position[2]) / rays[..., 2][ground]
        painted = _ground(backdrop, camera, rays[rows], to_ground[rows], haze)
        np.copyto(picture[rows], painted, where=ground[rows, :, None])
    if backdrop.wall:
        ground &= ~_build_wall(picture, backdrop, camera, rays, to_ground)
    return picture, ground


def _rows_with(mask: np.ndarray) -> slice:
    """The rows from the first to the last that hold a True."""
    rows = np.flatnonzero(mask.any(axis=1))
    return slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)


def _tile(texture: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Samples a tileable texture at [H, W] places given in cells."""
    size = texture.shape[0]
    if u.size == 0:
        return np.empty(u.shape, np.float32)
    u, v = (axis - np.floor(axis * np.float32(1 / size)) * np.float32(size) for axis in (u, v))
    return cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _horizon_color(backdrop: Backdrop) -> np.ndarray:
    grey = np.float32(backdrop.clouds**2)
    return np.array([204, 218, 230], np.float32) * (1 - grey) + np.array([214, 216, 218], np.float32) * grey


def _sky(backdrop: Backdrop, rays: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    height = np.clip(elevation / 0.7, 0, 1)[..., None]
    grey = np.float32(backdrop.clouds**2)
    zenith = np.array([84, 140, 206], np.float32) * (1 - grey) + np.array([172, 178, 186], np.float32) * grey
    low = _horizon_color(backdrop)
    sky = low + (zenith - low) * np.sqrt(height)
    reach = 60 / np.maximum(elevation, np.float32(0.03))
    shift = backdrop.shift.astype(np.float32)
    cover = _tile(noise.clouds(1.7), rays[..., 0] * reach + shift[0], rays[..., 1] * reach + shift[1])
    cloudy = np.float32(backdrop.clouds)
    share = np.clip((cover + 2.2 * cloudy - np.float32(1.3)) * np.float32(0.7), 0, 0.9) * np.clip(elevation * 8, 0, 1)
    white = 246 - 26 * np.clip(cover[..., None], -1, 2) * cloudy
    return sky + (white - sky) * share[..., None]


def _columns(camera: Camera) -> np.ndarray:
    """float32 [W], direction of every column, radians."""
    forward = np.arctan2(camera.axes[2, 1], camera.axes[2, 0])
    return (forward - np.arctan((np.arange(camera.width) - camera.center[0]) / camera.focal)).astype(np.float32)


def _plant_trees(
    picture: np.ndarray, backdrop: Backdrop, camera: Camera, elevation: np.ndarray, haze: np.ndarray
) -> None:
    around = np.broadcast_to(_columns(camera), elevation.shape)
    shift = backdrop.shift.astype(np.float32)
    leaves = _tile(noise.clouds(1.0, number=1), around * 420 + shift[0], elevation * 420 + shift[1])
    # far woods first, nearer and darker ones over them
    for number, (height, fade, dark) in enumerate(((0.6, backdrop.haze, 1.0), (1.0, 0.5 * backdrop.haze, 0.75))):
        row = np.full_like(around[:1], shift[0] + 97 * number)
        crowns = _tile(noise.clouds(1.6, number=2), around[:1] * 60 + shift[1], row)
        top = backdrop.trees * height * (0.75 + 0.35 * crowns) + 0.012 * leaves
        inside = (elevation > -0.02) & (elevation < top.astype(np.float32))
        green = np.array([66, 84, 48], np.float32) * backdrop.tint[0].astype(np.float32) * dark
        color = green * (1 + 0.32 * leaves[inside])[:, None]
        picture[inside] = np.clip(color + (haze - color) * fade, 0, 255)


def _ground(backdrop: Backdrop, camera: Camera, rays: np.ndarray, distance: np.ndarray, haze: np.ndarray) -> np.ndarray:
    reach = np.minimum(distance, np.float32(400))
    x, y = (np.float32(camera.position[k]) + reach * rays[..., k] for k in (0, 1))
    dark, light, rough = GROUNDS[backdrop.ground]
    pixel = reach / np.float32(camera.focal)
    shift = backdrop.shift.astype(np.float32)
    value = np.zeros(reach.shape, np.float32)
    for number, (cell, strength, exponent) in enumerate(
        ((0.12, 0.55, 1.5), (0.02, 0.5 * rough, 1.0), (0.006, 0.6 * rough, 0.7))
    ):
        # a detail smaller than a pixel fades to its mean
        shown = np.clip(1.6 * cell / pixel - np.float32(0.15), 0, 1) * np.float32(strength)
        texture = noise.clouds(exponent, number=3 + number)
        value += shown * _tile(texture, x * (1 / cell) + shift[0], y * (1 / cell) + shift[1])
    share = np.clip(0.5 + 0.28 * value, -0.15, 1.2)
    fade = np.float32(backdrop.haze) * (1 - np.exp(reach * np.float32(-1 / 90)))
    tint = backdrop.tint[0].astype(np.float32)
    dark, light = np.array(dark, np.float32) * tint, np.array(light, np.float32) * tint
    # dark + (light - dark) * share, mixed with the haze, channel by channel without temporaries of three channels
    channels = [(dark[k] + (light[k] - dark[k]) * share) * (1 - fade) + haze[k] * fade for k in range(3)]
    return cv2.merge(channels)


def _build_wall(
    picture: np.ndarray, backdrop: Backdrop, camera: Camera, rays: np.ndarray, to_ground: np.ndarray
) -> np.ndarray:
    """Paints the wall over what is behind it and returns where it stands, bool [H, W]."""
    approach = rays @ backdrop.wall_normal.astype(np.float32)
    distance = np.float32(backdrop.wall_distance) / np.maximum(approach, np.float32(1e-3))
    z = np.float32(camera.position[2]) + distance * rays[..., 2]
    inside = (approach > 0.02) & (distance < to_ground) & (z < backdrop.wall_height)
    along_axis = np.array([-backdrop.wall_normal[1], backdrop.wall_normal[0], 0.0])
    along = distance * (rays @ along_axis.astype(np.float32)) + np.float32(backdrop.shift[0])
    stain = _tile(noise.clouds(1.4, number=6), along * 60, z * 40)[inside]
    along, z, distance = along[inside], z[inside], distance[inside]
    if not inside.any():
        return inside
    dark, light = (np.array(color, np.float32) for color in WALLS[backdrop.wall])
    unit, seam = _pattern(backdrop.wall, along, z)
    color = dark + (light - dark) * np.clip(0.5 + 0.3 * unit + 0.22 * stain, 0, 1)[:, None]
    seam_shown = np.clip(0.02 * camera.focal / distance, 0, 1)
    color *= (1 - 0.45 * seam * seam_shown)[:, None] * backdrop.tint[1].astype(np.float32)
    # stable doors: the upper half open to the dark, a frame around
    at, row = np.mod(along, 3.8), z
    opening = (at < 1.15) & (row > 1.25) & (row < 2.25)
    door = (at < 1.15) & (row <= 1.25)
    frame = (at < 1.25) & (row < 2.35) & ~opening & ~door
    color = np.where(opening[:, None], _DARK * (1 + 0.3 * stain[:, None]), color)
    color = np.where(door[:, None], color * np.float32(0.72), color)
    color = np.where(frame[:, None], color * np.float32(0.5), color)
    # dirt and shade near the ground and under the roof
    color *= (1 - 0.22 * np.exp(-z / 0.25) - 0.35 * np.exp((z - backdrop.wall_height) / 0.35))[:, None]
    picture[inside] = np.clip(color, 0, 255)
    return inside


def _pattern(wall: str, along: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shade of the plank or brick a place belongs to (-1 to 1), and 1 on its seams."""
    if wall == "plaster":
        return np.zeros_like(along), np.zeros_like(along)
    if "planks" in wall:
        place = along / 0.18
        number = np.floor(place)
        seam = (place - number) < 0.08
    else:
        width, height = (0.24, 0.08) if wall == "bricks" else (0.50, 0.22)
        row = np.floor(z / height)
        place = along / width + 0.5 * np.mod(row, 2)
        number = np.floor(place) + 57 * row
        seam = ((place - np.floor(place)) < 0.05) | ((z / height - row) < 0.12)
    # a cheap hash gives every plank or brick its own shade
    shade = np.mod(np.sin(number * 12.9898) * 43758.547, 2.0) - 1
    return shade.astype(np.float32), seam.astype(np.float32)
