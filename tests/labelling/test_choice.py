"""Choosing some of many pictures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equistera.dataset.phash import DISTANCE
from equistera.labelling import choice as choice_module
from equistera.labelling.choice import COVER, SPREAD, Pool, choose, joined


def hashes_for(rng, count):
    """Hashes of pictures that have nothing to do with each other, in all eight ways."""
    return [tuple(int(value) for value in rng.integers(0, 2**63, 8, dtype=np.uint64)) for _ in range(count)]


def pool_of(vectors, groups=None, clips=None, times=None, worth=None, hashes=None, seed=0):
    n = len(vectors)
    return Pool(
        np.asarray(vectors, dtype=float),
        np.zeros(n, int) if groups is None else np.asarray(groups),
        np.full(n, -1) if clips is None else np.asarray(clips),
        np.zeros(n) if times is None else np.asarray(times, dtype=float),
        hashes_for(np.random.default_rng(seed), n) if hashes is None else hashes,
        np.ones(n) if worth is None else np.asarray(worth, dtype=float),
    )


@pytest.mark.parametrize("rule", [COVER, SPREAD])
def test_every_kind_of_picture_is_chosen_once(rule):
    rng = np.random.default_rng(1)
    kinds = rng.integers(0, 5, 60)
    vectors = np.eye(5)[kinds] * 10 + rng.normal(0, 0.1, (60, 5))
    order = choose(pool_of(vectors), 5, gap=0, rule=rule).order
    assert sorted(kinds[order]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("rule", [COVER, SPREAD])
def test_what_is_labelled_already_is_not_chosen_again(rule):
    vectors = np.repeat(np.eye(4) * 10, 3, axis=0)
    order = choose(pool_of(vectors), 2, gap=0, rule=rule, labelled=np.eye(4)[:2] * 10).order
    assert sorted(i // 3 for i in order) == [2, 3]
    pool = pool_of(vectors)
    choice = choose(pool, 99, gap=0, labelled_hashes=[pool.hashes[5], pool.hashes[7]])
    assert sorted(choice.order) == [i for i in range(12) if i not in (5, 7)]
    assert choice.too_near == 2


def test_of_pictures_that_are_as_unlike_the_worthiest_is_chosen():
    vectors = [[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]
    for rule in (COVER, SPREAD):
        choice = choose(pool_of(vectors, worth=[1, 0.3, 0.3, 0.9, 0.3]), 2, gap=0, rule=rule)
        assert choice.order == [0, 3]
        assert np.isnan(choice.distances[0])
        assert choice.distances[1] > 0


def test_an_odd_one_comes_first_by_spread_and_many_of_a_kind_by_cover():
    rng = np.random.default_rng(0)
    kinds = np.repeat([0, 1, 2], [30, 30, 1])
    vectors = np.array([[0, 0], [10, 0], [0, 25]])[kinds] + rng.normal(0, 0.1, (61, 2))
    assert kinds[choose(pool_of(vectors), 2, gap=0, rule=SPREAD).order].tolist() == [0, 2]
    assert sorted(kinds[choose(pool_of(vectors), 2, gap=0, rule=COVER).order]) == [0, 1]
    assert sorted(kinds[choose(pool_of(vectors), 3, gap=0, rule=COVER).order]) == [0, 1, 2]


def test_of_many_pictures_some_stand_for_all(monkeypatch):
    monkeypatch.setattr(choice_module, "_MOST_DISTANCES", 1)
    rng = np.random.default_rng(1)
    kinds = rng.integers(0, 4, 3000)
    vectors = np.eye(4)[kinds] * 10 + rng.normal(0, 0.1, (3000, 4))
    hashes = [(n,) * 8 for n in range(3000)]
    pool = pool_of(vectors, hashes=hashes, clips=np.zeros(3000, int), times=np.arange(3000))
    assert sorted(kinds[choose(pool, 4, gap=0).order]) == [0, 1, 2, 3]


def test_a_mirrored_copy_of_a_chosen_picture_is_left_out():
    hashes = hashes_for(np.random.default_rng(2), 3)
    # what one is mirrored is what the other is as it lies, but for a few bits
    hashes[1] = (hashes[0][1] ^ 0b111, *hashes[1][1:])
    assert DISTANCE >= 3
    choice = choose(pool_of([[0.0], [9.0], [1.0]], hashes=hashes), 3, gap=0)
    assert len({0, 1} & set(choice.order)) == 1
    assert choice.too_near == 1
    # frames of one video that only look alike are told apart by their times
    assert (
        len(choose(pool_of([[0.0], [9.0], [1.0]], clips=[0, 0, 0], times=[0, 5, 9], hashes=hashes), 3, gap=1).order)
        == 3
    )


@given(
    clips=st.lists(st.integers(-1, 3), min_size=1, max_size=40),
    seed=st.integers(0, 999),
    count=st.integers(1, 50),
    gap=st.floats(0, 3),
    most=st.none() | st.integers(1, 5),
    rule=st.sampled_from([COVER, SPREAD]),
)
def test_strides_groups_and_numbers_hold_for_any_pool(clips, seed, count, gap, most, rule):
    rng = np.random.default_rng(seed)
    n = len(clips)
    clips, times = np.array(clips), rng.uniform(0, 10, n)
    groups = np.where(clips >= 0, clips, 4 + rng.integers(0, 2, n))
    open_ = rng.random(n) < 0.8
    pool = pool_of(rng.normal(size=(n, 3)), groups, clips, times, rng.uniform(0.1, 1, n), seed=seed)
    choice = choose(pool, count, gap=gap, most=most, open_=open_, rule=rule)
    order = np.array(choice.order, dtype=int)
    assert len(order) == len(set(choice.order)) == len(choice.distances) <= count
    assert open_[order].all()
    for clip in set(clips[clips >= 0].tolist()):
        own = np.sort(times[order[clips[order] == clip]])
        assert (np.diff(own) >= gap).all()
    counts = np.bincount(groups[order], minlength=6)
    assert most is None or counts.max(initial=0) <= most
    # who could have got one more was not left behind those that got more
    if len(order) == count:
        for group in set(groups.tolist()):
            left = [i for i in np.flatnonzero((groups == group) & open_) if i not in choice.order]
            usable = [
                i for i in left
                if clips[i] < 0 or (np.abs(times[order[clips[order] == clips[i]]] - times[i]) >= gap).all()
            ]  # fmt: skip
            assert not usable or counts[group] >= counts.max() - 1


def test_parts_count_alike_whatever_their_scale_and_length():
    rng = np.random.default_rng(0)
    vectors = joined([1000 * rng.normal(size=(50, 3)), rng.normal(size=(50, 90))])
    spread = np.square(vectors).sum(axis=0)
    assert spread[:3].sum() == pytest.approx(spread[3:].sum())
    assert joined([np.ones((4, 2)), np.ones((4, 1))]).tolist() == np.zeros((4, 3)).tolist()
