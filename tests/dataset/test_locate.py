import unicodedata

import pytest

from equistera.dataset.formats.values import Unusable
from equistera.dataset.locate import ELSEWHERE, NOT_FOUND, NOT_READ, PictureFinder
from equistera.errors import UserError


def nfd(name: str) -> str:
    return unicodedata.normalize("NFD", name)


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
        ("day3/IMG_1.jpg", ELSEWHERE),
        ("x.jpg", NOT_FOUND),
        ("notes.txt", NOT_READ),
        ("", NOT_FOUND),
        ("/etc/passwd", NOT_FOUND),
        ("../../etc/passwd", NOT_FOUND),
        ("day1/..\\..\\IMG_1.jpg", "several pictures have this name"),
        ("day1/IMG_1.jpg\0", NOT_FOUND),
    ],
)
def test_not_found_and_why(root, name, reason):
    with pytest.raises(Unusable) as error:
        PictureFinder(root).find([name])
    assert error.value.reason == reason


def finder_of(folder, *files):
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return PictureFinder(folder)


@pytest.mark.parametrize(
    ("file", "name", "told"),
    [
        ("a/foto_1.png", "../a/foto_1.png", ""),
        ("label/2.jpg", "..\\label\\2.jpg", ""),
        (f"{nfd('Fohlen_grün_말')}.jpg", "images/Fohlen_grün_말.jpg", "Unicode form"),
        ("IMG_1.jpg", "photos/IMG_1.JPG", "in case"),
        ("IMG 1 .jpg", "IMG  1 .jpg", "spaces"),
        ("10_30.jpg", "10:30.jpg", "in case, spaces"),
        ("horse 1.jpg", "images/horse%201.jpg", "web address"),
        ("é.jpg", "%25C3%25A9.jpg", "web address"),
        ("50%25.jpg", "50%.jpg", "web address"),
        ("images/frame_000001.PNG", "frame_000001", "in the ending"),
        ("images/horse.v2.png", "horse.v2", "in the ending"),
        ("IMG_1.jpg", "IMG_1.HEIC", "in the ending"),
        ("images/90fbb0c7-a.jpg", "images\\1/90fbb0c7-a.jpg", "in the folders"),
        ("images/cb0618f6-a.png", "..\\..\\media\\upload\\4\\cb0618f6-a.png", "in the folders"),
        ("day1/cam/IMG_1.jpg", "day1/IMG_1.jpg", "in the folders"),
        ("horse (1).jpg", "data/upload/3/1a2b3c4d-horse_1.jpg", "Label Studio"),
        ("horse (1).jpg", "images\\1/1a2b3c4d-horse_1.jpg", "Label Studio"),
        ("src.png", "data/upload/src_ZoqW18z.png", "Label Studio"),
        (f"{nfd('é')}.jpg", "upload/1/1a2b3c4d-e.jpg", "Label Studio"),
    ],
)
def test_a_looser_reading_finds_the_only_one_and_is_told(tmp_path, file, name, told):
    finder = finder_of(tmp_path, file, "else/other.jpg")
    assert finder.find([name]) == file
    assert bool(finder.notes()) == bool(told)
    assert all(note.startswith("1 picture found by names that differ") and told in note for note in finder.notes())


@pytest.mark.parametrize(
    ("files", "name", "reason"),
    [
        (["IMG_1.jpg", "img_1.JPG"], "Img_1.jpg", "several"),
        (["horse (1).jpg", "horse_1.jpg"], "data/upload/3/1a2b3c4d-horse_1.jpg", "several"),
        (["horse (1).jpg", "horse_1.jpg"], "data/upload/horse_1.jpg", "several"),
        (["IMG_1.jpg", "IMG_1.heic"], "IMG_1", "several"),
        # what only Label Studio does to a name says nothing of other tools' names
        (["horse (1).jpg"], "horse_1.jpg", NOT_FOUND),
        (["src.png"], "src_ZoqW18z.png", NOT_FOUND),
        # a drawing beside a photo is another picture
        (["IMG_1.png"], "IMG_1.jpg", NOT_FOUND),
        (["day1/IMG_1.jpg"], "day2/IMG_1.jpg", ELSEWHERE),
        # no upload: a file that the user called so
        (["day1/IMG_1.jpg"], "data/local-files/day2/cb0618f6-IMG_1.jpg", NOT_FOUND),
        (["IMG_1.gif"], "photos/IMG_1.gif", NOT_READ),
    ],
)
def test_what_leaves_it_open_is_refused(tmp_path, files, name, reason):
    finder = finder_of(tmp_path, *files)
    with pytest.raises(Unusable) as error:
        finder.find([name])
    assert error.value.reason.startswith(reason)
    assert error.value.hint or reason == NOT_FOUND


def test_what_fits_better_elsewhere_leaves_it_open(tmp_path):
    finder = finder_of(tmp_path, "a/x/1.jpg", "b/x/1.JPG")
    with pytest.raises(Unusable, match="several"):
        finder.find(["x/1.jpg"], beside="b")
    assert finder.find(["x/1.jpg"], beside="a") == "a/x/1.jpg"
    assert finder.find(["x/1.jpg"]) == "a/x/1.jpg"


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


@pytest.mark.parametrize(
    ("name", "files", "how"),
    [
        ("images%2Fhorse%25202.png", ["images/horse 2.png", "other/horse 3.png"], "the signs of a web address"),
        ("photos%5Chorse%202.png", ["photos/horse 2.png", "other/horse 2.png"], "the signs of a web address"),
        ("day1 /a.jpg ", ["day1/a.jpg", "day2/a.jpg"], "case, spaces"),
        ("IMG_1.HEIC", ["IMG_1.HEIC.jpg"], "the ending"),
        ("day1/IMG_1.HEIC", ["day1/IMG_1.heic.jpeg", "day2/IMG_1.HEIC.jpg"], "the ending"),
        ("IMG_1.HEIC.jpg", ["IMG_1.HEIC"], "the ending"),
    ],
)
def test_what_exports_and_phones_make_of_a_name(tmp_path, name, files, how):
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    finder = PictureFinder(tmp_path)
    assert finder.find([name]) == files[0]
    assert f"found by names that differ in {how}" in finder.notes()[0]


def test_a_photo_and_its_converted_copy_are_not_chosen_between(tmp_path):
    for file in ("IMG_1.HEIC.jpg", "IMG_1.jpg"):
        (tmp_path / file).touch()
    with pytest.raises(Unusable, match="several"):
        PictureFinder(tmp_path).find(["IMG_1.HEIC"])
