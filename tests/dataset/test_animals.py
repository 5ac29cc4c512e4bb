import json

import numpy as np
import pytest

from equistera import skeleton
from equistera.dataset.animals import read_animals
from equistera.dataset.coco import category_of
from equistera.errors import UserError

HORSE = skeleton.load("horse26")


def annotation(x, image_id=1, **more):
    return {"image_id": image_id, "category_id": 1, "keypoints": [x, 5, 2] * 26, "bbox": [x, 0, 10, 10], **more}


def save(tmp_path, names=("a.jpg",), annotations=(), categories=None):
    path = tmp_path / "a.json"
    images = [{"id": i, "file_name": name} for i, name in enumerate(names, 1)]
    categories = [category_of(HORSE)] if categories is None else categories
    path.write_text(json.dumps({"images": images, "annotations": list(annotations), "categories": categories}))
    return path


@pytest.mark.parametrize(
    ("known", "asked", "found"),
    [
        (["horse1/a.jpg"], "horse1/a.jpg", 0),
        (["horse1/a.jpg"], "a.jpg", 0),
        (["a.jpg"], "horse1/a.jpg", 0),
        (["photos/horse1/a.jpg"], "horse1/a.jpg", 0),
        (["horse1\\a.jpg"], "photos/horse1/a.jpg", 0),
        (["horse1/a.jpg"], "horse2/a.jpg", None),
        (["horse1/a.jpg"], "1/a.jpg", None),
        (["horse1/a.jpg", "horse2/a.jpg"], "a.jpg", None),
        (["horse1/a.jpg", "horse2/a.jpg"], "photos/horse2/a.jpg", 1),
        (["horse1/a.jpg", "a.jpg"], "a.jpg", 1),
        (["horse1/a.jpg"], "b.jpg", None),
    ],
)
def test_a_picture_is_found_where_one_path_ends_with_the_other(tmp_path, known, asked, found):
    pictures = read_animals(save(tmp_path, known), HORSE)
    assert pictures.find(asked) == (None if found is None else known[found].replace("\\", "/"))


@pytest.mark.parametrize("ids", [[{}, {}], [{"id": 3}, {"id": 3}], [{"id": [1]}, {"id": [2]}]])
def test_each_animal_has_its_own_points_whatever_the_ids(tmp_path, ids):
    entries = [annotation(10 * (i + 1), **more) for i, more in enumerate(ids)]
    crowd = annotation(50, iscrowd=1)
    animals = read_animals(save(tmp_path, annotations=[crowd, *entries]), HORSE).animals["a.jpg"]
    assert [animal.bbox[0] for animal in animals] == [10, 20]
    assert [animal.keypoints[0, 0] for animal in animals] == [10, 20]


def test_boxes_alone_are_enough(tmp_path):
    box = {"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    [animal] = read_animals(save(tmp_path, annotations=[box], categories=[]), HORSE).animals["a.jpg"]
    assert (animal.bbox, animal.keypoints, animal.score) == ((1, 2, 3, 4), None, 0.5)
    unlabelled = annotation(1, keypoints=[0] * 78)
    [animal] = read_animals(save(tmp_path, annotations=[unlabelled]), HORSE).animals["a.jpg"]
    assert animal.keypoints is None
    labelled = read_animals(save(tmp_path, annotations=[annotation(1)]), HORSE).animals["a.jpg"][0]
    np.testing.assert_array_equal(labelled.keypoints, [[1, 5, 2]] * 26)


@pytest.mark.parametrize("categories", [3, None, "horse"])
def test_a_file_without_a_list_of_categories(tmp_path, categories):
    path = save(tmp_path, annotations=[{"image_id": 1, "bbox": [1, 2, 3, 4]}])
    path.write_text(json.dumps({**json.loads(path.read_text()), "categories": categories}))
    assert len(read_animals(path, HORSE).animals["a.jpg"]) == 1


def test_what_cannot_be_used_is_listed(tmp_path):
    wrong = [{"image_id": 9, "bbox": [1, 2, 3, 4]}, {"image_id": 1, "bbox": [1, 2, 0, 4]}]
    with pytest.raises(UserError, match="cannot be used") as error:
        read_animals(save(tmp_path, annotations=wrong, categories=[]), HORSE)
    assert len(error.value.problems) == 2


def test_boxes_that_are_corners_are_refused(tmp_path):
    path = save(tmp_path, [f"{i}.jpg" for i in range(4)])
    content = json.loads(path.read_text())
    for image in content["images"]:
        image.update(width=100, height=80)
    sizes = [[40 + i, 30, 50, 45] for i in range(4)]
    for boxes, refused in ((sizes, False), ([[x, y, x + w, y + h] for x, y, w, h in sizes], True)):
        content["annotations"] = [{"image_id": i, "bbox": box} for i, box in enumerate(boxes, 1)]
        content["categories"] = []
        path.write_text(json.dumps(content))
        if refused:
            with pytest.raises(UserError, match="would not if they were corners") as error:
                read_animals(path, HORSE)
            assert "[x, y, width, height]" in error.value.hint
        else:
            assert len(read_animals(path, HORSE).animals) == 4
