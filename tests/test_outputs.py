"""What a tool may write over, asked before the work."""

import os
import threading

import pytest

from equistera.errors import UserError
from equistera.outputs import RECORD, Written, check_folder, check_targets, record


def test_a_new_file_may_be_written_and_nothing_is_made(tmp_path):
    check_targets("--json", [tmp_path / "new" / "a.json"])
    assert not (tmp_path / "new").exists()


def test_all_files_that_exist_are_named(tmp_path):
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("[]")
    targets = [tmp_path / name for name in ("a.json", "b.json", "c.json")]
    with pytest.raises(UserError, match="--out: files exist already and are not overwritten") as caught:
        check_targets("--out", targets, tool="test")
    assert caught.value.problems == [str(path) for path in targets[:2]]
    assert "--overwrite" in caught.value.hint
    check_targets("--out", targets, overwrite=True)


def test_what_a_tool_wrote_and_nobody_changed_is_replaced(tmp_path):
    path = tmp_path / "a.jpg"

    def write(text):
        check_targets("--out", [path], tool="visualize")
        path.write_text(text)
        record("visualize", path)

    write("first")
    write("second")
    # not by another tool, and not where it asks about every file
    for tool in ("test", None):
        with pytest.raises(UserError, match="exist already"):
            check_targets("--out", [path], tool=tool)
    # copied to another disk
    os.utime(path, ns=(0, 0))
    check_targets("--out", [path], tool="visualize")
    # of the same size, by somebody else
    path.write_text("edited")
    with pytest.raises(UserError, match="exist already"):
        write("third")
    assert path.read_text() == "edited"


def test_a_link_in_the_place_of_a_drawing_is_not_followed(tmp_path):
    path, photo = tmp_path / "a.jpg", tmp_path / "photo.jpg"
    path.write_text("drawn")
    record("visualize", path)
    path.rename(photo)
    path.symlink_to(photo)
    with pytest.raises(UserError, match="exist already"):
        check_targets("--out", [path], tool="visualize")


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_input_is_kept_whatever_it_is_called(tmp_path, link):
    (tmp_path / "labels.json").write_text("[]")
    link(tmp_path / "labels.json", tmp_path / "link.json")
    for name in ("labels.json", "link.json"):
        with pytest.raises(UserError, match="what this command reads is never replaced"):
            check_targets("--json", [tmp_path / name], inputs=[None, tmp_path / "labels.json"], overwrite=True)


def test_folders_that_cannot_be_written_are_named(tmp_path):
    with pytest.raises(UserError, match="a file cannot take the place of a folder"):
        check_targets("--json", [tmp_path], overwrite=True)
    (tmp_path / "file").write_text("1")
    with pytest.raises(UserError, match=r"cannot write --out .*file is a file where a folder is needed"):
        check_folder("--out", tmp_path / "file" / "below")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_damaged_record_proves_nothing_and_goes_on(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_text("drawn")
    (tmp_path / RECORD).write_bytes(b'\xff\x00\n[]\n{"file": 3}\n{"file": "a.jpg", "tool": "vis\n' + b"[" * 99999)
    assert not Written().by("visualize", path)
    record("visualize", path)
    assert Written().by("visualize", path)


def test_threads_write_whole_lines(tmp_path):
    paths = [tmp_path / f"{i}.jpg" for i in range(40)]
    for path in paths:
        path.touch()
    threads = [threading.Thread(target=record, args=("visualize", path)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = Written()
    assert all(written.by("visualize", path) for path in paths)
