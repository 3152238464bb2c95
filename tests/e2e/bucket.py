"""A small S3 server on loopback with one bucket in memory, and one fault at one request. Nothing but Python's own library.

It is as strict as S3 and as loose as its copies: pages of a list are short, a list that is asked for is of that moment, and the answer
to a deletion names only what was there, so that it is empty where all is gone already.
"""

import hashlib
import threading
import time
import urllib.parse
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.etree import ElementTree
from xml.sax.saxutils import escape

PAGE = 7
# What happens to a request: it is refused; the connection ends before it is done, or after, without an answer; half an answer comes.
KINDS = ["503", "cut before", "lost", "cut after"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with server.lock:
            fault = server.kind if server.count == server.nth else None
            server.count += 1
        if fault == "cut before":
            self.close_connection = True
            return
        if fault == "503":
            return self.answer(503, [], b"<Error><Code>SlowDown</Code><Message>later</Message></Error>")
        with server.lock:
            status, headers, answer = self.done(body)
        if fault == "lost":
            self.close_connection = True
            return
        self.answer(status, headers, answer, cut=fault == "cut after")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do

    def done(self, body):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        key = urllib.parse.unquote(url.path).lstrip("/").partition("/")[2]
        objects = self.server.objects
        if self.command == "POST" and "delete" in query:
            return 200, [], self.delete(body)
        if self.command == "GET" and "list-type" in query:
            return 200, [], self.page(query)
        if self.command == "PUT":
            if self.headers.get("If-None-Match") == "*" and key in objects:
                return 412, [], b"<Error><Code>PreconditionFailed</Code></Error>"
            objects[key] = (body, time.time())
            return 200, [("ETag", tag(body))], b""
        if key not in objects:
            return 404, [], b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>"
        if self.command == "DELETE":
            del objects[key]
            return 204, [], b""
        data, modified = objects[key]
        headers = [("ETag", tag(data)), ("Last-Modified", formatdate(modified, usegmt=True))]
        asked = self.headers.get("Range")
        if not asked:
            return 200, headers, data
        first, last = asked.removeprefix("bytes=").split("-")
        start = int(first) if first else max(len(data) - int(last), 0)
        end = min(int(last) + 1, len(data)) if first and last else len(data)
        if start >= len(data):
            return 416, [], b"<Error><Code>InvalidRange</Code></Error>"
        return 206, [*headers, ("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")], data[start:end]

    def delete(self, body):
        keys = [e.text for e in ElementTree.fromstring(body).iter() if e.tag.endswith("Key")]
        gone = [key for key in keys if self.server.objects.pop(key, None)]
        return f"<DeleteResult>{''.join(f'<Deleted><Key>{escape(k)}</Key></Deleted>' for k in gone)}</DeleteResult>".encode()

    def page(self, query):
        after = query.get("continuation-token", query.get("start-after", ""))
        keys = sorted(k for k in self.server.objects if k.startswith(query.get("prefix", "")) and k > after)
        page, more = keys[:PAGE], len(keys) > PAGE
        stamp = lambda key: time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(self.server.objects[key][1]))  # noqa: E731
        entry = lambda key: (  # noqa: E731
            f"<Contents><Key>{escape(key)}</Key><LastModified>{stamp(key)}</LastModified>"
            f"<ETag>{escape(tag(self.server.objects[key][0]))}</ETag><Size>{len(self.server.objects[key][0])}</Size></Contents>"
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}"
            f"{''.join(map(entry, page))}</ListBucketResult>"
        ).encode()

    def answer(self, status, headers, body, cut=False):
        lines = [f"HTTP/1.1 {status} .", f"Content-Length: {len(body)}", *(f"{n}: {v}" for n, v in headers)]
        text = "\r\n".join([*lines, "", ""]).encode() + (b"" if self.command == "HEAD" else body)
        self.wfile.write(text[: len(text) - max(len(body) // 2, 20)] if cut else text)
        self.wfile.flush()
        self.close_connection |= cut


def tag(body):
    return f'"{hashlib.md5(body).hexdigest()}"'


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        """A client that was killed is none of our errors."""


class Bucket:
    """A server for as long as the context lasts; `objects` are keys to bytes. Request `nth`, from 0, meets a fault of `kind`."""

    def __init__(self, objects=(), nth=-1, kind=None):
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.objects = {key: (body, time.time()) for key, body in dict(objects).items()}
        self.server.count, self.server.nth, self.server.kind = 0, nth, kind
        self.server.lock = threading.RLock()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def contents(self, prefix=""):
        with self.server.lock:
            found = {key: body for key, (body, _) in self.server.objects.items() if key.startswith(prefix)}
        return {key.removeprefix(prefix): body for key, body in found.items()}
