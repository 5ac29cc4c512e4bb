"""A drawing of a horse with numbered keypoints and what to click on for each: the sheet beside the labelling screen."""

from __future__ import annotations

import functools
import textwrap
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from equistera.skeleton import Skeleton
from equistera.synthetic import anatomy, coat, labels, photo, shading
from equistera.synthetic.camera import Camera, look_at
from equistera.synthetic.horse import Horse, make_horse
from equistera.synthetic.pose import Pose
from equistera.synthetic.renderer import rasterize

#: Pixels of the horse's picture, of a number's disc, of the text and of its column.
_SIZE, _RADIUS, _FONT, _COLUMN = (960, 800), 12, 15, 500
_PAPER, _INK = (255, 255, 255), (20, 20, 20)
#: Distance that numbers keep from each other and from points, pixels, and rounds of pushing them apart.
_APART, _ROUNDS = 30, 200
_QUALITY = 70


@functools.lru_cache(maxsize=1)
def _scene() -> tuple[Horse, Camera]:
    """A standing horse from its left and front, all four legs apart."""
    legs = np.zeros((4, 5))
    legs[:, :2] = [[-13, 0], [13, 0], [0, -14], [0, 15]]
    pose = Pose(legs=legs, neck_pitch=-8.0, head_pitch=8.0, tail_lift=22.0)
    horse = make_horse(np.random.default_rng(0), anatomy.BUILDS["warmblood"], pose)
    plain = replace(
        horse.coat, base=np.array([176.0, 158, 138]), hair=np.array([120.0, 104, 90]), points=0.25, gloss=0.1
    )
    plain = replace(plain, socks=np.zeros(4), blaze=0.0, pinto=0.0, dapples=0.0)
    points = horse.mesh.vertices
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    around, distance = np.radians(64), 9.0
    eye = middle + np.array([distance * np.cos(around), distance * np.sin(around), 1.1])
    camera = look_at(eye, middle, 0.0, 2.95 * _SIZE[0], _SIZE)
    return replace(horse, coat=plain), camera


def positions(skeleton: Skeleton) -> np.ndarray:
    """Where a skeleton's points are on the drawing.

    Args:
        skeleton: Any; a point without an exact counterpart in ``horse26`` goes to the middle of those it is linked to.

    Returns:
        float64 [K, 2], fractions of the drawing's sides; no two points in one place.
    """
    horse, camera = _scene()
    found = labels.convert(_labelled(horse, camera, np.full(camera_shape(camera), np.inf)), skeleton)
    at = np.where(found[:, 2:] > 0, found[:, :2] / _SIZE, np.nan)
    for k in np.flatnonzero(np.isnan(at[:, 0])):
        linked = [b if a == k else a for a, b in skeleton.link_indices.tolist() if k in (a, b)]
        known = at[[other for other in linked if not np.isnan(at[other, 0])]]
        # apart from others in the same middle; those without any on a line below
        turn = 2.4 * k
        aside = 0.03 * np.array([np.cos(turn), np.sin(turn)])
        at[k] = known.mean(axis=0) + aside if len(known) else [(k + 1) / (len(skeleton) + 1), 0.97]
    return np.clip(at, 0.02, 0.98)


def camera_shape(camera: Camera) -> tuple[int, int]:
    """Rows and columns of a camera's picture."""
    return camera.height, camera.width


def draw_chart(skeleton: Skeleton) -> np.ndarray:
    """Draws the horse with a number at each point, and lists names and descriptions beside it.

    Args:
        skeleton: The points; those that the drawn horse lacks are only listed.

    Returns:
        uint8 RGB.
    """
    horse, camera = _scene()
    picture, depth = _rendered(horse, camera)
    points = labels.convert(_labelled(horse, camera, depth), skeleton)
    font = ImageFont.load_default(_FONT)
    lines = _lines(skeleton, points)
    height = max(_SIZE[1], 24 + 19 * len(lines))
    sheet = Image.new("RGB", (_SIZE[0] + _COLUMN, height), _PAPER)
    sheet.paste(Image.fromarray(picture), (0, (height - _SIZE[1]) // 2))
    draw = ImageDraw.Draw(sheet)
    points[:, 1] += (height - _SIZE[1]) // 2
    shown = np.flatnonzero(points[:, 2])
    places = np.clip(_spread(points[shown, :2]), _RADIUS + 2, np.array([_SIZE[0], height]) - _RADIUS - 2)
    for k, (x, y) in zip(shown, places, strict=True):
        px, py, seen = points[k]
        color = skeleton.keypoints[k].color
        draw.line([(px, py), (x, y)], fill=_INK, width=2)
        draw.ellipse(_disc(px, py, 5), fill=color if seen == labels.VISIBLE else _PAPER, outline=_INK, width=2)
        draw.ellipse(_disc(x, y, _RADIUS), fill=color, outline=_INK, width=2)
        draw.text((x, y), str(k + 1), fill=_INK, font=font, anchor="mm")
    for row, line in enumerate(lines):
        draw.text((_SIZE[0], 12 + 19 * row), line, fill=_INK, font=font)
    return np.asarray(sheet)


def encode_chart(skeleton: Skeleton) -> bytes:
    """:func:`draw_chart` as the content of a JPEG file."""
    return photo.encode(draw_chart(skeleton), _QUALITY)


def _labelled(horse: Horse, camera: Camera, depth: np.ndarray) -> np.ndarray:
    return labels.label_keypoints(horse.keypoints, camera, depth, labels.tolerance_unit(horse.build))


def _rendered(horse: Horse, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """The horse on white paper, uint8 RGB, and the depth of every pixel."""
    fragments = rasterize(horse.mesh, camera)
    color = coat.paint(
        horse.coat, fragments.nearest(horse.mesh.part), fragments.of(horse.rest), fragments.of(horse.mesh.uv)
    )
    light = shading.Light(
        np.array([0.35, 0.65, 0.67]), np.full(3, 0.75), np.full(3, 0.75), np.full(3, 0.3), hardness=0.2
    )
    picture = np.full((*camera_shape(camera), 3), 255, np.float32)
    depth = np.full(camera_shape(camera), np.inf)
    picture.reshape(-1, 3)[fragments.pixel] = shading.shade(horse.mesh, fragments, color, horse.coat, light, camera)
    depth.ravel()[fragments.pixel] = fragments.depth
    # pale: the numbers are what is looked at
    pale = 255 - (255 - cv2.GaussianBlur(picture, (0, 0), 0.7)) * np.float32(0.75)
    return cv2.convertScaleAbs(pale), depth


def _lines(skeleton: Skeleton, points: np.ndarray) -> list[str]:
    lines = [
        f"{skeleton.name}: {len(skeleton)} points. Left and right are the animal's own;",
        "hollow: hidden behind the body",
        "",
    ]
    for k, keypoint in enumerate(skeleton.keypoints):
        text = f"{k + 1}  {keypoint.name}" + f": {keypoint.description}" * bool(keypoint.description)
        text += " (not on the drawing)" * (not points[k, 2])
        lines += textwrap.wrap(text, 66, subsequent_indent="      ")
    return lines


def _spread(points: np.ndarray) -> np.ndarray:
    """Places for the numbers of points, near them, clear of other points and numbers; [K, 2] pixels."""
    outwards = points - points.mean(axis=0)
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1.0)
    places = points + _APART * outwards
    for _ in range(_ROUNDS):
        others = np.concatenate([places, points])
        away = places[:, None] - others[None]
        distance = np.maximum(np.linalg.norm(away, axis=2), 1e-3)
        push = np.where(distance < _APART, (_APART - distance) / 2, 0.0)
        np.fill_diagonal(push, 0.0)
        places = places + (away / distance[..., None] * push[..., None]).sum(axis=1)
    return places


def _disc(x: float, y: float, radius: float) -> list[float]:
    return [x - radius, y - radius, x + radius, y + radius]
