"""Boxes of unlabelled pictures beside the pictures."""

import json

import pytest
from PIL import Image

from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.labelling.box_notes import notes_on_boxes
from equistera.labelling.sources import Source

HORSE = skeletons.load("horse26")


@pytest.fixture
def look(tmp_path):
    """Notes on boxes [picture, kind, x, y, width, height] of pictures a.jpg and b.jpg, as the file tells their size."""
    sources = []
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (64, 48)).save(tmp_path / name)
        sources.append(Source(tmp_path / name, name, name, False))

    def look(boxes, size=(64, 48)):
        names = sorted({name for name, *_ in boxes})
        images = [{"id": n, "file_name": name, "width": size[0], "height": size[1]} for n, name in enumerate(names)]
        entries = [
            {"id": n, "image_id": names.index(name), "category_id": ("horse", "cow").index(kind), "bbox": box}
            for n, (name, kind, *box) in enumerate(boxes)
        ]
        kinds = [{"id": 0, "name": "horse"}, {"id": 1, "name": "cow"}]
        path = tmp_path / "boxes.json"
        path.write_text(json.dumps({"images": images, "annotations": entries, "categories": kinds}), encoding="utf-8")
        return notes_on_boxes(path, HORSE, sources)

    return look


def test_what_fits_is_not_worth_a_word(look):
    assert look([("a.jpg", "horse", 1, 2, 30, 20), ("b.jpg", "horse", 1, 2, 30, 20)]) == []


def test_what_does_not_fit_is_said(look):
    gone, unlisted, kinds = look([("a.jpg", "horse", 1, 2, 30, 20), ("c.jpg", "cow", 1, 2, 30, 20)])
    assert gone == "boxes.json has boxes of 1 picture not in the folder: c.jpg"
    assert unlisted == "1 picture not in boxes.json, so nobody looks for an animal there: b.jpg"
    assert kinds.endswith("1 of horse, 1 of cow")


def test_what_contradicts_itself_is_refused(look):
    box = ("a.jpg", "horse", 1, 2, 30, 20)
    with pytest.raises(UserError, match="is there twice"):
        look([box, box])
    with pytest.raises(UserError, match=r"beside the picture"):
        look([box, ("a.jpg", "horse", 900, 2, 30, 20)])
    with pytest.raises(UserError, match="is 128x96 there, the picture has 64x48 pixels"):
        look([box], size=(128, 96))
