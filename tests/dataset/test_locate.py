import pytest

from equistera.dataset.formats.records import Unusable
from equistera.dataset.locate import NOT_FOUND, PictureFinder
from equistera.errors import UserError


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "raw"
    for name in ("day1/IMG_1.jpg", "day2/IMG_1.jpg", "day2/IMG_2.JPG", "1a2b3c4d-My_Horse.png", ".hidden/x.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "notes.txt").touch()
    return root


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["day1/IMG_1.jpg"], "day1/IMG_1.jpg"),
        (["day1\\IMG_1.jpg"], "day1/IMG_1.jpg"),
        (["./day1//IMG_1.jpg"], "day1/IMG_1.jpg"),
        (["/home/anna/photos/day2/IMG_1.jpg"], "day2/IMG_1.jpg"),
        (["C:/photos/day2/IMG_1.jpg"], "day2/IMG_1.jpg"),
        (["raw/day1/IMG_1.jpg"], "day1/IMG_1.jpg"),
        (["IMG_2.JPG"], "day2/IMG_2.JPG"),
        (["img_2.jpg"], "day2/IMG_2.JPG"),
        (["upload/1/1a2b3c4d-My_Horse.png", "1a2b3c4d-My_Horse.png", "My_Horse.png"], "1a2b3c4d-My_Horse.png"),
        (["1a2b3c4d-My Horse.png"], "1a2b3c4d-My_Horse.png"),
        (["", "IMG_2.JPG"], "day2/IMG_2.JPG"),
    ],
)
def test_found(root, names, found):
    finder = PictureFinder(root)
    assert len(finder) == 4
    assert finder.find(names) == found


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("IMG_1.jpg", "several pictures have this name"),
        ("IMG_3.jpg", NOT_FOUND),
        ("day3/IMG_1.jpg", NOT_FOUND),
        ("x.jpg", NOT_FOUND),
        ("notes.txt", NOT_FOUND),
        ("", NOT_FOUND),
        ("/etc/passwd", NOT_FOUND),
        ("../raw/day1/IMG_1.jpg", "the picture's name leads out of the picture folder"),
        ("day1/..\\..\\IMG_1.jpg", "the picture's name leads out of the picture folder"),
        ("day1/IMG_1.jpg\0", "the picture's name leads out of the picture folder"),
    ],
)
def test_not_found_and_why(root, name, reason):
    with pytest.raises(Unusable) as error:
        PictureFinder(root).find([name])
    assert error.value.reason == reason


@pytest.mark.parametrize("ending", ["HEIC", "heif", "avif"])
def test_photos_that_must_be_converted_are_found_and_their_jpegs_stand_for_them(root, ending):
    (root / "day1" / f"IMG_9.{ending}").touch()
    # of another phone
    (root / "day2" / "IMG_9.JPG").touch()
    assert PictureFinder(root).find([f"IMG_9.{ending}"]) == f"day1/IMG_9.{ending}"
    (root / "day1" / "IMG_9.jpg").touch()
    assert PictureFinder(root).find([f"IMG_9.{ending}"]) == "day1/IMG_9.jpg"
    assert PictureFinder(root).find([f"day2/IMG_2.{ending}"]) == "day2/IMG_2.JPG"
    with pytest.raises(Unusable) as error:
        PictureFinder(root).find([f"IMG_3.{ending}"])
    assert (error.value.reason, error.value.detail) == (NOT_FOUND, f"IMG_3.{ending}")


def test_the_folder_of_the_annotation_file_goes_first(root):
    finder = PictureFinder(root)
    assert finder.find(["IMG_1.jpg"], beside="day2") == "day2/IMG_1.jpg"
    assert finder.find(["IMG_2.JPG"], beside="day1") == "day2/IMG_2.JPG"


def test_files_that_are_left_out_and_links_that_go_round(root):
    (root / "day1" / "back").symlink_to(root)
    finder = PictureFinder(root, leave_out=[root / "day2/IMG_1.jpg", root / "1a2b3c4d-My_Horse.png"])
    assert len(finder) == 2
    assert finder.find(["IMG_1.jpg"]) == "day1/IMG_1.jpg"


def test_no_such_folder(tmp_path):
    with pytest.raises(UserError, match="--img-dir"):
        PictureFinder(tmp_path / "photos")
