"""Every hint that names an option or a step is followed here, and must lead on."""

import json
import re
import shlex
import shutil
import textwrap
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from equistera import skeleton
from equistera.dataset.coco import load_annotations
from equistera.dataset.convert import Request, convert_dataset
from equistera.dataset.export import export_annotations
from equistera.dataset.split import SplitSpec
from equistera.dataset.split_dataset import split_dataset
from equistera.dataset.verify.command import verify_dataset
from equistera.errors import UserError

HORSE = skeleton.load("horse26")
DLC = "scorer,A,A,A,A\nbodyparts,nose,nose,neck,neck\ncoords,x,y,x,y\n"


def picture(path, seed=0, size=(40, 20), orientation=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), dtype=np.uint8))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)


@pytest.fixture
def raw(tmp_path):
    """Six pictures and a COCO file."""
    folder = tmp_path / "data/raw"
    for i in range(6):
        picture(folder / f"photos/h{i}.png", seed=i)
    names, points = ["nose", "withers"], [5, 5, 2, 20, 10, 2]
    coco = {
        "images": [{"id": i, "file_name": f"photos/h{i}.png", "width": 40, "height": 20} for i in range(6)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "keypoints": points, "bbox": [1, 1, 30, 15]} for i in range(6)
        ],
        "categories": [{"id": 1, "name": "horse", "keypoints": names}],
    }
    (folder / "labels.json").write_text(json.dumps(coco))
    return folder


def edit(raw, change):
    """Changes the COCO file."""
    content = json.loads((raw / "labels.json").read_text())
    change(content)
    (raw / "labels.json").write_text(json.dumps(content))


def request(raw, **more):
    return Request(raw, raw.parent / "annotations", HORSE, **{"split": None, **more})


def refused(ask, *hints):
    """What a refusal says; its hint must hold the words."""
    with pytest.raises(UserError) as error:
        convert_dataset(ask)
    for hint in hints:
        assert hint in error.value.hint
    return error.value


def converted(ask, count=6):
    report = convert_dataset(ask)
    assert f"converted  {count} of" in report
    return report


def test_format(raw):
    ask = request(raw, format="labelstudio")
    refused(ask, "--format coco", "leave it out")
    converted(replace(ask, format="coco"))
    converted(replace(ask, format="auto", overwrite=True))


def test_format_of_which_there_is_no_file(raw):
    refused(request(raw, format="cvat"), "Leave out --format cvat")
    (raw / "labels.json").rename(raw / "labels.yaml")
    assert "no annotations of a known format" in refused(request(raw), "Expected:").summary


def test_input(raw):
    refused(request(raw / "nowhere"), "with --input")
    shutil.make_archive(raw.parent / "packed/export", "zip", raw)
    refused(request(raw.parent / "packed/export.zip"), "Unpack it")
    refused(request(raw.parent / "packed"), "Unpack the archives")
    shutil.unpack_archive(raw.parent / "packed/export.zip", raw.parent / "packed/export")
    converted(replace(request(raw.parent / "packed"), output=raw.parent / "annotations"))


def test_img_dir(raw):
    (raw / "photos").rename(raw.parent / "photos")
    ask = request(raw)
    refused(ask, "--img-dir")
    refused(replace(ask, img_dir=raw / "photos"), "--img-dir")
    converted(replace(ask, img_dir=raw.parent))


def test_img_dir_where_a_size_is_missing(raw):
    (raw / "photos").rename(raw.parent / "photos")
    edit(raw, lambda coco: [image.pop("width") for image in coco["images"]])
    ask = request(raw, images="none")
    refused(ask, "--img-dir")
    converted(replace(ask, img_dir=raw.parent))


def test_img_dir_where_names_are_ambiguous_or_lead_out_or_pictures_are_others(raw):
    """None of these is put right in the labelling tool."""
    for i in range(6):
        picture(raw / f"mine/{i}/h{i}.png", seed=i)
        picture(raw / f"other/{i}/h{i}.png", seed=i, size=(30, 30))
    shutil.rmtree(raw / "photos")
    edit(raw, lambda coco: [image.update(file_name=image["file_name"][-6:]) for image in coco["images"]])
    ask = request(raw)
    refused(ask, "--img-dir")
    assert "labelling tool" not in refused(replace(ask, img_dir=raw / "other"), "--img-dir").hint
    converted(replace(ask, img_dir=raw / "mine"))


def test_pictures_that_are_damaged(raw):
    good = (raw / "photos/h0.png").read_bytes()
    for path in (raw / "photos").iterdir():
        path.write_bytes(path.read_bytes()[:-30])
    assert "labelling tool" not in refused(request(raw), "Put the pictures right").hint
    (raw / "photos/h0.png").write_bytes(good)
    converted(request(raw), 1)


def test_pixels_that_are_damaged(raw):
    """Only decoding shows them, when near-duplicates are looked for."""
    path = raw / "photos/h0.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20] = bytes(20)
    path.write_bytes(data)
    ask = request(raw, split=SplitSpec())
    refused(ask, "move them away", "tools/convert_dataset.py")
    # as split_dataset says it
    converted(request(raw))
    ann_file, folder = raw.parent / "annotations/all.json", raw.parent / "images/all"
    with pytest.raises(UserError, match=r"move them away(.|\n)*tools/convert_dataset\.py"):
        split_dataset(ann_file, folder, raw.parent / "other/annotations", SplitSpec())
    (folder / "photos/h0.png").unlink()
    converted(Request(ann_file, raw.parent / "other/annotations", HORSE, img_dir=folder), 5)
    path.unlink()
    converted(ask, 5)


def test_category(raw):
    def two_kinds(coco):
        coco["categories"] = [dict(coco["categories"][0], id=i, name=name) for i, name in enumerate(("pony", "cow"))]
        for annotation in coco["annotations"]:
            annotation["category_id"] = annotation["id"] % 2

    edit(raw, two_kinds)
    refused(request(raw), "--category")
    converted(request(raw, categories=["pony"]), 3)


def test_keypoint_map(raw):
    edit(raw, lambda coco: coco["categories"][0].update(keypoints=["snout", "withers"]))
    hint = refused(request(raw), "--keypoint-map FILE").hint
    file = raw.parent / "map.json"
    example = json.loads(re.search(r"\{.*\}", hint)[0])
    file.write_text(json.dumps(example))
    with pytest.raises(UserError, match="does not fit skeleton"):
        convert_dataset(request(raw, keypoint_map=file))
    file.write_text(json.dumps(dict.fromkeys(example, "nose")))
    converted(request(raw, keypoint_map=file))


@pytest.mark.parametrize("split", [None, SplitSpec()])
def test_overwrite_or_another_output(raw, split):
    ask = request(raw, split=split)
    converted(ask)
    refused(ask, "--overwrite", "--output")
    converted(replace(ask, overwrite=True))
    converted(replace(ask, output=raw.parent / "other/annotations"))


def test_strict(raw):
    (raw / "photos/h0.png").unlink()
    refused(request(raw, strict=True), "--img-dir", "without --strict")
    converted(request(raw), 5)


def test_a_split_with_fewer_parts(raw):
    converted(request(raw, split=SplitSpec()))
    ask = request(raw, split=SplitSpec((0.5, 0.5)), overwrite=True)
    refused(ask, "Move them away first")
    (raw.parent / "annotations/test.json").unlink()
    refused(ask, "--redraw")
    converted(replace(ask, redraw=True))
    assert not list((raw.parent / "images/test").rglob("*.png"))


def test_input_that_would_be_overwritten(raw):
    data = raw.parent
    (data / "annotations").mkdir()
    shutil.copy(raw / "labels.json", data / "annotations/train.json")
    shutil.copytree(raw / "photos", data / "images/train/photos")
    shutil.rmtree(raw)
    ask = Request(data, data / "annotations", HORSE)
    refused(ask, "--output")
    converted(replace(ask, output=data / "mine/annotations"))


def test_files_that_lie_in_the_output_are_read(raw):
    """CVAT's archive, unpacked into data/, has its labels in data/annotations; a second run reads no output."""
    data = raw.parent
    (data / "annotations").mkdir()
    (raw / "labels.json").rename(data / "annotations/person_keypoints_default.json")
    (data / "images").mkdir()
    (raw / "photos").rename(data / "images/train")
    edited = data / "annotations/person_keypoints_default.json"
    edited.write_text(edited.read_text().replace("photos/", ""))
    ask = Request(data, data / "annotations", HORSE)
    assert "not read" not in converted(ask)
    again = converted(replace(ask, overwrite=True))
    assert "not read, for this command made them: " in again
    assert len(re.findall(r"/annotations/(?:train|val|test|split)\.json", again.split("not read")[1])) >= 4


def test_files_that_contradict_each_other(raw):
    other = json.loads((raw / "labels.json").read_text())
    other["annotations"][0]["keypoints"][0] = 15
    (raw / "old.json").write_text(json.dumps(other))
    refused(request(raw), "with --input", "--img-dir")
    converted(replace(request(raw / "labels.json"), output=raw.parent / "annotations", img_dir=raw))


def test_exif(raw):
    for i in range(6):
        picture(raw / f"photos/h{i}.png", seed=i, size=(20, 40), orientation=6)
    edit(raw, lambda coco: [image.update(width=20, height=40) for image in coco["images"]])
    edit(raw, lambda coco: [a.update(keypoints=[5, 5, 2, 10, 9, 2], bbox=[1, 1, 9, 9]) for a in coco["annotations"]])
    refused(request(raw), "--exif applied", "--exif ignored")
    converted(request(raw, exif="applied"))
    converted(request(raw, exif="ignored", overwrite=True))


def test_yolo_without_a_data_yaml(raw):
    (raw / "labels.json").unlink()
    (raw / "photos").rename(raw / "images")
    (raw / "labels").mkdir()
    for i in range(6):
        (raw / f"labels/h{i}.txt").write_text("0 .5 .5 .8 .8" + " .3 .3 2" * 13 + " .6 .6 2" * 13)
    hint = refused(request(raw), "data.yaml").hint
    lines = textwrap.dedent("  " + hint[hint.index("train:") :]).replace("nose, l_eye, ...", ", ".join(HORSE.names))
    (raw / "data.yaml").write_text(lines)
    converted(request(raw))


def test_yolo_that_is_wrong_is_put_right_in_its_text(raw):
    (raw / "labels.json").unlink()
    (raw / "photos").rename(raw / "images")
    (raw / "labels").mkdir()
    (raw / "labels/h0.txt").write_text("0,.5,.5,.8,.8,.3,.3,2,.6,.6,2")
    (raw / "data.yaml").write_text("train: images\nkpt_shape: [2, 3]\nkpt_names: [nose, neck]\n")
    assert "labelling tool" not in refused(request(raw), "plain text").hint
    (raw / "labels/h0.txt").write_text("0 .5 .5 .8 .8 .3 .3 2 .6 .6 2")
    converted(request(raw), 1)


def test_predictions_of_deeplabcut(raw):
    (raw / "labels.json").unlink()
    (raw / "labeled-data").mkdir()
    predicted = DLC.replace("x,y", "x,y,likelihood").replace("A,A", "A,A,A", 2).replace("nose,nose", "nose,nose,nose")
    (raw / "walkDLC.csv").write_text(predicted.replace("neck,neck", "neck,neck,neck"))
    refused(request(raw), "CollectedData_<scorer>.csv")
    (raw / "labeled-data/CollectedData_A.csv").write_text(f"{DLC}photos/h0.png,1,2,30,15\n")
    converted(request(raw), 1)


def test_coco_is_needed_and_an_export_given(raw):
    task = {"data": {"image": "photos/h0.png"}, "annotations": [{"result": []}]}
    points = [("nose", 10, 20), ("withers", 50, 60)]
    task["annotations"][0]["result"] = [
        {"type": "keypointlabels", "value": {"x": x, "y": y, "keypointlabels": [name]}} for name, x, y in points
    ]
    (raw / "labels.json").write_text(json.dumps([task]))
    with pytest.raises(UserError, match=r"tools/convert_dataset\.py"):
        verify_dataset([raw / "labels.json"])
    with pytest.raises(UserError, match=r"tools/convert_dataset\.py"):
        split_dataset(raw / "labels.json", raw, raw.parent / "annotations", SplitSpec())
    with pytest.raises(UserError, match=r"tools/convert_dataset\.py"):
        load_annotations(raw / "labels.json", HORSE)
    converted(request(raw), 1)
    verify_dataset([raw.parent / "annotations/all.json"])


def test_split_is_given_a_file_that_is_wrong(raw):
    """The command that it prints says what is wrong and how to write it right; then it is split."""
    coco = raw / "labels.json"
    edit(raw, lambda content: content["annotations"].append({"id": 99, "image_id": 77, "category_id": 1}))
    with pytest.raises(UserError, match=r"Look closer: python tools/verify_dataset\.py --ann-file") as error:
        split_dataset(coco, raw, raw.parent / "annotations", SplitSpec())
    named = shlex.split(error.value.hint.split(": ", 1)[1])[-1]
    assert verify_dataset([named], image_dirs=[raw], fix=raw.parent / "fixed.json") == 1
    split_dataset(raw.parent / "fixed.json", raw, raw.parent / "annotations", SplitSpec())


def test_group_by(raw):
    ask = request(raw, split=SplitSpec(group_by="^(horse[0-9])"))
    refused(ask, "Widen the expression", "--group-by none")
    converted(replace(ask, split=SplitSpec(group_by="none")))
    again = replace(ask, split=SplitSpec(group_by="(h)"), overwrite=True, redraw=True)
    refused(again, "Group more finely (--group-by)")
    converted(replace(again, split=SplitSpec(group_by="(h[0-9])")))


@pytest.mark.parametrize("to", ["coco", "yolo"])
def test_export(raw, to):
    converted(request(raw))
    shutil.rmtree(raw.parent / "images")
    ann_file, out = raw.parent / "annotations/all.json", raw.parent / ("out.json" if to == "coco" else "out")
    edited = json.loads(ann_file.read_text())
    for image in edited["images"]:
        del image["width"]
    ann_file.write_text(json.dumps(edited))
    with pytest.raises(UserError, match="tools/verify_dataset"):
        export_annotations([ann_file], to, out, HORSE)
    for _ in range(2):
        export_annotations([ann_file], to, out, HORSE, img_dir=raw, overwrite=out.exists())
    with pytest.raises(UserError, match="--overwrite"):
        export_annotations([ann_file], to, out, HORSE, img_dir=raw)
