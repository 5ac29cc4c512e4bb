"""The horse at rest: joints, outlines and proportions of every build.

All numbers are fractions of the height at the withers of an adult riding horse that stands square and looks ahead,
in its sagittal plane (x forward, z up, the origin on the ground below the middle of the trunk). They were drawn after
the textbook proportions of the horse (body length = height at the withers, girth depth a little less than half of it,
head 0.4, elbow 0.55, carpus 0.3, hock 0.36 above ground) and adjusted by eye on rendered pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

#: Height of the elbow: what is below scales with the legs, what is above with the trunk.
ELBOW_HEIGHT = 0.55

LEGS = ("lf", "rf", "lh", "rh")
#: +1 left, -1 right, in the order of LEGS.
LEG_SIDES = np.array([1.0, -1.0, 1.0, -1.0])

#: Joints of a fore leg from the upper end of the shoulder blade to the coronet, x, y (outwards), z.
FORE_JOINTS = np.array(
    [
        [0.235, 0.060, 0.930],  # upper end of the shoulder blade
        [0.410, 0.105, 0.690],  # point of the shoulder
        [0.290, 0.106, 0.575],  # elbow
        [0.305, 0.094, 0.300],  # knee (carpus)
        [0.300, 0.092, 0.118],  # fetlock
        [0.338, 0.094, 0.056],  # coronet
    ]
)
#: Joints of a hind leg from the point of the hip to the coronet.
HIND_JOINTS = np.array(
    [
        [-0.255, 0.085, 0.905],  # point of the hip
        [-0.360, 0.096, 0.790],  # hip joint
        [-0.240, 0.122, 0.590],  # stifle
        [-0.470, 0.100, 0.355],  # hock
        [-0.450, 0.096, 0.122],  # fetlock
        [-0.412, 0.098, 0.056],  # coronet
    ]
)
#: Surface of a leg: bone, place on it (0 upper, 1 lower joint), reach to the front, to the rear, to either side.
FORE_SECTIONS = np.array(
    [
        [0, 0.00, 0.030, 0.030, 0.008],
        [0, 0.15, 0.060, 0.065, 0.022],
        [0, 0.50, 0.070, 0.084, 0.034],
        [0, 0.85, 0.062, 0.105, 0.054],
        [1, 0.25, 0.060, 0.110, 0.058],
        [1, 0.70, 0.070, 0.105, 0.056],
        [2, 0.02, 0.066, 0.080, 0.050],
        [2, 0.20, 0.060, 0.062, 0.047],
        [2, 0.45, 0.047, 0.044, 0.040],
        [2, 0.72, 0.034, 0.033, 0.032],
        [2, 0.90, 0.035, 0.033, 0.035],
        [3, 0.00, 0.038, 0.036, 0.038],
        [3, 0.10, 0.034, 0.036, 0.035],
        [3, 0.22, 0.025, 0.032, 0.026],
        [3, 0.50, 0.022, 0.030, 0.022],
        [3, 0.82, 0.023, 0.032, 0.024],
        [4, 0.00, 0.030, 0.040, 0.031],
        [4, 0.20, 0.029, 0.037, 0.030],
        [4, 0.55, 0.025, 0.029, 0.026],
        [4, 0.85, 0.029, 0.031, 0.031],
        [4, 1.00, 0.034, 0.036, 0.035],
        [4, 1.30, 0.026, 0.030, 0.027],
    ]
)
HIND_SECTIONS = np.array(
    [
        [0, 0.00, 0.020, 0.020, 0.006],
        [0, 0.25, 0.060, 0.055, 0.026],
        [0, 0.70, 0.100, 0.115, 0.056],
        [1, 0.05, 0.122, 0.150, 0.076],
        [1, 0.35, 0.122, 0.160, 0.084],
        [1, 0.70, 0.098, 0.158, 0.080],
        [1, 0.95, 0.066, 0.138, 0.070],
        [2, 0.15, 0.062, 0.105, 0.060],
        [2, 0.40, 0.056, 0.068, 0.050],
        [2, 0.65, 0.043, 0.042, 0.036],
        [2, 0.85, 0.036, 0.040, 0.031],
        [3, 0.00, 0.038, 0.058, 0.035],
        [3, 0.10, 0.038, 0.046, 0.035],
        [3, 0.24, 0.029, 0.034, 0.028],
        [3, 0.50, 0.024, 0.031, 0.024],
        [3, 0.85, 0.025, 0.034, 0.026],
        [4, 0.00, 0.030, 0.040, 0.031],
        [4, 0.20, 0.029, 0.037, 0.030],
        [4, 0.55, 0.025, 0.029, 0.026],
        [4, 0.85, 0.029, 0.031, 0.031],
        [4, 1.00, 0.034, 0.036, 0.035],
        [4, 1.30, 0.026, 0.030, 0.027],
    ]
)
#: Hoof below the coronet: share of the way to the ground, shift forward, reach front, rear, to either side.
HOOF_SECTIONS = np.array(
    [
        [-0.35, -0.008, 0.024, 0.026, 0.026],
        [0.00, 0.000, 0.035, 0.034, 0.036],
        [0.10, 0.003, 0.037, 0.034, 0.039],
        [0.95, 0.022, 0.044, 0.040, 0.047],
        [1.00, 0.022, 0.040, 0.037, 0.043],
        [1.00, 0.022, 0.001, 0.001, 0.001],
    ]
)

#: Trunk and neck from rump to poll: top x, z, bottom x, z, half width, height of the widest place (0 bottom, 1 top),
#: and how sharp the top is (1 an ellipse, more a ridge).
TRUNK_SECTIONS = np.array(
    [
        [-0.527, 0.800, -0.530, 0.760, 0.010, 0.5, 1.0],
        [-0.520, 0.840, -0.530, 0.710, 0.060, 0.5, 1.0],
        [-0.500, 0.885, -0.510, 0.650, 0.105, 0.5, 1.0],
        [-0.455, 0.928, -0.465, 0.600, 0.146, 0.5, 1.0],
        [-0.380, 0.965, -0.380, 0.575, 0.168, 0.5, 1.0],
        [-0.290, 0.985, -0.280, 0.570, 0.178, 0.5, 1.0],
        [-0.200, 0.978, -0.180, 0.555, 0.183, 0.5, 1.0],
        [-0.090, 0.957, -0.070, 0.525, 0.196, 0.5, 1.0],
        [0.030, 0.945, 0.050, 0.508, 0.203, 0.5, 1.0],
        [0.130, 0.955, 0.160, 0.505, 0.194, 0.48, 1.05],
        [0.205, 0.982, 0.250, 0.515, 0.176, 0.46, 1.25],
        [0.260, 1.000, 0.340, 0.535, 0.164, 0.44, 1.40],
        [0.305, 0.998, 0.415, 0.570, 0.152, 0.44, 1.35],
        [0.345, 0.998, 0.462, 0.630, 0.134, 0.44, 1.25],
        [0.385, 1.010, 0.485, 0.705, 0.112, 0.45, 1.15],
        [0.430, 1.042, 0.508, 0.790, 0.092, 0.46, 1.10],
        [0.485, 1.092, 0.553, 0.875, 0.077, 0.48, 1.10],
        [0.548, 1.150, 0.612, 0.960, 0.068, 0.5, 1.10],
        [0.612, 1.203, 0.672, 1.040, 0.061, 0.5, 1.10],
        [0.665, 1.235, 0.722, 1.095, 0.057, 0.5, 1.05],
        [0.705, 1.247, 0.752, 1.130, 0.050, 0.5, 1.00],
        [0.735, 1.243, 0.765, 1.165, 0.015, 0.5, 1.00],
    ]
)
#: Muscles and hollows of trunk and neck, seen from the side: a line x, z - x, z, half width, and how much wider (or
#: narrower) the body is there.
RELIEF = np.array(
    [
        [0.250, 0.90, 0.390, 0.70, 0.045, 0.07],  # shoulder blade
        [0.180, 0.88, 0.225, 0.62, 0.028, -0.10],  # behind it
        [0.345, 0.92, 0.440, 0.74, 0.022, -0.09],  # in front of it
        [0.300, 0.68, 0.330, 0.60, 0.040, 0.08],  # triceps
        [0.460, 0.79, 0.690, 1.10, 0.020, -0.12],  # jugular groove
        [0.430, 0.88, 0.650, 1.15, 0.040, 0.06],  # neck above it
        [-0.215, 0.83, -0.190, 0.70, 0.035, -0.13],  # flank
        [-0.255, 0.90, -0.255, 0.89, 0.028, 0.12],  # point of the hip
        [-0.330, 0.92, -0.300, 0.80, 0.040, 0.05],  # croup
        [-0.050, 0.80, -0.030, 0.62, 0.018, -0.025],  # ribs
        [0.020, 0.80, 0.040, 0.60, 0.018, -0.025],
        [0.090, 0.80, 0.110, 0.60, 0.018, -0.025],
        [0.020, 0.60, -0.120, 0.63, 0.060, 0.05],  # belly
    ]
)
#: Rows of TRUNK_SECTIONS that mean something.
WITHERS_SECTION, NECK_BASE_SECTION, POLL_SECTION = 11, 14, 20
BACK_SECTION, CROUP_SECTION, TAIL_SECTION = 8, 4, 2.3

#: Head along the line from the poll to the tip of the muzzle, in head lengths: place, top, bottom, half width.
HEAD_SECTIONS = np.array(
    [
        [-0.110, -0.040, -0.090, 0.010],
        [-0.080, 0.020, -0.170, 0.090],
        [0.000, 0.075, -0.260, 0.150],
        [0.100, 0.110, -0.350, 0.205],
        [0.200, 0.122, -0.410, 0.235],
        [0.290, 0.120, -0.430, 0.240],
        [0.380, 0.108, -0.400, 0.215],
        [0.480, 0.092, -0.300, 0.165],
        [0.600, 0.076, -0.215, 0.130],
        [0.720, 0.064, -0.175, 0.112],
        [0.820, 0.056, -0.165, 0.112],
        [0.900, 0.044, -0.172, 0.122],
        [0.960, 0.018, -0.162, 0.112],
        [0.990, -0.020, -0.135, 0.080],
        [1.000, -0.060, -0.095, 0.015],
    ]
)
HEAD_LENGTH = 0.385
#: Angle of the line from poll to muzzle below the horizon.
HEAD_ANGLE_DEG = -52.0
#: In head lengths: along, up, outwards.
EYE_PLACE = np.array([0.270, 0.000, 0.222])
EAR_PLACE = np.array([-0.010, 0.060, 0.115])


@dataclass(frozen=True)
class Build:
    """Proportions relative to an adult riding horse; ``height`` is metres at the withers."""

    name: str
    height: float
    leg: float = 1.0
    trunk_length: float = 1.0
    trunk_depth: float = 1.0
    trunk_width: float = 1.0
    neck_length: float = 1.0
    neck_depth: float = 1.0
    head: float = 1.0
    bone: float = 1.0
    muscle: float = 1.0
    feather: float = 0.0
    mane: float = 1.0
    tail: float = 1.0


BUILDS = {
    "warmblood": Build("warmblood", 1.66),
    "thoroughbred": Build(
        "thoroughbred", 1.62, leg=1.05, trunk_depth=0.96, trunk_width=0.9, neck_length=1.06, neck_depth=0.9, bone=0.92
    ),
    "arab": Build("arab", 1.50, trunk_length=0.95, trunk_width=0.95, neck_depth=0.95, head=0.93, bone=0.92, tail=1.1),
    "pony": Build(
        "pony",
        1.22,
        leg=0.86,
        trunk_length=0.98,
        trunk_width=1.14,
        neck_length=0.92,
        neck_depth=1.12,
        head=1.06,
        bone=1.08,
        mane=1.4,
        tail=1.05,
    ),
    "draught": Build(
        "draught",
        1.72,
        leg=0.95,
        trunk_length=1.02,
        trunk_depth=1.06,
        trunk_width=1.24,
        neck_depth=1.24,
        head=1.05,
        bone=1.36,
        muscle=1.2,
        feather=1.0,
        mane=1.3,
    ),
    "foal": Build(
        "foal",
        1.02,
        leg=1.24,
        trunk_length=0.80,
        trunk_depth=0.78,
        trunk_width=0.74,
        neck_length=0.80,
        neck_depth=0.74,
        head=0.94,
        bone=1.02,
        muscle=0.80,
        mane=0.35,
        tail=0.5,
    ),
}
#: How often each build is drawn.
BUILD_WEIGHTS = {"warmblood": 0.32, "thoroughbred": 0.18, "arab": 0.12, "pony": 0.16, "draught": 0.12, "foal": 0.10}


def sample_build(rng: np.random.Generator, name: str | None = None) -> Build:
    """Draws one horse's proportions: a type, and every number of it varied by a few per cent."""
    name = name or str(rng.choice(list(BUILD_WEIGHTS), p=list(BUILD_WEIGHTS.values())))
    build = BUILDS[name]
    varied = {
        "height": 0.05,
        "leg": 0.03,
        "trunk_length": 0.03,
        "trunk_depth": 0.03,
        "trunk_width": 0.06,
        "neck_length": 0.06,
        "neck_depth": 0.06,
        "head": 0.04,
        "bone": 0.05,
        "muscle": 0.06,
        "mane": 0.25,
        "tail": 0.12,
    }
    return replace(
        build,
        **{field: getattr(build, field) * (1 + spread * rng.uniform(-1, 1)) for field, spread in varied.items()},
    )
