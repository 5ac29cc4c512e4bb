import os

import pytest

from equistera import files


def held(times, monkeypatch):
    """A file that another program of Windows holds for so many tries."""
    real, tried = os.replace, []

    def replace(written, target):
        tried.append(target)
        if len(tried) <= times:
            error = PermissionError(13, "Access is denied")
            error.winerror = 5
            raise error
        real(written, target)

    monkeypatch.setattr(files.os, "replace", replace)
    return tried


def test_a_file_that_is_held_for_a_moment_is_replaced(tmp_path, monkeypatch):
    (tmp_path / "new").write_text("new")
    tried = held(1, monkeypatch)
    files.replace(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new"
    assert len(tried) == 2


def test_one_that_stays_held_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PATIENCE", 0)
    (tmp_path / "new").write_text("new")
    held(10, monkeypatch)
    with pytest.raises(PermissionError, match="another program has it open"):
        files.replace(tmp_path / "new", tmp_path / "old")


def test_elsewhere_a_refusal_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "replace", lambda *paths: (_ for _ in ()).throw(PermissionError(13, "no")))
    with pytest.raises(PermissionError, match="no"):
        files.replace(tmp_path / "new", tmp_path / "old")
