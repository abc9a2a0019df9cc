"""An HTTP server on this computer that serves files from memory, with the faults that a test asks for."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Serves `files` by their names, from any folder.

    Args:
        files: content by name; the name "" is for all other addresses.

    `cuts` are the numbers of bytes after which the next answers break off, `ranges` says whether parts of files are
    served, `status` is that of all answers, and `requests` are the requested ranges so far.
    """

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.cuts, self.ranges, self.status, self.requests = dict(files), [], True, 200, []
        self.url = f"http://127.0.0.1:{self.server_port}/set"

    def handle_error(self, request, client_address):
        """A client that has gone is no error."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range", "")
        server.requests.append(wanted)
        content = server.files.get(self.path.rpartition("/")[2], server.files.get(""))
        if server.status != 200 or content is None:
            self.send_error(server.status if server.status != 200 else 404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        body = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)

    def log_message(self, *arguments):
        """Nothing."""


@contextmanager
def serving(server, monkeypatch):
    """Run a server in a thread, without proxies and without pauses between attempts."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr("semcom.images.download._PAUSE_S", 0.01)
    with server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
