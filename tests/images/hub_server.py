"""A server on this computer that answers as the Hugging Face hub does, as far as data sets are read from it."""

import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

REVISION = "c0ffee" + 34 * "0"


class HubServer(ThreadingHTTPServer):
    """Data sets with files in the top folder and in other folders.

    Args:
        sets: content by path, by name of the data set, "organization/name".
    """

    def __init__(self, sets):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sets, self.requests = sets, []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """A client that has gone is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(path)
        name = next((name for name in self.server.sets if f"/datasets/{name}" in path), None)
        self.files = self.server.sets.get(name, {})
        rest = path.partition(f"/datasets/{name}")[2]
        if name is None:
            self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif rest in ("", f"/revision/{REVISION}"):
            siblings = [{"rfilename": file} for file in self.files]
            about = {"id": name, "sha": REVISION, "siblings": siblings, "cardData": {"license": "cc-by-4.0"}}
            self.answer(200, json.dumps({**about, "private": False, "tags": []}).encode())
        elif rest.startswith("/tree/"):
            _, _, folder = rest.removeprefix("/tree/").partition("/")
            self.answer(
                200, json.dumps(self.listing(f"{folder}/" if folder else "", "recursive=true" in self.path)).encode()
            )
        else:
            self.file(rest.removeprefix("/resolve/").partition("/")[2])

    def listing(self, folder, whole):
        names = [name for name in self.files if name.startswith(folder)]
        inner = {name[len(folder) :].partition("/")[0] for name in names if "/" in name[len(folder) :]}
        found = [{"type": "directory", "oid": 40 * "d", "size": 0, "path": folder + name} for name in sorted(inner)]
        for name in (name for name in names if whole or "/" not in name[len(folder) :]):
            content = self.files[name]
            oid = hashlib.sha1(content).hexdigest()
            found.append({"type": "file", "oid": oid, "size": len(content), "path": name})
        return found

    def file(self, name):
        content = self.files.get(name)
        if content is None:
            self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": REVISION}
        wanted = self.headers.get("Range", "").removeprefix("bytes=")
        if not wanted:
            self.answer(200, content, headers)
            return
        first, _, last = wanted.partition("-")
        part = content[int(first) : int(last) + 1 if last else None]
        headers["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
        self.answer(206, part, headers)

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **dict(headers)}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments):
        """Nothing."""
