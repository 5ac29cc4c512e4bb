import numpy as np
import pytest

from equistera import skeleton
from equistera.synthetic import anatomy, gaits, labels
from equistera.synthetic.camera import Camera, look_at
from equistera.synthetic.horse import Horse, make_horse
from equistera.synthetic.pose import Pose
from equistera.synthetic.renderer import rasterize

HORSE26 = skeleton.load("horse26")
SIZE = (320, 240)
LEFT, RIGHT, FRONT, BEHIND = 90, -90, 0, 180


@pytest.fixture(scope="module")
def standing() -> Horse:
    return make_horse(np.random.default_rng(0), anatomy.BUILDS["warmblood"], Pose())


def view(horse: Horse, around_deg: float, distance: float = 6.0) -> tuple[Camera, np.ndarray]:
    angle, height = np.radians(around_deg), 0.6 * horse.build.height
    position = np.array([distance * np.cos(angle), distance * np.sin(angle), height + 0.2])
    camera = look_at(position, np.array([0, 0, height]), 0.0, 450.0, SIZE)
    depth = np.full(SIZE[::-1], np.inf)
    fragments = rasterize(horse.mesh, camera)
    depth.ravel()[fragments.pixel] = fragments.depth
    return camera, depth


def seen(horse: Horse, camera: Camera, depth: np.ndarray) -> dict[str, int]:
    found = labels.label_keypoints(horse.keypoints, camera, depth, labels.tolerance_unit(horse.build))
    return dict(zip(HORSE26.names, found[:, 2].astype(int).tolist(), strict=True))


@pytest.mark.parametrize("build", list(anatomy.BUILDS))
@pytest.mark.parametrize(("around", "near", "far"), [(LEFT, "l", "r"), (RIGHT, "r", "l")])
def test_from_the_side_near_points_are_visible_and_far_ones_hidden(build, around, near, far):
    horse = make_horse(np.random.default_rng(1), anatomy.BUILDS[build], Pose())
    flags = seen(horse, *view(horse, around))
    for joint in ("eye", "ear", "elbow", "knee", "hip", "hock"):
        assert flags[f"{near}_{joint}"] == 2, joint
    for joint in ("fetlock", "hoof"):
        assert flags[f"{near}f_{joint}"] == 2, joint
        assert flags[f"{near}h_{joint}"] == 2, joint
    for joint in ("eye", "ear", "elbow", "knee", "hip"):
        assert flags[f"{far}_{joint}"] == 1, joint
    for name in ("nose", "neck", "withers", "back", "tail_base", "tail_end"):
        assert flags[name] == 2, name


def test_from_the_front_the_hind_hips_are_hidden_and_both_eyes_visible(standing):
    flags = seen(standing, *view(standing, FRONT))
    assert [flags[name] for name in ("nose", "l_eye", "r_eye", "neck", "l_knee", "r_knee")] == [2] * 6
    assert [flags[name] for name in ("tail_base", "l_hip", "r_hip")] == [1] * 3


def test_from_behind_the_head_is_hidden_and_both_hocks_visible(standing):
    flags = seen(standing, *view(standing, BEHIND))
    assert [flags[name] for name in ("tail_base", "tail_end", "l_hock", "r_hock", "lh_hoof", "rh_hoof")] == [2] * 6
    assert [flags[name] for name in ("nose", "neck", "l_elbow", "r_elbow", "l_knee", "r_knee")] == [1] * 6


@pytest.mark.parametrize(("around", "near", "far"), [(LEFT, "l", "r"), (RIGHT, "r", "l")])
def test_left_and_right_are_the_horses_own(standing, around, near, far):
    camera, _ = view(standing, around)
    for name in HORSE26.names:
        if name.startswith(near):
            pair = HORSE26.keypoints[HORSE26.index[name]].swap
            assert pair.startswith(far)
            depths = [camera.project(standing.keypoints[one])[1] for one in (name, pair)]
            assert depths[0] < depths[1], name


def test_facing_the_camera_the_horses_left_is_on_the_pictures_right(standing):
    camera, depth = view(standing, FRONT)
    points = labels.label_keypoints(standing.keypoints, camera, depth, standing.build.height)
    for left, right in (("l_eye", "r_eye"), ("l_elbow", "r_elbow"), ("lf_hoof", "rf_hoof")):
        assert points[HORSE26.index[left], 0] > points[HORSE26.index[right], 0]


def test_mirroring_pose_and_camera_swaps_left_and_right():
    pose = gaits.stride(gaits.WALK, 0.1)
    points = []
    for one, around in ((pose, 60), (gaits.mirrored(pose), -60)):
        horse = make_horse(np.random.default_rng(0), anatomy.BUILDS["arab"], one)
        camera, depth = view(horse, around)
        points.append(labels.label_keypoints(horse.keypoints, camera, depth, labels.tolerance_unit(horse.build)))
    expected = points[1][HORSE26.flip_indices, :2]
    expected[:, 0] = SIZE[0] - 1 - expected[:, 0]
    firm = [k for k, name in enumerate(HORSE26.names) if name != "tail_end"]
    np.testing.assert_allclose(points[0][firm, :2], expected[firm], atol=1e-6)


def test_what_stands_in_front_hides(standing):
    camera, depth = view(standing, LEFT)
    before = labels.label_keypoints(standing.keypoints, camera, depth, standing.build.height)
    x, _, _ = before[HORSE26.index["l_elbow"]].round().astype(int)
    depth[:, x - 3 : x + 4] = 2.0
    after = labels.label_keypoints(standing.keypoints, camera, depth, standing.build.height)
    assert after[HORSE26.index["l_elbow"]].tolist() == [*before[HORSE26.index["l_elbow"], :2], 1]
    assert after[HORSE26.index["nose"], 2] == 2


@pytest.mark.parametrize(
    ("pixel", "flag"),
    [((-0.4, 5.0), 2), ((-0.6, 5.0), 0), ((319.4, 239.4), 2), ((319.6, 5.0), 0), ((5.0, 239.6), 0), ((5.0, -0.6), 0)],
)
def test_points_outside_the_picture_are_not_labelled(pixel, flag):
    camera = Camera(np.zeros(3), np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]), 100.0, 320, 240, (159.5, 119.5))
    across, down = (np.array(pixel) - camera.center) / 100
    points = dict.fromkeys(HORSE26.names, np.array([4.0, -4 * across, -4 * down]))
    found = labels.label_keypoints(points, camera, np.full((240, 320), np.inf), 1.6)
    expected = [*pixel, flag] if flag else [0, 0, 0]
    np.testing.assert_allclose(found, [expected] * len(HORSE26), atol=1e-6)


def test_points_behind_the_camera_are_not_labelled():
    camera = Camera(np.zeros(3), np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]), 100.0, 320, 240, (159.5, 119.5))
    points = dict.fromkeys(HORSE26.names, np.array([-4.0, 0.0, 0.0]))
    assert not labels.label_keypoints(points, camera, np.full((240, 320), np.inf), 1.6).any()


def test_every_keypoint_has_a_tolerance_thinner_than_the_trunk():
    for name in HORSE26.names:
        assert 0.02 < labels.tolerance_of(name) <= 0.2


def test_ap10k_takes_the_exact_matches_only():
    keypoints = np.column_stack([np.arange(26), np.arange(26) + 100, np.full(26, 2)]).astype(float)
    ap10k = skeleton.load("ap10k")
    found = labels.convert(keypoints, ap10k)
    assert found[ap10k.index["L_Elbow"]].tolist() == keypoints[HORSE26.index["l_knee"]].tolist()
    assert found[ap10k.index["Root of tail"]].tolist() == keypoints[HORSE26.index["tail_base"]].tolist()
    assert found[ap10k.index["L_Hip"]].tolist() == [0, 0, 0]
    assert (found[:, 2] == 2).sum() == 15


def test_horse26_stays_as_it_is():
    keypoints = np.random.default_rng(0).uniform(0, 99, (26, 3))
    assert np.array_equal(labels.convert(keypoints, HORSE26), keypoints)
