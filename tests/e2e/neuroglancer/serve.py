"""Files of a folder over HTTP on this machine, as an object store would serve them: byte ranges, any origin."""

import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Handler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD; `served` collects (path, status, bytes)."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args, served, **kwargs):
        self.served = served
        super().__init__(*args, **kwargs)

    def do_GET(self, body=True):
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.answer(404, b"", body)
        content = path.read_bytes()
        asked = RANGE.fullmatch(self.headers.get("Range", ""))
        if not asked:
            return self.answer(200, content, body)
        first, last = span(*asked.groups(), len(content))
        if first > last:
            return self.answer(416, b"", body, f"bytes */{len(content)}")
        return self.answer(206, content[first : last + 1], body, f"bytes {first}-{last}/{len(content)}")

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_OPTIONS(self):
        self.answer(204, b"", False)

    def answer(self, status, content, body, content_range=None):
        self.served.append((self.path, status, len(content) if body else 0))
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if body:
            self.wfile.write(content)

    def end_headers(self):
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Headers", "Range")
        self.send_header("Access-Control-Expose-Headers", "Content-Range, Content-Length, Accept-Ranges")
        super().end_headers()

    def log_message(self, *_):
        pass


def span(first, last, size):
    """First and last byte of a range as HTTP writes it: `a-b`, `a-`, or `-n` for the last n."""
    if not first:
        return max(0, size - int(last or 0)), size - 1
    return int(first), min(int(last) if last else size - 1, size - 1)


def serve(folder):
    """Starts a server; gives its address and the list of what it served."""
    served = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder), served=served))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}", served
