import json
import shutil

import pytest
from PIL import Image

from equistera.dataset import ready
from equistera.dataset.images import read_header
from equistera.dataset.ready import check_split
from equistera.errors import UserError
from equistera.skeleton import load

HORSE26 = load("horse26")


@pytest.fixture
def val(horses, tmp_path):
    """Annotations and pictures of the small validation set, to be changed."""
    shutil.copytree(horses / "images" / "val", tmp_path / "val")
    shutil.copy(horses / "annotations" / "val.json", tmp_path / "val.json")
    return tmp_path


def first_picture(val):
    return val / "val" / json.loads((val / "val.json").read_text())["images"][0]["file_name"]


def state(val, **size):
    content = json.loads((val / "val.json").read_text())
    content["images"][0] |= size
    (val / "val.json").write_text(json.dumps(content))


def test_a_picture_scaled_after_labelling_is_refused(val):
    picture = first_picture(val)
    with Image.open(picture) as image:
        half = image.resize((image.width // 2, image.height // 2))
    half.save(picture)
    with pytest.raises(UserError, match="1 of 4 pictures") as caught:
        check_split(val / "val.json", val / "val", HORSE26)
    assert caught.value.problems == [f"{picture.name}: labelled as one of 320x240, the picture has 160x120"]
    assert "Put the pictures there that were labelled" in caught.value.hint


def test_a_picture_turned_by_exif_and_labelled_as_it_lies_in_the_file_is_refused(val):
    picture = first_picture(val)
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(picture) as image:
        image.save(picture, exif=exif)
    with pytest.raises(UserError, match="labelled as one of 320x240, the picture has 240x320"):
        check_split(val / "val.json", val / "val", HORSE26)


@pytest.mark.parametrize("size", [{"width": None}, {"width": 0, "height": 0}, {"height": "unknown"}])
def test_a_size_that_is_not_stated_contradicts_nothing(val, size):
    state(val, **size)
    assert len(check_split(val / "val.json", val / "val", HORSE26)["images"]) == 4


def test_each_header_is_read_once(val, monkeypatch):
    read = []
    monkeypatch.setattr(ready, "read_header", lambda path: read.append(path) or read_header(path))
    monkeypatch.setattr("equistera.dataset.images.read_header", lambda path: pytest.fail("read again"))
    check_split(val / "val.json", val / "val", HORSE26)
    assert len(read) == len(set(read)) == 4
