"""Images in an S3 server and on a web server, with answers that fail, come late or are cut: the same bytes as locally."""

import json
import os
import signal
import socket
import subprocess
import time

import numpy as np
import pytest

import command
import servers
from command import refused
from scans import samples, save, straight, tilted

os.environ["NO_PROXY"] = "127.0.0.1"
KEY, SECRET = "AKIA2RESLICETESTKEY7", "wJalrXUtnFEMIK7MDENGbPxRfiCYSECRETKEY"
MIB = 1 << 20
FAULTS = {"_503": 8, "500_after": 4, "slow": 4, "cut_before": 4, "cut_after": 8}
LAYOUTS = {"chunks": ["--chunk", "16", "--shard", "none"], "shards": ["--chunk", "16", "--shard", "32"]}


@pytest.fixture(scope="module")
def s3():
    with servers.S3() as server:
        yield server


@pytest.fixture
def faulty(s3):
    with servers.proxy(s3.port, **FAULTS) as proxy:
        yield proxy


def environment(url):
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
    }


def run(url, *args, **how):
    """`reslice ARGS` with the endpoint at `url`; no key is in what it prints."""
    done = command.reslice(*args, env=environment(url), **how)
    assert KEY not in done.stdout + done.stderr and SECRET not in done.stdout + done.stderr
    return done


def refuses(url, *args, says=(), **how):
    done = run(url, *args, expect=(1, 2), **how)
    assert sum(line.startswith("error: ") for line in done.stderr.splitlines()) == 1, done.stderr
    for text in [says] if isinstance(says, str) else says:
        assert text.lower() in done.stderr.lower(), f"{text!r} is not in: {done.stderr}"
    return done


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def same(found, expected):
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_the_same_bytes_there_and_back(s3, faulty, tmp_path, layout, version):
    if version == "0.4" and layout == "shards":
        pytest.skip("Zarr v2 has no shards")
    how = [*LAYOUTS[layout], "--ome", version]
    prefix, grid = f"{layout}-{version}", ["--spacing", "0.8,1.1,2"]
    scan = save(tmp_path / "scan.nii", samples("i2", (71, 53, 37)), tilted())
    remote, local = f"s3://bucket/{prefix}", tmp_path / "local"
    local.mkdir()
    command.resample(scan, local / "a.zarr", *how)
    run(faulty.url, "resample", scan, f"{remote}/a.zarr", *how)
    same(s3.contents(f"{prefix}/a.zarr"), tree(local / "a.zarr"))
    command.resample(local / "a.zarr", local / "b.zarr", *how, *grid)
    run(faulty.url, "resample", f"{remote}/a.zarr", f"{remote}/b.zarr", *how, *grid)
    same(s3.contents(f"{prefix}/b.zarr"), tree(local / "b.zarr"))
    for name in ["c.zarr", "c.nii", "c.nii.gz"]:
        command.resample(local / "b.zarr" / "0", local / name)
        target = tmp_path / name
        run(faulty.url, "resample", f"{remote}/b.zarr/0", target)
        if name.endswith(".zarr"):
            same(tree(target), tree(local / name))
        else:
            assert target.read_bytes() == (local / name).read_bytes()
    assert sum(faulty.server.seen.values()) - faulty.server.seen["none"] > 10, faulty.server.seen


def test_levels(s3, faulty, tmp_path):
    scan = save(tmp_path / "scan.nii", samples("u2", (67, 71, 73)), straight())
    how = ["--pyramid", *LAYOUTS["shards"]]
    command.resample(scan, tmp_path / "p.zarr", *how)
    run(faulty.url, "resample", scan, "s3://bucket/levels/p.zarr", *how)
    same(s3.contents("levels/p.zarr"), tree(tmp_path / "p.zarr"))
    command.resample(tmp_path / "p.zarr/1", tmp_path / "one.nii")
    run(faulty.url, "resample", "s3://bucket/levels/p.zarr", tmp_path / "two.nii", "--level", "1")
    assert (tmp_path / "one.nii").read_bytes() == (tmp_path / "two.nii").read_bytes()
    refuses(faulty.url, "pyramid", "s3://bucket/levels/p.zarr", says="local folders only")


def test_large_shards_go_in_parts_within_the_budget(s3, faulty, tmp_path):
    scan = save(tmp_path / "scan.nii", samples("u2", (256, 256, 220)), straight())
    how = ["--chunk", "64", "--shard", "256", "--codec", "none"]
    command.resample(scan, tmp_path / "big.zarr", *how)
    summary = tmp_path / "summary.json"
    done = run(
        faulty.url, "resample", scan, "s3://bucket/big.zarr", *how, "--memory", "96MiB", "--summary", summary,
        "--scratch", tmp_path,
    )
    same(s3.contents("big.zarr"), tree(tmp_path / "big.zarr"))
    text = summary.read_text()
    assert KEY not in text and SECRET not in text
    assert json.loads(text)["peak_bytes"] <= 96 * MIB and done.peak_bytes <= 96 * MIB
    assert not list(tmp_path.glob("reslice-*")), "local scratch is left"
    back = tmp_path / "back.nii"
    done = run(faulty.url, "resample", "s3://bucket/big.zarr", back, "--memory", "64MiB")
    assert done.peak_bytes <= 64 * MIB
    command.resample(tmp_path / "big.zarr", tmp_path / "local.nii")
    assert back.read_bytes() == (tmp_path / "local.nii").read_bytes()


def test_info_compare_and_verify(s3, tmp_path):
    scan = save(tmp_path / "scan.nii", samples("i2"), straight())
    run(s3.url, "resample", scan, "s3://bucket/other.zarr")
    info = json.loads(run(s3.url, "info", "s3://bucket/other.zarr", "--json").stdout)
    assert info["grid"]["shape"] == [23, 29, 19] and info["stored_bytes"] is None
    run(s3.url, "compare", scan, "s3://bucket/other.zarr")
    run(s3.url, "verify", "s3://bucket/other.zarr")
    key = next(key for key in s3.keys("other.zarr/0/c"))
    body = s3.client().get_object(Bucket="bucket", Key=key)["Body"].read()
    s3.client().put_object(Bucket="bucket", Key=key, Body=body[:100] + bytes([body[100] ^ 4]) + body[101:])
    assert "s3://bucket/other.zarr" in refuses(s3.url, "resample", "s3://bucket/other.zarr", tmp_path / "x.nii").stderr


def test_what_is_there_stays_unless_it_is_overwritten(s3, tmp_path):
    one = save(tmp_path / "scan.nii", samples("i2"), straight())
    how = ["--chunk", "8", "--shard", "none"]
    run(s3.url, "resample", one, "s3://bucket/there.zarr", *how)
    before = s3.contents("there.zarr")
    refuses(s3.url, "resample", one, "s3://bucket/there.zarr", says=["already exists", "--overwrite"])
    assert s3.contents("there.zarr") == before
    run(s3.url, "resample", one, "s3://bucket/there.zarr", "--overwrite", "--scale", "0.5", "--chunk", "16", "--shard", "none")
    command.resample(one, tmp_path / "there.zarr", "--scale", "0.5", "--chunk", "16", "--shard", "none")
    same(s3.contents("there.zarr"), tree(tmp_path / "there.zarr"))
    s3.client().put_object(Bucket="bucket", Key="mine.zarr/notes/1", Body=b"not ours")
    refuses(s3.url, "resample", one, "s3://bucket/mine.zarr", says="already exists")
    assert s3.keys("mine.zarr/") == ["mine.zarr/notes/1"]


def test_a_killed_run_leaves_no_image_and_the_next_one_clears_it(s3, tmp_path):
    scan = save(tmp_path / "scan.nii", samples("i2", (64, 64, 64)), straight())
    how = ["--chunk", "8", "--shard", "none"]
    with servers.proxy(s3.port, slow=100) as slow:
        argv = [command.RESLICE, "resample", scan, "s3://bucket/killed.zarr", *how]
        child = subprocess.Popen(argv, env={**os.environ, **environment(slow.url)}, stderr=subprocess.DEVNULL)
        while len(s3.keys("killed.zarr/0/")) < 5:
            assert child.poll() is None
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert "killed.zarr/zarr.json" not in s3.keys("killed.zarr/")
    refuses(s3.url, "info", "s3://bucket/killed.zarr", says="no zarr array or group here")
    done = run(s3.url, "resample", scan, "s3://bucket/killed.zarr", *how, "--restart")
    assert "cleared s3://bucket/killed.zarr" in done.stderr
    command.resample(scan, tmp_path / "killed.zarr", *how)
    same(s3.contents("killed.zarr"), tree(tmp_path / "killed.zarr"))


def test_a_stop_does_not_wait_for_a_server_that_stalls(s3, tmp_path):
    scan = save(tmp_path / "scan.nii", samples("i2", (64, 64, 64)), straight())
    how = ["--chunk", "8", "--shard", "none", "--threads", "2"]
    with servers.proxy(s3.port, slow=100) as stalling:
        argv = [command.RESLICE, "resample", scan, "s3://bucket/stopped.zarr", *how]
        child = subprocess.Popen(argv, env={**os.environ, **environment(stalling.url)}, stderr=subprocess.PIPE, text=True)
        while len(s3.keys("stopped.zarr/0/")) < 5:
            assert child.poll() is None
            time.sleep(0.05)
        stalling.server.rates = {"stall": 100}
        time.sleep(1)
        child.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        stderr = child.communicate(timeout=30)[1]
        assert time.monotonic() - begun < 10 and child.returncode == 75, (child.returncode, stderr)


def test_a_dry_run_writes_nothing(s3, tmp_path):
    scan = save(tmp_path / "scan.nii", samples("i2"), straight())
    before = s3.keys()
    run(s3.url, "resample", scan, "s3://bucket/dry.zarr", "--dry-run")
    assert s3.keys() == before


def test_a_dead_endpoint_is_an_error_in_bounded_time(tmp_path):
    scan = save(tmp_path / "scan.nii", samples("i2"), straight())
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    begun = time.monotonic()
    url = f"http://127.0.0.1:{port}"
    done = refuses(url, "resample", scan, "s3://bucket/dead.zarr", says=["s3://bucket/dead.zarr", "attempts", url])
    assert "refused" in done.stderr.lower()
    refuses(url, "info", "s3://bucket/dead.zarr", says=["s3://bucket/dead.zarr/zarr.json", "attempts"])
    assert time.monotonic() - begun < 120
    assert not list(tmp_path.glob("reslice-*"))


def test_a_server_that_always_fails_ends_a_run(s3, tmp_path):
    scan = save(tmp_path / "scan.nii", samples("i2"), straight())
    with servers.proxy(s3.port, _503=100) as broken:
        refuses(broken.url, "resample", scan, "s3://bucket/never.zarr", says=["503", "attempts"])
        refuses(broken.url, "info", "s3://bucket/never.zarr", says=["503", "SlowDown", "attempts"])


def test_wrong_credentials_are_not_repeated(s3, tmp_path):
    denied = servers.Served(Denied)
    with denied:
        done = refuses(denied.url, "info", "s3://bucket/denied.zarr", says="SignatureDoesNotMatch")
    assert "StringToSign" not in done.stderr


class Denied(servers.Proxy):
    def forward(self):
        body = f"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message><AWSAccessKeyId>{KEY}</AWSAccessKeyId>"
        self.answer(403, [], (body + "<StringToSign>AWS4</StringToSign></Error>").encode())

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_web_server_is_read(tmp_path, layout):
    scan = save(tmp_path / "scan.nii", samples("u2", (71, 53, 37)), tilted())
    (tmp_path / "my files").mkdir()
    command.resample(scan, tmp_path / "my files" / "a.zarr", *LAYOUTS[layout])
    (tmp_path / "my files").rename(tmp_path / "served")
    command.resample(tmp_path / "served" / "a.zarr", tmp_path / "local.nii")
    with servers.files(tmp_path / "served") as web:
        for url in [f"{web.url}/a.zarr", f"{web.url}/a.zarr/", f"{web.url}/a.zarr/0", f"{web.url}/%61.zarr"]:
            target = tmp_path / "web.nii"
            command.reslice("resample", url, target, "--overwrite")
            assert target.read_bytes() == (tmp_path / "local.nii").read_bytes(), url
        refused("info", f"{web.url}/none.zarr", says=["no zarr array or group here", "none.zarr"])
        refused("resample", scan, f"{web.url}/b.zarr", says="read only")
        port = web.server.server_port
        with servers.proxy(port, **FAULTS) as faulty:
            command.reslice("resample", f"{faulty.url}/a.zarr", target, "--overwrite")
            assert target.read_bytes() == (tmp_path / "local.nii").read_bytes()


def test_a_web_server_without_ranges(tmp_path):
    scan = save(tmp_path / "scan.nii", samples("u2", (71, 53, 37)), tilted())
    for name, how in LAYOUTS.items():
        command.resample(scan, tmp_path / f"{name}.zarr", *how)
    command.resample(tmp_path / "chunks.zarr", tmp_path / "local.nii")
    with servers.files(tmp_path, ranges=False) as web:
        command.reslice("resample", f"{web.url}/chunks.zarr", tmp_path / "web.nii")
        assert (tmp_path / "web.nii").read_bytes() == (tmp_path / "local.nii").read_bytes()
        refused("resample", f"{web.url}/shards.zarr", tmp_path / "x.nii", says="requests for a part of a file")


def test_urls_that_are_not_taken(s3, tmp_path):
    scan = save(tmp_path / "scan.nii", samples("i2"), straight())
    refuses(s3.url, "resample", scan, "s3://bucket/scan.nii.gz", says="only .zarr")
    refuses(s3.url, "info", "s3://bucket/scan.nii.gz", says="scan.nii.gz")
    refuses(s3.url, "info", "ftp://host/a.zarr", says="ftp")
    for url in ["http://me:pass99word@host/a.zarr", "https://host/a.zarr?sig=pass99word"]:
        for args in [("info", url), ("resample", url, tmp_path / "x.nii"), ("resample", scan, url)]:
            assert "pass99word" not in refuses(s3.url, *args).stderr


def test_file_urls_are_paths(tmp_path):
    scan = save(tmp_path / "scan.nii", samples("i2"), straight())
    command.reslice("resample", f"file://{scan}", f"file://{tmp_path}/a%20b.zarr")
    command.resample(f"file://{tmp_path}/a%20b.zarr", tmp_path / "back.nii")
    assert np.array_equal((tmp_path / "back.nii").read_bytes(), scan.read_bytes()) or (tmp_path / "a b.zarr").is_dir()
