"""How every tool ends: one clear line for the user's mistakes, an exit code, no traceback."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from equistera import environment, processes
from equistera.errors import Stopped, UserError, explained
from equistera.words import did_you_mean

#: What asks a process to end beside Ctrl-C: ``kill``, a terminal that is gone, the window or Ctrl-Break of Windows.
_ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


class HelpFormatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Keeps the examples of a tool's docstring as they stand and shows the defaults of its options."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        # "(default: None)" tells nobody anything
        if action.default in (None, False, True, "") or isinstance(action.default, (list, tuple)):
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """Guesses what an option that it does not know was meant to be, and refuses empty values.

    What a shell makes of ``--init "$START"`` without such a variable would be the current folder, or no option at all.
    """

    def parse_args(self, args=None, namespace=None):
        parsed = super().parse_args(args, namespace)
        for action in self._actions:
            value = getattr(parsed, action.dest, None)
            if value != action.default and "" in (value if isinstance(value, list) else [value]):
                name = action.option_strings[0] if action.option_strings else action.metavar or action.dest
                self.error(f"{name}: expected a value, found an empty one")
        return parsed

    def error(self, message: str) -> NoReturn:
        known = [spelling for action in self._actions for spelling in action.option_strings]
        _, unknown, words = message.partition("unrecognized arguments: ")
        guesses = [did_you_mean(word.partition("=")[0], known) for word in words.split() if word.startswith("-")]
        if unknown:
            files = [word for word in words.split() if os.path.lexists(word)]
            message += f"; a file of this name is given as ./{files[0]}" if files else next(filter(None, guesses), "")
        self.exit(2, f"error: {message}\n  {self.prog} --help tells all options\n")

    def given(self, argv: Sequence[str]) -> set[str]:
        """Names (``dest``) of what a user gave, also where it is the default, in a line that parses."""
        defaults = {action: action.default for action in self._actions}
        try:
            for action in defaults:
                action.default = argparse.SUPPRESS
            return set(vars(self.parse_args(argv)))
        finally:
            for action, default in defaults.items():
                action.default = default


def parser(doc: str) -> Parser:
    """An argument parser whose description is a tool's docstring."""
    return Parser(description=doc, formatter_class=HelpFormatter)


class Once(argparse.Action):
    """An option with several spellings of which one may be given, once."""

    def __call__(self, parser, namespace, values, option_string=None):
        if getattr(namespace, self.dest) != self.default:
            parser.error(f"{option_string} {values}: {self.option_strings[0]} is given twice")
        setattr(namespace, self.dest, values)


def at_least(least: int) -> Callable[[str], int]:
    """A type of options: whole numbers that are not below ``least``."""

    def whole_number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of {least} or more, found {text!r}")
        return value

    return whole_number


def positive(text: str) -> float:
    """A type of options: a number above 0."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text!r}")
    return value


def run(main: Callable[..., int | None], argv: Sequence[str] | None = None) -> int:
    """Runs a tool and turns what happens into an exit code.

    Args:
        main: The tool's ``main(argv)``; what it returns is the exit code, None counts as 0.
        argv: Arguments without the program's name; ``sys.argv[1:]`` by default.

    Returns:
        The exit code: 1 after a :class:`UserError` (printed to stderr) or where output was lost on the way to a file,
        130 after Ctrl-C, 128 + the number of another signal that ended the tool or after which a run was saved. That
        nobody reads the output any more, as after ``| head``, changes nothing: the work is done to its end.
    """
    try:
        environment.prepare()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    with environment.tolerant_streams() as (out, _):
        code = _exit_code(main, sys.argv[1:] if argv is None else argv)
        out.flush()
        if out.lost is not None and not out.reader_is_gone:
            print(f"error: the output is not whole: {getattr(out.lost, 'strerror', None) or out.lost}", file=sys.stderr)
            code = code or 1
    return code


def _exit_code(main: Callable[..., int | None], argv: Sequence[str]) -> int:
    try:
        with _noticed_interrupts():
            return main(argv) or 0
    except UserError as error:
        processes.let_the_first_speak()
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Stopped as stop:
        if str(stop):
            print(stop, file=sys.stderr)
        return stop.exit_code
    except KeyboardInterrupt:
        number = _interrupted or signal.SIGINT
        print("interrupted" + f" by {signal.Signals(number).name}" * (number != signal.SIGINT), file=sys.stderr)
        return 128 + number
    except (OSError, RuntimeError, MemoryError, ImportError) as error:
        failure = explained(error)
        if failure is None:
            raise
        processes.let_the_first_speak()
        print(f"error: {failure}", file=sys.stderr)
        return 1


#: The signal that interrupted the tool, or 0.
_interrupted = 0


def raise_missed_interrupt() -> None:
    """Stops a tool, before its long part, that has been interrupted and does not know it.

    Python drops a ``KeyboardInterrupt`` that comes while a destructor or a callback of a library runs, as many do
    while large packages are imported.

    Raises:
        KeyboardInterrupt: There was a Ctrl-C since the tool started.
    """
    if _interrupted:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _noticed_interrupts() -> Iterator[None]:
    """Remembers each Ctrl-C beside raising ``KeyboardInterrupt``, and lets other endings clean up as one does."""
    process = os.getpid()

    def notice(number: int, frame: object) -> None:
        global _interrupted
        if os.getpid() != process:
            # a worker that was forked with this handler ends as it would have without
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        _interrupted = int(number)
        raise KeyboardInterrupt

    global _interrupted
    _interrupted = 0
    # another thread may set no handlers; a signal that is ignored or handled stays so
    main = threading.current_thread() is threading.main_thread()
    defaults = {signal.SIGINT: signal.default_int_handler, **dict.fromkeys(_ENDINGS, signal.SIG_DFL)}
    before = {n: default for n, default in defaults.items() if main and signal.getsignal(n) is default}
    for number in before:
        signal.signal(number, notice)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
