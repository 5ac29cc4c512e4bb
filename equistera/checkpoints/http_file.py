"""One file over HTTP, over a bad line if need be: timeouts, retries, going on where it stopped.

Only http and https are spoken. Nothing here knows what the file should be; ``download`` checks it.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from equistera.errors import UserError
from equistera.progress import duration

_BLOCK = 1 << 18
#: Free space to leave on the disk, bytes.
_SPARE = 64 << 20
#: No checkpoint is that large, bytes: a server that sends more sends something else.
_LARGEST = 4 << 30
#: A try that brings at least this much, bytes, counts as progress, and the tries are counted afresh.
_PROGRESS = 1 << 16
#: The longest wait that a server may ask for, seconds.
_LONGEST_WAIT = 60.0
#: HTTP answers that may be another one a moment later.
_PASSING = {408, 425, 429, 500, 502, 503, 504}


#: Seconds without a byte after which a connection counts as dead.
TIMEOUT = 30.0
#: Tries in a row that bring nothing.
TRIES = 5
#: Seconds before the second try; doubled before each further one.
PAUSE = 1.0


class DownloadError(UserError):
    """A file could not be downloaded."""


class UnreachableError(DownloadError):
    """The server could not be reached at all, so it makes no sense to ask it for another file."""


class _PassingError(Exception):
    """A failure that may not happen again; ``wait`` is what the server asks for, seconds."""

    def __init__(self, reason: str, *, wait: float = 0.0, connected: bool = True):
        super().__init__(reason)
        self.wait = wait
        self.connected = connected


def check_address(url: str) -> None:
    """Refuses what is not a complete http or https address.

    Raises:
        UserError: Another scheme (``file:``, ``ftp:``, a plain path), no host, or a malformed host or port.
    """
    try:
        parts = urlsplit(url)
        parts.netloc.encode("idna")
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or any(c.isspace() for c in url):
        raise UserError(
            f"only http:// and https:// addresses are downloaded from, found {url!r}",
            hint="Files that lie in a folder of yours: copy them into --dir, and they are recognised.",
        )


def fetch_into(part: Path, url: str, name: str) -> str:
    """Downloads ``url`` to the end of ``part``, which holds nothing or the beginning of the file.

    Args:
        part: The file that grows; it stays when this fails, for the next time.
        url: http or https.
        name: What messages call the file; there is one before each further try.

    Returns:
        The content type that the server gave.

    Raises:
        DownloadError: The server refuses, the disk is full, or all tries have failed.
    """
    failures = 0
    while True:
        before = _size(part)
        try:
            return _one_try(part, url, name)
        except _PassingError as error:
            failures = 1 if _size(part) - before >= _PROGRESS else failures + 1
            if failures >= TRIES:
                if error.connected:
                    raise DownloadError(f"{error}; gave up after {failures} tries") from error
                raise UnreachableError(str(error)) from error
            wait = min(max(error.wait, PAUSE * 2 ** (failures - 1)), _LONGEST_WAIT)
            print(f"{name}: {error}; trying again in {wait:.0f} s ({failures + 1} of {TRIES})")
            time.sleep(wait)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _one_try(part: Path, url: str, name: str) -> str:
    start, host = _size(part), urlsplit(url).netloc
    headers = {"User-Agent": "equistera-trainer", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT) as answer:
            if answer.status == 206 and not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                part.unlink(missing_ok=True)
                raise _PassingError(f"{host} sent another part of the file than it was asked for")
            # a server that cannot send parts sends the whole file
            start = start if answer.status == 206 else 0
            length = answer.headers.get("Content-Length", "")
            total = start + int(length) if length.isdigit() else None
            done = _receive(answer, part, start, total, name)
            if total is not None and done < total:
                raise _PassingError(f"the connection to {host} broke at {done / 1e6:.1f} of {total / 1e6:.1f} MB")
            return answer.headers.get_content_type()
    except urllib.error.HTTPError as error:
        with error:
            raise _of_status(error, part, url) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise UnreachableError(
                f"the certificate of {host} is not trusted ({error.reason.verify_message}); "
                "a company's own certificates go into the file that SSL_CERT_FILE names"
            ) from error
        raise _PassingError(f"no connection to {host} ({error.reason})", connected=False) from error
    except TimeoutError as error:
        raise _PassingError(f"{host} sent nothing for {TIMEOUT:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise _PassingError(f"the connection to {host} broke ({error or type(error).__name__})") from error


def _of_status(error: urllib.error.HTTPError, part: Path, url: str) -> Exception:
    """What an HTTP status means for the download."""
    answer = f"{url} answers {error.code} {error.reason}"
    if error.code == 416 and part.exists():
        part.unlink()
        return _PassingError("the part that was there before does not fit the file")
    if error.code in _PASSING:
        wait = error.headers.get("Retry-After", "")
        return _PassingError(answer, wait=float(wait) if wait.isdigit() else 0.0)
    return DownloadError(answer)


def _receive(answer: http.client.HTTPResponse, part: Path, start: int, total: int | None, name: str) -> int:
    """Writes what comes; returns the length of ``part``. Errors of the connection pass, those of the disk do not."""
    with _written(part):
        needed, free = (total or 0) - start, shutil.disk_usage(part.parent).free
    if free < needed + _SPARE:
        raise DownloadError(f"{needed / 1e6:.0f} MB to download, but only {free / 1e6:.0f} MB free in {part.parent}")
    done, began = start, time.monotonic()
    told = began
    with _written(part):
        file = part.open("ab" if start else "wb")
    with file:
        while block := answer.read1(_BLOCK):
            with _written(part):
                file.write(block)
            done += len(block)
            if done > _LARGEST:
                raise DownloadError(f"the server sends more than {_LARGEST >> 30} GB, which no checkpoint has")
            if time.monotonic() - told > (0.2 if sys.stderr.isatty() else 15.0):
                told = time.monotonic()
                _tell(name, start, done, total, told - began)
        with _written(part):
            file.flush()
            os.fsync(file.fileno())
    _tell(name, start, done, None if total is None else done, time.monotonic() - began, end="\n")
    return done


@contextlib.contextmanager
def _written(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DownloadError(f"cannot write {part}: {error.strerror}") from error


def _tell(name: str, start: int, done: int, total: int | None, seconds: float, end: str = "") -> None:
    """Shows how far a file is: a changing line on a terminal, a line of its own elsewhere."""
    rate = (done - start) / max(seconds, 1e-3)
    line = f"{name}: {done / 1e6:.1f}{f' of {total / 1e6:.1f}' if total else ''} MB, {rate / 1e6:.1f} MB/s"
    if total and not end:
        line += f", {duration((total - done) / max(rate, 1))} left"
    on_terminal = {"end": end} if sys.stderr.isatty() else {}
    print(f"\r{line}\x1b[K" if on_terminal else line, file=sys.stderr, flush=True, **on_terminal)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from https to anything else, nor to what is not http at all."""

    def redirect_request(self, request, fp, code, msg, headers, newurl):
        if urlsplit(newurl).scheme not in ("https", request.type):
            raise DownloadError(f"{request.full_url} redirects to {newurl}, which is not {request.type}; not followed")
        return super().redirect_request(request, fp, code, msg, headers, newurl)
