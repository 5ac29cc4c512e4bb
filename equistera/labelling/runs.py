"""Plain runs of the project's tools, started by other tools: their command, their log, and how they are ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from equistera import PROJECT, commands

#: Runs a command with changes of the environment, writes what it says to the end of a file, returns its exit code.
Start = Callable[[Sequence[str], Mapping[str, str], Path], int]


def tool_command(name: str, *words: str) -> list[str]:
    """The words that run ``tools/NAME.py`` with this interpreter."""
    return [sys.executable, str(PROJECT / "tools" / f"{name}.py"), *words]


class Processes:
    """Starts commands as processes of their own and ends them when this one is to end."""

    def __init__(self) -> None:
        self._lock, self._running, self._stopped = threading.Lock(), set(), False

    def __call__(self, command: Sequence[str], changes: Mapping[str, str], log: Path) -> int:
        """See :data:`Start`; a command that was ended by a signal has 128 and that more."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            out.write(f"\n$ {commands.line(*command)}\n".encode())
            out.flush()
            with self._lock:
                if self._stopped:
                    return 130
                # not of this process group: Ctrl-C would reach it twice, and the second one is for the impatient
                child = subprocess.Popen(
                    command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **changes}, start_new_session=True
                )
                self._running.add(child)
            code = child.wait()
        with self._lock:
            self._running.discard(child)
        return 128 - code if code < 0 else code

    def stop(self) -> None:
        """Asks all that run to save what they have and end; nothing new is started."""
        with self._lock:
            self._stopped = True
            for child in self._running:
                child.terminate()


def last_words(log: Path) -> str:
    """What a log says last: its error, if it has one."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error:")]
    return (errors or lines or ["nothing"])[-1][:200]
