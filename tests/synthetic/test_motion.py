import numpy as np
import pytest

from equistera.errors import UserError
from equistera.synthetic import anatomy, body, kinematics
from equistera.synthetic.body import PART
from equistera.synthetic.film_options import MOST
from equistera.synthetic.motion import GAITS, LEGS, PARTS, make_motion

BUILDS = [name for name in anatomy.BUILDS if name != "foal"]


def motion(gait, number=4, build="warmblood", **options):
    rng = np.random.default_rng(number)
    return make_motion(rng, anatomy.sample_build(rng, build), gait, **options)


def hooves(going, time):
    """Lowest vertex of each hoof over the ground, and where each hoof's keypoint is; metres."""
    pose = going.pose(going.moment(time))
    frames = kinematics.forward(going.build, pose)
    skin = body.build_body(going.build, pose, frames)
    heights = (skin.mesh.vertices @ frames.body.T)[:, 2] + pose.height
    shift = np.array([going.speed * time, 0, pose.height])
    return (
        np.array([heights[skin.mesh.part == PART[f"{leg}_hoof"]].min() for leg in LEGS]),
        np.array([frames.body @ skin.keypoints[f"{leg}_hoof"] + shift for leg in LEGS]),
    )


@pytest.mark.parametrize("gait", GAITS)
@pytest.mark.parametrize("number", range(8))
def test_soles_meet_and_leave_the_ground_when_it_is_told(gait, number):
    going = motion(gait, number, BUILDS[number % len(BUILDS)])
    seen = {}

    def at(time):
        key = round(time % going.period / going.period, 6)
        if key not in seen:
            seen[key] = hooves(going, key * going.period)[0]
        return seen[key]

    for leg, falls in enumerate(going.footfalls(1.5 * going.period)):
        down, off = falls[0]
        for part in (0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999):
            assert abs(at(down + part * (off - down))[leg]) < 0.001
        # within 15 ms of what is told a sole is 10 mm over the ground, and stays above it
        after = down + going.period
        for time in (off + 0.015, after - 0.015, *np.linspace(off + 0.02, after - 0.02, 4)):
            assert at(time)[leg] > 0.010
        assert at((off + after) / 2)[leg] > 0.020


@pytest.mark.parametrize("gait", GAITS)
def test_hooves_stand_still_where_they_landed(gait):
    going = motion(gait)
    for leg, falls in enumerate(going.footfalls(1.2 * going.period)):
        down, off = falls[0]
        places = [hooves(going, time)[1][leg] for time in np.linspace(down + 1e-6, off - 1e-6, 9)]
        assert np.ptp(places, axis=0).max() < 0.001


@pytest.mark.parametrize("gait", GAITS)
def test_hooves_do_not_jump(gait):
    going = motion(gait)
    step = going.period / 120
    places = np.array([hooves(going, i * step)[1] for i in range(121)])
    speeds = np.linalg.norm(np.diff(places, axis=0), axis=2) / step
    # a hoof that swings is about as fast as the body and what it makes up for while it stood, and not faster
    assert speeds.max() < 2.2 * going.speed / (1 - going.going.gait.stance)


def test_hooves_land_in_the_order_of_the_gait():
    def order(gait):
        going = motion(gait)
        first = {leg: (fall[0][0] / going.period) % 1 for leg, fall in zip(LEGS, going.footfalls(5), strict=True)}
        start = first["lh"]
        return sorted(first, key=lambda leg: round((first[leg] - start) % 1, 3) % 1), first

    assert order("walk")[0] == ["lh", "lf", "rh", "rf"]
    _, trot = order("trot")
    assert trot["lf"] == pytest.approx(trot["rh"])
    assert trot["rf"] == pytest.approx(trot["lh"])


def test_faster_gaits_are_faster_and_strides_repeat():
    speeds = [motion(gait).speed for gait in GAITS]
    assert speeds == sorted(speeds)
    # walk and trot of a grown horse (Hobbs et al. 2014: about 1.4 and 3.5 m/s)
    assert 0.8 < speeds[0] < 2.0
    assert 2.5 < speeds[1] < 4.5
    going = motion("trot")
    one, next_one = going.horse(0.1).keypoints, going.horse(0.1 + going.period).keypoints
    along = np.array([going.speed * going.period, 0, 0])
    assert np.allclose(one["withers"] + along, next_one["withers"], atol=1e-6)


@pytest.mark.parametrize("build", BUILDS)
def test_hair_does_not_hang_through_the_ground(build):
    horse = motion("walk", build=build).horse(0.3)
    assert horse.mesh.vertices[:, 2].min() > -1e-6
    assert horse.keypoints["tail_end"][2] >= 0


@pytest.mark.parametrize(
    "asymmetry", [{}, {"head": 0.03}, {"withers": -0.02}, {"head": -0.04, "withers": 0.04, "croup": -0.04}]
)
def test_an_asymmetry_is_what_the_points_show(asymmetry):
    shown = motion("trot", asymmetry=asymmetry).differences()
    for part in PARTS:
        low, high = shown[part]
        assert low == pytest.approx(asymmetry.get(part, 0.0), rel=0.02, abs=2e-4)
        assert abs(high) < 2e-4


@pytest.mark.parametrize("build", BUILDS)
def test_every_horse_can_go_as_unevenly_as_is_allowed(build):
    for number in range(2):
        for sign in (-1, 1):
            motion("trot", number, build, asymmetry={"withers": MOST, "croup": MOST * sign})


def test_a_horse_whose_legs_are_too_short_is_refused():
    with pytest.raises(UserError, match="does not reach the ground with every leg at the trot"):
        motion("trot", asymmetry={"withers": 0.3})
