"""Things in front of the animal: patches (some of other samples' pictures), rails and posts, people.

An occluder teaches a model to infer what it cannot see, so the keypoints under it stay labelled. Rails and people
are made of capsules, lit from one side; sizes are shares of the crop's longer side.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from equistera.crops.decoding import ToPhoto
from equistera.crops.store import DecodedCrops

#: Gives a piece of another sample's picture, BGR uint8 [h, w, 3] of any size.
Texture = Callable[[np.random.Generator], np.ndarray]

#: Animals whose pictures serve as textures, and the longer side that is kept of each: 7 MB in a process at most.
ANIMALS, _SIDE = 64, 192
#: OpenCV draws at 1/2**SHIFT of a pixel.
_SHIFT = 4
#: Brightness and relative radius of the bands that make a capsule look round, from the shaded rim to the lit ridge.
_BRIGHTNESS, _RELATIVE_RADIUS = np.array([[0.62, 1.0], [0.76, 0.86], [0.88, 0.7], [0.97, 0.5], [1.04, 0.28]]).T
#: Directions of the points of a capsule's round end.
_HALF_TURN = np.linspace(-np.pi / 2, np.pi / 2, 9)
#: Paint, wood and galvanised steel, BGR.
_RAILS = ((232, 236, 238), (200, 206, 208), (58, 88, 122), (84, 118, 150), (128, 130, 132), (52, 56, 60), (70, 96, 60))
#: Skin tones, BGR.
_SKIN = ((170, 198, 232), (134, 170, 214), (96, 134, 184), (58, 88, 130), (38, 56, 84))


def occlude(image: np.ndarray, rng: np.random.Generator, texture: Texture | None = None) -> tuple[np.ndarray, str]:
    """Puts something in front; without a ``texture`` no patch is made of another picture.

    Returns:
        A changed copy of ``image``, BGR uint8 [H, W, 3], and the name of what it shows: a key of :data:`OCCLUDERS`.
    """
    names = [name for name in OCCLUDERS if texture is not None or name != "texture"]
    name = names[rng.integers(len(names))]
    image = image.copy()
    OCCLUDERS[name](image, rng, texture)
    return image, name


def _noise(image: np.ndarray, rng: np.random.Generator, texture: Texture | None) -> None:
    _patch(image, rng, lambda h, w: np.frombuffer(rng.bytes(h * w * 3), np.uint8).reshape(h, w, 3))


def _flat(image: np.ndarray, rng: np.random.Generator, texture: Texture | None) -> None:
    _patch(image, rng, lambda h, w: np.full((h, w, 3), rng.integers(0, 256, 3), np.uint8))


def _texture(image: np.ndarray, rng: np.random.Generator, texture: Texture) -> None:
    _patch(image, rng, lambda h, w: cv2.resize(texture(rng), (w, h), interpolation=cv2.INTER_LINEAR))


def _patch(image: np.ndarray, rng: np.random.Generator, fill: Callable[[int, int], np.ndarray]) -> None:
    """A turned rectangle or an ellipse of 10 to 35 % of the picture's sides."""
    height, width = image.shape[:2]
    center = rng.uniform(0.1, 0.9, 2) * (width, height)
    size = rng.uniform(0.1, 0.35, 2) * (width, height)
    angle, is_box = rng.uniform(0, 180), rng.random() < 0.5
    if is_box:
        outline = cv2.boxPoints((center.tolist(), size.tolist(), angle))
    else:
        turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        outline = np.column_stack([np.cos(turn), np.sin(turn)]) * size / 2 @ [[cos, sin], [-sin, cos]] + center
    mask = np.zeros((height, width), np.uint8)
    _polygon(mask, outline, 255)
    x, y, w, h = cv2.boundingRect(mask)
    share = mask[y : y + h, x : x + w].astype(np.float32) / 255
    there = image[y : y + h, x : x + w]
    there[:] = cv2.blendLinear(fill(h, w), np.ascontiguousarray(there), share, 1 - share)


def _rail(image: np.ndarray, rng: np.random.Generator, texture: Texture | None) -> None:
    """One or two rails of a fence, or a post: bars across the whole picture."""
    height, width = image.shape[:2]
    side = max(height, width)
    tilt, upright = np.radians(rng.uniform(-14, 14)), rng.random() < 0.3
    radius = rng.uniform(0.015, 0.045) * side
    offsets = rng.uniform(-0.35, 0.35) * side + np.array([0, rng.uniform(0.14, 0.3) * side])
    count = 1 if upright else int(rng.integers(1, 3))
    color = _varied(rng, _RAILS)
    along = np.array([np.cos(tilt), np.sin(tilt)])[:: -1 if upright else 1]
    across = np.array([-along[1], along[0]])
    light = -across if across[1] > 0 else across
    for offset in offsets[:count]:
        middle = np.array([width, height]) / 2 + across * offset
        _capsule(image, middle - along * side, middle + along * side, radius, radius, color, light)


def _person(image: np.ndarray, rng: np.random.Generator, texture: Texture | None) -> None:
    """Somebody who stands in front, such as a handler: the feet may lie below the lower edge."""
    height, width = image.shape[:2]
    tall = rng.uniform(0.6, 1.0) * max(height, width)
    feet = np.array([rng.uniform(0.1, 0.9) * width, rng.uniform(0.85, 1.25) * height])
    head = feet - (0, 0.94 * tall)
    skin = _varied(rng, _SKIN)
    # clothes: half grey, so that not everybody wears neon
    top, trousers = rng.uniform(30, 220) / 2 + rng.uniform(0, 120, 3), rng.uniform(20, 130) / 2 + rng.uniform(0, 60, 3)
    light = np.array([rng.choice([-0.8, 0.8]), -0.6])
    lean, spread = rng.uniform(-0.02, 0.02), rng.uniform(0.02, 0.06)
    elbows, hands = rng.uniform(-0.02, 0.08, 2), rng.uniform((-0.1, 0.0), (0.12, 0.1), (2, 2))

    def at(x: float, y: float) -> np.ndarray:
        """A point of the body: x to the right of and y below the head's middle, shares of the body's height."""
        return head + np.array([x + lean * y * 4, y]) * tall

    def limb(a: tuple[float, float], b: tuple[float, float], start: float, end: float, color: np.ndarray) -> None:
        _capsule(image, at(*a), at(*b), start * tall, end * tall, color, light)

    for sign in (-1, 1):
        hip, knee, foot = (sign * 0.045, 0.42), (sign * (0.045 + spread / 2), 0.66), (sign * (0.05 + spread), 0.92)
        limb(hip, knee, 0.055, 0.042, trousers)
        limb(knee, foot, 0.042, 0.028, trousers)
        limb((foot[0], 0.93), (foot[0] + sign * 0.03, 0.94), 0.026, 0.02, np.array([34, 36, 40]))
    limb((0, 0.05), (0, 0.12), 0.032, 0.032, skin)
    limb((0, 0.19), (0, 0.4), 0.098, 0.075, top)
    for sign, out, (swing, lift) in zip((-1, 1), elbows, hands, strict=True):
        shoulder, elbow = (sign * 0.105, 0.155), (sign * (0.14 + out), 0.3)
        hand = (elbow[0] + sign * swing, 0.43 - lift)
        limb(elbow, hand, 0.03, 0.022, skin)
        limb(shoulder, elbow, 0.036, 0.032, top)
    limb((0, -0.012), (0, 0.015), 0.05, 0.044, skin)
    limb((0, -0.03), (0, -0.022), 0.053, 0.05, rng.uniform(15, 120) * np.array([0.55, 0.75, 1.0]))


#: What can stand in front, each as likely as the others. Takes the picture (changed in place), generator, texture.
OCCLUDERS = {"noise": _noise, "flat": _flat, "texture": _texture, "rail": _rail, "person": _person}


def _capsule(
    image: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    radius_a: float,
    radius_b: float,
    color: np.ndarray,
    light: np.ndarray,
) -> None:
    """A limb from ``a`` to ``b``, rounded and shaded, in place; ``light`` points to where it is lit from."""
    turn = np.arctan2(*(b - a)[::-1]) + np.concatenate([np.pi + _HALF_TURN, _HALF_TURN])
    rim = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    sizes = _RELATIVE_RADIUS[:, None, None]
    radius = np.repeat([radius_a, radius_b], len(_HALF_TURN))[:, None]
    outlines = np.repeat([a, b], len(_HALF_TURN), axis=0) + (rim * sizes + light * (1 - sizes) * 0.45) * radius
    colors = np.clip(color * _BRIGHTNESS[:, None], 0, 255).tolist()
    for outline, shade in zip(outlines, colors, strict=True):
        _polygon(image, outline, shade)


def _polygon(image: np.ndarray, outline: np.ndarray, color: float | list[float]) -> None:
    fixed = np.rint(outline * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(image, fixed, color, cv2.LINE_AA, _SHIFT)


def _varied(rng: np.random.Generator, palette: tuple[tuple[int, int, int], ...]) -> np.ndarray:
    return np.array(palette[rng.integers(len(palette))]) * rng.uniform(0.75, 1.1)


class Textures:
    """Draws pieces of the pictures of some animals, which are read once, when first asked for, and kept small.

    Which animals serve follows from the seed, and which piece is drawn from the generator alone: every process draws
    the same, whatever it has drawn before.

    Args:
        crops: Of the animals of a data set.
        seed: Chooses those that serve.
    """

    def __init__(self, crops: DecodedCrops, seed: int):
        self._crops = crops
        self._chosen = np.random.default_rng(seed).permutation(len(crops))[:ANIMALS].tolist()
        self._pictures: dict[int, np.ndarray] = {}

    def draw(self, rng: np.random.Generator, avoid: str) -> np.ndarray:
        """A piece of some animal's picture.

        Args:
            rng: The sample's generator.
            avoid: Path of the sample's own picture, which serves only where there is no other.

        Returns:
            BGR uint8 [h, w, 3]: 30 to 60 % of the sides of a box of an animal.

        Raises:
            UserError: The picture cannot be decoded.
        """
        first = int(rng.integers(len(self._chosen)))
        places = self._chosen[first:] + self._chosen[:first]
        animals = self._crops.request.animals
        place = next((place for place in places if animals[place].path != avoid), places[0])
        if place not in self._pictures:
            self._pictures[place] = self._read(place)
        picture = self._pictures[place]
        height, width = np.ceil(picture.shape[:2] * rng.uniform(0.3, 0.6, 2)).astype(int)
        y, x = (rng.integers(0, side - size + 1) for side, size in zip(picture.shape, (height, width), strict=False))
        return picture[y : y + height, x : x + width]

    def _read(self, place: int) -> np.ndarray:
        """An animal's box, at most ``_SIDE`` pixels long."""
        picture, to_photo = self._crops[place]
        piece = _part(picture, to_photo, self._crops.request.animals[place].box)
        shrink = min(1.0, _SIDE / max(piece.shape[:2]))
        size = max(1, round(piece.shape[1] * shrink)), max(1, round(piece.shape[0] * shrink))
        return cv2.resize(piece, size, interpolation=cv2.INTER_AREA)


def _part(picture: np.ndarray, to_photo: ToPhoto, box: np.ndarray) -> np.ndarray:
    """What a picture shows of a box in its photo, at least a pixel of it."""
    slices = []
    for (scale, offset), start, end, side in zip(to_photo, box[:2], box[2:], picture.shape[1::-1], strict=True):
        # edges of pixels, not their middles
        edge = offset - (scale - 1) / 2
        first = int(np.clip((start - edge) / scale, 0, side - 1))
        slices.append(slice(first, int(np.clip(np.ceil((end - edge) / scale), first + 1, side))))
    return picture[slices[1], slices[0]]
