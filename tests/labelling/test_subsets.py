"""Training sets within each other."""

import pytest

from equistera.dataset.split import picture_groups
from equistera.errors import UserError
from equistera.labelling.subsets import labelled_pictures, nested_subsets, part_of

NAMES = [f"horse{h}/{i}.jpg" for h in range(12) for i in range(h % 3 + 1)]


def test_the_small_ones_lie_within_the_large_ones():
    groups = picture_groups(NAMES, "none")
    drawn = nested_subsets(groups, [5, 10, len(NAMES)], seed=0)
    assert [len(drawn[n]) for n in drawn] == [5, 10, len(NAMES)]
    assert drawn[5] < drawn[10] < drawn[len(NAMES)] == frozenset(NAMES)
    assert drawn == nested_subsets(dict(reversed(groups.items())), [5, 10, len(NAMES)], seed=0)
    assert drawn[5] != nested_subsets(groups, [5], seed=1)[5]


def test_groups_are_not_torn():
    groups = picture_groups(NAMES, "folder")
    for names in nested_subsets(groups, [6, 12, 18], seed=3).values():
        inside = {groups[name] for name in names}
        assert names == {name for name in NAMES if groups[name] in inside}


def test_what_cannot_be_drawn_is_refused():
    groups = picture_groups(NAMES, "folder")
    with pytest.raises(UserError, match="--sizes 99: the training set has 24 pictures"):
        nested_subsets(groups, [10, 99], seed=0)
    with pytest.raises(UserError, match=r"--sizes 10 11 come to the same pictures|come to the same pictures"):
        nested_subsets(dict.fromkeys(NAMES, "one"), [10, 11], seed=0)


def test_a_part_keeps_its_animals():
    coco = {
        "images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(3)],
        "annotations": [{"id": 7, "image_id": 0}, {"id": 8, "image_id": 1}, {"id": 9, "image_id": 0}],
        "categories": ["kept"],
    }
    assert labelled_pictures(coco) == ["0.jpg", "1.jpg"]
    part = part_of(coco, frozenset(["0.jpg"]))
    assert [a["id"] for a in part["annotations"]] == [7, 9]
    assert part["categories"] == ["kept"]
