"""From a seed to a photograph of one or two horses, with labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from equistera.synthetic import SPLITS, backdrop, coat, labels, occluders, photo, photo_backdrop, shading
from equistera.synthetic.camera import Camera
from equistera.synthetic.framing import frame, place_horses
from equistera.synthetic.horse import Horse
from equistera.synthetic.labels import Label
from equistera.synthetic.renderer import rasterize

#: Picture sizes and how often each is drawn where the user names none.
SIZES = ((640, 480), (800, 600), (960, 720), (1280, 960))
SIZE_WEIGHTS = (0.62, 0.18, 0.12, 0.08)

#: A horse of which less can be seen than this share of its silhouette, or of the frame, is not worth a label.
MIN_SEEN, MIN_FRAME = 0.25, 0.004
#: Share of the light that a full shadow takes from the ground.
SHADE = np.float32(0.55)
#: Power of the day's brightness that the photographer's exposure makes up for.
EXPOSURE = 0.7
#: Scenes that are thrown away before giving up; in practice one or two.
MAX_TRIES = 50


@dataclass(frozen=True)
class Sample:
    """One picture of a data set.

    Attributes:
        jpeg: Content of the picture's file.
        width: Pixels.
        height: Pixels.
        labels: One for each horse.
    """

    jpeg: bytes
    width: int
    height: int
    labels: tuple[Label, ...]


def generator(seed: int, split: str, index: int) -> np.random.Generator:
    """The random numbers of one picture: the same whichever process draws it, different for every picture."""
    return np.random.default_rng([seed, SPLITS.index(split), index])


def make_sample(
    seed: int,
    split: str,
    index: int,
    size: tuple[int, int] | None = None,
    fill: float | None = None,
    backdrops: Sequence[Path] = (),
) -> Sample:
    """Makes one picture.

    Args:
        seed: Of the data set, not negative.
        split: ``train``, ``val`` or ``test``.
        index: Number of the picture in its split.
        size: Width and height; drawn from ``SIZES`` by default.
        fill: As for :func:`equistera.synthetic.framing.frame`.
        backdrops: Photos to stand before; a drawn place by default.

    Returns:
        The picture and its labels.
    """
    rng = generator(seed, split, index)
    size = size or SIZES[int(rng.choice(len(SIZES), p=SIZE_WEIGHTS))]
    for _ in range(MAX_TRIES):
        picture, found = _scene(rng, size, fill, backdrops)
        if found:
            break
    else:
        raise RuntimeError(f"no scene with a visible horse in {MAX_TRIES} tries (seed {seed}, {split} {index})")
    jpeg = photo.encode(photo.develop(rng, picture), int(rng.integers(62, 96)))
    return Sample(jpeg, size[0], size[1], found)


def _scene(
    rng: np.random.Generator, size: tuple[int, int], fill: float | None, backdrops: Sequence[Path]
) -> tuple[np.ndarray, tuple[Label, ...]]:
    """Draws and renders a scene; no labels where a horse can hardly be seen."""
    horses = place_horses(rng)
    camera = frame(rng, horses, size, fill)
    depths = [camera.project(horse.mesh.vertices)[1] for horse in horses]
    nearest, farthest = min(d.min() for d in depths), max(d.max() for d in depths)
    to_camera = camera.position - horses[0].mesh.vertices.mean(axis=0)
    light = shading.sample_light(rng, float(np.arctan2(to_camera[1], to_camera[0])))
    if backdrops:
        picture, depth = _photographed(rng, camera, horses, light, backdrops)
    else:
        picture, depth = _background(rng, camera, horses, light, nearest, farthest)
    whole, owner = [], np.full(depth.shape, -1)
    for number, horse in enumerate(horses):
        fragments = rasterize(horse.mesh, camera)
        whole.append(fragments.pixel)
        if len(fragments.pixel) == 0:
            return picture, ()
        nearer = fragments.depth < depth.ravel()[fragments.pixel]
        part = fragments.nearest(horse.mesh.part)
        color = coat.paint(horse.coat, part, fragments.of(horse.rest), fragments.of(horse.mesh.uv))
        lit = shading.shade(horse.mesh, fragments, color, horse.coat, light, camera)
        picture.reshape(-1, 3)[fragments.pixel[nearer]] = lit[nearer]
        depth.ravel()[fragments.pixel[nearer]] = fragments.depth[nearer]
        owner.ravel()[fragments.pixel[nearer]] = number
    before = depth.copy()
    _foreground(rng, camera, picture, depth, nearest, light.brightness)
    owner[depth < before] = -1
    # the photographer's exposure makes up for most of a bright or dull day
    picture *= np.float32(light.brightness**-EXPOSURE)
    found = tuple(
        _label(horse, camera, depth, pixels, int((owner == number).sum()))
        for number, (horse, pixels) in enumerate(zip(horses, whole, strict=True))
    )
    least = MIN_FRAME * size[0] * size[1] if fill is None else 0
    seen = all(
        label.visible_area > max(MIN_SEEN * label.silhouette_area, least)
        and (label.keypoints[:, 2] == labels.VISIBLE).sum() >= 5
        for label in found
    )
    return picture, found if seen else ()


def _label(horse: Horse, camera: Camera, depth: np.ndarray, pixels: np.ndarray, visible: int) -> Label:
    rows, columns = np.divmod(pixels, camera.width)
    left, top = int(columns.min()), int(rows.min())
    bbox = (left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1)
    keypoints = labels.label_keypoints(horse.keypoints, camera, depth, labels.tolerance_unit(horse.build))
    return Label(keypoints, bbox, len(pixels), visible)


def _photographed(
    rng: np.random.Generator, camera: Camera, horses: list[Horse], light: shading.Light, photos: Sequence[Path]
) -> tuple[np.ndarray, np.ndarray]:
    """A photo, exposed as it is, with the horses' shadows on a level ground."""
    picture = photo_backdrop.paint(rng, photos, (camera.width, camera.height)) * np.float32(light.brightness**EXPOSURE)
    shadow = np.where(
        camera.rays()[..., 2] < 0, shading.ground_shadow([horse.mesh for horse in horses], light, camera), 0
    )
    picture *= (1 - SHADE * shadow.astype(np.float32))[..., None]
    return picture, np.full(picture.shape[:2], np.inf)


def _background(
    rng: np.random.Generator,
    camera: Camera,
    horses: list[Horse],
    light: shading.Light,
    nearest: float,
    farthest: float,
) -> tuple[np.ndarray, np.ndarray]:
    place = backdrop.sample_backdrop(rng, camera, farthest)
    # what is far away is out of focus, and so need not be painted in full resolution
    coarse = camera.scaled(rng.uniform(0.45, 0.75) * min(1.0, 800 / camera.width))
    painted, on_ground = backdrop.paint(place, coarse)
    full = camera.width, camera.height
    picture = cv2.resize(painted, full, interpolation=cv2.INTER_LINEAR)
    ground = cv2.resize(on_ground.astype(np.float32), full, interpolation=cv2.INTER_LINEAR)
    colors = np.array(backdrop.GROUNDS[place.ground][:2], float) * place.tint[0]
    bright = light.brightness
    depth = np.full(picture.shape[:2], np.inf)
    if "grass" in place.ground:
        occluders.grass(rng, camera, picture, colors, max(1.0, 0.5 * nearest), 1.6 * farthest, 900)
    shadow = shading.ground_shadow([horse.mesh for horse in horses], light, camera)
    lit = 1 + ground * (np.float32(bright) * (1 - SHADE * shadow) - 1)
    picture = cv2.multiply(picture, cv2.merge([lit] * 3))
    if not place.wall and rng.random() < 0.4:
        occluders.fence(rng, camera, farthest + rng.uniform(0.5, 6.0), picture, depth, bright)
        # a fence behind the horses hides nothing
        depth[:] = np.inf
    return picture, depth


def _foreground(
    rng: np.random.Generator,
    camera: Camera,
    picture: np.ndarray,
    depth: np.ndarray,
    nearest: float,
    light: float,
) -> None:
    if nearest < 1.5:
        return
    kind = rng.random()
    distance = nearest * rng.uniform(0.6, 0.92)
    if kind < 0.11:
        occluders.fence(rng, camera, distance, picture, depth, light)
    elif kind < 0.16:
        occluders.post(rng, camera, distance, picture, depth, light)
    elif kind < 0.25:
        occluders.foliage(rng, picture, depth, 0.5 * nearest, light)
