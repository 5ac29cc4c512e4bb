"""Labelled pictures together, their groups and folds; odds and regressions on plain numbers."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_animals import SKELETON, answers_for, labels_of, pool_of

from equistera.errors import UserError
from equistera.labelling.answers import VIEWS, Answers
from equistera.labelling.odds import odds_of_distances, odds_of_evidence
from equistera.labelling.pool import Pool, Source, draw_folds, groups_of


@given(sizes=st.lists(st.integers(1, 9), min_size=3, max_size=30), count=st.integers(2, 3), seed=st.integers(0, 5))
def test_folds_tear_no_group_and_differ_by_less_than_the_largest(sizes, count, seed):
    groups = {f"{g}-{i}": str(g) for g, size in enumerate(sizes) for i in range(size)}
    folds = draw_folds(groups, count, seed)
    assert list(folds) == list(groups)
    assert len({(groups[name], fold) for name, fold in folds.items()}) == len(sizes)
    held = Counter(folds.values())
    assert {*held} == set(range(count))
    assert max(held.values()) - min(held.values()) <= max(sizes)
    assert folds == draw_folds(groups, count, seed)


def test_too_few_groups_are_refused():
    with pytest.raises(UserError, match="6 pictures in 2 groups cannot fill 3 folds"):
        draw_folds({f"{i}": f"{i % 2}" for i in range(6)}, 3)


def test_splits_are_pooled_under_names_that_tell_them_apart(tmp_path):
    pool = pool_of(labels_of(4), tmp_path)
    source = pool.pictures[0].source
    val = Source("val", tmp_path / "annotations" / "val.json", tmp_path / "images" / "val")
    val.ann_file.write_text(source.ann_file.read_text())
    both = Pool.read([source, val], SKELETON)
    assert [picture.name for picture in both.pictures] == ["train/0.jpg", "train/1.jpg", "val/0.jpg", "val/1.jpg"]
    assert both.folder == (tmp_path / "images").resolve()
    content = both.coco([1, 2])
    assert [image["file_name"] for image in content["images"]] == ["train/1.jpg", "val/0.jpg"]
    assert [(one["id"], one["image_id"]) for one in content["annotations"]] == [(2, 1), (3, 1), (4, 2), (5, 2)]
    assert [own.tolist() for own in both.animals_of] == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_groups_are_those_of_the_split_and_of_near_duplicates(horses):
    sources = [
        Source(split, horses / "annotations" / f"{split}.json", horses / "images" / split) for split in ("train", "val")
    ]
    from equistera import skeleton

    pool = Pool.read(sources, skeleton.load("horse26"))
    alone = groups_of(pool, None)
    assert len(alone) == len(pool.pictures)
    assert len(set(alone.values())) == len(alone)
    assert len(set(groups_of(pool, "(\\d)\\d*[.]jpg").values())) < len(alone)


def test_animals_without_labels_are_refused(tmp_path):
    labels = labels_of(2)
    labels[..., 2] = 0
    with pytest.raises(UserError, match="no animal with a labelled keypoint"):
        pool_of(labels, tmp_path)


def test_answers_are_stored_for_what_they_follow_from(tmp_path):
    answers = answers_for(labels_of(3))
    answers.write(tmp_path / "answers.npz", "a")
    assert Answers.stored(tmp_path / "answers.npz", "b") is None
    again = Answers.stored(tmp_path / "answers.npz", "a")
    for name, values in vars(answers).items():
        assert np.array_equal(getattr(again, name), values), name


def test_a_mirrored_view_looks_at_the_same_place():
    assert VIEWS[1].mirrored
    assert VIEWS[1].box((10, 20, 30, 40), 100) == (100 - 1 - 40, 20, 30, 40)
    assert VIEWS[2].box((10, 20, 40, 40), 100) == (5, 15, 50, 50)


def test_odds_rise_with_the_distance_and_know_the_share_of_wrong_ones():
    rng = np.random.default_rng(0)
    # distances in the plane, of heavier tails than a normal distribution's
    right = np.hypot(*rng.normal(size=(2, 4000))) / np.sqrt(rng.chisquare(5, 4000) / 5)
    wrong = 12 * rng.random(200)
    ratio = np.concatenate([right, wrong])
    odds = odds_of_distances(ratio)
    assert (np.diff(odds[np.argsort(ratio)]) >= 0).all()
    assert 100 < (1 / (1 + np.exp(-odds))).sum() < 250
    assert np.isnan(odds_of_distances(np.array([np.nan, 1.0, 1.2]))[0])


def test_evidence_counts_where_an_exchange_turns_it_round():
    rng = np.random.default_rng(0)
    evidence = np.concatenate([rng.normal(-3, 1, 400), rng.normal(3, 1, 8), [0.0]])
    odds = odds_of_evidence(evidence)
    assert (odds[:400] < 0).all()
    assert (odds[400:408] > 0).mean() > 0.6
    # undecided: as probable as any
    assert odds[408] == pytest.approx(np.log(8 / 400), abs=1)


def test_a_source_that_is_no_coco_file_is_refused(tmp_path):
    path = tmp_path / "train.json"
    path.write_text(json.dumps([]))
    with pytest.raises(UserError, match="not a COCO keypoint file"):
        Pool.read([Source("train", path, tmp_path)], SKELETON)
