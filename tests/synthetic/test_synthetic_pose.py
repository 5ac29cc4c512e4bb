from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equistera.synthetic import anatomy, gaits, kinematics
from equistera.synthetic.pose import FORE_LIMITS_DEG, HIND_LIMITS_DEG, LIMITS_DEG, Pose, clamp, leg_limits_deg

ADULT = anatomy.BUILDS["warmblood"]
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=60)
@given(seed=seeds, gait=st.sampled_from(list(gaits.GAITS)))
def test_sampled_poses_stay_inside_the_joint_limits(seed, gait):
    rng = np.random.default_rng(seed)
    pose = gaits.sample_pose(rng, anatomy.sample_build(rng), gait)
    limits = leg_limits_deg()
    assert (pose.legs >= limits[..., 0]).all()
    assert (pose.legs <= limits[..., 1]).all()
    for name, (low, high) in LIMITS_DEG.items():
        value = np.asarray(getattr(pose, name))
        assert (value >= low).all(), name
        assert (value <= high).all(), name


def test_clamp_cuts_at_the_limits_and_leaves_the_rest():
    pose = clamp(Pose(legs=np.full((4, 5), 500.0), neck_pitch=-500.0, head_yaw=3.0))
    assert pose.legs[0].tolist() == [high for _, high in FORE_LIMITS_DEG.values()]
    assert pose.legs[3].tolist() == [high for _, high in HIND_LIMITS_DEG.values()]
    assert pose.neck_pitch == LIMITS_DEG["neck_pitch"][0]
    assert pose.head_yaw == 3.0


def test_a_knee_does_not_bend_forward():
    assert FORE_LIMITS_DEG["knee"][1] <= 5


@settings(max_examples=30)
@given(seed=seeds)
def test_mirroring_twice_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    pose = gaits.sample_pose(rng, ADULT)
    twice = gaits.mirrored(gaits.mirrored(pose))
    for name, value in vars(pose).items():
        assert np.array_equal(value, getattr(twice, name)), name


@settings(max_examples=30)
@given(seed=seeds)
def test_a_mirrored_pose_gives_the_mirrored_joints(seed):
    pose = gaits.sample_pose(np.random.default_rng(seed), ADULT)
    joints = kinematics.forward(ADULT, pose).joints
    mirrored = kinematics.forward(ADULT, gaits.mirrored(pose)).joints
    np.testing.assert_allclose(mirrored[[1, 0, 3, 2]] * [1, -1, 1], joints, atol=1e-9)


@settings(max_examples=30)
@given(seed=seeds)
def test_bones_keep_their_length_in_every_pose(seed):
    rng = np.random.default_rng(seed)
    build = anatomy.sample_build(rng)
    rest = kinematics.forward(build, Pose()).joints
    posed = kinematics.forward(build, gaits.sample_pose(rng, build)).joints
    lengths = [np.linalg.norm(np.diff(joints, axis=1), axis=-1) for joints in (rest, posed)]
    np.testing.assert_allclose(lengths[0], lengths[1], rtol=1e-9)


@pytest.mark.parametrize("name", list(anatomy.BUILDS))
def test_every_build_stands_level_and_as_high_as_it_says(name):
    build = anatomy.BUILDS[name]
    frames = kinematics.forward(build, Pose())
    coronets = frames.joints[:, -1] @ frames.body.T
    assert np.ptp(coronets[:, 2]) < 0.01 * build.height
    withers = kinematics.ring_at(anatomy.WITHERS_SECTION)
    top = frames.rings.center[withers] + frames.rings.half[withers]
    ground = coronets[:, 2].min() - anatomy.FORE_JOINTS[-1, 2] * build.leg * frames.scale
    assert (frames.body @ top)[2] - ground == pytest.approx(build.height, rel=0.03)


@pytest.mark.parametrize(("gait", "beats"), [(gaits.WALK, 4), (gaits.TROT, 2), (gaits.CANTER, 3)])
def test_footfalls(gait, beats):
    # hooves that land within a twentieth of the stride make one beat
    assert len({round(phase * 20) // 2 for phase in gait.phases}) == beats
    grounded = np.array([gaits.stride(gait, moment).grounded for moment in np.linspace(0, 1, 200, endpoint=False)])
    np.testing.assert_allclose(grounded.mean(axis=0), gait.stance, atol=0.02)


def test_trot_moves_diagonal_legs_together():
    for moment in (0.1, 0.35, 0.8):
        pose = gaits.stride(gaits.TROT, moment)
        assert pose.grounded[0] == pose.grounded[3]
        assert pose.grounded[1] == pose.grounded[2]


@pytest.mark.parametrize("name", ["warmblood", "pony", "draught"])
def test_a_grazing_horse_reaches_for_the_ground(name):
    build = anatomy.BUILDS[name]
    pose = gaits.sample_pose(np.random.default_rng(4), build, "graze")
    frames = kinematics.forward(build, pose)
    muzzle = frames.poll + frames.head[:, 0] * anatomy.HEAD_LENGTH * build.head * frames.scale
    soles = (frames.joints[:, -1] @ frames.body.T)[:, 2].min() - anatomy.FORE_JOINTS[-1, 2] * build.leg * frames.scale
    assert (frames.body @ muzzle)[2] - soles < 0.35 * build.height
    raised = kinematics.forward(build, replace(pose, neck_pitch=0.0))
    assert raised.poll[2] > frames.poll[2] + 0.4 * build.height


def test_angles_raise_and_turn_the_right_way():
    def muzzle(**angles):
        frames = kinematics.forward(ADULT, Pose(**angles))
        return frames.poll + frames.head[:, 0]

    rest = muzzle()
    assert muzzle(neck_pitch=-40.0)[2] < rest[2]
    assert muzzle(head_pitch=20.0)[2] > rest[2]
    assert muzzle(neck_yaw=30.0)[1] > rest[1]
    legs = np.zeros((4, 5))
    legs[0, 3] = -60
    assert (
        kinematics.forward(ADULT, Pose(legs=legs)).joints[0, -1, 0] < kinematics.forward(ADULT, Pose()).joints[0, -1, 0]
    )
