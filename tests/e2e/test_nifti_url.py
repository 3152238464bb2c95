"""NIfTI behind a URL: the same bytes as from the file, whatever the server does; what cannot be read is told by name."""

import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import servers
from command import RESLICE, refused, reslice, resample
from scans import samples, save, straight, tilted

os.environ["NO_PROXY"] = "127.0.0.1"
MIB = 1 << 20
GRID = ("--spacing", "0.9,1.4,2", "--interp", "cubic")
FAULTS = {"503": 8, "cut before": 5, "cut after": 10, "slow": 5}


class Tricky(BaseHTTPRequestHandler):
    """Files below `server.folder` with ETags. `server.manner` says what goes wrong; every request is noted in `server.asked`."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def fault(self):
        server = self.server
        with server.lock:
            server.asked.append((self.command, self.headers.get("Range")))
            rates = {**FAULTS, "none": 100 - sum(FAULTS.values())} if server.manner == "faults" else {"none": 1}
            return server.dice.choices(list(rates), list(rates.values()))[0], len(server.asked)

    def do_GET(self):
        fault, number = self.fault()
        manner, path = self.server.manner, Path(self.server.folder, self.path.lstrip("/"))
        if fault == "cut before":
            self.close_connection = True
            return None
        if fault == "503":
            return self.answer(503, b"")
        if fault == "slow":
            time.sleep(0.2)
        if not path.is_file():
            return self.answer(404, b"")
        data = path.read_bytes()
        tag = f'"{path.stat().st_mtime_ns}"'
        if manner == "changed" and number > 6:
            tag = '"another"'
        if manner == "shorter" and number > 6:
            data = data[:-8]
        headers = [] if manner == "no tag" else [("ETag", tag)]
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if manner == "called compressed" and path.suffix == ".gz":
            headers.append(("Content-Encoding", "gzip"))
        if not asked or manner == "no ranges":
            return self.answer(200, data, headers, with_length=manner != "no length")
        start, end = int(asked[1]), min(int(asked[2]) + 1, len(data))
        if start >= len(data):
            return self.answer(416, b"")
        headers.append(("Content-Range", f"bytes {start}-{end - 1}/{len(data)}"))
        return self.answer(206, data[start:end], headers, cut=fault == "cut after")

    def do_HEAD(self):
        if self.server.manner == "no head":
            return self.answer(405, b"")
        return self.do_GET()

    def answer(self, status, body, headers=(), cut=False, with_length=True):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.server.manner != "no tag":
            self.send_header("Last-Modified", "Sat, 01 Jan 2022 00:00:00 GMT")
        if with_length:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.close_connection = True
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection |= cut


def serve(folder, manner="good"):
    return servers.Served(
        Tricky, folder=str(folder), manner=manner, asked=[], lock=threading.Lock(), dice=random.Random(4)
    )


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    save(folder / "x.nii", samples("i2", (131, 127, 113)), tilted())
    nib.save(nib.load(folder / "x.nii"), folder / "x.nii.gz")
    resample(folder / "x.nii", folder / "bgzf.nii.gz", "--scale", "1", "--gzip", "bgzf")
    save(folder / "series.nii", samples("u1", (31, 27, 23, 5)), straight())
    return folder


@pytest.mark.parametrize("manner", ["good", "faults", "no tag", "called compressed", "no head", "no length"])
@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz", "bgzf.nii.gz", "series.nii"])
def test_the_same_bytes_as_from_the_file(web, tmp_path, name, manner):
    with serve(web, manner) as server:
        url = f"{server.url}/{name}"
        resample(web / name, tmp_path / "a.nii", *GRID)
        resample(url, tmp_path / "b.nii", *GRID)
        assert (tmp_path / "a.nii").read_bytes() == (tmp_path / "b.nii").read_bytes()
        told = [json.loads(reslice("info", path, "--json").stdout) for path in (web / name, url)]
        assert told[0]["grid"] == told[1]["grid"] and told[0]["format"] == told[1]["format"]
        reslice("compare", web / name, url)
        reslice("verify", url)
        assert server.server.asked


def test_a_region_asks_for_its_part_alone(web, tmp_path):
    with serve(web) as server:
        resample(f"{server.url}/x.nii", tmp_path / "b.nii", "--region", "40:60,40:60,50:52", "--interp", "nearest")
        ranges = [asked for method, asked in server.server.asked if method == "GET" and asked]
        bytes_asked = sum(int(last) - int(first) + 1 for first, last in (r[6:].split("-") for r in ranges))
        assert bytes_asked < (web / "x.nii").stat().st_size / 2, ranges
    resample(web / "x.nii", tmp_path / "a.nii", "--region", "40:60,40:60,50:52", "--interp", "nearest")
    assert (tmp_path / "a.nii").read_bytes() == (tmp_path / "b.nii").read_bytes()


def test_as_a_reference_and_as_a_field(web, tmp_path):
    field = np.random.default_rng(3).normal(0, 2, (12, 12, 12, 1, 3)).astype("f4")
    image = nib.Nifti1Image(field, np.diag([12.0, 16.0, 25.0, 1.0]))
    image.header.set_intent("vector")
    nib.save(image, web / "field.nii.gz")
    nib.save(image, web / "field.nii")
    with serve(web) as server:
        for name in ("field.nii", "field.nii.gz"):
            for n, root in enumerate((web, server.url)):
                how = ("--like", f"{root}/series.nii", "--transform", f"{root}/{name}", "--overwrite")
                resample(web / "x.nii", tmp_path / f"{n}.nii", *how)
            assert (tmp_path / "0.nii").read_bytes() == (tmp_path / "1.nii").read_bytes()


@pytest.mark.parametrize("manner", ["changed", "shorter"])
@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_another_object_under_the_url_is_an_error(web, tmp_path, name, manner):
    with serve(web, manner) as server:
        refused("resample", f"{server.url}/{name}", tmp_path / "b.nii", says="at first")
        assert not (tmp_path / "b.nii").exists()


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_servers_without_ranges_are_told(web, tmp_path, name):
    with serve(web, "no ranges") as server:
        refused("resample", f"{server.url}/{name}", tmp_path / "b.nii", says="a part of a file")
        refused("info", f"{server.url}/none.nii", says="none.nii")
        refused("info", f"{server.url}/none.hdr", says="header")


def test_damaged_streams_are_told(web, tmp_path):
    data = bytearray((web / "x.nii.gz").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (web / "bad.nii.gz").write_bytes(data)
    (web / "cut.nii.gz").write_bytes(data[: len(data) // 3])
    with serve(web) as server:
        for name in ("bad.nii.gz", "cut.nii.gz"):
            refused("resample", f"{server.url}/{name}", tmp_path / f"{name}.nii", says="gzip stream")


@pytest.mark.parametrize("name", ["big.nii", "big.nii.gz"])
def test_within_the_budget(web, tmp_path, name):
    if not (web / name).exists():
        nib.save(nib.Nifti1Image(samples("u2", (256, 256, 220)) & 255, np.eye(4)), web / name)
    with serve(web) as server:
        run = resample(f"{server.url}/{name}", tmp_path / "b.nii", "--scale", "0.5", "--memory", "80MiB")
        assert run.peak_bytes <= 80 * MIB, run.peak_mib
    resample(web / name, tmp_path / "a.nii", "--scale", "0.5")
    assert (tmp_path / "a.nii").read_bytes() == (tmp_path / "b.nii").read_bytes()


def test_a_killed_run_goes_on_with_the_same_object_only(web, tmp_path):
    with serve(web, "faults") as server:
        argv = [RESLICE, "resample", f"{server.url}/x.nii", tmp_path / "b.zarr", *GRID, "--chunk", "16", "--resume"]
        run = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.7)
        run.send_signal(signal.SIGTERM)
        run.wait(timeout=60)
        server.server.manner = "good"
        reslice(*argv[1:])
        resample(web / "x.nii", tmp_path / "a.zarr", *GRID, "--chunk", "16")
        reslice("compare", tmp_path / "a.zarr", tmp_path / "b.zarr")
        # The same job, and another file under its URL.
        os.utime(web / "x.nii")
        refused(*argv[1:], says="tag")


def test_in_a_bucket(web, tmp_path):
    with servers.S3() as s3:
        for name in ("x.nii", "x.nii.gz"):
            s3.client().upload_file(str(web / name), "bucket", f"in/{name}")
        env = {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": s3.url,
            "AWS_ALLOW_HTTP": "true",
        }
        for name in ("x.nii", "x.nii.gz"):
            resample(web / name, tmp_path / "a.nii", *GRID, "--overwrite")
            resample(f"s3://bucket/in/{name}", tmp_path / "b.nii", *GRID, "--overwrite", env=env)
            assert (tmp_path / "a.nii").read_bytes() == (tmp_path / "b.nii").read_bytes()
