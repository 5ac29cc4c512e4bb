import shlex

from equistera import PROJECT, commands


def test_whatever_is_in_a_path_can_be_pasted():
    path = "/home/jörg/meine pferde/it's $HOME.json"
    command = commands.verify_command(path, [])
    assert command.startswith("python tools/verify_dataset.py --ann-file ")
    assert shlex.split(command) == ["python", "tools/verify_dataset.py", "--ann-file", path]
    assert commands.line("tensorboard", "--logdir", "work_dirs/a") == "tensorboard --logdir work_dirs/a"


def test_paths_below_the_current_folder_are_told_as_they_are_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(PROJECT)
    assert commands.tool("test", PROJECT / "work_dirs/a", tmp_path) == f"python tools/test.py work_dirs/a {tmp_path}"
    assert commands.line("ls", PROJECT / "-x") == f"ls {PROJECT}/-x"
    # from elsewhere the command works too
    monkeypatch.chdir(tmp_path)
    assert commands.tool("test", tmp_path / "a") == f"python {PROJECT}/tools/test.py a"


def test_on_windows_a_command_can_be_pasted_into_cmd(monkeypatch):
    monkeypatch.setattr(commands.os, "name", "nt")
    line = commands.line("python", r"C:\my photos\a&b.json", r"C:\data", "key=8", "a&b", "^(horse[0-9]+)_")
    assert line == r'python "C:\my photos\a&b.json" C:\data key=8 "a&b" "^(horse[0-9]+)_"'


def test_options_as_words():
    given = {"amp": True, "from_scratch": False, "data_root": None, "max_time": "2h", "seed": 0}
    assert commands.option_words(given) == ["--amp", "--max-time", "2h", "--seed", "0"]
