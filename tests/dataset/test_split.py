import copy
import random
from collections import Counter, defaultdict
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equistera.dataset.split import SplitSpec, assign, merge_groups, parts_of, picture_groups
from equistera.dataset.split_report import concerns, table
from equistera.errors import UserError

THIRDS = (0.7, 0.15, 0.15)


def coco_of(names, flags=(2, 2)):
    """One annotation of two keypoints a picture; ids from 1."""
    images = [{"id": i, "file_name": name} for i, name in enumerate(names, start=1)]
    annotations = [
        {
            "id": 10 * image["id"],
            "image_id": image["id"],
            "category_id": 1,
            "keypoints": [1, 2, flags[0], 3, 4, flags[1]],
        }
        for image in images
    ]
    return {
        "info": {"year": 2026},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "horse", "keypoints": ["nose", "tail"]}],
    }


def draw(names, group_by="none", fractions=THIRDS, seed=0, kept=None):
    return assign(picture_groups(names, group_by), fractions, seed, kept)


class TestSpec:
    def test_names(self):
        assert SplitSpec().names == ("train", "val", "test")
        assert SplitSpec((0.8, 0.2)).names == ("train", "val")
        assert SplitSpec((0.33, 0.33, 0.33)).names == ("train", "val", "test")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"fractions": (1.0,)}, "two or three numbers between 0 and 1"),
            ({"fractions": (0.25,) * 4}, "two or three numbers between 0 and 1"),
            ({"fractions": (1.0, 0.0)}, "two or three numbers between 0 and 1"),
            ({"fractions": (1.2, -0.2)}, "two or three numbers between 0 and 1"),
            ({"fractions": (70, 15, 15)}, "found: 70 15 15"),
            ({"fractions": (float("nan"), 0.5)}, "two or three numbers between 0 and 1"),
            ({"fractions": (0.7, 0.2)}, "must add up to 1, found 0.7 0.2, which is 0.9"),
            ({"group_by": "horse("}, "is not a regular expression"),
            ({"duplicate_distance": 65}, "0 to 64 bits, found 65"),
            ({"duplicate_distance": -1}, "0 to 64 bits, found -1"),
        ],
    )
    def test_refused(self, options, message):
        with pytest.raises(UserError, match=message):
            SplitSpec(**options)


class TestGroups:
    NAMES: ClassVar = ["day1/max_001.jpg", "day1/lisa_002.jpg", r"day2\max_003.jpg", "top_4.jpg"]

    @pytest.mark.parametrize(
        ("rule", "groups"),
        [
            ("none", ["day1/max_001.jpg", "day1/lisa_002.jpg", r"day2\max_003.jpg", "top_4.jpg"]),
            ("folder", ["day1", "day1", "day2", "."]),
            ("([a-z]+)_", ["max", "lisa", "max", "top"]),
            ("[a-z]+_", ["max_", "lisa_", "max_", "top_"]),
            (r"(?:^|/)([^/]+)_", ["max", "lisa", "max", "top"]),
        ],
    )
    def test_rules(self, rule, groups):
        assert picture_groups(self.NAMES, rule) == dict(zip(self.NAMES, groups, strict=True))

    @pytest.mark.parametrize("rule", ["day([0-9])", "(day)?[a-z]*_"])
    def test_pictures_without_a_group_are_all_named(self, rule):
        with pytest.raises(UserError, match=r"finds no group in [1-4] of 4 file names") as caught:
            picture_groups(self.NAMES, rule)
        assert "top_4.jpg" in caught.value.problems

    def test_merging(self):
        groups = dict(zip("12345", "bbacd", strict=True))
        assert merge_groups(groups, []) == groups
        assert "".join(merge_groups(groups, ["23"]).values()) == "aaacd"
        assert "".join(merge_groups(groups, ["45", "24", "12"]).values()) == "bbabb"


class TestAssign:
    def test_single_pictures_reach_the_fractions(self):
        names = [f"{i}.jpg" for i in range(800)]
        assert Counter(draw(names).values()) == {"train": 560, "val": 120, "test": 120}
        assert Counter(draw(names, fractions=(0.8, 0.2)).values()) == {"train": 640, "val": 160}

    def test_draw_is_known(self):
        """Pinned: another draw from the same seed would move pictures of users between training and test."""
        names = [f"{letter}.jpg" for letter in "abcdefghij"]
        drawn = draw(names, fractions=(0.6, 0.2, 0.2))
        assert {name[0]: split for name, split in drawn.items() if split != "train"} == {
            "c": "val",
            "d": "val",
            "g": "test",
            "h": "test",
        }

    def test_order_does_not_matter_but_the_seed_does(self):
        names = [f"horse{i % 17}_{i}.jpg" for i in range(200)]
        shuffled = random.Random(1).sample(names, len(names))
        drawn = draw(names, r"(horse\d+)_")
        assert draw(shuffled, r"(horse\d+)_") == drawn
        assert draw(names, r"(horse\d+)_", seed=1) != drawn

    @given(
        st.lists(st.integers(0, 12), min_size=3, max_size=60).filter(lambda groups: len(set(groups)) >= 3),
        st.sampled_from([THIRDS, (0.8, 0.2), (0.98, 0.01, 0.01), (0.34, 0.33, 0.33)]),
        st.integers(0, 5),
    )
    def test_groups_stay_whole_and_no_split_is_empty(self, groups, fractions, seed):
        names = [f"g{group}_{i}.jpg" for i, group in enumerate(groups)]
        assignment = draw(names, "(g[0-9]+)_", fractions, seed)
        assert list(assignment) == names
        assert set(assignment.values()) == {"train", "val", "test"} - ({"test"} if len(fractions) == 2 else set())
        homes = defaultdict(set)
        for name, split in assignment.items():
            homes[name.split("_")[0]].add(split)
        assert all(len(splits) == 1 for splits in homes.values())

    @pytest.mark.parametrize("seed", range(5))
    def test_uneven_groups_are_balanced_as_well_as_they_allow(self, seed):
        sizes = [120, 80, 60, 60, 40, 40, 30, 30, 30, 20, 20, 20, 10, 10, 10, 5, 5, 5, 3, 2]
        names = [f"h{i}_{j}.jpg" for i, size in enumerate(sizes) for j in range(size)]
        counts = Counter(draw(names, "(h[0-9]+)_", seed=seed).values())
        assert [
            abs(counts[name] - 600 * part) <= 5 for name, part in zip(("train", "val", "test"), THIRDS, strict=True)
        ]
        assert abs(counts["val"] - 90) <= 5
        assert abs(counts["test"] - 90) <= 5

    def test_small_and_large_groups_both_get_everywhere(self):
        """A draw by size would put every large group into training."""
        sizes = [30] * 6 + [2] * 90
        names = [f"h{i}_{j}.jpg" for i, size in enumerate(sizes) for j in range(size)]
        homes = Counter()
        for seed in range(20):
            drawn = draw(names, "(h[0-9]+)_", seed=seed)
            homes += Counter(drawn[f"h{i}_0.jpg"] for i in range(6))
        assert min(homes["val"], homes["test"]) >= 5

    def test_too_few_groups(self):
        names = [f"a_{i}.jpg" for i in range(9)] + ["b_1.jpg"]
        with pytest.raises(UserError, match="10 pictures in 2 groups cannot fill 3 splits"):
            draw(names, "^([ab])_")
        assert set(draw(names, "^([ab])_", (0.8, 0.2)).values()) == {"train", "val"}

    def test_known_pictures_stay_and_new_ones_join_their_group(self):
        old = [f"h{i % 10}_{i}.jpg" for i in range(100)]
        kept = draw(old, "(h[0-9]+)_")
        new = [f"h{i % 20}_{i}.jpg" for i in range(300)]
        drawn = draw(new, "(h[0-9]+)_", seed=9, kept=kept)
        h_of = {name.split("_")[0]: split for name, split in kept.items()}
        fresh = [name for name in drawn if name.split("_")[0] not in h_of]
        assert len(fresh) == 150
        assert all(drawn[name] == h_of.get(name.split("_")[0], drawn[name]) for name in drawn)
        counts = Counter(drawn.values())
        assert abs(counts["val"] - 45) <= 15
        assert abs(counts["test"] - 45) <= 15

    def test_nothing_new_changes_nothing(self):
        names = [f"{i}.jpg" for i in range(20)]
        kept = draw(names, seed=3)
        assert draw(names, seed=4, kept=kept) == kept

    def test_pictures_that_are_gone_do_not_count(self):
        names = ["a.jpg", "b.jpg", "c.jpg"]
        drawn = draw(names, kept={"gone.jpg": "val", "a.jpg": "test"})
        assert drawn["a.jpg"] == "test"
        assert set(drawn.values()) == {"train", "val", "test"}

    def test_a_group_that_was_torn_goes_on_in_its_larger_part(self):
        names = ["a_1.jpg", "a_2.jpg", "a_3.jpg", "a_4.jpg", "b_1.jpg"]
        kept = {"a_1.jpg": "train", "a_2.jpg": "val", "a_3.jpg": "val", "b_1.jpg": "train"}
        drawn = draw(names, "(.)_", (0.5, 0.5), kept=kept)
        assert drawn == {**kept, "a_4.jpg": "val"}

    def test_other_splits_than_the_kept_ones_are_refused(self):
        names = ["a.jpg", "b.jpg"]
        with pytest.raises(UserError, match="existing split has test, but train, val are asked for"):
            draw(names, fractions=(0.5, 0.5), kept={"a.jpg": "test"})


class TestReport:
    def test_parts_hold_everything_once(self):
        coco = coco_of(["a.jpg", "b.jpg", "c.jpg"])
        before = copy.deepcopy(coco)
        parts = parts_of(coco, {"a.jpg": "val", "b.jpg": "train", "c.jpg": "train"})
        assert list(parts) == ["train", "val"]
        assert [image["id"] for image in parts["train"]["images"]] == [2, 3]
        assert [annotation["id"] for annotation in parts["val"]["annotations"]] == [10]
        assert parts["val"]["info"] == {"year": 2026}
        assert parts["val"]["categories"] == coco["categories"]
        assert coco == before

    def test_table(self):
        coco = coco_of(["a.jpg", "b.jpg", "c.jpg"], flags=(2, 0))
        coco["annotations"][2]["keypoints"][5] = 1
        assert table(parts_of(coco, {"a.jpg": "train", "b.jpg": "val", "c.jpg": "train"})).splitlines() == [
            "                 train        val",
            "pictures     2 (66.7%)  1 (33.3%)",
            "annotations          2          1",
            "visible + hidden, of all annotations:",
            "  nose       100% + 0%  100% + 0%",
            "  tail        0% + 50%    0% + 0%",
        ]

    def test_table_without_annotations(self):
        coco = {**coco_of(["a.jpg", "b.jpg"]), "annotations": []}
        assert table(parts_of(coco, {"a.jpg": "train", "b.jpg": "val"})).splitlines()[-1] == (
            "  tail               -          -"
        )

    def test_no_concerns(self):
        names = [f"{i}.jpg" for i in range(20)]
        drawn = draw(names)
        assert concerns(parts_of(coco_of(names), drawn), picture_groups(names, "none"), drawn, THIRDS) == []

    def test_concerns(self):
        names = [f"big_{i}.jpg" for i in range(8)] + ["b_1.jpg", "c_1.jpg"]
        coco = coco_of(names, flags=(2, 0))
        coco["annotations"] = [a for a in coco["annotations"] if a["image_id"] != 10]
        drawn = dict(zip(names, ["train"] * 7 + ["val", "val", "test"], strict=True))
        groups = picture_groups(names, "^([a-z]+)_")
        found = concerns(parts_of(coco, drawn), groups, drawn, (0.4, 0.3, 0.3))
        assert found[0].startswith("the existing split tears 1 of the groups apart (big): scores will be too good")
        assert found[1].startswith("train has 70.0% of the pictures instead of 40.0%")
        assert "'big' with 8" in found[1]
        assert found[2].startswith("val has 20.0% of the pictures instead of 30.0%")
        assert found[3].startswith("test has 10.0% of the pictures instead of 30.0%")
        assert found[4:] == [
            "train has no label of tail: nothing can be learned or measured there",
            "val has no label of tail: nothing can be learned or measured there",
            "test has no annotations",
        ]
