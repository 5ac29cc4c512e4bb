"""Files that cannot be written."""

import contextlib
import errno
import os
import pickle
import signal

import pytest

from equistera.errors import WriteError
from equistera.files import atomic_write, remove_unfinished, write_json

resource = pytest.importorskip("resource")


@contextlib.contextmanager
def files_up_to(size):
    """Files may not grow beyond ``size`` bytes: a real EFBIG, from the system."""
    soft, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, most))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("below", ["file.txt", "file.txt/folder"])
def test_a_place_below_a_file(tmp_path, below):
    (tmp_path / "file.txt").write_text("mine")
    with pytest.raises(WriteError) as caught:
        write_json(tmp_path / below / "out.json", {})
    assert str(tmp_path / below / "out.json") in caught.value.summary
    assert "is a file where a folder is needed" in caught.value.reason
    assert caught.value.hint
    assert (tmp_path / "file.txt").read_text() == "mine"


def test_a_folder_of_that_name(tmp_path):
    (tmp_path / "out.json").mkdir()
    with pytest.raises(WriteError, match=os.strerror(errno.EISDIR)):
        write_json(tmp_path / "out.json", {})
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_no_room_leaves_the_earlier_file_and_nothing_else(tmp_path):
    write_json(tmp_path / "out.json", [1])
    with files_up_to(1000), pytest.raises(WriteError, match=os.strerror(errno.EFBIG)) as caught:
        write_json(tmp_path / "out.json", list(range(100_000)))
    assert caught.value.hint.startswith("Make room")
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    assert (tmp_path / "out.json").read_text() == "[1]"


def test_other_errors_pass_unchanged(tmp_path):
    with pytest.raises(KeyError), atomic_write(tmp_path / "out.json"):
        raise KeyError("x")


def test_what_a_killed_process_left_goes_and_nothing_else_does(tmp_path):
    left, users, others = (tmp_path / name for name in (".a.json.ab12cd_8.part", ".mine.part", ".b.json.ab12cd_8.part"))
    for path in (left, users, others):
        path.write_text("half")
    with atomic_write(tmp_path / "a.json") as file:
        file.write("{}")
        # another process would leave this one alone
        remove_unfinished(tmp_path)
    assert not left.exists()
    assert not others.exists()
    assert users.read_text() == "half"
    assert (tmp_path / "a.json").read_text() == "{}"


def test_an_error_of_a_worker_arrives_in_the_process_that_started_it():
    error = WriteError("a.jpg", OSError(errno.ENOSPC, "No space left on device"))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
