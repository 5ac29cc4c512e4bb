"""Animals keep their numbers: crossing, overtaking, behind each other, out of sight."""

import numpy as np
import pytest
from moving import HORSE, frame_times, true_points
from scipy.optimize import linear_sum_assignment

from equistera.tracks.identity import Follower, collected


def crossing(seed, frames=150, noise=3.0, overtaking=False, hidden=True, missed=0.03, invented=0.03):
    """What a model finds of two horses that pass each other: per frame poses, confidences and who they are (-1: none).

    While the far horse is behind the near one it is missed, or its pose is laid onto the near one.
    """
    rng = np.random.default_rng(seed)
    times = frame_times(frames)
    speeds = (1.6, 0.5) if overtaking else (1.2, -1.0)
    starts = (100, 350) if overtaking else (100, 900)
    truth = np.stack(
        [true_points(times, "trot", start=x, speed=v, height=200 + 15 * n, phase=rng.random())
         for n, (x, v) in enumerate(zip(starts, speeds, strict=True))], axis=1,
    )  # fmt: skip
    found = []
    for t in range(frames):
        poses, confidence, who = [], [], []
        near = truth[t, 1]
        apart = abs(truth[t, 0, :, 0].mean() - near[:, 0].mean())
        for a in range(2):
            pose, sure = truth[t, a] + rng.normal(0, noise, near.shape), rng.beta(12, 2, len(HORSE))
            if hidden and a == 0 and apart < 60:
                if rng.random() < 0.7:
                    continue
                pose, sure = near + rng.normal(0, 2 * noise, near.shape), rng.beta(4, 4, len(HORSE))
                who.append(-1)
            elif hidden and a == 0 and apart < 140:
                # some of its points are taken from the near one
                wrong = rng.random(len(HORSE)) < 0.4
                pose = np.where(wrong[:, None], near + rng.normal(0, noise, near.shape), pose)
                sure = np.where(wrong, rng.beta(3, 5, len(HORSE)), sure)
                who.append(a)
            elif rng.random() < missed:
                continue
            else:
                who.append(a)
            poses.append(pose)
            confidence.append(sure)
        if rng.random() < invented:
            poses.append(rng.uniform(0, 400, 2) + rng.normal(0, 60, near.shape))
            confidence.append(rng.beta(2, 8, len(HORSE)))
            who.append(-1)
        order = rng.permutation(len(poses))
        found.append(([poses[n] for n in order], [confidence[n] for n in order], [who[n] for n in order]))
    return times, found


def followed(times, found, **options):
    follower = Follower(HORSE, **options)
    return [
        follower.update(time, np.array(poses).reshape(-1, 26, 2), np.array(sure).reshape(-1, 26))
        for time, (poses, sure, _) in zip(times, found, strict=True)
    ]


def idf1(found, ids):
    """Ristani et al. (2016): the share of poses that bear the right number, both ways."""
    true = [who for _, _, truth in found for who in truth]
    given = [number for numbers in ids for number in numbers]
    animals, numbers = sorted({w for w in true if w >= 0}), sorted({n for n in given if n is not None})
    table = np.array(
        [[sum(w == a and n == b for w, n in zip(true, given, strict=True)) for b in numbers] for a in animals]
    )
    rows, columns = linear_sum_assignment(-table)
    right = table[rows, columns].sum()
    return 2 * right / (sum(w >= 0 for w in true) + sum(n is not None for n in given))


@pytest.mark.parametrize("overtaking", [False, True])
@pytest.mark.parametrize("hidden", [False, True])
def test_identities_through_crossings(overtaking, hidden):
    scores = []
    for seed in range(8):
        times, found = crossing(seed, overtaking=overtaking, hidden=hidden)
        scores.append(idf1(found, followed(times, found)))
    assert np.mean(scores) > 0.95
    assert min(scores) > 0.85


def test_an_animal_that_was_out_of_sight_is_the_same():
    times, found = crossing(1, hidden=False, missed=0, invented=0)
    found[40:70] = [([], [], [])] * 30
    ids = followed(times, found)
    assert idf1(found, ids) == 1


def test_one_animal_found_twice_is_one():
    times = frame_times(20)
    truth = true_points(times)
    rng = np.random.default_rng(0)
    follower = Follower(HORSE)
    for t, time in enumerate(times):
        poses = np.stack([truth[t] + rng.normal(0, 1, truth[t].shape) for _ in range(2)])
        ids = follower.update(time, poses, np.full((2, 26), 0.9), np.tile([0, 0, 200, 150], (2, 1)))
        assert sorted(ids, key=str) == [1, None]


def test_no_more_animals_than_there_are():
    times, found = crossing(2, invented=0.3)
    assert {n for numbers in followed(times, found, animals=2) for n in numbers} <= {1, 2, None}
    # one that comes back where nobody expects it is still the other one
    follower = Follower(HORSE, animals=1)
    pose = true_points(frame_times(1))
    assert follower.update(0.0, pose, np.ones((1, 26))) == [1]
    assert follower.update(9.0, pose + 500, np.ones((1, 26))) == [1]
    assert Follower(HORSE).update(0.0, pose * 0, np.zeros((1, 26))) == [None]


def test_frames_without_an_animal_and_points_that_are_missing():
    follower, times = Follower(HORSE), frame_times(10)
    truth = true_points(times)
    assert follower.update(-1.0, np.zeros((0, 26, 2)), np.zeros((0, 26))) == []
    for t, time in enumerate(times):
        pose, sure = truth[[t]].copy(), np.full((1, 26), 0.8)
        pose[0, t : t + 12] = np.nan
        sure[0, t : t + 12] = np.nan
        assert follower.update(time, pose, sure) == [1]


def test_collected_leaves_out_what_is_seen_for_a_moment():
    times = frame_times(30)
    truth = true_points(times)
    ids = [[2] if t else [None] for t in range(30)]
    ids[5] = [2, 7]
    poses = [np.stack([truth[t]] * len(ids[t])) for t in range(30)]
    sure = [np.full((len(ids[t]), 26), 0.7) for t in range(30)]
    tracks, left_out = collected(HORSE, times, poses, sure, ids, size=(640, 480), source="a.mp4")
    assert (tracks.individuals, left_out) == (("animal1",), 1)
    assert np.isnan(tracks.points[0]).all()
    assert np.array_equal(tracks.points[1:, 0], truth[1:])
    nobody, left_out = collected(HORSE, times, [np.zeros((0, 26, 2))] * 30, [np.zeros((0, 26))] * 30, [[]] * 30)
    assert (len(nobody), nobody.individuals, left_out) == (30, (), 0)
