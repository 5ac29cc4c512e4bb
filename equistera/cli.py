"""How every tool ends: one clear line for the user's mistakes, an exit code, no traceback."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

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
