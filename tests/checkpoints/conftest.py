import hashlib
import random
import threading

import pytest
from misbehaving_server import Server

from equistera.checkpoints import Checkpoint, http_file


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """How long a download puts up with a server: ``patience(tries=5)`` changes it."""

    def change(timeout=60.0, tries=3, pause=0.01):
        for name, value in (("TIMEOUT", timeout), ("TRIES", tries), ("PAUSE", pause)):
            monkeypatch.setattr(http_file, name, value)

    change()
    return change


@pytest.fixture
def publish(server):
    """Puts a file of random bytes on the server: ``publish("name") -> (checkpoint, content)``."""

    def publish(name="tiny", size=300_000):
        content = random.Random(name).randbytes(size)
        path = f"/models/v1/{name}-{hashlib.sha256(content).hexdigest()[:8]}_20240131.pth"
        server.files[path] = content
        return Checkpoint(name, server.url + path, "a test file"), content

    return publish
