import multiprocessing
import signal
import time

import pytest

from equistera import cli
from equistera.errors import UserError


def fails():
    raise UserError("found x, expected y:", ["first", "second"], "do z")


def test_a_users_mistake_is_printed_without_a_traceback(capsys):
    assert cli.run(lambda argv: fails(), []) == 1
    assert capsys.readouterr().err == "error: found x, expected y:\n  - first\n  - second\n  do z\n"


def test_exit_codes():
    def interrupted(argv):
        raise KeyboardInterrupt

    assert cli.run(lambda argv: None, []) == 0
    assert cli.run(lambda argv: 2, []) == 2
    assert cli.run(interrupted, []) == 130


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_swallowed_interrupt_is_remembered():
    class Clumsy:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def main(argv):
        thing = Clumsy()
        # Python reports what comes out of a destructor, and goes on
        del thing
        cli.raise_missed_interrupt()

    assert cli.run(main, []) == 130
    assert cli.run(lambda argv: cli.raise_missed_interrupt(), []) == 0


def test_our_own_bugs_are_not_hidden():
    def bug(argv):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cli.run(bug, [])


def test_many_findings_are_counted_rather_than_listed():
    shown = str(UserError("broken:", [f"finding {i}" for i in range(50)]))
    assert "finding 19" in shown
    assert "finding 20" not in shown
    assert "... and 30 more" in shown


def test_an_option_with_several_spellings_is_given_once(capsys):
    parser = cli.parser("Draws.")
    parser.add_argument("--out", "--out-file", "--out-dir", action=cli.Once)
    assert [parser.parse_args(given).out for given in ([], ["--out-file", "a"], ["--out", "b"])] == [None, "a", "b"]
    with pytest.raises(SystemExit):
        parser.parse_args(["--out-file", "a.jpg", "--out-dir", "b"])
    assert "--out-dir b: --out is given twice" in capsys.readouterr().err


def test_an_option_that_is_mistyped_is_guessed(capsys):
    parser = cli.parser("Trains.")
    parser.add_argument("--work-dir")
    parser.add_argument("--exif", default="", help="how photos lie")
    for given, guess in (["--workdir=x"], ", did you mean '--work-dir'?"), (["--nonsense", "x"], ": --nonsense x"):
        with pytest.raises(SystemExit):
            parser.parse_args(given)
        assert capsys.readouterr().err.splitlines()[0].endswith(guess)
    assert "default" not in parser.format_help()


@pytest.mark.parametrize(
    ("argv", "name"),
    [(["--init", ""], "--init"), (["--init="], "--init"), (["m", ""], "MODEL"), (["--also", "a", ""], "--also")],
)
def test_an_empty_value_is_no_value(argv, name, capsys):
    parser = cli.parser("Does something.")
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--init")
    parser.add_argument("--also", nargs="+")
    assert parser.parse_args([]).init is None
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(argv)
    assert f"error: {name}: expected a value, found an empty one" in capsys.readouterr().err


def test_a_mistake_is_told_in_two_lines(capsys):
    parser = cli.parser("Trains.")
    parser.add_argument("--split", choices=["val", "test"], required=True)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--split", "train"])
    assert ended.value.code == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: argument --split: invalid choice: 'train'")
    assert second.endswith("--help tells all options")


def test_a_file_whose_name_begins_like_an_option(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-trot.mp4").touch()
    with pytest.raises(SystemExit):
        cli.parser("Analyses.").parse_args(["-trot.mp4"])
    assert capsys.readouterr().err.splitlines()[0].endswith("a file of this name is given as ./-trot.mp4")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_tool_that_is_ended_cleans_up(name, capsys):
    cleaned = []

    def main(argv):
        try:
            signal.raise_signal(getattr(signal, name))
        finally:
            cleaned.append(name)

    assert cli.run(main, []) == 128 + getattr(signal, name)
    assert cleaned == [name]
    assert capsys.readouterr().err == f"interrupted by {name}\n"
    assert signal.getsignal(getattr(signal, name)) is signal.SIG_DFL


def wait_to_be_ended(started):
    started.set()
    time.sleep(1800)


def test_a_forked_worker_is_ended_as_usual():
    context = multiprocessing.get_context("fork")

    def main(argv):
        started = context.Event()
        worker = context.Process(target=wait_to_be_ended, args=(started,))
        worker.start()
        started.wait()
        worker.terminate()
        worker.join()
        return -worker.exitcode

    assert cli.run(main, []) == signal.SIGTERM
