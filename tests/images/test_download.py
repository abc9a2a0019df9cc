"""Downloads from a server on this computer: resumed, verified or refused in one line, never half a file."""

import hashlib
import os

import pytest
from file_server import FileServer, serving

from channels.errors import UsageError
from semcom.images import download

CONTENT = os.urandom(3 * (1 << 18) + 17)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch):
    with serving(FileServer({"set.bin": CONTENT}), monkeypatch) as running:
        yield running


@pytest.fixture
def fetch(server, tmp_path):
    """Function that fetches into a folder; returns the file, and checks the progress that was reported."""

    def run():
        counts = []
        path = tmp_path / "folder" / "set.bin"
        download.fetch(f"{server.url}/set.bin", path, len(CONTENT), SHA256, counts.append)
        assert sum(counts) == len(CONTENT)
        assert path.read_bytes() == CONTENT
        assert os.listdir(path.parent) == ["set.bin"]

    run.path = tmp_path / "folder" / "set.bin"
    run.part = tmp_path / "folder" / ".set.bin.part"
    return run


def refused(fetch):
    """The one line of the refusal; there is no file under the final name."""
    with pytest.raises(UsageError) as raised:
        fetch()
    assert not fetch.path.exists()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_file_is_fetched_once(server, fetch):
    fetch()
    fetch()
    assert server.requests == [""]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server, fetch):
    server.cuts = [100_000, 0, 200_000]
    fetch()
    assert server.requests == ["", "bytes=100000-", "bytes=100000-", "bytes=300000-"]


def test_a_connection_that_breaks_for_good_resumes_at_the_next_call(server, fetch):
    server.cuts = [150_000, 0, 0, 0, 0]
    line = refused(fetch)
    assert f"broke after 150000 of {len(CONTENT)} bytes" in line
    assert "run the same command again to resume" in line
    assert fetch.part.read_bytes() == CONTENT[:150_000]
    del server.requests[:]
    fetch()
    assert server.requests == ["bytes=150000-"]


def test_an_empty_part_is_removed_and_one_with_bytes_is_not(server, fetch):
    server.cuts = [0, 0, 0, 0]
    assert f"broke after 0 of {len(CONTENT)} bytes" in refused(fetch)
    assert not list(fetch.path.parent.iterdir())
    server.status = 503
    assert "503" in refused(fetch)
    assert not list(fetch.path.parent.iterdir())
    server.status, server.cuts = 200, [7, 0, 0, 0, 0]
    refused(fetch)
    assert fetch.part.read_bytes() == CONTENT[:7]
    fetch()


def test_a_server_without_ranges_starts_again(server, fetch):
    server.cuts, server.ranges = [150_000], False
    fetch()
    assert server.requests == ["", "bytes=150000-"]


@pytest.mark.parametrize("part", [CONTENT[:1000][::-1], os.urandom(len(CONTENT)), os.urandom(len(CONTENT) + 5)])
def test_a_damaged_part_is_removed(server, fetch, part):
    fetch.path.parent.mkdir()
    fetch.part.write_bytes(part)
    if len(part) <= len(CONTENT):
        line = refused(fetch)
        assert "is not the published file or was damaged on the way: its SHA-256 starts with" in line
        assert not fetch.part.exists()
    fetch()


def test_other_content_is_refused(server, fetch):
    server.files["set.bin"] = bytes(len(CONTENT))
    assert "is not the published file" in refused(fetch)
    assert not os.listdir(fetch.path.parent)
    server.files["set.bin"] = b"<html>Log in to this network</html>"
    assert refused(fetch).endswith(f"is not the published file: the server has 35, not {len(CONTENT)}")


@pytest.mark.parametrize(
    ("status", "words"), [(404, "answers 404 Not Found"), (503, "answers 503 Service Unavailable")]
)
def test_a_refusal_of_the_server_is_one_line(server, fetch, status, words):
    server.status = status
    assert words in refused(fetch)
    assert len(server.requests) == 1


def test_without_a_connection_there_is_one_line(server, tmp_path):
    for url, words in (
        ("http://127.0.0.1:9/set.bin", "no connection to 127.0.0.1:9 (Connection refused); check the network"),
        ("http://nowhere.invalid/set.bin", "no connection to nowhere.invalid ("),
    ):
        with pytest.raises(UsageError) as raised:
            download.fetch(url, tmp_path / "set.bin", 3, SHA256)
        assert words in str(raised.value)


def test_another_file_of_the_user_is_left_as_it_is(server, fetch):
    fetch.path.parent.mkdir()
    fetch.path.write_bytes(b"mine")
    with pytest.raises(UsageError, match="is another file than the published one; remove it or choose another folder"):
        fetch()
    assert fetch.path.read_bytes() == b"mine"
    assert not server.requests


def test_two_processes_do_not_write_one_file(server, fetch):
    fcntl = pytest.importorskip("fcntl")
    fetch.path.parent.mkdir()
    with fetch.part.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "another process downloads this file" in refused(fetch)
    fetch()
