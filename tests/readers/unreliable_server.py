"""A server of files that fails on request, in a process of its own: GDAL keeps the interpreter waiting while it opens.

An address is `/BEHAVIOUR/path of a file?anything`. Behaviours: `ok`; a status such as `404`, always; `503x2-NAME`, the
first two requests; `slow`, which answers after a pause; `cut`, the first half of each file as if that were all;
`drop`, answers that stop in their middle, and `dropx2-NAME`. In JSON `{root}` is the address up to the behaviour.
`/requests/` tells the requests so far: method, address, and range or body; `/switch/BEHAVIOUR` holds for all addresses.

python unreliable_server.py FOLDER [PAUSE]
"""

import contextlib
import http.server
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def answer(self, body=""):
        server, place = self.server, urlsplit(self.path)
        behaviour, _, name = place.path.lstrip("/").partition("/")
        if behaviour == "requests":
            self.send(200, json.dumps(server.seen).encode())
            return
        if behaviour == "switch":
            server.forced = name
            self.send(200, b"")
            return
        server.seen.append([self.command, self.path, self.headers.get("Range") or body])
        kind, _, _ = behaviour.partition("-")
        kind, _, times = kind.partition("x")
        server.count[behaviour] += 1
        if times and server.count[behaviour] > int(times):
            kind = "ok"
        kind = server.forced or kind
        if kind.isdigit():
            self.send(int(kind), b"no")
            return
        if kind == "slow":
            time.sleep(server.pause)
        file = server.folder / name
        if not file.is_file():
            self.send(404, b"")
            return
        content = file.read_bytes()
        if file.suffix in (".json", ".geojson"):
            root = f"http://{self.headers['Host']}/{behaviour}"
            content = content.replace(b"{root}", root.encode())
        self.send_part(content[: len(content) // 2] if kind == "cut" else content, is_dropped=kind == "drop")

    def send_part(self, content, *, is_dropped):
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if part is None:
            self.send(200, content, is_dropped=is_dropped)
            return
        start, stop = int(part[1]), min(int(part[2] or len(content)) + 1, len(content))
        if start >= len(content):
            self.send(416, b"")
            return
        where = {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"}
        self.send(206, content[start:stop], where, is_dropped=is_dropped)

    def send(self, status, content, headers=None, *, is_dropped=False):
        self.send_response(status)
        told = {"Content-Length": len(content), "Accept-Ranges": "bytes", "Content-Type": "application/json"}
        for key, value in (told | (headers or {})).items():
            self.send_header(key, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if is_dropped else content)
        self.close_connection = self.close_connection or is_dropped


class Server:
    """A running server of a folder."""

    def __init__(self, address):
        self.address = address

    def requests(self):
        """Method, address and range of all requests so far."""
        with urllib.request.urlopen(f"{self.address}/requests/") as answer:
            return json.load(answer)

    def switch(self, behaviour):
        """Let all addresses behave so from now on, or each for itself again if it is empty."""
        with urllib.request.urlopen(f"{self.address}/switch/{behaviour}"):
            pass


@contextlib.contextmanager
def serving(folder, pause=30.0):
    """Server of a folder, while the block runs."""
    command = [sys.executable, __file__, str(folder), str(pause)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield Server(f"http://127.0.0.1:{process.stdout.readline().strip()}")
        finally:
            process.kill()


if __name__ == "__main__":
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.daemon_threads = True
        server.folder, server.pause = Path(sys.argv[1]), float(sys.argv[2])
        server.seen, server.count, server.forced = [], Counter(), ""
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()
