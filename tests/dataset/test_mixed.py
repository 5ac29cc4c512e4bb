"""Whose points are which of ours, and which animal stands where in an epoch; without a network."""

import json
from collections import Counter

import numpy as np
import pytest

from equistera import skeleton as skeletons
from equistera.dataset.mixed import (
    Draw,
    Source,
    also_option,
    map_points,
    mapped_annotations,
    parse_also,
    shares,
    skeleton_of_file,
)
from equistera.errors import UserError

HORSE, AP10K = skeletons.load("horse26"), skeletons.load("ap10k")


def written(path, names, points):
    """A COCO file of pictures 1.jpg, 2.jpg, ... with an animal each."""
    rows = [
        {"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 9, 9], "keypoints": np.ravel(row).tolist()}
        for i, row in enumerate(points, 1)
    ]
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 9, "height": 9} for i in range(1, len(rows) + 1)]
    categories = [{"id": 1, "name": "dog", "keypoints": list(names)}]
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": categories}))
    return path


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("data/ap10k", {"data_root": "data/ap10k"}),
        ("a:ap10k", {"data_root": "a", "skeleton": "ap10k"}),
        ("a=0.5", {"data_root": "a", "weight": 0.5}),
        ("a:own/points.json=2", {"data_root": "a", "skeleton": "own/points.json", "weight": 2.0}),
        ("C:\\data\\x", {"data_root": "C:\\data\\x"}),
    ],
)
def test_what_also_stands_for(text, entry):
    assert parse_also(text) == entry


@pytest.mark.parametrize("text", ["", "a=", "a=many", "a=0", "a=-1", "a=nan", "a=inf"])
def test_a_weight_that_is_none(text):
    with pytest.raises(UserError, match="expected DIR"):
        parse_also(text)


def test_also_names_a_folder_that_is_there_wherever_the_run_goes_on(tmp_path, monkeypatch):
    (tmp_path / "ap:10k").mkdir()
    monkeypatch.chdir(tmp_path)
    assert also_option(["ap:10k=2"]).endswith(f"[{{'data_root': {str(tmp_path / 'ap:10k')!r}, 'weight': 2.0}}]")
    with pytest.raises(UserError, match="no such folder: ap10k"):
        also_option(["ap10k"])


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"data_root": "a", "wieght": 2}, "k.wieght: unknown, did you mean 'weight'?"),
        ({"data_root": "a", "weight": True}, "k.weight: expected a number above 0, found True"),
        ({"data_root": "a", "point_weight": 0}, "k.point_weight: expected a number above 0, found 0"),
        ({"data_root": "a", "data_prefix": "images"}, "k.data_prefix: expected dict(img=FOLDER), found 'images'"),
    ],
)
def test_values_that_no_source_can_have(entry, problem):
    with pytest.raises(UserError) as caught:
        Source.of(entry, "k")
    assert caught.value.problems == [problem]


def test_a_source_is_no_word():
    with pytest.raises(UserError, match="k: expected a data set"):
        Source.of("data/ap10k", "k")


def test_only_points_that_are_the_same_are_taken():
    mapped = map_points(HORSE, AP10K)
    assert mapped.left == ("L_Hip", "R_Hip")
    assert len(mapped.taken) == 15
    assert HORSE.names[int(np.flatnonzero(mapped.columns == AP10K.index["L_B_Paw"])[0])] == "lh_hoof"
    assert (map_points(HORSE, HORSE).columns == np.arange(26)).all()


def test_a_skeleton_with_nothing_in_common_is_refused():
    bird = skeletons.parse({"keypoints": [{"name": "wing", "half": "upper", "sigma": 0.1}]}, "bird")
    with pytest.raises(UserError, match="'bird' has no point that is exactly one of 'horse26'"):
        map_points(HORSE, bird)


def test_points_that_ours_has_and_theirs_has_not_are_not_labelled(tmp_path):
    points = np.stack([np.arange(17), np.arange(17) + 0.5, np.full(17, 2)], axis=1)
    hips = points * np.isin(AP10K.names, ["L_Hip", "R_Hip"])[:, None]
    path = written(tmp_path / "a.json", AP10K.names, [points, hips, points])
    coco = mapped_annotations(path, HORSE, AP10K, ["3.jpg"])
    (annotation,) = coco["annotations"]
    ours = np.array(annotation["keypoints"]).reshape(-1, 3)
    assert annotation["num_keypoints"] == (ours[:, 2] > 0).sum() == 15
    assert ours[HORSE.index["nose"], 0] == AP10K.index["Nose"]
    assert not ours[HORSE.index["lf_fetlock"]].any()
    assert [image["file_name"] for image in coco["images"]] == ["1.jpg", "2.jpg"]
    assert coco["categories"][0]["keypoints"] == list(HORSE.names)


def test_a_file_says_its_skeleton_by_its_names(tmp_path):
    aliases = [point.aliases[0] for point in AP10K.keypoints]
    assert skeleton_of_file(written(tmp_path / "a.json", aliases, []), HORSE).name == "ap10k"
    assert skeleton_of_file(written(tmp_path / "h.json", HORSE.names, []), HORSE) is HORSE
    with pytest.raises(UserError, match=r"its keypoints \(wing, \.\.\.\) are not those of 'horse26' or of a built-in"):
        skeleton_of_file(written(tmp_path / "w.json", ["wing"], []), HORSE)


def test_shares_of_an_epoch():
    assert shares(12, []) == [12]
    assert shares(12, [1]) == [6, 6]
    assert shares(100, [3, 0.001]) == [24, 75, 1]
    with pytest.raises(UserError, match="has none of the run's own"):
        shares(4, [100])


def test_every_animal_is_drawn_as_often_as_any_other_of_its_set():
    draw = Draw(0, sizes=[10, 3], counts=[5, 4])
    epochs = [[draw.at(epoch, place) for place in range(9)] for epoch in range(6)]
    drawn = Counter(pair for epoch in epochs for pair in epoch)
    assert {drawn[0, animal] for animal in range(10)} == {3}
    assert {drawn[1, animal] for animal in range(3)} == {8}
    # whoever asks, in whatever order
    again = Draw(0, [10, 3], [5, 4])
    assert [again.at(5, place) for place in reversed(range(9))] == epochs[5][::-1]
    assert [Draw(1, [10, 3], [5, 4]).at(0, place) for place in range(9)] != epochs[0]
