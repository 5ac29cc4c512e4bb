"""What a tool may write over, asked before the work."""

import json

import pytest

from equistera.errors import UserError
from equistera.outputs import check_folder, check_json


def is_list(content):
    return isinstance(content, list)


def test_a_new_file_and_one_of_the_same_kind_may_be_written(tmp_path):
    check_json("--json", tmp_path / "new" / "a.json", "a list", is_list)
    assert not (tmp_path / "new").exists()
    (tmp_path / "a.json").write_text("[1]")
    check_json("--json", tmp_path / "a.json", "a list", is_list)


@pytest.mark.parametrize("content", ["{}", "no JSON", ""])
def test_any_other_file_is_kept(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UserError, match="exists and does not hold a list; it is kept"):
        check_json("--json", tmp_path / "a.json", "a list", is_list)
    check_json("--json", tmp_path / "a.json", "a list", is_list, overwrite=True)


def test_an_input_is_kept_whatever_it_holds_and_is_called(tmp_path):
    (tmp_path / "labels.json").write_text("[]")
    (tmp_path / "link.json").symlink_to(tmp_path / "labels.json")
    for name in ("labels.json", "link.json"):
        with pytest.raises(UserError, match="is an input of this command"):
            check_json("--json", tmp_path / name, "a list", is_list, [None, tmp_path / "labels.json"], overwrite=True)


def test_folders_that_cannot_be_written_are_named(tmp_path):
    with pytest.raises(UserError, match="is a folder, expected a file name"):
        check_json("--json", tmp_path, "a list", is_list)
    (tmp_path / "file").write_text(json.dumps(1))
    with pytest.raises(UserError, match=r"cannot write --out .*file is a file where a folder is needed"):
        check_folder("--out", tmp_path / "file" / "below")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
