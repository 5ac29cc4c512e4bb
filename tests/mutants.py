"""Damaged and hostile input, made from sound input, and what becomes of a program that is given it.

The rule: whatever a file holds, reading it ends in an answer or in a UserError; within the limits of :func:`survive`
for time and memory, without running anything and without touching a file elsewhere.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import re
import resource
import select
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from equistera.errors import UserError

#: Values that stand in the wrong place anywhere.
ODD = [
    None, True, False, -1, 0, 1, 2, 0.5, 1.5, 1e308, -1e308, 5e-324, 2**31, -(2**63), 2**64, 10**400, float("nan"),
    float("inf"), "", "0", "nan", "1e400", "x", "../x", "../a.png", "/etc/passwd", "C:\\x.png", "\\\\host\\x", "~/x",
    "file:///etc/passwd", "../outside/secret.png", "link/secret.png", "http://localhost:9/x", "nose", "horse",
    "é\ud800", "\ud800.jpg", "\0", "\x1b[2J", "a\nb", "x" * 300, "%s%n{}", "(a+)+$", [], {}, [[]], [1], [1, 2],
    {"a": 1}, {"id": 1}, [None], [float("nan")] * 3, ["x"] * 200,
]  # fmt: skip
NUMBERS = [b"0", b"1", b"-1", b"2", b"0.5", b"29.99", b"1e308", b"-1e-320", b"nan", b"inf", b"1e999", b"", b"x", b"1_0"]
NUMBERS += [b"9" * 400, b"4294967296", b"-9223372036854775808"]
BYTES = [
    b"", b"\0", b"\xff", b"<", b">", b'"', b",", b"{", b"[", b"-", b"1e999", b"nan", b"&a;", b"*a", b"\n", b"9" * 50,
    b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 8, b"../", b"\xef\xbb\xbf",
]  # fmt: skip


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flips, cuts out, puts in and repeats bytes; now and then the end is missing."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        # what is wrong at the beginning breaks most
        at = rng.randrange(len(data) + 1) if rng.random() < 0.7 else rng.randrange(min(len(data), 256) + 1)
        kind = rng.randrange(12)
        if kind < 4 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind < 6:
            data[at:at] = rng.choice(BYTES)
        elif kind < 8:
            del data[at : at + rng.randrange(1, 40)]
        elif kind < 9:
            new = rng.choice(BYTES)
            data[at : at + len(new)] = new
        elif kind < 11:
            part = data[at : at + rng.randrange(1, 200)]
            data[at:at] = part * rng.choice([1, 1, 1, 50])
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def mutate_numbers(data: bytes, rng: random.Random) -> bytes:
    """Replaces numbers in a text by other words."""
    numbers = list(re.finditer(rb"-?\d+(\.\d+)?", data))
    few = min(len(numbers), rng.choice([1, 1, 2, 4]))
    for match in sorted(rng.sample(numbers, few), key=lambda m: -m.start()):
        data = data[: match.start()] + rng.choice(NUMBERS) + data[match.end() :]
    return data


def places(value: object, path: tuple = ()):
    """Every place inside nested lists and objects."""
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*path, key)
            yield from places(value[key], (*path, key))


def mutate_tree(content: object, rng: random.Random, odd: Sequence = ODD) -> object:
    """Puts something strange into, takes something out of, or repeats something in a few places of nested values."""
    if rng.random() < 0.01:
        return copy.deepcopy(rng.choice(odd))
    content = copy.deepcopy(content)
    for _ in range(rng.choice([1, 1, 2, 4])):
        # few places lie near the top, but what is broken there breaks most
        depth = rng.choice([1, 2, 3, 4, 5, 99])
        found = [path for path in places(content) if len(path) <= depth]
        if not found:
            break
        *parents, key = rng.choice(found)
        inside = content
        for step in parents:
            inside = inside[step]
        action = rng.random()
        if action < 0.2:
            del inside[key]
        elif action < 0.3 and isinstance(inside, list):
            inside.append(copy.deepcopy(inside[key]))
        elif action < 0.35 and isinstance(inside, dict):
            inside[rng.choice(["", "\0", "\ud800", "x" * 300, "name", "../a"])] = inside.pop(key)
        elif action < 0.45 and type(inside[key]) in (int, float):
            with contextlib.suppress(OverflowError):
                inside[key] = inside[key] * rng.choice([-1, 0.5, 2, 1000, 1e300])
        else:
            inside[key] = copy.deepcopy(rng.choice(odd))
    return content


#: Events of Python's auditing (https://docs.python.org/3/library/audit_events.html) that mean that something is run,
#: and those that change files, with how many of their arguments are paths.
_RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen")
_RUNS += ("socket.connect", "socket.getaddrinfo", "pickle.find_class", "webbrowser.open", "urllib.Request", "pty.spawn")
#: What a training itself runs: arrays through a pickle, questions about the machine and the program.
_OWN = ("'numpy", "gcc --version", "['git', ")
_CHANGES = {"os.remove": 1, "os.rename": 2, "os.mkdir": 1, "os.rmdir": 1, "os.link": 2, "os.symlink": 2}
_CHANGES |= {"os.truncate": 1, "os.chmod": 1, "shutil.rmtree": 1, "shutil.move": 2}


class _Watch:
    """Notes what a process does that no reading of a file may make it do."""

    def __init__(self, folder: Path):
        self.folder, self.found = os.path.realpath(folder), []
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple) -> None:
        if event.startswith(_RUNS) and not any(words in repr(arguments) for words in _OWN):
            self.found.append(f"{event} {arguments!r:.200}")
        elif event in _CHANGES:
            paths = [os.fsdecode(p) for p in arguments[: _CHANGES[event]] if isinstance(p, (str, bytes, os.PathLike))]
            if event != "os.truncate" and type(arguments[-1]) is int and arguments[-1] > 2:
                # relative to an open folder
                paths = [os.path.join(os.readlink(f"/proc/self/fd/{arguments[-1]}"), path) for path in paths]
            self._refuse_outside(event, *paths)
        elif event == "open" and isinstance(arguments[0], (str, bytes)):
            path, mode, flags = arguments
            path = os.fsdecode(path)
            if set(mode or "") & set("wax+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._refuse_outside("write", path)
            elif path.startswith("/etc/passwd") or "/outside/" in os.path.realpath(path):
                self.found.append(f"read {path!r}")

    def _refuse_outside(self, event: str, *paths: str) -> None:
        for path in paths:
            # links of pictures are relative to where they lie, and may only lead to the folder's own
            real = os.path.realpath(path if os.path.isabs(path) else os.path.join(os.path.dirname(paths[-1]), path))
            if not real.startswith((self.folder, "/dev/")):
                self.found.append(f"{event} {path!r}")


def survive(
    attempt: Callable[[random.Random], object],
    folder: Path,
    name: str,
    mutants: int,
    seconds: float = 30,
    gigabytes: float = 4,
) -> Counter:
    """Gives a program mutants, in processes of their own; prints how many were answered in which way.

    Args:
        attempt: Makes a mutant and lets the program use it. Returning is an answer, and so is a ``UserError``.
        folder: The only one in which files may be changed. What lies in ``folder.parent / "outside"`` may not even be
            read.
        name: What is mutated; with the number of a mutant it is the seed.
        mutants: How many.
        seconds: The most that one may take.
        gigabytes: The most memory that the process may have.

    Returns:
        How many were ``accepted`` and ``refused``.

    Raises:
        AssertionError: There were others; each kind of them is shown once, with the number of a mutant.
    """
    counted: Counter = Counter()
    faults: dict[str, list] = {}
    number = -1
    while number + 1 < mutants:
        first = number + 1
        for number, outcome, detail in _answers(attempt, folder, name, first, mutants, seconds, gigabytes):
            counted[outcome] += 1
            if outcome not in ("accepted", "refused"):
                faults.setdefault(_kind_of_fault(outcome, detail), []).append((number, detail))
    print(f"\n{name}: {mutants} mutants, " + ", ".join(f"{count} {what}" for what, count in sorted(counted.items())))
    text = "\n".join(f"{len(all_)} x {why} (mutant {all_[0][0]}):\n{all_[0][1]}" for why, all_ in faults.items())
    assert not faults, f"{name}: {len(faults)} kinds of faults\n{text}"
    return counted


def _kind_of_fault(outcome: str, detail: str) -> str:
    """The same for faults of one cause: of a traceback the deepest place in this project and the kind of the error."""
    found = re.findall(r"(equistera/.*), line (\d+)|^(\w[\w.]*)(?::.*)?$", detail, re.MULTILINE)
    ours, error = [":".join(hit[:2]) for hit in found if hit[0]], [hit[2] for hit in found if hit[2]]
    return " ".join([outcome, *ours[-1:], *error[-1:]])


def _answers(attempt, folder, name, first, mutants, seconds, gigabytes):
    """Number, outcome and detail of mutants from ``first`` on, as far as one process gets."""
    receive, send = os.pipe()
    child = os.fork()
    if not child:
        os.close(receive)
        with open(os.devnull, "r+b") as nothing, os.fdopen(send, "w", encoding="ascii") as answers:
            for stream in (0, 1, 2):
                os.dup2(nothing.fileno(), stream)
            try:
                _in_child(attempt, folder, name, range(first, mutants), gigabytes, answers)
            finally:
                answers.flush()
                os._exit(0)
    os.close(send)
    number = first - 1
    with os.fdopen(receive, "rb", buffering=0) as answers:
        buffered = b""
        while number + 1 < mutants:
            ready, _, _ = select.select([answers], [], [], seconds)
            more = os.read(receive, 1 << 16) if ready else b""
            buffered += more
            *lines, buffered = buffered.split(b"\n")
            for line in lines:
                number, outcome, detail = json.loads(line)
                yield number, outcome, detail
            if not more:
                break
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if number + 1 < mutants:
        died = f"process ended by {signal.Signals(status & 127).name if status & 127 else status >> 8}"
        yield number + 1, *(("crash", died) if ready else ("hang", f"no answer in {seconds} s"))


def _in_child(attempt, folder, name, numbers, gigabytes, answers) -> None:
    watch = _Watch(folder)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = _memory("VmSize") + int(2 * gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number in numbers:
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        watch.found.clear()
        outcome, detail = "accepted", ""
        try:
            attempt(random.Random(f"{name} {number}"))
        except UserError as error:
            outcome, detail = ("refused", "") if str(error).strip() else ("fault", "a UserError without words")
        except BaseException:
            outcome, detail = "traceback", traceback.format_exc()
        if watch.found:
            outcome, detail = "escape", "\n".join(dict.fromkeys(watch.found))
        if (peak := _memory("VmHWM")) > gigabytes * 2**30:
            outcome, detail = "memory", f"{peak / 2**30:.1f} GB"
        print(json.dumps([number, outcome, detail[-3000:]]), file=answers, flush=True)


def _memory(what: str) -> int:
    """Bytes that the system counts for this process."""
    return 1024 * int(re.search(rf"{what}:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def folder_with_traps(tmp_path: Path) -> Path:
    """A folder to work in, beside one that nothing may read, with a link that leads there."""
    folder, outside = tmp_path / "inside", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    for name in ("secret.png", "secret.json", "secret.txt", "secret.mp4", "secret.jpg"):
        (outside / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "link").symlink_to(outside)
    return folder
