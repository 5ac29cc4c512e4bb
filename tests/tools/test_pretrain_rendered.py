"""tools/pretrain_rendered.py as a user calls it; what it does is tested in tests/mm/run/test_pretraining.py."""


def test_what_a_pre_training_keeps_cannot_be_said_again(run_tool, tmp_path):
    done = run_tool("pretrain_rendered.py", "--work-dir", tmp_path, "--resume", "--pictures", 9, cwd=tmp_path)
    assert done.returncode == 2
    assert "argument --pictures: a pre-training that goes on keeps what it was begun with" in done.stderr


def test_it_needs_a_config_that_is_there(run_tool, tmp_path):
    done = run_tool("pretrain_rendered.py", "--config", "configs/rendered.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "no such config" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
