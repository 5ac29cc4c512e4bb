"""Two nodes under torchrun (two agents on this machine, over gloo), a killed process, and the rest on one node."""

import os
import re
import socket
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from equistera.mm.network import checkpoint

DEMO = "configs/demo_rtmpose_t.py"
SCRIPT = Path(__file__).with_name("note_each_step.py")


def updates(folder) -> dict:
    """The samples of each update, by epoch and number: 4 each, of two processes by 2 or of one in two steps of 2."""
    found = defaultdict(list)
    ranks = sorted(folder.glob("rank*.txt"))
    for notes in ranks:
        for line in notes.read_text().splitlines():
            epoch, number, *samples = line.split()
            found[int(epoch), int(number) * len(ranks) // 2].extend(samples)
    return {key: sorted(samples) for key, samples in found.items()}


@pytest.mark.slow
def test_a_killed_node_ends_the_run_which_goes_on_elsewhere_with_the_same_samples(horses, tiny, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--data-root", horses, "--cfg-options", *tiny(**{"train_dataloader.batch_size": 2})]

    def start(folder, command, *words, die_at=0):
        folder.mkdir(exist_ok=True)
        said = (folder / f"said{len(list(folder.glob('said*')))}.txt").open("w")
        environment = {**os.environ, "EQUISTERA_TEST_DUMP": str(folder), "EQUISTERA_TEST_DIE_AT": str(die_at)}
        words = [sys.executable, *command, SCRIPT, DEMO, *words, *options]
        return subprocess.Popen(list(map(str, words)), env=environment, cwd=folder, stdout=said, stderr=said)

    def on_two_nodes(folder, work, **more):
        meet = ["--nnodes=2", "--nproc-per-node=1", "--master-addr=127.0.0.1", f"--master-port={port}"]
        return [
            start(folder, ["-m", "torch.distributed.run", f"--node-rank={node}", *meet], "--work-dir", work,
                  "--launcher", "pytorch", **more)
            for node in range(2)
        ]  # fmt: skip

    straight = on_two_nodes(tmp_path / "straight", tmp_path / "run")
    assert [node.wait(timeout=900) for node in straight] == [0, 0]

    # in the second of three epochs of four steps
    broken = on_two_nodes(tmp_path / "broken", tmp_path / "work", die_at=6)
    assert broken[1].wait(timeout=900) != 0
    died = time.monotonic()
    assert broken[0].wait(timeout=60) != 0
    print(f"the other node ended {time.monotonic() - died:.1f} s later")
    said = "".join(path.read_text() for path in (tmp_path / "broken").glob("said*"))
    assert re.search(r"Signal 9 \(SIGKILL\)", said)
    assert "another process of this run" in said, said[-3000:]

    alone = start(tmp_path / "alone", [], "--work-dir", tmp_path / "work", "--resume")
    assert alone.wait(timeout=900) == 0
    said = (tmp_path / "alone" / "said0.txt").read_text()
    print(said)
    assert "an update keeps its 4 samples: batch 2 x 2 steps" in said
    before, after = updates(tmp_path / "straight"), updates(tmp_path / "alone")
    assert {*after} <= {*before}
    assert {epoch for epoch, _ in after} >= {2}
    assert after == {key: before[key] for key in after}
    fingerprint = checkpoint.load(tmp_path / "work" / "latest.pth")["meta"]["fingerprint"]
    assert fingerprint["samples in an update"] == "4 (batch 2 x 2 steps)"
