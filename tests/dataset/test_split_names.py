import pytest

from equistera.dataset.split import picture_groups
from equistera.dataset.split_report import copies, likely_rule, source_of, torn_by_name


def test_augmented_copies_by_their_names():
    first, second = "train/IMG_1_jpg.rf.0a1b.jpg", "train\\IMG_1_jpg.rf.ffff.jpg"
    assert copies([first, "IMG_2_jpg.rf.0c.jpg", second, "IMG_3.jpg", "IMG_3.jpg.png"]) == [[first, second]]
    assert source_of("a.rf.b/IMG_1.jpg") == ""


HORSES = [f"horse{horse:02d}_{i:03d}.jpg" for horse in range(4) for i in range(3)]


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (HORSES, ["horse00", "horse01", "horse02", "horse03"]),
        ([f"photos/{name}" for name in HORSES], [f"photos/horse0{i}" for i in range(4)]),
        ([f"images/{i:08x}-{name}" for i, name in enumerate(HORSES)], ["horse00", "horse01", "horse02", "horse03"]),
        ([f"{name[:-4]}_jpg.rf.{i:032x}.jpg" for i, name in enumerate(HORSES)], [f"horse0{i}" for i in range(4)]),
        (["bella (1).jpg", "bella (2).jpg", "max (1).jpg", "max (2).jpg"], ["bella ", "max "]),
        (["bella/1.jpg", "bella/2.jpg", "max/1.jpg", "max/2.jpg"], ["bella", "max"]),
        (["video1/1.jpg", "video1/2.jpg", "Trainer/1.jpg", "Trainer/2.jpg"], ["Trainer", "video1"]),
        ([f"IMG_2024050{day}_10101{i}.jpg" for day in (1, 2) for i in range(3)], ["IMG_20240501", "IMG_20240502"]),
    ],
)
def test_names_before_a_running_number_suggest_a_rule(names, groups):
    rule = likely_rule(names)
    assert sorted(set(picture_groups(names, rule).values())) == groups


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["a.jpg", "b.jpg"],
        [f"IMG_{i:04d}.jpg" for i in range(20)],
        [f"{prefix}_{i:04d}.jpg" for i in range(10) for prefix in ("IMG", "DSC")],
        [f"{i:012d}.jpg" for i in range(20)],
        # a number of its own for each picture
        [f"horse{i:02d}_1.jpg" for i in range(20)],
        [*HORSES, "other.jpg"],
        # an input that is split already, and whose folders say no more than that
        *(
            [f"images/{split}/{i}.jpg" for i in range(3) for split in splits]
            for splits in (
                ("Train", "Validation"),
                ("train2017", "val2017"),
                ("Train_1", "Train_2", "Val_1"),
                ("obj_train_data", "obj_valid_data"),
                ("dev", "eval"),
                ("trainImages", "holdOutImages2", "TEST_SET"),
            )
        ),
    ],
)
def test_other_names_suggest_none(names):
    assert likely_rule(names) == ""


def test_what_the_split_tears_apart_is_said_with_the_rule():
    [text] = torn_by_name({name: "train" if i % 3 else "val" for i, name in enumerate(HORSES)})
    assert (
        "4 horses, videos or days, and 4 of them are in several splits ('horse00', 'horse01', 'horse02', ...)" in text
    )
    assert text.endswith(r"add --group-by '^(.+)[_-]\d+\.' --overwrite --redraw")
    assert torn_by_name({name: "train" if i < 9 else "val" for i, name in enumerate(HORSES)}) == []
    # a rule that leaves a split empty would lead nowhere
    assert torn_by_name({name: ("train", "val", "test")[i % 3] for i, name in enumerate(HORSES[:6])}) == []
