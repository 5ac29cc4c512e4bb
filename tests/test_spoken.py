"""Output that ends before the work does."""

import io
import os
import sys

import pytest

from equistera import cli


class Broken(io.StringIO):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error

    flush = write_through = lambda self: self.write("")


def work(argv):
    print("first")
    print("second", flush=True)
    argv.append("done")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BrokenPipeError(32, "Broken pipe"), 0),
        (OSError(5, "Input/output error"), 0),
        (ValueError("I/O operation on closed file"), 0),
        (OSError(28, "No space left on device"), 1),
    ],
)
def test_the_work_is_done_whatever_becomes_of_the_output(error, code, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Broken(error))
    monkeypatch.setattr(sys.stdout, "fileno", lambda: os.open(os.devnull, os.O_WRONLY), raising=False)
    did = []
    assert cli.run(work, did) == code
    assert did == ["done"]
    said = capsys.readouterr().err
    assert said == ("error: the output is not whole: No space left on device\n" if code else "")


def test_a_real_pipe_without_a_reader(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        did = []
        assert cli.run(work, did) == 0
        # what libraries and worker processes write there goes nowhere
        os.write(write, b"noise")
    assert did == ["done"]
