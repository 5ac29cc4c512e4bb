import errno
import os

import pytest

from equistera.dataset import place as module
from equistera.dataset.place import image_dir, place
from equistera.errors import UserError


@pytest.fixture
def places(tmp_path):
    (tmp_path / "photos").mkdir()
    made = {}
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "photos" / name).write_bytes(name.encode() * 10)
        made[tmp_path / "images" / "train" / name] = tmp_path / "photos" / name
    return made


def contents(places):
    return [target.read_bytes() for target in places]


def refuse(*args, **kwargs):
    raise OSError(errno.EXDEV, "Invalid cross-device link")


def test_folder_is_beside_the_annotations(tmp_path):
    assert image_dir(tmp_path / "data" / "annotations", "val") == tmp_path / "data" / "images" / "val"
    assert image_dir("annotations", "val").is_absolute()


@pytest.mark.parametrize("way", ["link", "copy"])
def test_places(places, way):
    place(places, way)
    assert contents(places) == [b"a.jpg" * 10, b"b.jpg" * 10]
    assert all(target.samefile(source) == (way == "link") for target, source in places.items())
    place(places, way)  # again: nothing to do
    assert sorted(path.name for path in next(iter(places)).parent.iterdir()) == ["a.jpg", "b.jpg"]


def test_another_picture_of_the_same_size_and_time_is_another_picture(places):
    """Of uncompressed pictures that one command copied, size and time are often the same."""
    target, source = next(iter(places.items()))
    target.parent.mkdir(parents=True)
    target.write_bytes(b"A.JPG" * 10)
    for path in (target, source):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    with pytest.raises(UserError, match="other files stand where pictures are to be put"):
        place(places, "copy")
    place(places, "copy", overwrite=True)
    assert contents(places) == [b"a.jpg" * 10, b"b.jpg" * 10]


def test_none_places_nothing(places):
    place(places, "none")
    assert not next(iter(places)).parent.exists()


def test_symbolic_where_hard_is_impossible(places, monkeypatch):
    monkeypatch.setattr(os, "link", refuse)
    place(places, "link")
    assert all(target.is_symlink() for target in places)
    assert contents(places) == [b"a.jpg" * 10, b"b.jpg" * 10]


def test_copy_where_no_link_is_possible(places, monkeypatch):
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "symlink", refuse)
    place(places, "link")
    assert not any(target.is_symlink() or target.samefile(source) for target, source in places.items())
    assert contents(places) == [b"a.jpg" * 10, b"b.jpg" * 10]


def test_a_linked_source_is_followed(places, tmp_path):
    (tmp_path / "link.jpg").symlink_to(tmp_path / "photos" / "a.jpg")
    place({tmp_path / "out.jpg": tmp_path / "link.jpg"}, "link")
    assert not (tmp_path / "out.jpg").is_symlink()


def test_all_that_is_in_the_way_is_listed(places):
    for target in places:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"mine")
    with pytest.raises(UserError, match="other files stand") as caught:
        place(places, "link")
    assert len(caught.value.problems) == 2
    assert contents(places) == [b"mine", b"mine"]
    place(places, "link", overwrite=True)
    assert contents(places) == [b"a.jpg" * 10, b"b.jpg" * 10]


def test_a_dangling_link_is_in_the_way(places):
    first = next(iter(places))
    first.parent.mkdir(parents=True)
    first.symlink_to("nowhere")
    with pytest.raises(UserError, match="other files stand"):
        place(places, "copy")
    place(places, "copy", overwrite=True)
    assert not first.is_symlink()


def test_missing_sources_are_all_listed(places):
    for source in places.values():
        source.unlink()
    with pytest.raises(UserError, match="2 of 2 pictures not there"):
        place(places, "copy")


def test_full_disk(places, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.shutil, "copy2", full)
    with pytest.raises(UserError, match="No space left on device"):
        place(places, "copy")
    assert list(next(iter(places)).parent.iterdir()) == []


def test_a_place_below_a_file_is_said(tmp_path):
    (tmp_path / "source.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match="is a file where a folder is needed"):
        place({tmp_path / "source.jpg" / "images" / "a.jpg": tmp_path / "source.jpg"}, "copy")
