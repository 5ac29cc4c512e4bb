import copy
import json
import random
import re
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from equistera.dataset.split import SplitSpec
from equistera.dataset.split_dataset import (
    content_hash,
    planned_files,
    read_split,
    read_to_split,
    recorded_rule,
    split_coco,
    split_dataset,
)
from equistera.errors import UserError

COCO = {
    "info": {"year": 2026},
    "images": [{"id": 1, "file_name": "a.jpg", "width": 4}, {"id": 2, "file_name": "b.jpg", "width": 5}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "keypoints": [1.5, 2, 2]},
        {"id": 2, "image_id": 2, "category_id": 1, "keypoints": [3, 4.25, 1]},
    ],
    "categories": [{"id": 1, "name": "horse", "keypoints": ["nose"]}],
}
HALVES = SplitSpec((0.5, 0.5))


def changed(path, value):
    """A copy of COCO with one value at another."""
    coco = copy.deepcopy(COCO)
    *parents, last = path
    place = coco
    for key in parents:
        place = place[key]
    place[last] = value
    return coco


class TestHash:
    def test_is_known(self):
        """Pinned: the same data have the same sum in every version."""
        assert content_hash(COCO) == "4742cdded00c1af2fb815ebc13d74c127e692400de2911492a53d3314dc808dc"

    def test_formatting_and_order_do_not_count(self):
        shuffled = {key: COCO[key] for key in reversed(COCO)}
        shuffled["images"] = COCO["images"][::-1]
        shuffled["annotations"] = [dict(reversed(a.items())) for a in COCO["annotations"][::-1]]
        shuffled["annotations"][1]["keypoints"] = [1.5, 2.0, 2.0]
        assert content_hash(shuffled) == content_hash(COCO)

    def test_info_does_not_count(self):
        assert content_hash(changed(["info"], {})) == content_hash(COCO)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (["images", 0, "file_name"], "c.jpg"),
            (["images", 0, "width"], 5),
            (["annotations", 1, "keypoints", 1], 4.26),
            (["annotations", 1, "keypoints", 2], 2),
            (["annotations", 1, "image_id"], 1),
            (["categories", 0, "keypoints"], ["tail"]),
            (["annotations"], []),
        ],
    )
    def test_content_counts(self, path, value):
        assert content_hash(changed(path, value)) != content_hash(COCO)


class TestReading:
    @pytest.mark.parametrize("content", [[], 5, {"images": []}, {"images": {}, "annotations": [], "categories": []}])
    def test_other_json(self, tmp_path, content):
        (tmp_path / "x.json").write_text(json.dumps(content))
        with pytest.raises(UserError, match="is not a COCO keypoint file"):
            read_to_split(tmp_path / "x.json")

    @pytest.mark.parametrize(
        ("path", "value", "problem"),
        [
            (["images", 0], 5, "picture's entry cannot be used: entry 1 of 'images': expected an object, found 5"),
            (["images", 0, "id"], None, "'id' must be a whole number or a text, found nothing"),
            (["images", 0], {"file_name": "a.jpg"}, "'id' must be a whole number or a text"),
            (["images", 0, "file_name"], 7, "picture 1: 'file_name' must be a text, found 7"),
            (["images", 0, "file_name"], "", "picture 1: 'file_name' must be a text, found ''"),
            (["images", 0, "id"], 2, "several pictures have the same id: id 2: a.jpg"),
            (["images", 0, "file_name"], "./b.jpg", "a picture is listed under several ids: b.jpg: ids 1, 2"),
            (["images"], [], "there are no pictures"),
            (["annotations", 0], 5, "an annotation cannot be read: entry 1 of 'annotations'"),
            (["annotations", 0, "image_id"], 9, "image_id is no picture of the file: annotation 1: image_id 9"),
            (["annotations", 0, "image_id"], [1], r"annotation 1: image_id \[1\]"),
            (["annotations", 1, "keypoints", 0], float("nan"), "numbers that are not finite"),
        ],
    )
    def test_problems(self, tmp_path, path, value, problem):
        (tmp_path / "x.json").write_text(json.dumps(changed(path, value)))
        with pytest.raises(UserError, match=problem):
            read_to_split(tmp_path / "x.json")

    def test_mutated_files_raise_nothing_but_user_errors(self, tmp_path):
        generator, path = random.Random(3), tmp_path / "x.json"
        odd = [None, True, -1, 2**70, 1e400, "", "1", "../x", [], [[]], {}, {"id": 1}, [None] * 3]
        outcomes = set()
        for _ in range(400):
            coco = copy.deepcopy(COCO)
            for _ in range(generator.randint(1, 3)):
                place = coco
                while isinstance(place, (dict, list)) and place:
                    key = generator.choice(list(place) if isinstance(place, dict) else range(len(place)))
                    if generator.random() < 0.35 or not isinstance(place[key], (dict, list)):
                        place[key] = copy.deepcopy(generator.choice(odd))
                        break
                    place = place[key]
            path.write_text(json.dumps(coco))
            try:
                split_dataset(path, None, tmp_path / "out", HALVES, overwrite=True, redraw=True)
                outcomes.add("split")
            except UserError:
                outcomes.add("refused")
        assert outcomes == {"split", "refused"}


class TestWriting:
    PLACES: ClassVar = {"a.jpg": "val", "b.jpg": "train"}

    @staticmethod
    def write(folder, coco=COCO, **options):
        """The only draw of two pictures whose seed has this outcome."""
        return split_coco(coco, {}, folder, SplitSpec((0.5, 0.5), seed=1), **options)

    def test_files(self, tmp_path):
        folder = tmp_path / "new" / "annotations"
        self.write(folder)
        assert read_split(folder) == self.PLACES
        train = json.loads((folder / "train.json").read_text())
        assert train == {**COCO, "images": COCO["images"][1:], "annotations": COCO["annotations"][1:]}
        record = json.loads((folder / "split.json").read_text())
        assert record["input_sha256"] == content_hash(COCO)
        assert record["files"]["train"] == {"file": "train.json", "pictures": 1}
        assert (record["seed"], record["group_by"], record["fractions"]) == (1, "none", {"train": 0.5, "val": 0.5})

    @pytest.mark.parametrize("name", ["train.json", "val.json", "split.json"])
    def test_nothing_is_overwritten_unasked(self, tmp_path, name):
        (tmp_path / name).write_text('{"version": 1, "pictures": {}}')
        with pytest.raises(UserError, match="files exist already and are not overwritten") as caught:
            self.write(tmp_path)
        assert caught.value.problems == [str(tmp_path / name)]
        assert [path.name for path in tmp_path.iterdir()] == [name]

    def test_pictures_that_are_gone_stay_remembered(self, tmp_path):
        self.write(tmp_path)
        other = [COCO["images"][0], {"id": 7, "file_name": "c.jpg"}]
        self.write(tmp_path, {**COCO, "images": other, "annotations": []}, overwrite=True)
        assert read_split(tmp_path) == {**self.PLACES, "c.jpg": "train"}

    def test_a_split_that_is_no_longer_asked_for_is_not_left_behind(self, tmp_path):
        content = {"version": 1, "pictures": {"a.jpg": "test", "b.jpg": "train"}}
        (tmp_path / "split.json").write_text(json.dumps(content))
        (tmp_path / "test.json").touch()
        with pytest.raises(UserError, match="would stay with pictures in both") as caught:
            planned_files(tmp_path, HALVES, overwrite=True)
        assert caught.value.problems == [str(tmp_path / "test.json")]
        (tmp_path / "test.json").unlink()
        assert set(planned_files(tmp_path, HALVES, overwrite=True)) == {"train", "val"}

    def test_no_record_no_claim(self, tmp_path):
        assert read_split(tmp_path) == {}

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "[]",
            "{}",
            '{"version": 2, "pictures": {}, "files": {}}',
            '{"version": 1, "pictures": {"a": 1}, "files": {}}',
        ],
    )
    def test_broken_record(self, tmp_path, content):
        (tmp_path / "split.json").write_text(content)
        with pytest.raises(UserError, match=r"split\.json is not"):
            read_split(tmp_path)


def scene(path, seed, shift=0):
    """A smooth random picture; the same seed with a shift is its near-duplicate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(small).resize((163, 123), Image.Resampling.BICUBIC).crop((shift, 0, 160 + shift, 120)).save(path)


@pytest.mark.parametrize(
    ("rule", "taken"),
    [
        (r"^(horse\d+)_", True),
        (r"^(.+)[_-]\d+\.", True),
        ("folder", True),
        (r"(a+)+$", False),
        (r"((a|a)*)*b", False),
        (r"(a|a)+", False),
        (r"(a?){40}", False),
        (7, False),
        (None, False),
    ],
)
def test_a_recorded_rule_is_taken_if_it_can_be_trusted(tmp_path, rule, taken):
    (tmp_path / "split.json").write_text(json.dumps({"version": 1, "pictures": {}, "group_by": rule}))
    assert recorded_rule(tmp_path) == (rule if taken else "")


class TestSplitDataset:
    @pytest.fixture
    def data(self, tmp_path):
        return self.dataset(tmp_path, [f"p{i:02}.png" for i in range(20)])

    @staticmethod
    def dataset(tmp_path, names):
        for name in names:
            number = int(name[1:3])
            scene(tmp_path / "photos" / name, seed=number // 2, shift=number % 2)
        coco = {
            "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
            "annotations": [
                {"id": i, "image_id": i, "category_id": 1, "keypoints": [1, 1, 2]} for i in range(len(names))
            ],
            "categories": COCO["categories"],
        }
        (tmp_path / "all.json").write_text(json.dumps(coco))
        return tmp_path

    def run(self, data, spec=None, img_dir="photos", **options):
        spec = spec or SplitSpec((0.5, 0.3, 0.2))
        img_dir = img_dir and data / img_dir
        return split_dataset(data / "all.json", img_dir, data / "data" / "annotations", spec, **options)

    def test_near_duplicates_stay_together_and_pictures_are_in_place(self, data):
        report = self.run(data)
        split = read_split(data / "data" / "annotations")
        assert all(split[f"p{i:02}.png"] == split[f"p{i + 1:02}.png"] for i in range(0, 20, 2))
        assert sorted(split.values()) == ["test"] * 4 + ["train"] * 10 + ["val"] * 6
        assert "20 pictures in 20 groups (by none)" in report
        assert "20 of them are near-duplicates, kept together: 10 groups" in report
        assert "pictures     10 (50.0%)  6 (30.0%)  4 (20.0%)" in report
        assert "warning" not in report
        assert report.splitlines()[-1].startswith("next: python tools/verify_dataset.py --ann-file ")
        for name, where in split.items():
            linked = data / "data" / "images" / where / name
            assert linked.samefile(data / "photos" / name)
            assert not linked.is_symlink()
        assert len(list((data / "data" / "images").rglob("*.png"))) == 20

    def test_augmented_copies_stay_together(self, data):
        """Mirrored and turned ones by their pixels; what is cropped or made noisy by the names that Roboflow gives."""
        photos = data / "photos"
        for i in range(1, 20, 2):
            scene(photos / f"p{i:02}.png", seed=100 + i)
        with Image.open(photos / "p00.png") as picture:
            picture.transpose(Image.Transpose.ROTATE_90).save(photos / "p01.png")
            picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(photos / "p03.png")
        names = {f"p{i:02}.png": f"p{i:02}.png" for i in range(20)}
        names |= {"p05.png": "a_jpg.rf.1.png", "p07.png": "a_jpg.rf.2.png"}
        (data / "all.json").write_text(
            (data / "all.json").read_text().replace("p05.png", "a_jpg.rf.1.png").replace("p07.png", "a_jpg.rf.2.png")
        )
        for old, new in names.items():
            (photos / old).rename(photos / new)
        report = self.run(data)
        assert "3 of them are near-duplicates, kept together: 17 groups" in report
        assert "2 of them are augmented copies, kept together: 17 groups" in report
        split = read_split(data / "data" / "annotations")
        assert split["p00.png"] == split["p01.png"] == split["p03.png"]
        assert split["a_jpg.rf.1.png"] == split["a_jpg.rf.2.png"]

    def test_what_the_names_suggest_is_said(self, tmp_path):
        names = [f"x{i:02}_{i % 4}.png" for i in range(20)]
        self.dataset(tmp_path, names)
        content = (tmp_path / "all.json").read_text()
        for i, name in enumerate(names):
            scene(tmp_path / "photos" / f"horse{i % 4}_{i}.png", seed=i)
            content = content.replace(name, f"horse{i % 4}_{i}.png")
        (tmp_path / "all.json").write_text(content)
        report = self.run(tmp_path)
        [rule] = re.findall(
            r"warning: by their names the pictures show 4 horses.*--group-by '(.*)' --overwrite", report
        )
        report = self.run(tmp_path, SplitSpec((0.5, 0.3, 0.2), group_by=rule), overwrite=True, redraw=True)
        assert "by their names" not in report
        assert recorded_rule(tmp_path / "data/annotations") == rule

    def test_without_pictures(self, data):
        report = self.run(data, img_dir=None)
        assert "no --img-dir: near-duplicates were not looked for" in report
        assert not (data / "data" / "images").exists()

    def test_distance_zero_finds_identical_ones_only(self, data):
        (data / "photos" / "p01.png").write_bytes((data / "photos" / "p00.png").read_bytes())
        scene(data / "photos" / "p03.png", seed=99)
        assert " of them are near-duplicates" in self.run(data, SplitSpec((0.5, 0.5), duplicate_distance=0))
        split = read_split(data / "data" / "annotations")
        assert split["p00.png"] == split["p01.png"]

    def test_grows_without_moving_pictures(self, data, tmp_path):
        self.run(data)
        before = read_split(data / "data" / "annotations")
        self.dataset(tmp_path, [f"p{i:02}.png" for i in range(40)][::-1])
        with pytest.raises(UserError, match="not overwritten"):
            self.run(data)
        report = self.run(data, SplitSpec((0.5, 0.3, 0.2), seed=8), overwrite=True)
        after = read_split(data / "data" / "annotations")
        assert {name: after[name] for name in before} == before
        assert len(after) == 40
        assert "20 kept where" in report
        assert "20 new ones placed" in report

    def test_redraw(self, data):
        self.run(data)
        before = read_split(data / "data" / "annotations")
        with pytest.raises(UserError, match="not overwritten"):
            self.run(data, redraw=True)
        self.run(data, SplitSpec((0.5, 0.3, 0.2), seed=8), overwrite=True, redraw=True)
        assert read_split(data / "data" / "annotations") != before

    @pytest.mark.parametrize("images", ["link", "copy"])
    def test_folders_hold_what_the_annotation_files_name(self, data, images):
        """Drawn anew, or with fewer pictures: no training picture stays in images/test."""
        root = data / "data"
        for seed in (0, 8, 9):
            options = {"overwrite": seed > 0, "redraw": seed > 0, "images": images}
            report = self.run(data, SplitSpec((0.5, 0.3, 0.2), seed), **options)
        assert "pictures of an earlier run taken out of folders" in report
        own = [root / "images/test/p99.png", root / "images/val/notes.txt"]
        for path in own:
            path.write_text("the user's")
        photos = {path: path.read_bytes() for path in (data / "photos").iterdir()}
        self.dataset(data, [f"p{i:02}.png" for i in range(10)])
        report = self.run(data, SplitSpec((0.5, 0.3, 0.2), 7), overwrite=True, redraw=True, images=images)
        named = [
            root / "images" / split / image["file_name"]
            for split in ("train", "val", "test")
            for image in json.loads((root / f"annotations/{split}.json").read_text())["images"]
        ]
        there = {path for path in (root / "images").rglob("*") if path.is_file()}
        gone = [path for path in there - {*named, *own} if int(path.name[1:3]) < 10]
        assert there >= {*named, *own}
        assert gone == []
        # a copy of a picture that is no source any more may be the only one
        assert (there == {*named, *own}) == (images == "link") == ("may be the only copy" not in report)
        assert {path: path.read_bytes() for path in photos} == photos

    def test_links_of_a_run_that_was_killed_go_and_copies_of_the_user_stay(self, data):
        """Without split.json nothing says who put a file there: a link to the very picture is no loss."""
        self.run(data)
        for file in (data / "data/annotations").iterdir():
            file.unlink()
        placed = sorted(path for path in (data / "data/images").rglob("*.png") if path.parent.name != "test")
        copy = placed.pop()
        copy.unlink()
        copy.write_bytes((data / "photos" / copy.name).read_bytes())
        self.run(data, SplitSpec((0.5, 0.3, 0.2), seed=8))
        named = {
            data / "data/images" / split / name for name, split in read_split(data / "data" / "annotations").items()
        }
        assert set((data / "data/images").rglob("*.png")) - named <= {copy}
        assert copy.exists()

    def test_pictures_of_the_user_in_the_folder_of_a_split_stay(self, data):
        """Sources in data/images/train are linked elsewhere, and never taken away."""
        (data / "data/images").mkdir(parents=True)
        (data / "photos").rename(data / "data/images/train")
        for seed in (0, 8):
            self.run(data, SplitSpec(seed=seed), img_dir="data/images/train", overwrite=seed > 0, redraw=seed > 0)
        self.dataset(data / "other", [f"p{i:02}.png" for i in range(10)])
        (data / "other/all.json").replace(data / "all.json")
        self.run(data, SplitSpec(seed=8), img_dir="data/images/train", overwrite=True, redraw=True)
        assert len(list((data / "data/images/train").iterdir())) == 20

    def test_its_own_input_is_never_overwritten(self, data):
        (data / "train.json").write_text((data / "all.json").read_text())
        before = (data / "train.json").read_text()
        with pytest.raises(UserError, match="would be overwritten by its own split"):
            split_dataset(data / "train.json", data / "photos", data, SplitSpec(), overwrite=True)
        assert (data / "train.json").read_text() == before

    def test_unsafe_names_are_all_listed(self, data):
        coco = json.loads((data / "all.json").read_text())
        coco["images"][0]["file_name"] = "../secret.png"
        coco["images"][1]["file_name"] = "/etc/passwd"
        (data / "all.json").write_text(json.dumps(coco))
        with pytest.raises(UserError, match="file names that are not followed") as caught:
            self.run(data)
        assert len(caught.value.problems) == 2
        assert not (data / "data").exists()

    def test_unreadable_pictures_are_all_listed_and_nothing_is_written(self, data):
        (data / "photos" / "p00.png").unlink()
        (data / "photos" / "p05.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
        with pytest.raises(UserError, match="2 of 20 pictures cannot be compared"):
            self.run(data)
        assert not (data / "data").exists()

    def test_pictures_in_the_way(self, data):
        self.run(data)
        first = next((data / "data" / "images" / "train").iterdir())
        first.unlink()
        first.write_bytes(b"something else")
        with pytest.raises(UserError, match="not overwritten"):
            self.run(data)
        self.run(data, overwrite=True)
        assert first.samefile(data / "photos" / first.name)
