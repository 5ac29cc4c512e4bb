"""One horse in the world: drawn, posed and placed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equistera.synthetic import anatomy, body, gaits, hair, kinematics, rotation
from equistera.synthetic.anatomy import Build
from equistera.synthetic.coat import Coat, sample_coat
from equistera.synthetic.mesh import Mesh, join
from equistera.synthetic.pose import Pose


@dataclass(frozen=True)
class Horse:
    """A horse ready to be drawn.

    Attributes:
        build: Its proportions.
        pose: Its pose.
        coat: Its looks.
        mesh: Body and hair, world.
        rest: [V, 3], where each vertex is on the standard horse at rest; NaN for hair.
        keypoints: [3] by name of the skeleton ``horse26``, world.
    """

    build: Build
    pose: Pose
    coat: Coat
    mesh: Mesh
    rest: np.ndarray
    keypoints: dict[str, np.ndarray]

    def moved(self, heading: float, place: np.ndarray) -> Horse:
        """The horse turned by ``heading`` radians to the left and then moved by ``place`` [3]."""
        turn = rotation.yaw(heading)
        points = {name: turn @ point + place for name, point in self.keypoints.items()}
        return Horse(self.build, self.pose, self.coat, self.mesh.moved(turn, place), self.rest, points)


def make_horse(rng: np.random.Generator, build: Build, pose: Pose) -> Horse:
    """Builds a horse that looks along x with its lowest hoof at the height that the pose wants.

    Args:
        rng: Random numbers for hair and coat.
        build: Proportions.
        pose: Pose.
    """
    frames = kinematics.forward(build, pose)
    skin = body.build_body(build, pose, frames)
    hairs, tail_end = hair.grow(rng, build, pose, frames, skin)
    height = pose.height
    if height is None:
        height = pose.lift * build.height - (skin.mesh.vertices @ frames.body.T)[:, 2].min()
    shift = np.array([0.0, 0.0, height])
    points = {**skin.keypoints, "tail_end": tail_end}
    return Horse(
        build=build,
        pose=pose,
        coat=sample_coat(rng, build),
        mesh=join([skin.mesh, hairs]).moved(frames.body, shift),
        rest=np.concatenate([body.rest_places(), np.full((len(hairs.vertices), 3), np.nan, np.float32)]),
        keypoints={name: frames.body @ point + shift for name, point in points.items()},
    )


def sample_horse(rng: np.random.Generator, build: str | None = None, gait: str | None = None) -> Horse:
    """Draws a horse: build, pose, coat, hair."""
    proportions = anatomy.sample_build(rng, build)
    return make_horse(rng, proportions, gaits.sample_pose(rng, proportions, gait))
