import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from equistera import checkpoints
from equistera.checkpoints import Checkpoint, command_for, find, is_whole, manifest, path_of
from equistera.errors import UserError


def test_every_entry_can_be_downloaded_and_checked():
    assert {"rtmpose_m_ap10k", "hrnet_w32_ap10k", "hrnet_w32_animalpose"} <= manifest().keys()
    for name, checkpoint in manifest().items():
        assert checkpoint.name == name
        assert all(url.startswith(("https://", "pip:")) for url in (checkpoint.url, *checkpoint.mirrors))
        assert checkpoint.file_name.endswith((".pth", ".pt"))
        assert len(checkpoint.hash_prefix) == (64 if checkpoint.sha256 else 8)
        assert checkpoint.what


def test_a_file_of_strangers_is_checked_by_its_whole_hash():
    """8 digits are too few to keep out a forged one."""
    for checkpoint in manifest().values():
        hosts = {urlsplit(url).netloc for url in (checkpoint.url, *checkpoint.mirrors)}
        assert checkpoint.sha256 or hosts == {"download.openmmlab.com"}


def test_terms_to_agree_to():
    asked = {name: one.licence.name for name, one in manifest().items() if one.licence}
    superanimal = dict.fromkeys(["superanimal_quadruped_mmpose", "superanimal_quadruped_dlc"], "superanimal")
    assert asked == superanimal | dict.fromkeys(["vitpose_b_ap10k", "vitpose_l_ap10k"], "vitpose")


@pytest.mark.parametrize(
    ("url", "file_name", "prefix"),
    [
        ("https://x.org/a/hrnet-18aac840_20211029.pth", "hrnet-18aac840_20211029.pth", "18aac840"),
        ("https://x.org/rtmdet_20220719_112220-229f527c.pth", "rtmdet_20220719_112220-229f527c.pth", "229f527c"),
        ("https://x.org/r-1234abcd/rtm-m_pt-7a041aa1_20230206.pth?x=1", "rtm-m_pt-7a041aa1_20230206.pth", "7a041aa1"),
    ],
)
def test_hash_stands_in_the_name(url, file_name, prefix):
    checkpoint = Checkpoint("x", url, "")
    assert checkpoint.file_name == file_name
    assert checkpoint.hash_prefix == prefix


def test_known_values():
    checkpoint = manifest()["rtmpose_m_ap10k"]
    # the published file's, which its name does not carry
    assert checkpoint.hash_prefix.startswith("896e3665d849")
    assert (checkpoint.skeleton, checkpoint.ap) == ("ap10k", 0.722)
    assert manifest()["rtmdet_m_coco"].skeleton == ""


def test_names_are_looked_up_together():
    assert [c.name for c in find(["rtmdet_m_coco", "hrnet_w32_ap10k", "rtmdet_m_coco"])] == [
        "rtmdet_m_coco",
        "hrnet_w32_ap10k",
    ]
    with pytest.raises(UserError, match="no checkpoint of this name") as caught:
        find(["hrnet_w32_ap10", "nonsense"])
    assert caught.value.problems == ["'hrnet_w32_ap10', did you mean 'hrnet_w32_ap10k'?", "'nonsense'"]


def test_paths_and_commands():
    name = "hrnet_w32_ap10k"
    file_name = "hrnet_w32_ap10k_256x256-18aac840_20211029.pth"
    assert path_of(name) == Path(checkpoints.__file__).parents[2] / "checkpoints" / file_name
    assert command_for(name) == f"python tools/download_checkpoints.py {name}"
    with pytest.raises(UserError, match="no checkpoint of this name"):
        path_of("nonsense")


def test_whole_or_not(tmp_path):
    digest = hashlib.sha256(b"weights").hexdigest()
    checkpoint = Checkpoint("x", f"https://x.org/x-{digest[:8]}_20240101.pth", "")
    assert not is_whole(tmp_path, checkpoint)
    assert not is_whole(tmp_path / "gone", checkpoint)
    (tmp_path / "file").write_bytes(b"weights")
    assert is_whole(tmp_path / "file", checkpoint)
    (tmp_path / "file").write_bytes(b"weight")
    assert not is_whole(tmp_path / "file", checkpoint)
