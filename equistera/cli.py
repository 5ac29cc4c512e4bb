"""How every tool ends: one clear line for the user's mistakes, an exit code, no traceback."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

from equistera.errors import Stopped, UserError


class HelpFormatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Keeps the examples of a tool's docstring as they stand and shows the defaults of its options."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        # "(default: None)" tells nobody anything
        if action.default in (None, False, True) or isinstance(action.default, (list, tuple)):
            return action.help
        return super()._get_help_string(action)


def parser(doc: str) -> argparse.ArgumentParser:
    """An argument parser whose description is a tool's docstring."""
    return argparse.ArgumentParser(description=doc, formatter_class=HelpFormatter)


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


def run(main: Callable[..., int | None], argv: Sequence[str] | None = None) -> int:
    """Runs a tool and turns what happens into an exit code.

    Args:
        main: The tool's ``main(argv)``; what it returns is the exit code, None counts as 0.
        argv: Arguments without the program's name; ``sys.argv[1:]`` by default.

    Returns:
        The exit code: 1 after a :class:`UserError` (printed to stderr), 130 after Ctrl-C, 128 + the number of
        a signal after which a run was saved.
    """
    for stream in (sys.stdout, sys.stderr):
        # a file name may hold what the console's encoding does not
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _noticed_interrupts():
            return main(sys.argv[1:] if argv is None else argv) or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Stopped as stop:
        if str(stop):
            print(stop, file=sys.stderr)
        return stop.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader of our output (head, less) went away: not an error, but Python would print one at exit
        sys.stderr.close()
        return 141


_interrupted = False


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
    """Remembers each Ctrl-C beside raising ``KeyboardInterrupt``."""

    def notice(number: int, frame: object) -> None:
        global _interrupted
        _interrupted = True
        raise KeyboardInterrupt

    global _interrupted
    _interrupted = False
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        # another thread may set no handlers; a signal that is ignored or handled stays so
        yield
        return
    signal.signal(signal.SIGINT, notice)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
