"""All tools have one idea of where a file name leads: what verification lets pass is trained on, drawn and counted."""

import json
import shutil

import pytest
from mmengine.config import Config

from equistera.dataset.animals import read_animals
from equistera.dataset.images import ImageError
from equistera.dataset.paths import picture_path
from equistera.dataset.ready import check_split
from equistera.dataset.verify.pictures import inspect
from equistera.errors import UserError
from equistera.mm.config import PROJECT
from equistera.mm.data.dataset import KeypointDataset
from equistera.mm.run.fingerprint import fingerprint
from equistera.skeleton import load

HORSE26 = load("horse26")


@pytest.fixture
def named(horses, tmp_path):
    """A data root whose first picture lies at ``on_disk`` and is called ``name`` in the annotations."""

    def make(name, on_disk):
        shutil.copytree(horses, tmp_path / "data")
        ann_file, folder = tmp_path / "data/annotations/val.json", tmp_path / "data/images/val"
        content = json.loads(ann_file.read_text())
        picture = folder / content["images"][0]["file_name"]
        content["images"][0]["file_name"] = name
        ann_file.write_text(json.dumps(content))
        (folder / on_disk).parent.mkdir(parents=True, exist_ok=True)
        picture.rename(folder / on_disk)
        return ann_file, folder

    return make


def dataset_of(ann_file):
    codec = {"type": "MSRAHeatmap", "input_size": (64, 64), "heatmap_size": (16, 16), "sigma": 2}
    return KeypointDataset(
        skeleton="horse26", data_root=str(ann_file.parents[1]), ann_file="annotations/val.json",
        data_prefix={"img": "images/val"}, codec=codec, pipeline=[], test_mode=True,
    )  # fmt: skip


def counted(root):
    config = Config.fromfile(str(PROJECT / "configs/demo_rtmpose_t.py"))
    config.data_root = str(root)
    return fingerprint(config, 1)["validation pictures"]


@pytest.mark.parametrize(
    ("name", "on_disk"),
    [
        ("day1\\a.jpg", "day1/a.jpg"),
        ("./day1//a.jpg", "day1/a.jpg"),
        ("IMG_1.JPG", "IMG_1.jpg"),
        ("Day1/a.jpg", "day1/a.jpg"),
        ("gr\u00fcn/\u00e9.jpg", "gru\u0308n/e\u0301.jpg"),
        ("10:30.jpg", "10_30.jpg"),
    ],
)
def test_every_tool_finds_the_picture(named, name, on_disk):
    ann_file, folder = named(name, on_disk)
    check_split(ann_file, folder, HORSE26)
    assert inspect(folder, name, decode=False).code == ""
    dataset = dataset_of(ann_file)
    assert dataset[0]["img_path"] == str(folder / on_disk)
    assert dataset[0]["crop"]()[0].size
    pictures = read_animals(ann_file, HORSE26)
    assert pictures.animals[pictures.find(on_disk)]
    before = counted(ann_file.parents[1])
    with (folder / on_disk).open("ab") as file:
        file.write(b"changed")
    assert counted(ann_file.parents[1]) != before


@pytest.mark.parametrize(
    ("name", "on_disk", "also"),
    [
        ("a.Jpg", "a.jpg", "a.JPG"),
        ("gr\u00dcn.jpg", "gr\u00fcn.jpg", "gru\u0308n.jpg"),
        ("day1/../a.jpg", "a.jpg", None),
        ("../val/a.jpg", "a.jpg", None),
        ("/a.jpg", "a.jpg", None),
        ("b.jpg", "a.jpg", None),
    ],
)
def test_every_tool_refuses_it(named, name, on_disk, also):
    ann_file, folder = named(name, on_disk)
    if also:
        shutil.copy(folder / on_disk, folder / also)
    with pytest.raises(UserError):
        check_split(ann_file, folder, HORSE26)
    assert inspect(folder, name, decode=False).code in ("picture-missing", "picture-path")
    with pytest.raises(UserError):
        dataset_of(ann_file)[0]["crop"]()


def test_a_folder_in_another_spelling_may_not_lead_out(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.jpg").touch()
    (tmp_path / "root" / "Photos").symlink_to(tmp_path / "secret")
    with pytest.raises(ImageError, match="leads out"):
        picture_path(tmp_path / "root", "photos/a.jpg")
