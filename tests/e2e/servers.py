"""Servers on loopback: an S3 server behind a proxy that breaks things, and a plain web server with and without ranges."""

import http.client
import logging
import random
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from moto.server import ThreadedMotoServer


logging.getLogger("werkzeug").setLevel(logging.ERROR)


class Served:
    """A server in a thread of its own, for as long as the context lasts."""

    def __init__(self, handler, **facts):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        for name, value in facts.items():
            setattr(self.server, name, value)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class S3:
    """moto's S3 server, with one bucket."""

    def __init__(self, bucket="bucket"):
        self.bucket = bucket

    def __enter__(self):
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        self.host, self.port = self.server.get_host_and_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client().create_bucket(Bucket=self.bucket)
        return self

    def __exit__(self, *_):
        self.server.stop()

    def client(self):
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def keys(self, prefix=""):
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", []))

    def contents(self, prefix):
        """Every key below `prefix/` with its bytes."""
        client = self.client()
        read = lambda key: client.get_object(Bucket=self.bucket, Key=key)["Body"].read()  # noqa: E731
        return {key.removeprefix(prefix + "/"): read(key) for key in self.keys(prefix + "/")}


class Proxy(BaseHTTPRequestHandler):
    """Hands requests on to `server.upstream`; what goes wrong is drawn from `server.dice`."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def fault(self):
        server = self.server
        with server.lock:
            fault = server.dice.choices(list(server.rates), list(server.rates.values()))[0]
            server.seen[fault] = server.seen.get(fault, 0) + 1
        return fault

    def forward(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        fault = self.fault()
        if fault == "cut before":
            self.close_connection = True
            return
        if fault == "503":
            self.answer(503, [("Content-Type", "application/xml")], b"<Error><Code>SlowDown</Code></Error>")
            return
        if fault == "stall":
            time.sleep(60)
            self.close_connection = True
            return
        if fault == "slow":
            time.sleep(0.3)
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=60)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            upstream.putheader(name, value)
        upstream.endheaders(body)
        response = upstream.getresponse()
        answer = response.read()
        upstream.close()
        headers = [(n, v) for n, v in response.getheaders() if n.lower() not in ("transfer-encoding", "connection")]
        if fault == "500 after":
            self.answer(500, [], b"")
        elif fault == "cut after":
            self.answer(response.status, headers, answer, cut=True)
        else:
            self.answer(response.status, headers, answer)

    def answer(self, status, headers, body, cut=False):
        self.send_response_only(status)
        names = {name.lower() for name, _ in headers}
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in names and status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.wfile.flush()
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward


def proxy(upstream, seed=1, **rates):
    """A proxy before port `upstream`. `rates` are in percent; what is left goes well."""
    rates = {name.replace("_", " ").strip(): rate for name, rate in rates.items()}
    rates["none"] = 100 - sum(rates.values())
    return Served(Proxy, upstream=upstream, dice=random.Random(seed), rates=rates, lock=threading.Lock(), seen={})


class Files(BaseHTTPRequestHandler):
    """The files below `server.folder`, with ranges if `server.ranges`."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = Path(self.server.folder, self.path.lstrip("/"))
        if not path.is_file():
            return self.answer(404, b"")
        data = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not asked or not self.server.ranges:
            return self.answer(200, data)
        first, last = asked.groups()
        start = int(first) if first else max(len(data) - int(last), 0)
        end = min(int(last) + 1, len(data)) if first and last else len(data)
        if start >= len(data):
            return self.answer(416, b"")
        self.answer(206, data[start:end], [("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")])

    do_HEAD = do_GET

    def answer(self, status, body, headers=()):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Last-Modified", "Sat, 01 Jan 2022 00:00:00 GMT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def files(folder, ranges=True):
    return Served(Files, folder=str(folder), ranges=ranges)
