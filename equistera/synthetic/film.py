"""Videos of moving horses with everything that is true of them: for checking what is measured from videos."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from equistera import skeleton
from equistera.files import write_json
from equistera.progress import track
from equistera.synthetic import anatomy, backdrop, coat, film_options, labels, photo, shading
from equistera.synthetic.camera import Camera, look_at
from equistera.synthetic.horse import Horse
from equistera.synthetic.motion import GAITS, LEGS, Motion, make_motion
from equistera.synthetic.renderer import rasterize
from equistera.synthetic.workers import rendered
from equistera.tracks import files
from equistera.tracks.tracks import Tracks
from equistera.video_writer import VideoWriter

#: Keypoints whose height over the ground, metres, the truth tells for each frame.
HEIGHTS = ("nose", "withers", "tail_base")
#: Share of the picture's width that a horse takes where the camera follows it, and at least and at most where it stands
#: still and shows most of the way.
_FOLLOWED, _STILL = (0.42, 0.55), (0.12, 0.35)
#: Metres between the lines on which two horses pass each other.
_APART = (1.2, 2.2)
#: Grain of the sensor, which is another one in each frame; levels of 255.
_GRAIN = 2.5


@dataclass(frozen=True)
class Film:
    """What a video shows; drawn by :func:`sample_film`.

    Attributes:
        name: Of its files.
        motions: The horses' ways of going.
        gaits: Their names.
        headings: +1 goes right, -1 left, for each horse.
        starts: [A, 2], x and y in metres at time 0.
        pans: Whether the camera turns after the first horse.
        camera: Where it stands and how it sees at time 0.
        seed: Of what is not of the horses.
        fps: Frames a second.
        seconds: Length.
    """

    name: str
    motions: tuple[Motion, ...]
    gaits: tuple[str, ...]
    headings: tuple[int, ...]
    starts: np.ndarray
    pans: bool
    camera: Camera
    seed: int
    fps: int
    seconds: float

    @property
    def times(self) -> np.ndarray:
        """Of the frames, seconds."""
        return np.arange(round(self.seconds * self.fps)) / self.fps

    def horses(self, time: float) -> list[Horse]:
        """All of them at a time, placed in the world."""
        result = []
        for motion, heading, (x, y) in zip(self.motions, self.headings, self.starts, strict=True):
            horse = motion.horse(time)
            result.append(horse.moved(0.0 if heading > 0 else np.pi, np.array([x, y, 0.0])))
        return result

    def view(self, time: float) -> Camera:
        """The camera at a time."""
        if not self.pans:
            return self.camera
        x = self.starts[0][0] + self.headings[0] * self.motions[0].speed * time
        target = np.array([x, self.starts[0][1], 0.8])
        size = self.camera.width, self.camera.height
        return look_at(self.camera.position, target, 0.0, self.camera.focal, size)


def sample_film(
    seed: int,
    number: int,
    *,
    gait: str = "mixed",
    animals: int = 1,
    seconds: float = 8.0,
    fps: int = 25,
    size: tuple[int, int] = (640, 480),
    asymmetry: Mapping[str, float] | None = None,
    pans: bool | None = None,
) -> Film:
    """Draws what a video shows.

    Args:
        seed: Of the set of videos.
        number: Of the video in it.
        gait: ``walk``, ``trot``, ``canter`` or ``mixed``.
        animals: 1, or 2 that cross.
        seconds: Length.
        fps: Frames a second.
        size: Width and height, pixels.
        asymmetry: MinDiff of ``motion.PARTS``, body lengths; at the trot only.
        pans: Whether the camera follows; by default it does with one animal, and stands still with two.

    Raises:
        UserError: Such a video cannot be made.
    """
    film_options.check_film(
        gait=gait, animals=animals, seconds=seconds, fps=fps, size=size, asymmetry=asymmetry, seed=seed
    )
    rng = np.random.default_rng([seed, 3, number])
    name = list(GAITS)[number % len(GAITS)] if gait == "mixed" else gait
    pans = animals == 1 if pans is None else pans
    builds = [name for name in anatomy.BUILDS if name != "foal"]
    motions = tuple(
        make_motion(rng, anatomy.sample_build(rng, str(rng.choice(builds))), name, asymmetry) for _ in range(animals)
    )
    side = int(rng.choice([-1, 1]))
    headings = (side, -side)[:animals]
    # they meet in the middle of the video
    starts = np.array(
        [
            [-heading * motion.speed * seconds / 2, apart]
            for heading, motion, apart in zip(headings, motions, (0.0, rng.uniform(*_APART)), strict=False)
        ]
    )
    focal = rng.uniform(1.0, 1.6) * size[0]
    # horses are half as long again as they are high
    length = 1.5 * motions[0].build.height
    share = rng.uniform(*_FOLLOWED)
    if not pans:
        share = float(np.clip(length / (length + 0.9 * motions[0].speed * seconds), *_STILL))
    distance = length * focal / (share * size[0])
    position = np.array([rng.uniform(-0.15, 0.15) * distance, -distance, rng.uniform(1.2, 1.8)])
    camera = look_at(position, np.array([0.0, 0.0, 0.8]), 0.0, focal, size)
    label = f"{name}{'_crossing' if animals > 1 else ''}_{number:03d}"
    return Film(
        label, motions, (name,) * animals, headings, starts, pans, camera, int(rng.integers(2**31)), fps, seconds
    )


def files_of(film: Film, out: Path) -> list[Path]:
    """What :func:`write_film` writes: the video, its table and what comes with that, and what else is true."""
    return [
        out / f"{film.name}.mp4",
        *files.files_of(out, f"{film.name}.truth", "csv"),
        out / f"{film.name}.truth.json",
    ]


def write_film(film: Film, out: Path, workers: int | None = None, title: str = "") -> list[Path]:
    """Renders a video and writes what is true of it.

    Args:
        film: What it shows.
        out: Folder.
        workers: Processes, which change no byte; one for each processor by default.
        title: What progress is called; the film's name by default.

    Returns:
        ``NAME.mp4``, ``NAME.truth.csv`` (a table of tracks; points outside the picture are NaN, and hidden ones have
        confidence 0.5) and ``NAME.truth.json`` (gait, speed, stride, footfalls, symmetry at the trot, heights of points
        over the ground in metres, body length in metres, by animal).

    Raises:
        WriteError: A file cannot be written.
    """
    paths = files_of(film, out)
    names = skeleton.load(skeleton.DEFAULT).names
    shape = (len(film.times), len(film.motions), len(names))
    points, sure = np.full((*shape, 2), np.nan), np.full(shape, np.nan)
    heights = np.zeros((*shape[:2], len(HEIGHTS)))
    writer = VideoWriter(paths[0], Fraction(film.fps), (film.camera.width, film.camera.height))
    try:
        frames = rendered(_frame, range(len(film.times)), workers, prepare=_prepare, given=(film,))
        for t, (picture, height, found) in enumerate(track(frames, title or film.name, len(film.times), "frames")):
            writer.write(picture, Fraction(t, film.fps))
            heights[t] = height
            for a, keypoints in enumerate(found):
                inside = keypoints[:, 2] > 0
                points[t, a, inside] = keypoints[inside, :2]
                sure[t, a, inside] = np.where(keypoints[inside, 2] == labels.VISIBLE, 1.0, 0.5)
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    size = (film.camera.width, film.camera.height)
    truth = Tracks.of(names, film.times, points, sure, size=size, source=paths[0].name)
    files.write(truth, paths[1], "csv")
    write_json(paths[-1], _truth(film, truth.individuals, heights), indent=1)
    return paths


def _truth(film: Film, individuals: Sequence[str], heights: np.ndarray) -> dict:
    animals = {}
    for a, name in enumerate(individuals):
        motion = film.motions[a]
        falls = motion.footfalls(film.seconds)
        animals[name] = {
            "gait": film.gaits[a],
            "speed": motion.speed,
            "stride": motion.period,
            "duty_factor": motion.going.gait.stance,
            "stride_length": motion.speed * motion.period,
            "body_length": motion.body_length,
            "footfalls": {f"{leg}_hoof": fall for leg, fall in zip(LEGS, falls, strict=True)},
            "symmetry": _symmetry(motion, film.seconds) if motion.going.even else None,
            "heights": {point: heights[:, a, h].round(5).tolist() for h, point in enumerate(HEIGHTS)},
        }
    return {"fps": film.fps, "times": film.times.tolist(), "pans": film.pans, "animals": animals}


def _symmetry(motion: Motion, seconds: float) -> dict:
    """What was set and what the points without noise show, in body lengths, of each stride of the left fore leg."""
    left = motion.footfalls(seconds + motion.period)[0]
    strides = [(down, after) for (down, _), (after, _) in itertools.pairwise(left) if after <= seconds]
    parts = {
        part: {
            "set": motion.asymmetry.get(part, 0.0),
            "MinDiff": [lowest] * len(strides),
            "MaxDiff": [highest] * len(strides),
        }
        for part, (lowest, highest) in motion.differences().items()
    }
    return {"positive": film_options.POSITIVE, "strides": strides, **parts}


@dataclass(frozen=True)
class _Scene:
    """What all frames of a film share.

    Attributes:
        film: The film.
        light: Light of the day.
        place: Where it is.
        develop: Seed of how the camera turns light into pictures.
        still: The place as a camera that stands still sees it; None where it pans.
    """

    film: Film
    light: shading.Light
    place: backdrop.Backdrop
    develop: int
    still: tuple[np.ndarray, np.ndarray] | None


#: The scene of the film that this process renders.
_scene: _Scene | None = None


def _prepare(film: Film) -> None:
    """Makes the scene of :func:`_frame`, in each process that renders."""
    global _scene
    rng = np.random.default_rng(film.seed)
    toward = float(np.arctan2(film.camera.position[1], film.camera.position[0]))
    light = shading.sample_light(rng, toward)
    middle = film.view(film.seconds / 2)
    place = backdrop.sample_backdrop(rng, middle, 2.0 * float(np.linalg.norm(film.camera.position[:2])))
    develop = int(rng.integers(2**31))
    _scene = _Scene(film, light, place, develop, None if film.pans else _ground(place, film.camera))


def _frame(t: int) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """One frame: the picture RGB, heights [A, H] of :data:`HEIGHTS`, and keypoints [26, 3] of each horse.

    The latter are as :func:`labels.label_keypoints` gives them.
    """
    scene = _scene
    if scene is None:
        raise RuntimeError("a frame before its scene")
    film, time = scene.film, float(scene.film.times[t])
    horses, camera = film.horses(time), film.view(time)
    painted, ground = scene.still or _ground(scene.place, camera)
    picture, found = _drawn(painted.copy(), ground, horses, camera, scene.light)
    picture = photo.develop(np.random.default_rng(scene.develop), picture).astype(np.float32)
    grain = np.random.default_rng([film.seed, t]).standard_normal(picture.shape[:2], dtype=np.float32)
    picture += _GRAIN * grain[..., None]
    heights = np.array([[horse.keypoints[name][2] for name in HEIGHTS] for horse in horses])
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8), heights, found


def _ground(place: backdrop.Backdrop, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """The place without horses, and how much of each pixel is ground."""
    painted, ground = backdrop.paint(place, camera)
    return painted.astype(np.float32), cv2.GaussianBlur(ground.astype(np.float32), (0, 0), 1)


def _drawn(
    picture: np.ndarray, ground: np.ndarray, horses: list[Horse], camera: Camera, light: shading.Light
) -> tuple[np.ndarray, list[np.ndarray]]:
    shadow = shading.ground_shadow([horse.mesh for horse in horses], light, camera)
    picture *= (1 + ground * (np.float32(light.brightness) * (1 - np.float32(0.55) * shadow) - 1))[..., None]
    depth = np.full(picture.shape[:2], np.inf)
    for horse in horses:
        fragments = rasterize(horse.mesh, camera)
        if not len(fragments.pixel):
            continue
        nearer = fragments.depth < depth.ravel()[fragments.pixel]
        part = fragments.nearest(horse.mesh.part)
        color = coat.paint(horse.coat, part, fragments.of(horse.rest), fragments.of(horse.mesh.uv))
        lit = shading.shade(horse.mesh, fragments, color, horse.coat, light, camera)
        picture.reshape(-1, 3)[fragments.pixel[nearer]] = lit[nearer]
        depth.ravel()[fragments.pixel[nearer]] = fragments.depth[nearer]
    picture *= np.float32(light.brightness**-0.7)
    found = [
        labels.label_keypoints(horse.keypoints, camera, depth, labels.tolerance_unit(horse.build)) for horse in horses
    ]
    return picture, found
