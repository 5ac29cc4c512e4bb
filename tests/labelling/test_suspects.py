"""Planted mistakes come first, each by its name; what is right stays behind."""

import csv
import json

import numpy as np
import pytest
from labelled_animals import NAMES, PAIRED, SKELETON, answers_for, labels_of, pool_of

from equistera.errors import UserError
from equistera.labelling.suspect_files import CSV, JSON, export, in_words, write_tables
from equistera.labelling.suspects import judge
from equistera.labelling.suspects_page import by_animal, page

ANIMALS = 80
FORE = [NAMES.index(f"{side}_{name}") for name in ("elbow", "knee", "hoof") for side in "lr"]

#: Boxes found in a picture: of a labelled animal, of another one, and again of that.
FOUND = [[20, 30, 220, 220, 0.9], [110, 250, 280, 45, 0.5], [100, 250, 300, 45, 0.8]]


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Five mistakes: a point moved, one on the other animal, a leg exchanged, an animal mirrored, a cut box."""
    truth = labels_of(ANIMALS)
    labels = truth.copy()
    labels[3, NAMES.index("l_knee"), :2] += 0.15 * 200
    labels[10, NAMES.index("withers"), :2] = truth[11, NAMES.index("withers"), :2]
    labels[20, FORE] = truth[20, SKELETON.flip_indices[FORE]]
    labels[31] = truth[31, SKELETON.flip_indices]
    boxes = np.array([[20.0 + 250 * (n % 2), 30.0, 220.0, 220.0] for n in range(ANIMALS)])
    boxes[40, 3] = 130.0
    pool = pool_of(labels, tmp_path_factory.mktemp("animals"), boxes)
    return judge(pool, answers_for(truth), {5: np.array(FOUND)})


def first(judged, kind):
    return next(suspect for suspect in judged.suspects if suspect.kind == kind)


@pytest.mark.parametrize(
    ("kind", "animal", "points"),
    [
        ("moved", 3, ["l_knee"]),
        ("elsewhere", 10, ["withers"]),
        ("exchanged", 20, [NAMES[k] for k in FORE]),
        ("mirrored", 31, PAIRED),
    ],
)
def test_a_planted_mistake_is_the_first_of_its_kind(judged, kind, animal, points):
    suspect = first(judged, kind)
    assert (suspect.animal, {NAMES[k] for k in suspect.points}) == (animal, {*points})
    assert suspect.probability > 0.5
    assert suspect.picture == animal // 2


def test_a_box_that_leaves_out_labelled_points_is_told(judged):
    suspect = first(judged, "cut")
    assert suspect.animal == 40
    assert {"l_hoof", "r_hoof"} <= {NAMES[k] for k in suspect.points}


def test_an_animal_without_labels_is_told_where_none_is_labelled(judged):
    missing = [suspect for suspect in judged.suspects if suspect.kind == "missing"]
    assert [(one.picture, one.animal, one.box) for one in missing] == [(5, None, (100, 250, 300, 45))]


def test_what_is_right_stays_behind(judged):
    wrong, labelled = {3, 10, 20, 31, 40}, [one for one in judged.suspects if one.animal is not None]
    told = {least: {one.animal for one in labelled if one.probability > least} for least in (0.5, 0.9)}
    # of 1,200 right points the model is far off with a few
    assert wrong <= told[0.5]
    assert len(told[0.5]) <= 10
    assert told[0.9] - wrong == set()
    odds = [suspect.odds for suspect in judged.suspects]
    assert odds == sorted(odds, reverse=True)


def test_a_model_that_exchanges_legs_does_not_swamp_the_list(tmp_path):
    truth = labels_of(ANIMALS)
    told = judge(pool_of(truth, tmp_path), answers_for(truth, exchanged=0.3))
    assert [suspect for suspect in told.suspects if suspect.probability > 0.5] == []


def test_boxes_without_points_are_animals_that_somebody_saw(tmp_path):
    truth = labels_of(ANIMALS)
    crowd = {"id": 999, "image_id": 5, "category_id": 1, "bbox": [100, 250, 300, 45], "iscrowd": 1}
    pool = pool_of(truth, tmp_path, more=[crowd])
    told = judge(pool, answers_for(truth), {5: np.array([[100, 250, 300, 45, 0.8]])})
    assert not [suspect for suspect in told.suspects if suspect.kind == "missing"]


def test_a_wrong_flag_is_told_where_flags_follow_from_confidence(tmp_path):
    truth = labels_of(ANIMALS)
    answers = answers_for(truth)
    # the model is unsure of what is hidden
    answers.scores[:] = np.where(truth[..., 2] > 1, 0.9, 0.3)
    labels = truth.copy()
    labels[7, NAMES.index("nose"), 2] = 1
    answers.scores[7, NAMES.index("nose")] = 0.9
    told = [one for one in judge(pool_of(labels, tmp_path), answers).suspects if one.kind == "visibility"]
    assert [(one.animal, one.points) for one in told] == [(7, (NAMES.index("nose"),))]


def test_what_nobody_was_asked_about_is_not_judged(tmp_path):
    truth = labels_of(ANIMALS)
    labels = truth.copy()
    labels[3, NAMES.index("l_knee"), :2] += 40
    answers = answers_for(truth)
    for values in vars(answers).values():
        values[3] = np.nan
    assert all(suspect.animal != 3 for suspect in judge(pool_of(labels, tmp_path), answers).suspects)


def test_too_few_animals_are_refused(tmp_path):
    truth = labels_of(10)
    with pytest.raises(UserError, match=r"10 labelled animals .* 20 at least"):
        judge(pool_of(truth, tmp_path), answers_for(truth))


def test_tables_hold_all_suspects(judged, tmp_path):
    write_tables(judged, tmp_path, {"asked": "nobody"})
    content = json.loads((tmp_path / JSON).read_text())
    with (tmp_path / CSV).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(content["suspects"]) == len(judged.suspects)
    moved = next(row for row in content["suspects"] if row["kind"] == "moved")
    assert [moved[key] for key in ("annotation", "points", "file_name", "split")] == [4, ["l_knee"], "1.jpg", "train"]
    assert next(row for row in rows if row["kind"] == "moved")["points"] == "l_knee"
    assert any("whole animal mirrored: " in line for line in in_words(judged.suspects))


def test_just_the_suspects_pictures_are_exported_with_their_own_names(judged, tmp_path):
    lines = export(judged, tmp_path, "coco", 0.5)
    content = json.loads((tmp_path / "to_correct_train.json").read_text())
    wanted = dict.fromkeys(f"{one.picture}.jpg" for one in judged.suspects if one.probability >= 0.5)
    assert [image["file_name"] for image in content["images"]] == list(wanted)
    assert any("--img-dir" in line and "--update" in line and "--skeleton small" in line for line in lines)
    assert "nothing to correct" in export(judged, tmp_path, "coco", 1.0)[0]


def test_the_page_shows_each_animal_once_even_where_its_picture_is_gone(judged):
    shown = page(judged, {"labels": "x"}, ["next"], shown=3)
    assert shown.count("<figure>") == 3
    assert "more animals are in suspects.csv" in shown
    assert "whole animal mirrored" in shown
    assert len(by_animal(judged.suspects)) == len({(one.animal, one.box) for one in judged.suspects})
