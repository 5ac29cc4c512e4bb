import json

import pytest

from equistera.dataset import formats
from equistera.dataset.formats.records import NotLabels
from equistera.errors import UserError

NAMES = ["nose", "l_eye", "r_eye"]
NOTES = {"categories": [{"id": 0, "name": "horse", "keypoints": NAMES}], "info": {"contributor": "Label Studio"}}
LINE = "0 0.5 0.5 0.4 0.6 0.1 0.2 2 0.0 0.0 0 0.3 0.4 2"


def save(folder, lines=(LINE,), notes=NOTES, picture="", name="1b2c3d4e__a b.txt"):
    (folder / "labels").mkdir()
    (folder / "labels" / name).write_text("\n".join(lines))
    (folder / "notes.json").write_text(json.dumps(notes))
    (folder / "classes.txt").write_text("horse")
    if picture:
        (folder / "images").mkdir()
        (folder / "images" / picture).touch()
    return folder / "notes.json"


def test_points_and_boxes_of_each_line(tmp_path):
    export = formats.read(save(tmp_path, [LINE, LINE.replace("0.1", "0.15")]))
    [picture] = export.pictures
    assert (picture.names, picture.relative, export.tells_hidden) == (("1b2c3d4e__a b",), True, False)
    assert len(picture.animals) == 2
    assert picture.animals[0].points == {"nose": (0.1, 0.2, 2), "l_eye": (0, 0, 0), "r_eye": (0.3, 0.4, 2)}
    assert picture.animals[0].box == pytest.approx((0.3, 0.2, 0.4, 0.6))
    assert picture.animals[0].category == "horse"
    assert "in the order of their model_index" in export.notes[0]


def test_pictures_beside_the_labels_have_their_own_names(tmp_path):
    [picture] = formats.read(save(tmp_path, picture="1b2c3d4e__a b.PNG")).pictures
    assert picture.names == ("images/1b2c3d4e__a b.PNG",)


def test_labels_without_model_index_have_boxes_only(tmp_path):
    export = formats.read(save(tmp_path, ["0 0.5 0.5 0.4 0.6"]))
    assert export.pictures == []
    assert "model_index" in export.skips[0].hint


def test_notes_that_name_nothing(tmp_path):
    with pytest.raises(NotLabels, match="YOLO export, without keypoints"):
        formats.read(save(tmp_path, notes={**NOTES, "categories": [{"id": 0, "name": "horse"}]}))


@pytest.mark.parametrize(
    "categories",
    [
        [{"id": 0, "keypoints": NAMES}, {"id": 1, "keypoints": NAMES[:2]}],
        [{"id": "0", "keypoints": NAMES}],
        [{"id": 0, "keypoints": ["nose", "nose"]}],
        [{"id": 0, "keypoints": ["nose", 7]}],
    ],
)
def test_notes_that_contradict_themselves(tmp_path, categories):
    with pytest.raises(UserError):
        formats.read(save(tmp_path, notes={**NOTES, "categories": categories}))


def test_labels_that_are_missing(tmp_path):
    path = save(tmp_path)
    (tmp_path / "labels/1b2c3d4e__a b.txt").unlink()
    with pytest.raises(UserError, match="Unpack the whole export"):
        formats.read(path)
