"""What a model is unsure of, and how that is said."""

import numpy as np
import pytest
from seen_animals import HORSE, K, animals, changed

from equistera import skeleton
from equistera.labelling.doubt import doubts_of, ranked, reasons_of, spoken, too_long


def with_point(values, name, value):
    values = values.copy()
    values[HORSE.index[name]] = value
    return values


def test_each_sign_raises_the_doubt_and_is_said():
    plain = animals()
    before = doubts_of(plain, HORSE)
    n = int(before.doubt.argmin())
    one, fetlock = plain[n], HORSE.index["lf_fetlock"]
    cases = {
        "left hind hoof unsure": {"confidence": with_point(one.confidence, "lh_hoof", 0.1)},
        "right knee elsewhere in a mirrored, larger or smaller view": {"views": with_point(one.views, "r_knee", 0.3)},
        "nose: a jump from frame to frame": {"jump": with_point(one.jump, "nose", 0.4)},
        "left knee to left fore fetlock unusually long": {
            "points": with_point(one.points, "lf_fetlock", one.points[fetlock] + 900)
        },
    }
    assert reasons_of(n, before, HORSE, 0.5) == []
    for said, changes in cases.items():
        doubts = doubts_of([*plain[:n], changed(one, **changes), *plain[n + 1 :]], HORSE)
        assert doubts.doubt[n] > before.doubt[n], said
        assert any(said in reason for reason in reasons_of(n, doubts, HORSE, 0.5)), said


def test_checkpoints_that_disagree_are_told_and_counted_only_where_there_are_several():
    one = animals()
    several = [changed(a, models=np.full(K, 0.01)) for a in one]
    several[3] = changed(several[3], models=with_point(np.full(K, 0.01), "withers", 0.5))
    doubts = doubts_of(several, HORSE)
    assert "the models disagree about withers" in reasons_of(3, doubts, HORSE, 0.5)
    assert np.isfinite(doubts.doubt).all()
    assert np.isfinite(doubts_of(one, HORSE).doubt).all()


def test_many_points_are_counted_and_a_rare_pose_is_said():
    every = animals()
    few = np.where(np.arange(K) < 5, 0.1, 0.9)
    assert "nose, left eye, right eye and 2 more unsure" in reasons_of(
        0, doubts_of([changed(every[0], confidence=few), *every[1:]], HORSE), HORSE, 0.5
    )
    every[7] = changed(every[7], confidence=np.linspace(0.0, 0.2, K), points=every[7].points[::-1].copy())
    doubts = doubts_of(every, HORSE)
    reasons = reasons_of(7, doubts, HORSE, 0.5)
    assert "nearly all points unsure" in reasons
    assert "an uncommon pose or view" in reasons


def test_a_limb_is_too_long_at_any_scale_but_never_too_short():
    every = np.array([one.points for one in animals()])
    confidence = np.ones(every.shape[:2])
    assert too_long(every, confidence, HORSE).max() < 0.5
    a, b = HORSE.link_indices[3]
    every[4, b] = every[4, a] + 1e-6
    assert too_long(every, confidence, HORSE)[4, 3] == 0
    assert not too_long(every[:5], confidence[:5], HORSE).any()


def test_ranks_are_those_of_what_is_known():
    np.testing.assert_allclose(ranked(np.array([3.0, np.nan, 1.0, 3.0, 7.0])), [0.625, np.nan, 0.25, 0.625, 1.0])


@pytest.mark.parametrize("name", skeleton.builtin_names())
def test_names_are_spoken_for_every_skeleton(name):
    said = [spoken(point) for point in skeleton.load(name).keypoints]
    assert len(set(said)) == len(said)
    assert not any("_" in text for text in said)


def test_names_are_spoken_as_people_do():
    said = {point.name: spoken(point) for point in HORSE.keypoints}
    assert (said["lh_hoof"], said["r_eye"], said["tail_base"]) == ("left hind hoof", "right eye", "tail base")
