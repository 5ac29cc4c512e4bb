"""A run that is stopped anywhere and resumed equals one that never stopped, to the bit."""

import json
import os
import re
import shutil
import signal
import weakref

import pytest
import torch

from equistera.errors import Stopped, UserError
from equistera.mm.data.loading import ResumableSampler
from equistera.mm.network import checkpoint
from equistera.mm.run import loop as loops
from equistera.mm.run import resume, saving
from equistera.mm.run.console import Console
from equistera.mm.run.saving import SaveCheckpoints
from equistera.mm.run.train import TrainOptions, train
from equistera.training import options

DEMO = "configs/demo_rtmpose_t.py"
EVALUATE_BATCH = loops.EvaluationLoop.run_iter

#: Dropout, drop path and mixing of phases: everything whose course could be lost with the process.
RICH = {
    "training_subset.pictures": 4,
    "norm_statistics.pictures": 4,
    "model.head.gau_cfg.dropout_rate": 0.1,
    "model.head.gau_cfg.drop_path": 0.1,
    "strategy.opens_at.stage3": 0.34,
    "default_hooks.checkpoint.interval": 1,
}


@pytest.fixture(scope="module")
def run(horses, tiny):
    def start(work_dir, data_root=None, **changes):
        given = {name: changes.pop(name) for name in [*changes] if name in TrainOptions.__dataclass_fields__}
        settings = tiny(**{**RICH, **changes})
        return train(
            TrainOptions(
                DEMO, work_dir=str(work_dir), data_root=data_root or str(horses), cfg_options=settings, **given
            )
        )

    return start


@pytest.fixture(scope="module")
def straight(run, trained, tmp_path_factory):
    """Work dir of a run that never stopped; not to be changed."""
    return run(tmp_path_factory.mktemp("straight") / "run", init=str(trained / "best.pth"))


@pytest.fixture
def signal_at(monkeypatch):
    """Sends this process a signal within a step (0 is the first) or within the evaluation after an epoch."""

    def arrange(number, step=None, evaluation=None):
        def in_step(console, runner, loss):
            if runner.iter == step:
                os.kill(os.getpid(), number)

        def in_evaluation(loop, number_of_batch, batch):
            EVALUATE_BATCH(loop, number_of_batch, batch)
            if loop.runner.epoch == evaluation:
                os.kill(os.getpid(), number)

        monkeypatch.setattr(Console, "step", in_step)
        monkeypatch.setattr(loops.EvaluationLoop, "run_iter", in_evaluation)

    # a shell's background jobs, and what they start, ignore Ctrl-C
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield arrange
    signal.signal(signal.SIGINT, before)
    monkeypatch.undo()


def assert_same_end(straight, resumed):
    for name in ("latest.pth", "best.pth"):
        one, other = checkpoint.load(straight / name), checkpoint.load(resumed / name)
        for part in ("state_dict", "optimizer", "loop", "hooks"):
            assert checkpoint.equal(one.get(part), other.get(part)), (name, part)
        for key in ("epoch", "iter", "best_score", "best_epoch"):
            assert one["meta"][key] == other["meta"][key]


@pytest.mark.parametrize(
    ("arranged", "epoch", "pending"),
    [
        ({"number": signal.SIGTERM, "step": 1}, 1, True),
        ({"number": signal.SIGINT, "step": 6}, 2, True),
        ({"number": signal.SIGUSR1, "step": 3}, 1, True),
        ({"number": signal.SIGINT, "evaluation": 2}, 2, True),
    ],
    ids=["first epoch", "within an epoch", "last step of an epoch", "evaluation"],
)
def test_a_signal_anywhere_and_resume(
    run, straight, trained, tmp_path, signal_at, monkeypatch, arranged, epoch, pending
):
    """The epoch is finished, which takes less than a minute here; its evaluation is not waited for."""
    work = tmp_path / "run"
    signal_at(**arranged)
    with pytest.raises(Stopped) as stopped:
        run(work, init=str(trained / "best.pth"))
    assert stopped.value.exit_code == 128 + arranged["number"]
    assert "--resume" in str(stopped.value)
    assert str(work) in str(stopped.value)
    meta = checkpoint.load(work / "latest.pth")["meta"]
    assert (meta["epoch"], meta["evaluation_pending"]) == (epoch, pending)
    monkeypatch.undo()
    run(work, resume=True)
    assert_same_end(straight, work)


def test_an_epoch_that_is_long_is_not_waited_for(run, straight, trained, tmp_path, signal_at, monkeypatch):
    work = tmp_path / "run"
    signal_at(signal.SIGTERM, step=9)
    monkeypatch.setattr(loops, "FINISHED_WITHIN", -1)
    with pytest.raises(Stopped, match="stopped by SIGTERM within epoch 3 of 3, of which 2 epochs are saved"):
        run(work, init=str(trained / "best.pth"))
    meta = checkpoint.load(work / "latest.pth")["meta"]
    assert (meta["epoch"], meta["iter"], meta["evaluation_pending"]) == (2, 8, False)
    monkeypatch.undo()
    run(work, resume=True)
    assert_same_end(straight, work)


def test_an_epoch_is_saved_a_minute_after_the_last_save_whatever_the_interval(run, trained, tmp_path, monkeypatch):
    """It is latest.pth alone, which is gone on from; kept are those of the interval."""
    monkeypatch.setattr(saving, "AT_LEAST_EVERY", 0)
    monkeypatch.setattr(saving, "_TIMES_A_SAVE", 0)
    work, saved = tmp_path / "run", []

    def look(saver, runner, *args, original=SaveCheckpoints.after_epoch, **kwargs):
        original(saver, runner, *args, **kwargs)
        saved.append(checkpoint.load(work / "latest.pth")["meta"]["epoch"])
        if runner.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SaveCheckpoints, "after_epoch", look)
        with pytest.raises(KeyboardInterrupt):
            run(work, init=str(trained / "best.pth"), **{"default_hooks.checkpoint.interval": 9})
    assert saved == [1, 2]
    assert [path.name for path in work.glob("epoch_*")] == []
    assert resume.find(work).path.name == "latest.pth"
    run(work, resume=True, **{"default_hooks.checkpoint.interval": 9})
    assert checkpoint.load(work / "epoch_3.pth")["meta"]["epoch"] == 3


def test_a_run_goes_on_without_its_crop_cache(run, straight, trained, tmp_path, signal_at, monkeypatch):
    """On another machine, or where the cache was deleted: the samples are the same."""
    work = tmp_path / "run"
    signal_at(signal.SIGTERM, step=5)
    with pytest.raises(Stopped):
        run(work, init=str(trained / "best.pth"))
    monkeypatch.undo()
    assert list((tmp_path / "crop_cache").glob("*.crops"))
    shutil.rmtree(tmp_path / "crop_cache")
    run(work, resume=True, cache="off")
    assert not (tmp_path / "crop_cache").exists()
    assert_same_end(straight, work)


def test_several_stops_with_workers(run, straight, trained, tmp_path, signal_at, monkeypatch):
    work, workers = tmp_path / "run", {"train_dataloader.num_workers": 2}
    for number, step in enumerate((1, 6)):
        signal_at(signal.SIGTERM, step)
        with pytest.raises(Stopped):
            run(work, resume=number > 0, init=None if number else str(trained / "best.pth"), **workers)
    monkeypatch.undo()
    run(work, resume=True, **workers)
    assert_same_end(straight, work)


def test_a_signal_at_the_very_end_changes_nothing(run, straight, trained, tmp_path, signal_at):
    signal_at(signal.SIGTERM, evaluation=3)
    with pytest.raises(Stopped):
        run(tmp_path / "run", init=str(trained / "best.pth"))
    signal_at(signal.SIGTERM, step=99)
    run(tmp_path / "run", resume=True)
    assert_same_end(straight, tmp_path / "run")
    finished = (tmp_path / "run" / "latest.pth").read_bytes()
    run(tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "latest.pth").read_bytes() == finished


def test_a_run_from_scratch_stays_one_and_no_gradient_is_lost(run, tmp_path, signal_at, monkeypatch):
    """Three steps accumulate for an update and an epoch has four."""
    accumulating = {"optim_wrapper.accumulative_counts": 3}
    signal_at(signal.SIGTERM, 5)
    with pytest.raises(Stopped):
        run(tmp_path / "run", **accumulating)
    assert checkpoint.load(tmp_path / "run" / "latest.pth")["meta"]["from_scratch"]
    monkeypatch.undo()
    run(tmp_path / "run", resume=True, **accumulating)
    run(tmp_path / "other", **accumulating)
    assert_same_end(tmp_path / "other", tmp_path / "run")


def test_the_checkpoint_that_a_run_goes_on_from_does_not_stay_in_memory(run, resumable, monkeypatch):
    weights, alive = [], []

    def load(path, original=resume.load_whole):
        content = original(path)
        weights.extend(weakref.ref(value) for value in content["state_dict"].values())
        return content

    def look(console, runner, loss):
        alive.append(sum(weight() is not None for weight in weights))

    monkeypatch.setattr(resume, "load_whole", load)
    monkeypatch.setattr(Console, "step", look)
    run(resumable, resume=True)
    assert weights
    assert alive == [0] * 4


def test_broken_checkpoints_are_named_and_skipped(run, straight, trained, tmp_path, capfd):
    work = tmp_path / "run"
    run(work, init=str(trained / "best.pth"), **{"default_hooks.checkpoint.keep": 3})
    third, second = work / "epoch_3.pth", work / "epoch_2.pth"
    third.write_bytes(third.read_bytes()[:-1000])
    damaged = bytearray(second.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    second.write_bytes(damaged)
    (work / ".epoch_3.pth.abcd_123.part").write_bytes(b"half")
    capfd.readouterr()
    run(work, resume=True, **{"default_hooks.checkpoint.keep": 3})
    shown = capfd.readouterr().out
    assert "epoch_3.pth is skipped: epoch_3.pth is broken" in shown
    assert "epoch_2.pth is skipped: epoch_2.pth is broken or no checkpoint: the check sum of" in shown
    assert_same_end(straight, work)
    assert not list(work.glob(".*.part"))


def test_where_nothing_is_yet_a_run_starts_and_says_so(run, tmp_path, capsys):
    """A job that is put into the queue again has one command; it may have been killed within its first epoch."""
    work = tmp_path / "run"
    one_epoch = {"train_cfg.max_epochs": 1}
    run(work, resume=True, **one_epoch)
    assert f"no run has saved anything in {work} yet, so this one starts from the beginning" in capsys.readouterr().out
    for path in work.glob("*.pth"):
        path.unlink()
    train(TrainOptions(work_dir=str(work), resume=True))
    assert "so this one starts from the beginning" in capsys.readouterr().out
    assert checkpoint.load(work / "latest.pth")["meta"]["epoch"] == 1
    assert [path.name for path in tmp_path.glob("run*")] == ["run"]


def test_what_cannot_be_gone_on_from_is_told(run, trained, tmp_path):
    work = tmp_path / "run"
    work.mkdir()
    with pytest.raises(UserError, match=r"has no record of a run \(run.json\), so its config is not known"):
        train(TrainOptions(work_dir=str(work), resume=True))
    shutil.copy(trained / "best.pth", work)
    with pytest.raises(UserError, match=r"holds best.pth, but no epoch_N.pth"):
        run(work, resume=True)
    # as MMPose leaves it
    torch.save({"meta": {"epoch": 210}, "state_dict": {"a": torch.zeros(1)}, "optimizer": {}}, work / "epoch_210.pth")
    (work / "epoch_200.pth").write_bytes(b"no zip")
    with pytest.raises(UserError, match=r"no checkpoint in .*run loads") as caught:
        run(work, resume=True)
    assert caught.value.problems[0] == "epoch_210.pth: epoch_210.pth cannot be gone on from: it has no loop, hooks"
    assert "can be given to --init" in caught.value.hint
    assert sorted(path.name for path in work.iterdir()) == ["best.pth", "epoch_200.pth", "epoch_210.pth"]


@pytest.fixture
def can_bfloat16(monkeypatch):
    """Whatever CPU this is: it computes in bfloat16, if slowly."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)


def test_a_run_goes_on_with_all_that_it_was_started_with(run, tmp_path, signal_at, monkeypatch, capsys, can_bfloat16):
    """As the guide prints it: --amp, data and options are not given again, nor need the config be."""
    signal_at(signal.SIGTERM, step=2)
    with pytest.raises(Stopped) as stopped:
        run(tmp_path / "run", amp=True, seed=3, from_scratch=True)
    monkeypatch.undo()
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    shutil.move(tmp_path / "run", tmp_path / "moved")
    words = str(stopped.value).splitlines()[-1].split()
    assert words[1:] == ["tools/train.py", "--work-dir", str(tmp_path / "run"), "--resume"]
    before = checkpoint.load(tmp_path / "moved" / "latest.pth")["meta"]
    assert before["fingerprint"]["model.precision"] == "'bfloat16'"
    capsys.readouterr()
    train(TrainOptions(DEMO, work_dir=str(tmp_path / "moved"), resume=True, cfg_options=["train_cfg.max_epochs=2"]))
    shown = capsys.readouterr().out
    assert "latest.pth of this run, which began with random ones, from scratch" in shown
    assert "2 epochs instead of 3 (rates go on from where they are), batch 4, resumed after epoch 1" in shown
    meta = checkpoint.load(tmp_path / "moved" / "latest.pth")["meta"]
    assert (meta["epoch"], meta["seed"], meta["lengths"]) == (2, 3, [[0, 3], [1, 2]])
    assert meta["fingerprint"] == before["fingerprint"]
    # its record has what was given last
    train(TrainOptions(work_dir=str(tmp_path / "moved"), resume=True))
    (line,) = capsys.readouterr().out.strip().splitlines()
    assert line.startswith(f"finished: the run in {tmp_path / 'moved'} is complete (2 epochs), best val AP 0.0")


def test_a_finished_run_goes_on_for_longer_and_no_rate_rises(run, straight, tmp_path, capsys):
    work = shutil.copytree(straight, tmp_path / "run")
    train(TrainOptions(work_dir=str(work), resume=True, cfg_options=["train_cfg.max_epochs=5"]))
    content = checkpoint.load(work / "latest.pth")
    assert content["meta"]["lengths"] == [[0, 3], [3, 5]]
    logs = [path.read_text().splitlines() for path in work.glob("*/vis_data/scalars.json")]
    rates = {entry["iter"]: entry["lr/head"] for log in logs for entry in map(json.loads, log) if "lr/head" in entry}
    assert max(rate for step, rate in rates.items() if step > 12) <= rates[12]
    assert json.loads((work / "run.json").read_text())["max_epochs"] == 5
    with pytest.raises(UserError, match=r"train_cfg.max_epochs=4: the run in .* has 5 complete epochs already"):
        train(TrainOptions(work_dir=str(work), resume=True, cfg_options=["train_cfg.max_epochs=4"]))


def test_another_batch_is_followed_and_said(run, trained, tmp_path, signal_at, monkeypatch, capfd):
    work = tmp_path / "run"
    signal_at(signal.SIGTERM, step=6)
    with pytest.raises(Stopped):
        run(work, init=str(trained / "best.pth"))
    monkeypatch.undo()
    capfd.readouterr()
    train(TrainOptions(work_dir=str(work), resume=True, cfg_options=["train_dataloader.batch_size=8"]))
    shown = capfd.readouterr()
    assert "--cfg-options" not in shown.err
    assert "samples in an update: 4 (batch 4) then, 8 (batch 8) now" in shown.err
    assert "LR scale  x 0.707: 0.707 for batch 8 instead of 16 (square root rule)" in shown.out
    meta = checkpoint.load(work / "latest.pth")["meta"]
    assert (meta["epoch"], meta["iter"]) == (3, 6)


def test_fewer_processes_accumulate_for_an_update_of_the_same_size(straight, tmp_path, capfd):
    work = shutil.copytree(straight, tmp_path / "run")
    for name in ("epoch_3.pth", "latest.pth"):
        (work / name).unlink()
    content = checkpoint.load(work / "epoch_2.pth")
    content["meta"]["fingerprint"]["samples in an update"] = "8 (batch 4 x 2 processes)"
    checkpoint.save(work / "epoch_2.pth", content)
    train(TrainOptions(work_dir=str(work), resume=True))
    shown = capfd.readouterr()
    assert "an update keeps its 8 samples: batch 4 x 2 steps" in shown.out
    assert "8 (batch 4 x 2 processes) then, 8 (batch 4 x 2 steps) now" in shown.err
    assert "LR scale  x 0.707" in shown.out
    # what it is now is kept by the next start, too; what is given decides
    (work / "epoch_3.pth").unlink()
    (work / "latest.pth").unlink()
    # a job that is queued again repeats its command
    train(TrainOptions(work_dir=str(work), resume=True, plan=True, cfg_options=["train_dataloader.batch_size=4"]))
    assert "an update keeps its 8 samples: batch 4 x 2 steps" in capfd.readouterr().out
    train(TrainOptions(work_dir=str(work), resume=True, plan=True, cfg_options=["train_dataloader.batch_size=2"]))
    assert "keeps" not in capfd.readouterr().out


def damage(record):
    record["options"]["seed"] = 1


def rewritten(change):
    """Changes a record as one does who knows how its sum is made."""

    def rewrite(record):
        change(record)
        plain = {key: value for key, value in record.items() if key != "digest"}
        record["digest"] = options._digest(plain)

    return rewrite


def use_own_code(record):
    record["content"] = record["content"].replace("'type': 'PredictionPictures'", "'type': 'os.system'")


def use_own_code_by_option(record):
    record["options"]["cfg_options"].append("custom_hooks=[dict(type='os.system')]")


def name_a_config_of_code(record):
    record["content"] = None


def hold_no_config(record):
    record["content"] = "[1, f()]"


def lack_an_option(record):
    del record["options"]["amp"]


def hold_a_word_that_is_none(record):
    record["options"]["skeleton"] = "\0"


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (damage, r"the record of the run in .*run.json was changed or damaged"),
        (rewritten(use_own_code), r"the recorded config uses code of its own \(os.system\), which is only run if you"),
        (rewritten(use_own_code_by_option), r"the recorded config uses code of its own \(os.system\)"),
        (rewritten(name_a_config_of_code), "the run's record holds no config of plain values"),
        (rewritten(hold_no_config), "the run's record holds no config of plain values"),
        (rewritten(lack_an_option), r"the record of the run in .*run.json was changed or damaged"),
        (rewritten(hold_a_word_that_is_none), r"the record of the run in .*run.json was changed or damaged"),
        (None, "the record of the run cannot be read: .*run.json is not JSON"),
    ],
)
def test_a_record_that_is_damaged_or_names_code_is_refused(straight, tmp_path, change, finding):
    work = shutil.copytree(straight, tmp_path / "run")
    content = json.loads((work / "run.json").read_text())
    if change:
        change(content["record"])
    (work / "run.json").write_text(json.dumps(content) if change else "{")
    with pytest.raises(UserError, match=finding):
        train(TrainOptions(work_dir=str(work), resume=True))


def test_a_config_that_is_gone_is_not_needed(straight, tmp_path, capfd):
    work = shutil.copytree(straight, tmp_path / "run")
    content = json.loads((work / "run.json").read_text())
    rewritten(lambda record: record["options"].update(config=str(tmp_path / "gone.py")))(content["record"])
    (work / "run.json").write_text(json.dumps(content))
    train(TrainOptions(work_dir=str(work), resume=True))
    assert "finished" in capfd.readouterr().out


def test_resuming_with_another_skeleton_is_refused(run, resumable):
    for path in resumable.glob("epoch_*.pth"):
        content = torch.load(path, weights_only=True)
        content["meta"]["skeleton"] = {"name": "other", "source": "other", "keypoints": ["a"]}
        torch.save(content, path)
    with pytest.raises(UserError, match="it was trained for skeleton 'other'"):
        run(resumable, resume=True)


def test_only_the_newest_are_kept(straight):
    assert sorted(path.name for path in straight.glob("*.pth")) == [
        "best.pth", "epoch_2.pth", "epoch_3.pth", "latest.pth"
    ]  # fmt: skip
    assert json.loads((straight / "run.json").read_text())["steps_per_epoch"] == 4


def test_processes_share_an_epoch_of_the_sampler_among_them(monkeypatch):
    parts = []
    for rank in range(3):
        monkeypatch.setattr("equistera.mm.data.loading.get_dist_info", lambda rank=rank: (rank, 3))
        parts.append(list(ResumableSampler(range(10), seed=1)))
    monkeypatch.undo()
    assert [len(part) for part in parts] == [4, 4, 4]
    assert set().union(*parts) == set(range(10))
    alone = list(ResumableSampler(range(10), seed=1))
    assert [parts[i % 3][i // 3] for i in range(10)] == alone


def test_the_order_follows_from_seed_and_epoch_alone():
    def order(seed, epoch):
        sampler = ResumableSampler(range(50), seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 1) == order(0, 1)
    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (0, 1, 2)]
    assert all(sorted(one) == list(range(50)) for one in orders)
    assert len({tuple(one) for one in orders}) == 6
    assert list(ResumableSampler(range(5), seed=0, shuffle=False)) == [0, 1, 2, 3, 4]


@pytest.fixture
def resumable(straight, tmp_path):
    """A copy of the finished run without its last checkpoint, to be changed."""
    work = tmp_path / "run"
    shutil.copytree(straight, work)
    for name in ("epoch_3.pth", "latest.pth"):
        (work / name).unlink()
    return work


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"model.head.gau_cfg.dropout_rate": 0.2}, "--cfg-options model.head.gau_cfg.dropout_rate: 0.1 then, 0.2 now"),
        ({"optim_wrapper.optimizer.lr": 0.001}, "--cfg-options optim_wrapper.optimizer.lr: 0.004 then, 0.001 now"),
        ({"seed": 7}, "--seed: 0 then, 7 now"),
        ({"init": "other.pth"}, "--init: {init} then, other.pth now"),
        ({"from_scratch": True}, "--from-scratch: not given then, given now"),
        ({"amp": True}, "--amp: not set then, 'bfloat16' now"),
    ],
)
def test_changed_settings_are_refused_by_name_before_anything_is_built(
    run, resumable, trained, monkeypatch, can_bfloat16, changes, finding
):
    monkeypatch.setattr("equistera.mm.run.settle.build_checked", None)
    before = sorted(resumable.iterdir())
    with pytest.raises(UserError, match="was started with other data or settings") as caught:
        run(resumable, resume=True, **changes)
    assert caught.value.problems == [finding.format(init=trained / "best.pth")]
    assert "--allow-changed-data" in caught.value.hint
    assert sorted(resumable.iterdir()) == before


def test_what_does_not_decide_the_weights_may_change(run, straight, resumable):
    run(resumable, resume=True, **{"default_hooks.checkpoint.keep": 7, "val_dataloader.batch_size": 1})
    assert_same_end(straight, resumable)


def test_changed_data_are_refused_and_may_be_allowed(run, horses, resumable, tmp_path, capfd):
    data = tmp_path / "data"
    shutil.copytree(horses, data)
    for name in ("train", "val"):
        path = data / "annotations" / f"{name}.json"
        coco = json.loads(path.read_text())
        del coco["annotations"][-1 if name == "val" else -6 :]
        path.write_text(json.dumps(coco))
    with pytest.raises(UserError) as caught:
        run(resumable, resume=True, data_root=str(data))
    changed = "\n".join(caught.value.problems)
    assert "training annotations: 16 animals, hash" in changed
    assert "now" in changed
    assert "10 animals, hash" in changed

    run(resumable, resume=True, data_root=str(data), allow_changed_data=True)
    assert "counts no more" in capfd.readouterr().err
    meta = checkpoint.load(resumable / "latest.pth")["meta"]
    assert (meta["epoch"], meta["iter"], meta["best_epoch"]) == (3, 6, 3)
    assert "10 animals" in meta["fingerprint"]["training annotations"]


def test_checkpoints_say_what_made_them(straight):
    meta = checkpoint.load(straight / "latest.pth")["meta"]
    assert meta["fingerprint"]["skeleton"].startswith("horse26, 26 keypoints, hash ")
    assert {"training pictures", "validation annotations"} <= meta["fingerprint"].keys()
    assert meta["git_commit"] is None or len(meta["git_commit"]) >= 40


def without_moments(content):
    del content["optimizer"]["state"][0]["exp_avg"]


def moments_of_another_shape(content):
    content["optimizer"]["state"][0]["exp_avg_sq"] = torch.zeros(3)


def other_groups(content):
    content["optimizer"]["param_groups"].pop()


def an_average_without_a_weight(content):
    content["loop"]["average"].popitem()


def an_average_of_words(content):
    content["loop"]["average"] = "abc"


def scores_of_none(content):
    content["loop"]["scores"] = [[1, None]]


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (without_moments, "optimizer.state.0.exp_avg: missing"),
        (moments_of_another_shape, r"optimizer.state.0.exp_avg_sq: \(3,\) float32 in the file, \(26, .* in this run"),
        (other_groups, "optimizer.param_groups: of other parameters"),
        (an_average_without_a_weight, r"loop.average.\S+: missing"),
        (an_average_of_words, "loop.average: str, not entries by name"),
        (scores_of_none, "loop.scores: no list"),
    ],
)
def test_a_checkpoint_that_was_changed_by_hand_is_refused_by_the_entry(run, resumable, change, finding):
    content = torch.load(resumable / "epoch_2.pth", weights_only=True)
    change(content)
    torch.save(content, resumable / "epoch_2.pth")
    with pytest.raises(UserError, match=r"cannot resume .*epoch_2.pth: .* damaged or changed by hand") as caught:
        run(resumable, resume=True)
    (line,) = caught.value.problems
    assert re.match(finding, line)
