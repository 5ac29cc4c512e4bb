import contextlib
import dataclasses
import hashlib
import io
import shutil
import urllib.request
from collections import namedtuple

import pytest
from misbehaving_server import Answer

from equistera.checkpoints import http_file, licences
from equistera.checkpoints.download import download, listing
from equistera.checkpoints.http_file import DownloadError, check_address
from equistera.errors import UserError


class Folder:
    """The folder that is downloaded into, and what was said meanwhile."""

    def __init__(self, path):
        self.path, self.said = path, []

    def get(self, *checkpoints, **options):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            try:
                download(checkpoints, self.path, **options)
            finally:
                self.said = said.getvalue().splitlines()

    def fails(self, *checkpoints, **options):
        with pytest.raises(UserError) as caught:
            self.get(*checkpoints, **options)
        return str(caught.value)

    def put(self, name, content):
        self.path.mkdir(exist_ok=True)
        (self.path / name).write_bytes(content)

    def files(self):
        return {path.name: path.read_bytes() for path in self.path.iterdir()}


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "checkpoints")


class TestGood:
    def test_saved_under_the_name_in_the_url(self, folder, publish):
        checkpoint, content = publish()
        folder.get(checkpoint)
        assert folder.files() == {checkpoint.file_name: content}
        assert folder.said == [f"tiny: saved as {folder.path / checkpoint.file_name}"]

    def test_what_is_there_is_not_downloaded_again(self, folder, publish, server):
        checkpoint, content = publish()
        folder.put(checkpoint.file_name, content)  # by hand
        folder.get(checkpoint)
        assert server.requests == []
        assert folder.said == [f"tiny: there already, {folder.path / checkpoint.file_name}"]

    def test_length_unknown(self, folder, publish, server):
        checkpoint, content = publish()
        server.plan = [Answer(length=False)]
        folder.get(checkpoint)
        assert folder.files() == {checkpoint.file_name: content}

    def test_redirect(self, folder, publish, server):
        checkpoint, content = publish()
        server.files["/elsewhere"] = content
        server.plan = [Answer(status=302, headers={"Location": "/elsewhere"})]
        folder.get(checkpoint)
        assert folder.files() == {checkpoint.file_name: content}

    def test_proxy_of_the_environment(self, folder, publish, server, monkeypatch):
        checkpoint, content = publish()
        url = "http://weights.invalid/" + checkpoint.file_name
        server.files[url] = content
        monkeypatch.setenv("http_proxy", server.url)
        folder.get(type(checkpoint)("tiny", url, ""))
        assert folder.files() == {checkpoint.file_name: content}


class TestResuming:
    def test_cut_in_the_middle(self, folder, publish, server):
        checkpoint, content = publish()
        server.plan = [Answer(cut=123_456)]
        folder.get(checkpoint)
        assert folder.files() == {checkpoint.file_name: content}
        assert [asked for _, asked in server.requests] == [None, "bytes=123456-"]
        assert "broke at 0.1 of 0.3 MB; trying again in 0 s (2 of 3)" in folder.said[0]

    def test_in_a_later_run(self, folder, publish, server):
        checkpoint, content = publish()
        server.plan = [Answer(cut=100_000), Answer(status=403)]
        assert "answers 403" in folder.fails(checkpoint)
        assert folder.files() == {checkpoint.file_name + ".part": content[:100_000]}
        folder.get(checkpoint)
        assert folder.files() == {checkpoint.file_name: content}
        assert server.requests[-1][1] == "bytes=100000-"

    def test_server_without_ranges(self, folder, publish, server):
        checkpoint, content = publish()
        server.plan = [Answer(cut=123_456), Answer(ranges=False)]
        folder.get(checkpoint)
        assert folder.files() == {checkpoint.file_name: content}

    def test_part_that_is_whole_needs_no_server(self, folder, publish, server):
        checkpoint, content = publish()
        folder.put(checkpoint.file_name + ".part", content)
        folder.get(checkpoint)
        assert folder.files() == {checkpoint.file_name: content}
        assert server.requests == []

    @pytest.mark.parametrize("extra", [b"", b"more"])
    def test_part_as_long_as_the_file_or_longer_but_damaged(self, folder, publish, server, extra):
        checkpoint, content = publish()
        folder.put(checkpoint.file_name + ".part", b"\0" + content[1:] + extra)
        folder.get(checkpoint)
        assert folder.files() == {checkpoint.file_name: content}
        assert [asked for _, asked in server.requests] == [f"bytes={len(content) + len(extra)}-", None]

    def test_damaged_part_is_found_out_at_the_end_and_starts_afresh(self, folder, publish, server):
        checkpoint, content = publish()
        folder.put(checkpoint.file_name + ".part", b"\0" * 1000)
        folder.get(checkpoint)
        assert folder.files() == {checkpoint.file_name: content}
        assert [asked for _, asked in server.requests] == ["bytes=1000-", None]
        assert "damaged, starting afresh" in folder.said[0]

    def test_another_range_than_asked_for(self, folder, publish, server):
        checkpoint, content = publish()
        folder.put(checkpoint.file_name + ".part", content[:1000])
        server.plan = [Answer(shift=5)]
        folder.get(checkpoint)
        assert folder.files() == {checkpoint.file_name: content}

    def test_progress_earns_new_tries(self, folder, publish, server):
        checkpoint, content = publish(size=700_000)
        server.plan = [Answer(cut=70_000) for _ in range(9)]
        folder.get(checkpoint)
        assert folder.files() == {checkpoint.file_name: content}
        assert len(server.requests) == 10

    def test_dribbling_ends(self, folder, publish, server):
        checkpoint, content = publish()
        server.plan = [Answer(cut=10) for _ in range(9)]
        assert "gave up after 3 tries" in folder.fails(checkpoint)
        assert folder.files() == {checkpoint.file_name + ".part": content[:30]}

    def test_slow_server(self, folder, publish, server, patience):
        checkpoint, content = publish()
        patience(timeout=0.2, tries=100)
        server.plan = [Answer(silent=1.0)]
        folder.get(checkpoint)
        assert "sent nothing for 0.2 s; trying again" in folder.said[0]
        assert folder.files() == {checkpoint.file_name: content}

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_passing_status(self, folder, publish, server, status):
        checkpoint, _ = publish()
        server.plan = [Answer(status=status), Answer(status=status)]
        folder.get(checkpoint)
        assert len(server.requests) == 3
        assert f"answers {status}" in folder.said[0]

    def test_retry_after_is_respected_within_limits(self, folder, publish, server, monkeypatch):
        slept = []
        monkeypatch.setattr(http_file.time, "sleep", slept.append)
        server.plan = [Answer(503, {"Retry-After": "7"}), Answer(503, {"Retry-After": "99999"})]
        folder.get(publish()[0])
        assert [wait for wait in slept if wait] == [7.0, 60.0]

    def test_pauses_double(self, folder, publish, server, monkeypatch, patience):
        slept = []
        monkeypatch.setattr(http_file.time, "sleep", slept.append)
        patience(timeout=2.0, tries=5, pause=1.0)
        server.plan = [Answer(status=500) for _ in range(5)]
        assert "gave up after 5 tries" in folder.fails(publish()[0])
        assert [wait for wait in slept if wait] == [1.0, 2.0, 4.0, 8.0]


class TestFailing:
    def test_wrong_hash(self, folder, publish, server):
        checkpoint, _ = publish()
        folder.put("good.pth", b"good")
        server.plan = [Answer(body=b"<html>Please log in", headers={"Content-Type": "text/html"})]
        message = folder.fails(checkpoint)
        assert "1 of 1 checkpoints are missing" in message
        found = hashlib.sha256(b"<html>Please log in").hexdigest()[:8]
        assert f"the server sent another file: 19 bytes of text/html, whose SHA-256 begins with {found}" in message
        assert f"expected {checkpoint.hash_prefix}" in message
        assert folder.files() == {"good.pth": b"good"}

    def test_wrong_file_that_is_there_is_left_alone(self, folder, publish, server):
        checkpoint, _ = publish()
        folder.put(checkpoint.file_name, b"something of mine")
        assert "it was left as it is: move it away first" in folder.fails(checkpoint)
        assert folder.files() == {checkpoint.file_name: b"something of mine"}
        assert server.requests == []

    def test_not_found_is_not_tried_again_and_says_what_to_put_where(self, folder, publish, server):
        checkpoint, _ = publish()
        server.files.clear()
        message = folder.fails(checkpoint)
        assert f"{checkpoint.url} answers 404 Not Found" in message
        assert f"by hand: save {checkpoint.url}\n          as {folder.path / checkpoint.file_name}" in message
        assert len(server.requests) == 1

    def test_one_that_fails_does_not_keep_the_others(self, folder, publish, server):
        first, _ = publish("first")
        second, content = publish("second")
        server.plan = [Answer(status=404)]
        assert "1 of 2 checkpoints are missing" in folder.fails(first, second)
        assert folder.files() == {second.file_name: content}

    def test_no_server(self, folder, publish, server):
        first, _ = publish("first")
        second, _ = publish("second")
        third, content = publish("third")
        server.shutdown()
        server.server_close()
        folder.put(third.file_name, content)
        message = folder.fails(first, second, third)
        assert "2 of 3 checkpoints are missing" in message
        assert message.count("no connection to 127.0.0.1") == 2
        assert str(folder.path / second.file_name) in message
        assert "--mirror URL" in message
        # only the first one is tried: the others would have to wait for the same
        assert [line.split(":")[0] for line in folder.said] == ["first", "first", "third"]

    def test_unknown_host(self, folder, publish):
        checkpoint, _ = publish()
        url = checkpoint.url.replace("127.0.0.1", "no-such-host.invalid")
        assert "no connection to no-such-host.invalid" in folder.fails(type(checkpoint)("tiny", url, ""))

    def test_no_space(self, folder, publish, monkeypatch):
        checkpoint, _ = publish()
        usage = namedtuple("usage", "free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(free=1_000_000))
        assert "0 MB to download, but only 1 MB free in" in folder.fails(checkpoint)
        assert folder.files() == {}

    def test_more_than_any_checkpoint(self, folder, publish, server, monkeypatch):
        monkeypatch.setattr(http_file, "_LARGEST", 100_000)
        assert "which no checkpoint has" in folder.fails(publish()[0])

    def test_part_that_cannot_be_written(self, folder, publish):
        checkpoint, _ = publish()
        (folder.path / (checkpoint.file_name + ".part")).mkdir(parents=True)
        assert "tiny: " in folder.fails(checkpoint)

    def test_folder_that_cannot_be_made(self, folder, publish):
        folder.path.write_bytes(b"a file")
        assert "cannot make the folder" in folder.fails(publish()[0])


class TestSeveralAddresses:
    """Of a file that lies in several places; all of them are paths of the one server here, which is counted by host."""

    @pytest.fixture
    def mirrored(self, publish, server):
        checkpoint, content = publish()
        server.files["/second"] = server.files["/third"] = content
        return dataclasses.replace(checkpoint, mirrors=(server.url + "/second", server.url + "/third")), content

    @pytest.mark.parametrize("first", [Answer(status=404), Answer(status=403), Answer(body=b"another file")])
    def test_the_next_is_asked_where_one_does_not_give_it(self, folder, mirrored, server, first):
        checkpoint, content = mirrored
        server.plan = [first]
        folder.get(checkpoint)
        assert folder.files() == {checkpoint.file_name: content}
        assert [path for path, _ in server.requests] == [checkpoint.url.removeprefix(server.url), "/second"]
        assert folder.said[0].startswith("tiny: ")
        assert folder.said[0].endswith(f"; asking {server.url}/second")

    def test_a_part_is_gone_on_with_elsewhere(self, folder, mirrored, server):
        checkpoint, content = mirrored
        server.plan = [Answer(cut=100_000), Answer(status=403)]
        folder.get(checkpoint)
        assert folder.files() == {checkpoint.file_name: content}
        assert server.requests[-1] == ("/second", "bytes=100000-")

    def test_a_host_that_is_down_is_asked_once_and_the_next_serves_all(self, folder, publish, server):
        one, two = (publish(name) for name in ("one", "two"))
        down = [
            dataclasses.replace(checkpoint, url="http://no-such-host.invalid/" + checkpoint.file_name, mirrors=[url])
            for checkpoint, url in ((one[0], one[0].url), (two[0], two[0].url))
        ]
        folder.get(*down)
        assert folder.files() == {one[0].file_name: one[1], two[0].file_name: two[1]}
        assert sum("trying again" in line for line in folder.said) == 2  # of three tries, for the first file alone

    def test_all_failures_are_told(self, folder, mirrored, server):
        checkpoint, _ = mirrored
        server.files.clear()
        message = folder.fails(checkpoint)
        assert all(f"{url} answers 404" in message for url in (checkpoint.url, *checkpoint.mirrors))
        assert message.count("by hand: save") == 1

    def test_the_whole_hash_counts_where_it_is_known(self, folder, publish, server):
        checkpoint, content = publish()
        forged = dataclasses.replace(checkpoint, sha256=checkpoint.hash_prefix + "0" * 56)
        assert "the server sent another file" in folder.fails(forged)
        folder.get(dataclasses.replace(checkpoint, sha256=hashlib.sha256(content).hexdigest()))
        assert folder.files() == {checkpoint.file_name: content}

    def test_a_name_that_carries_another_hash_is_told_with_the_way_out(self, folder, publish, server):
        """As those of OpenMMLab's files do that were replaced under their old names."""
        checkpoint, _ = publish()
        server.files[checkpoint.url.removeprefix(server.url)] = b"replaced"
        found = hashlib.sha256(b"replaced").hexdigest()
        assert "by its name. Publishers have replaced files" in (message := folder.fails(checkpoint))
        assert f"tiny --sha256 {found}" in message
        folder.get(dataclasses.replace(checkpoint, sha256=found))
        assert folder.files() == {checkpoint.file_name: b"replaced"}


class TestLicence:
    @pytest.fixture
    def restricted(self, publish):
        checkpoint, content = publish()
        return dataclasses.replace(checkpoint, licence=licences()["superanimal"]), content

    def test_nothing_is_fetched_before_it_is_agreed_to(self, folder, restricted, publish, server):
        checkpoint, _ = restricted
        free, content = publish("free")
        message = folder.fails(checkpoint, free)
        assert "1 of 2 checkpoints are missing" in message
        assert "licence 'superanimal' is to be read and agreed to first" in message
        for fact in ("CC-BY-NC-4.0", "Apache-2.0", "none since", "EPFL-TTO", "download_checkpoints.py tiny"):
            assert fact in message
        assert "--accept-licence superanimal" in message
        assert folder.files() == {free.file_name: content}
        assert len(server.requests) == 1

    def test_once_agreed_to_it_is_fetched(self, folder, restricted):
        checkpoint, content = restricted
        folder.get(checkpoint, accepted=["superanimal"])
        assert folder.files() == {checkpoint.file_name: content}
        folder.get(checkpoint)  # there already
        assert "licence 'superanimal' to agree to" in listing([checkpoint], folder.path)

    def test_another_name_is_refused(self, folder, restricted):
        assert "'superanimals', did you mean 'superanimal'?" in folder.fails(restricted[0], accepted=["superanimals"])
        assert not folder.path.exists()


class TestMirror:
    def test_same_paths(self, folder, publish, server):
        checkpoint, content = publish()
        public = type(checkpoint)("tiny", "https://weights.invalid/v1/" + checkpoint.file_name, "")
        server.files["/openmm/v1/" + checkpoint.file_name] = content
        folder.get(public, mirror=server.url + "/openmm/")
        assert folder.files() == {checkpoint.file_name: content}

    def test_all_in_one_folder(self, folder, publish, server):
        checkpoint, content = publish()
        public = type(checkpoint)("tiny", "https://weights.invalid/v1/" + checkpoint.file_name, "")
        server.files["/" + checkpoint.file_name] = content
        folder.get(public, mirror=server.url)
        assert [path for path, _ in server.requests] == [f"/v1/{checkpoint.file_name}", f"/{checkpoint.file_name}"]
        assert folder.files() == {checkpoint.file_name: content}

    def test_has_files_of_packages_too(self, folder, publish, server):
        checkpoint, content = publish()
        packaged = dataclasses.replace(checkpoint, url=f"pip:tiny-weights==1.0/tiny/{checkpoint.file_name}")
        server.files["/" + checkpoint.file_name] = content
        folder.get(packaged, mirror=server.url)
        assert folder.files() == {checkpoint.file_name: content}

    def test_without_the_file(self, folder, publish, server):
        public = type(publish()[0])("tiny", "https://weights.invalid/v1/x-00000000_20240101.pth", "")
        message = folder.fails(public, mirror=server.url)
        assert f"{server.url}/x-00000000_20240101.pth answers 404" in message
        assert "by hand: save https://weights.invalid/v1/x-00000000_20240101.pth" in message


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/data/weights",
        r"C:\weights",
        "ftp://x.org/a",
        "file:///etc/passwd",
        "https://",
        "http://:80/x",
        "http://x.org:port/",
        "http://x.org:99999/",
        "http://a b.org/",
        f"http://{'x' * 70}.org/",
        "http://[::1/",
    ],
)
def test_only_complete_http_addresses(url, tmp_path, publish):
    with pytest.raises(UserError, match="only http:// and https:// addresses"):
        check_address(url)
    if url:
        with pytest.raises(UserError, match="only http:// and https:// addresses"):
            download([publish()[0]], tmp_path, mirror=url)


@pytest.mark.parametrize("url", ["http://x.org", "https://x.org:8443/a%20b/", "http://127.0.0.1:1/"])
def test_good_addresses(url):
    assert check_address(url) is None


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x.org/"])
def test_redirects_leave_http_nowhere(folder, publish, server, location):
    server.plan = [Answer(status=302, headers={"Location": location})]
    message = folder.fails(publish()[0])
    assert "answers 302" in message or "not http; not followed" in message
    assert len(server.requests) == 1


def test_redirects_never_leave_https():
    handler = http_file._Redirects()
    request = urllib.request.Request("https://x.org/a")
    assert handler.redirect_request(request, None, 302, "", {}, "https://y.org/b").full_url == "https://y.org/b"
    with pytest.raises(DownloadError, match="not https; not followed"):
        handler.redirect_request(request, None, 302, "", {}, "http://y.org/b")
    plain = urllib.request.Request("http://x.org/a")
    assert handler.redirect_request(plain, None, 302, "", {}, "https://y.org/b").full_url == "https://y.org/b"


def test_terminal_sees_one_changing_line(folder, publish, monkeypatch, capsys):
    monkeypatch.setattr(http_file.sys.stderr, "isatty", lambda: True, raising=False)
    folder.get(publish()[0])
    shown = capsys.readouterr().err
    assert shown.startswith("\rtiny: 0.3 of 0.3 MB")
    assert shown.count("\n") == 1


def test_listing(folder, publish):
    states = {}
    for name in ("there", "damaged", "partly", "missing"):
        states[name], content = publish(name)
        if name in ("there", "damaged"):
            folder.put(states[name].file_name, content[: 300_000 if name == "there" else 10])
        if name == "partly":
            folder.put(states[name].file_name + ".part", content[:10])
    lines = listing(list(states.values()), folder.path).splitlines()
    assert [line.split()[:3] for line in lines[1:-1]] == [[name, name, "-"] for name in states]
    assert lines[-1] == f"in {folder.path}"
