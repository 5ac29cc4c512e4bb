"""Exchanged sides, sizes and limbs on simulated horses; the distribution behind them on numbers known beforehand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import verify_horses

from equistera import skeleton as skeletons
from equistera.dataset.coco import category_of
from equistera.dataset.verify.annotation_file import AnnotationFile
from equistera.dataset.verify.geometry import animal_sizes, check_limbs, link_lengths
from equistera.dataset.verify.student_t import StudentT
from equistera.dataset.verify.swaps import check_swaps, pairs_of, parts_of, views_of

HORSE26 = verify_horses.HORSE26
LINKS = HORSE26.link_indices


def file_of(poses, skeleton=HORSE26):
    return AnnotationFile(Path("train.json"), Path("."), verify_horses.coco(poses), skeleton)


def swaps(file):
    return [item for item in check_swaps(file) if item.code == "swap"]


def exchanged(poses, animals, *names):
    result = poses.copy()
    for name in names:
        a, b = HORSE26.index[name], HORSE26.index[HORSE26.keypoints[HORSE26.index[name]].swap]
        result[np.ix_(animals, [a, b])] = result[np.ix_(animals, [b, a])]
    return result


LEGS = {
    "fore": ("l_elbow", "l_knee", "lf_fetlock", "lf_hoof"),
    "hind": ("l_hip", "l_hock", "lh_fetlock", "lh_hoof"),
    "lower fore": ("l_knee", "lf_fetlock", "lf_hoof"),
}


@pytest.fixture(scope="module")
def poses():
    return verify_horses.poses(400, seed=2)


@pytest.mark.parametrize("seed", range(4))
def test_no_false_alarm(seed):
    file = file_of(verify_horses.poses(300, seed=100 + seed))
    assert [*check_swaps(file), *check_limbs(file)] == []


@pytest.mark.parametrize("leg", LEGS)
def test_exchanged_legs_are_found_and_others_left_alone(poses, leg):
    animals = np.arange(0, 400, 20)
    items = list(check_swaps(file_of(exchanged(poses, animals, *LEGS[leg]))))
    found = {item.annotation for item in items}
    assert found <= set(animals.tolist())
    assert len(found) >= 0.3 * len(animals)
    names = {HORSE26.names[k] for item in items for k in item.points}
    assert names >= set(LEGS[leg])


def test_eyes_and_ears_in_front_of_the_camera():
    rng = np.random.default_rng(0)
    towards = np.stack([verify_horses.horse(rng, yaw=rng.normal(-np.pi / 2, 0.2)) for _ in range(200)])
    animals = np.arange(10)
    assert swaps(file_of(towards)) == []
    for name in ("l_eye", "l_ear"):
        found = {item.annotation for item in swaps(file_of(exchanged(towards, animals, name)))}
        assert found
        assert found <= set(animals.tolist())


def test_sides_exchanged_in_the_whole_data_set(poses):
    mirrored = poses[:, HORSE26.flip_indices]
    items = list(check_swaps(file_of(mirrored)))
    assert {item.code for item in items} == {"sides-exchanged"}


def test_few_horses_are_compared_with_the_reference(poses):
    animals = np.arange(0, 70, 7)
    for leg in ("fore", "hind"):
        found = {item.annotation for item in swaps(file_of(exchanged(poses[:70], animals, *LEGS[leg])))}
        assert found <= set(animals.tolist())
        assert len(found) >= 0.3 * len(animals)


@pytest.mark.parametrize("count", [1, 5, 20, 70])
def test_few_clean_horses_raise_no_alarm(poses, count):
    assert {item.code for item in check_swaps(file_of(poses[:count]))} <= {"not-checked"}


def renamed(skeleton):
    """The same points under other names, for which there is no reference."""
    content = {
        "keypoints": [
            {
                "name": f"my_{k.name}",
                "half": k.half,
                "sigma": k.sigma,
                **({"swap": f"my_{k.swap}"} if k.swap else {}),
            }
            for k in skeleton.keypoints
        ],
        "links": [[f"my_{skeleton.names[a]}", f"my_{skeleton.names[b]}"] for a, b in skeleton.link_indices.tolist()],
    }
    return skeletons.parse(content, "mine")


def test_what_is_too_little_to_check_is_said(poses):
    mine = renamed(HORSE26)
    content = verify_horses.coco(exchanged(poses[:20], np.arange(5), *LEGS["fore"]))
    content["categories"] = [category_of(mine)]
    file = AnnotationFile(Path("train.json"), Path("."), content, mine)
    texts = [item.text for item in [*check_swaps(file), *check_limbs(file)] if item.code == "not-checked"]
    assert len(texts) == 3
    assert "side views, 30 are needed" in texts[0]
    assert texts[1] == "left and right of single animals: 20 labelled animals, 100 are needed"
    assert texts[2].startswith(f"the length of {len(LINKS)} of {len(LINKS)} limbs: ")


def test_limb_to_a_wrong_place_and_a_place_clicked_twice(poses):
    wrong = poses.copy()
    knee, hoof, elbow = (HORSE26.index[name] for name in ("l_knee", "lf_hoof", "l_elbow"))
    wrong[5, [elbow, knee], 2] = 2
    wrong[5, elbow, :2] = (300, 100)
    wrong[5, knee, :2] = (5, 470)
    wrong[6, [knee, elbow], 2] = 2
    wrong[6, knee, :2] = wrong[6, elbow, :2] = (200, 200)
    texts = {item.annotation: item.text for item in check_limbs(file_of(wrong)) if elbow in item.points}
    assert "times as long as usual" in texts[5]
    assert "clicked twice" in texts[6]
    assert hoof not in {k for item in check_limbs(file_of(poses)) for k in item.points}


def test_animal_sizes_follow_the_picture(poses):
    points = file_of(poses).labelled_points
    sizes = animal_sizes(link_lengths(points, LINKS))
    scale = np.random.default_rng(0).uniform(0.2, 5, len(points))
    assert np.allclose(animal_sizes(link_lengths(points * scale[:, None, None], LINKS)), sizes * scale, rtol=0.1)
    points[0, 3:] = np.nan
    assert np.isnan(animal_sizes(link_lengths(points, LINKS))[0])


def test_mirroring_an_animal_changes_no_number(poses):
    """The numbers say how the sides stand to the camera, not to the left or right of the picture."""
    file = file_of(poses)
    mirrored = file.labelled_points[:, HORSE26.flip_indices]
    mirrored[..., 0] = 640 - mirrored[..., 0]
    one = views_of(file.labelled_points, file.flags, HORSE26)
    other = views_of(mirrored, file.flags[:, HORSE26.flip_indices], HORSE26)
    # the left side takes the right one's place among the pairs, and the heading turns round
    assert np.allclose(one.pairs, other.pairs, equal_nan=True)
    assert np.allclose(one.headings, -other.headings, equal_nan=True)


def test_parts_of_the_skeletons():
    names = set(parts_of(HORSE26).values())
    assert {"l_knee/r_knee", "l_eye/r_eye, l_ear/r_ear", "the whole animal"} <= names
    assert not any("l_hip" in name and "l_elbow" in name for name in names)
    assert len(parts_of(HORSE26)) == 24
    one_side = skeletons.parse(
        {"keypoints": [{"name": "a", "half": "upper", "sigma": 0.1}, {"name": "b", "half": "upper", "sigma": 0.1}]},
        "plain",
    )
    assert parts_of(one_side) == {}
    assert pairs_of(one_side).shape == (0, 2)


def test_student_t_finds_the_middle_in_spite_of_outliers_and_gaps():
    rng = np.random.default_rng(3)
    mixing = np.array([[1.0, 0, 0], [0.9, 0.3, 0], [0, 0.5, 1]])
    rows = rng.normal(size=(600, 3)) @ mixing.T + [1, 2, 3]
    covariance = mixing @ mixing.T
    rows[:60] = rng.normal(size=(60, 3)) * 40
    rows[rng.random(rows.shape) < 0.25] = np.nan
    fitted = StudentT.fit(rows, floor=np.full(3, 1e-3))
    assert np.allclose(fitted.location, [1, 2, 3], atol=0.2)
    correlation = fitted.scatter / np.sqrt(np.outer(np.diag(fitted.scatter), np.diag(fitted.scatter)))
    expected = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert np.allclose(correlation, expected, atol=0.12)


def test_student_t_distances_with_unknown_numbers():
    distribution = StudentT(np.array([1.0, 2.0]), np.array([[4.0, 1.0], [1.0, 2.0]]))
    rows = np.array([[[3.0, 2.0], [1.0, 2.0]], [[3.0, np.nan], [1.0, np.nan]], [[np.nan] * 2] * 2])
    # literal: [2, 0] S^-1 [2, 0]' = 4 * 2/7; 2^2 / 4; nothing known
    assert distribution.distances(rows) == pytest.approx(np.array([[8 / 7, 0], [1, 0], [0, 0]]))
