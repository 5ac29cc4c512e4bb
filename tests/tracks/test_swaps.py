"""Legs that are exchanged in some frames are found and put right, and nothing else is touched."""

import numpy as np
import pytest
from moving import HORSE, frame_times, same, seen, true_points, with_swaps

from equistera import skeleton as skeletons
from equistera.tracks.swaps import limbs_of, meetings, repair_swaps
from equistera.tracks.tracks import SWAPPED, Tracks


def test_limbs_of_a_horse():
    limbs = [[HORSE.names[k] for k in (*limb.left, *limb.right)] for limb in limbs_of(HORSE)]
    assert limbs == [
        ["l_eye", "l_ear", "r_eye", "r_ear"],
        ["l_elbow", "l_knee", "lf_fetlock", "lf_hoof", "r_elbow", "r_knee", "rf_fetlock", "rf_hoof"],
        ["l_hip", "l_hock", "lh_fetlock", "lh_hoof", "r_hip", "r_hock", "rh_fetlock", "rh_hoof"],
    ]


@pytest.mark.parametrize("name", ["ap10k", "animalpose", "horse10"])
def test_every_pair_of_a_skeleton_is_in_one_limb(name):
    skeleton = skeletons.load(name)
    found = [k for limb in limbs_of(skeleton) for k in (*limb.left, *limb.right)]
    assert sorted(found) == [k for k, mirror in enumerate(skeleton.flip_indices) if mirror != k]


def test_pairs_without_links_are_limbs_of_their_own():
    points = [{"name": f"{s}{n}", "swap": f"{'rl'['lr'.index(s)]}{n}", "half": "upper", "sigma": 0.05}
              for n in range(3) for s in "lr"]  # fmt: skip
    assert len(limbs_of(skeletons.parse({"keypoints": points}, "pairs"))) == 3


def videos(count=8, frames=400):
    """Walking and trotting horses, side views; the model's noise is 1 to 2 percent of the body's length."""
    for seed in range(count):
        times = frame_times(frames, (25, 50)[seed // 4 % 2])
        truth = true_points(times, ("walk", "trot")[seed % 2], side=(4, 8, 16)[seed % 3], phase=0.13 * seed)
        yield seed, seen(truth[:, None], times, noise=(1.5, 3.0)[seed // 2 % 2], seed=seed, outliers=0.02, missing=0.02)


def test_planted_swaps_are_repaired():
    found = planted_frames = wrong = frames = 0
    for seed, tracks in videos():
        swapped, planted = with_swaps(tracks, seed, kinds=("fore", "hind", "whole") if seed % 2 else ("fore", "hind"))
        bits = repair_swaps(swapped, HORSE).changed & SWAPPED > 0
        legs = [limb.left[0] for limb in limbs_of(HORSE)[1:]]
        found += (planted & bits)[:, 0, legs].sum()
        planted_frames += planted[:, 0, legs].sum()
        # eyes lie behind each other: nobody sees whether they are exchanged
        wrong += (~planted & bits)[:, 0].any(axis=1).sum()
        frames += len(tracks)
    assert found >= 0.9 * planted_frames
    assert wrong < 0.01 * frames


def test_nothing_is_done_where_nothing_is_wrong():
    changed = [(repair_swaps(tracks, HORSE).changed > 0).any(axis=(1, 2)).mean() for _, tracks in videos()]
    assert np.mean(changed) < 0.002


def test_what_is_repaired_is_as_if_it_had_never_been_exchanged():
    times = frame_times(120)
    tracks = seen(true_points(times)[:, None], times, noise=0.5)
    hind = list(limbs_of(HORSE)[2].left + limbs_of(HORSE)[2].right)
    planted = np.zeros(tracks.confidence.shape, dtype=bool)
    planted[50:58, 0, hind] = True
    mirror = HORSE.flip_indices
    raw = np.where(planted[..., None], tracks.raw[:, :, mirror], tracks.raw)
    confidence = np.where(planted, tracks.confidence[:, :, mirror], tracks.confidence)
    repaired = repair_swaps(Tracks.of(HORSE.names, times, raw, confidence), HORSE)
    assert np.array_equal(repaired.points, tracks.points)
    assert np.array_equal(repaired.confidence, tracks.confidence)
    assert np.array_equal(repaired.raw, raw)
    assert np.array_equal(repaired.changed, np.where(planted, SWAPPED, 0))
    assert same(repair_swaps(repaired, HORSE), repaired)


@pytest.mark.parametrize("gait", ["walk", "trot"])
def test_legs_that_swing_pass_each_other(gait):
    times = frame_times(200)
    truth = true_points(times, gait)[:, None]
    tracks = seen(truth, times, noise=1.5)
    met, turned = meetings(tracks, HORSE)
    assert met >= 12
    assert turned <= 0.2 * met
    # a model that calls the leg in front the left one
    raw, mirror = tracks.raw.copy(), HORSE.flip_indices
    for limb in limbs_of(HORSE)[1:]:
        left, right = list(limb.left), list(limb.right)
        behind = (raw[:, 0, left[-1], 0] < raw[:, 0, right[-1], 0])[:, None, None]
        columns = left + right
        raw[:, 0, columns] = np.where(behind, raw[:, 0, mirror[columns]], raw[:, 0, columns])
    met, turned = meetings(tracks.with_(points=raw), HORSE)
    assert met >= 12
    assert turned >= 0.9 * met


def test_legs_that_do_not_swing_do_not_meet():
    times = frame_times(50)
    still = np.repeat(true_points(times)[:1], 50, axis=0)[:, None]
    assert meetings(seen(still, times, noise=1.0), HORSE) == (0, 0)
    assert meetings(seen(np.full_like(still, np.nan), times), HORSE) == (0, 0)


def test_gaps_and_uneven_times():
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.06, 200))
    truth = true_points(times)[:, None]
    raw = seen(truth, times, noise=1.0).raw.copy()
    raw[60:64] = np.nan
    raw[120:160] = np.nan
    tracks = Tracks.of(HORSE.names, times, raw, np.ones(raw.shape[:3]))
    assert same(repair_swaps(tracks, HORSE), tracks)
    fore = limbs_of(HORSE)[1]
    raw[62:70, 0, fore.left], raw[62:70, 0, fore.right] = raw[62:70, 0, fore.right], raw[62:70, 0, fore.left]
    repaired = repair_swaps(Tracks.of(HORSE.names, times, raw, np.ones(raw.shape[:3])), HORSE)
    assert np.array_equal(repaired.points, tracks.points, equal_nan=True)
    assert (repaired.changed > 0).any(axis=(1, 2)).nonzero()[0].tolist() == list(range(64, 70))


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_videos_of_a_few_frames(frames):
    times = frame_times(frames)
    tracks = seen(true_points(times)[:, None], times)
    assert same(repair_swaps(tracks, HORSE), tracks)


def test_an_animal_that_is_never_seen():
    raw = np.full((20, 1, len(HORSE), 2), np.nan)
    tracks = Tracks.of(HORSE.names, frame_times(20), raw, raw[..., 0])
    assert same(repair_swaps(tracks, HORSE), tracks)
