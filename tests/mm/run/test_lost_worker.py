"""A loader worker that the system ends, as it does where memory runs out."""

import os
import signal

import pytest
import torch

from equistera.errors import MachineFailure
from equistera.mm.network import checkpoint
from equistera.mm.run.loop import TrainLoop
from equistera.mm.run.train import TrainOptions, train


def test_the_run_is_saved_up_to_its_epoch_and_says_how_to_go_on(horses, tiny, tmp_path, monkeypatch):
    step = TrainLoop._step

    def kill_after_step(self, *args):
        step(self, *args)
        if self.iter == 11:
            os.kill(self.dataloader._iterator._workers[0].pid, signal.SIGKILL)

    monkeypatch.setattr(TrainLoop, "_step", kill_after_step)
    # seconds after which a loader looks whether its workers live: 5 by default
    monkeypatch.setattr(
        torch.utils.data.dataloader._MultiProcessingDataLoaderIter._try_get_data, "__defaults__", (0.2,)
    )
    children = signal.getsignal(signal.SIGCHLD)
    options = tiny(**{"train_dataloader.num_workers": 1, "train_dataloader.prefetch_factor": 1,
                      "train_dataloader.batch_size": 2, "default_hooks.checkpoint.interval": 1})  # fmt: skip
    with pytest.raises(MachineFailure) as caught:
        train(
            TrainOptions("configs/demo_rtmpose_t.py", work_dir=str(tmp_path / "w"), data_root=str(horses),
                         cfg_options=options)
        )  # fmt: skip
    said = str(caught.value)
    assert "memory ran out (1 worker, batch 2, ended by SIGKILL)" in said
    assert "train_dataloader.num_workers=" in said
    assert "; go on with:\n  " in said
    assert "--resume" in said
    meta = checkpoint.load(tmp_path / "w" / "latest.pth")["meta"]
    assert (meta["epoch"], meta["iter"]) == (1, 8)
    assert signal.getsignal(signal.SIGCHLD) is children
