"""Light on a horse and the shadow it throws."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from equistera.synthetic.camera import NEAR, Camera
from equistera.synthetic.coat import Coat
from equistera.synthetic.mesh import Mesh
from equistera.synthetic.renderer import Fragments, silhouette


@dataclass(frozen=True)
class Light:
    """Sun (or lamp) and sky.

    Attributes:
        direction: [3], unit, to the sun.
        sun: [3], RGB strength of the direct light.
        sky: [3], RGB strength of the light from above.
        ground: [3], RGB strength of the light thrown back by the ground.
        hardness: 0 overcast, no clear shadow; 1 clear sky.
    """

    direction: np.ndarray
    sun: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    hardness: float

    @property
    def brightness(self) -> float:
        """Of a level surface, as the eye (not the light meter) sees it; about 1."""
        return float((self.sun.mean() * self.direction[2] + self.sky.mean()) ** (1 / 2.2))


def sample_light(rng: np.random.Generator, toward_camera: float) -> Light:
    """Draws the light of a day.

    Args:
        rng: Random numbers.
        toward_camera: Direction from the horse to the camera, radians; the sun stands there more often than not, as
            photographers like it.
    """
    around = toward_camera + rng.normal(0, 1.1)
    height = np.radians(rng.uniform(18, 72))
    direction = np.array([np.cos(around) * np.cos(height), np.sin(around) * np.cos(height), np.sin(height)])
    hardness = float(rng.choice([rng.uniform(0, 0.3), rng.uniform(0.5, 1.0)], p=[0.4, 0.6]))
    warmth = rng.uniform(-0.02, 0.10) + 0.06 * (height < 0.5)
    sun = np.array([1 + warmth, 1.0, 1 - warmth]) * (0.35 + 1.05 * hardness)
    sky = np.array([0.95, 0.99, 1.05]) * (1.0 - 0.42 * hardness)
    ground = np.array([1.0, 0.97, 0.85]) * rng.uniform(0.18, 0.32)
    return Light(direction, sun, sky, ground, hardness)


def shade(mesh: Mesh, fragments: Fragments, color: np.ndarray, coat: Coat, light: Light, camera: Camera) -> np.ndarray:
    """Lights the pixels of a horse.

    Args:
        mesh: The horse.
        fragments: Where it is in the picture.
        color: [N, 3], sRGB 0-255 without light.
        coat: For its gloss.
        light: The light.
        camera: The camera.

    Returns:
        float32 [N, 3], sRGB 0-255, not clipped.
    """
    normals, shut_in = _smooth(fragments, fragments.of(mesh.normals), camera)
    # a coat scatters a little light around the edge of the shade
    sun = np.clip((normals @ light.direction.astype(np.float32) + 0.15) / 1.15, 0, 1) * shut_in
    up = 0.5 + 0.5 * normals[:, 2]
    # the direction to the camera hardly changes over a horse
    halfway = camera.position - mesh.vertices.mean(axis=0)
    halfway = halfway / np.linalg.norm(halfway) + light.direction
    halfway /= np.linalg.norm(halfway)
    gloss = coat.gloss * np.clip(normals @ halfway.astype(np.float32), 0, 1) ** 18 * sun
    sun_color, sky, ground = (part.astype(np.float32) for part in (light.sun, light.sky, light.ground))
    ambient = up[:, None] * sky + (1 - up)[:, None] * ground
    strength = sun[:, None] * sun_color + ambient * (0.35 + 0.65 * shut_in[:, None])
    linear = np.power(color / 255, np.float32(2.2)) * strength + 0.5 * gloss[:, None] * sun_color
    return 255 * np.power(linear, np.float32(1 / 2.2))


def _smooth(fragments: Fragments, normals: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Rounds off the seams between limbs and trunk, and finds places that are shut in (0 dark, 1 open).

    Seams: normals are averaged over neighbours of about the same depth. Shut in: what lies deeper than its
    surroundings gets less light (unsharp masking of the depth buffer: Luft, Colditz and Deussen, SIGGRAPH 2006).
    """
    shape = camera.height, camera.width
    scale = camera.focal / float(np.median(fragments.depth))
    rows, columns = np.divmod(fragments.pixel, camera.width)
    box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    covered = np.zeros(shape, np.float32)
    covered.ravel()[fragments.pixel] = 1
    deep = np.zeros(shape, np.float32)
    deep.ravel()[fragments.pixel] = fragments.depth
    layer = np.zeros((*shape, 3), np.float32)
    layer.reshape(-1, 3)[fragments.pixel] = normals
    covered, deep, layer = covered[box], deep[box], layer[box]
    radius = max(1.0, 0.022 * scale)
    weight = cv2.GaussianBlur(covered, (0, 0), radius) + 1e-6
    around = cv2.GaussianBlur(deep, (0, 0), radius) / weight
    blurred = cv2.GaussianBlur(layer, (0, 0), radius * 0.8) / weight[..., None]
    wide_size = round(radius * 8) | 1
    # nothing is mixed across an edge between near and far
    step = np.abs(around - deep)
    same = np.exp(-((step / 0.035) ** 2))[..., None] * 0.85
    mixed = layer * (1 - same) + blurred * same
    wide = cv2.blur(covered, (wide_size, wide_size)) + 1e-6
    wide_around = cv2.blur(deep, (wide_size, wide_size)) / wide
    shut_in = 1 - 0.75 * np.clip((deep - wide_around) / 0.22, 0, 1) * np.clip(wide * 1.3, 0, 1)
    place = (rows - rows.min(), columns - columns.min())
    mixed, shut_in = mixed[place], shut_in[place]
    return mixed / np.sqrt(np.einsum("nk,nk->n", mixed, mixed) + 1e-9)[:, None], shut_in


def ground_shadow(meshes: list[Mesh], light: Light, camera: Camera) -> np.ndarray:
    """Share of direct light that horses take from the ground.

    Args:
        meshes: The horses.
        light: The light.
        camera: The camera.

    Returns:
        float32 [H, W], 0 no shadow, 1 all shadow, soft under an overcast sky; only meant for pixels of the ground.
    """
    small = camera.scaled(0.5)
    total = np.zeros((small.height, small.width), np.float32)
    overhead = np.array([0.0, 0.0, 1.0])
    for mesh in meshes:
        # the sun's own shadow, and the shade that a body makes under itself in any light
        for direction, strength in ((light.direction, light.hardness), (overhead, 0.45)):
            if strength < 0.05:
                continue
            flat = mesh.vertices - direction * (mesh.vertices[:, 2] / direction[2])[:, None]
            points, depth = small.project(flat)
            points[depth <= NEAR] = np.nan
            mask = silhouette(points, mesh.faces[::2], (small.width, small.height)).astype(np.float32)
            scale = small.focal / max(NEAR, float(np.median(depth)))
            blur = max(0.6, scale * (0.10 if direction is overhead else 0.012 + 0.06 * (1 - light.hardness)))
            total = np.maximum(total, strength * cv2.GaussianBlur(mask, (0, 0), blur))
    return np.clip(cv2.resize(total, (camera.width, camera.height), interpolation=cv2.INTER_LINEAR), 0, 1)
