"""A real HTTP server on 127.0.0.1 that can misbehave in every way a download has to live with."""

import http.server
import time
from dataclasses import dataclass, field


@dataclass
class Answer:
    """How one request is answered; by default as a good server does."""

    status: int = 200
    headers: dict = field(default_factory=dict)
    #: bytes after which the connection is closed
    cut: int | None = None
    #: seconds of silence before the body
    silent: float = 0.0
    ranges: bool = True
    length: bool = True
    #: bytes by which a range is sent too late
    shift: int = 0
    #: sent instead of the file
    body: bytes | None = None


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        #: answers to the next requests; a good one when it is empty
        self.plan: list[Answer] = []
        #: (path, Range header) of every request
        self.requests: list[tuple[str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """A client that goes away is part of the tests."""


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        """Keeps the test output clean."""

    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.requests.append((self.path, asked))
        answer = server.plan.pop(0) if server.plan else Answer()
        body = server.files.get(self.path) if answer.body is None else answer.body
        if answer.status != 200 or body is None:
            self.send_response(404 if answer.status == 200 else answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            return
        if asked and answer.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-")) + answer.shift
            if start >= len(body):
                self.send_response(416)
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            body = body[start:]
        else:
            self.send_response(200)
        if answer.length:
            self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        time.sleep(answer.silent)
        self.wfile.write(body[: answer.cut])
