"""A fault at every request of a run that clears, writes, checkpoints and completes a target in an S3 server.

    RESLICE=target/release/reslice python tests/e2e/remote_faults.py [--step N] [--ranks 1 4] [--kinds 503 lost ...]

Request k of the run fails, for each k: in the end the target has the bytes of a run without faults, and every process has ended with
exit code 0, at once or in a second run that goes on.
"""

import argparse
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent)]

from bucket import KINDS, Bucket  # noqa: E402

RESLICE = os.environ.get("RESLICE", "reslice")
KEY, SECRET = "AKIA2RESLICETESTKEY7", "wJalrXUtnFEMIK7MDENGbPxRfiCYSECRETKEY"
HOW = ["--chunk", "16", "--shard", "none", "--threads", "2", "--memory", "64MiB", "-q"]
TARGET = "some/t.zarr/"


def environment(url):
    """A process that sees the S3 server at `url`."""
    return {
        **os.environ,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "NO_PROXY": "127.0.0.1",
    }


def save(path, shape):
    """A NIfTI-1 file of noise."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, *[1.0] * 8)
    struct.pack_into("<f", header, 108, 352.0)
    header[344:348] = b"n+1\0"
    path.write_bytes(bytes(header) + random.Random(1).randbytes(2 * shape[0] * shape[1] * shape[2]))


class Job:
    """A scan, what stands in the way of its target, and the bytes that are to be there in the end."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.scan = self.folder / "scan.nii"
        local = lambda *args: subprocess.run([RESLICE, *map(str, args)], check=True, stderr=subprocess.DEVNULL)  # noqa: E731
        save(self.scan, (40, 37, 35))
        local("resample", self.scan, self.folder / "new.zarr", *HOW)
        local("resample", self.scan, self.folder / "old.zarr", *HOW, "--scale", "0.5")
        self.new, self.old = self.tree("new.zarr"), {TARGET + name: body for name, body in self.tree("old.zarr").items()}
        self.killed = self.of_killed_run()

    def tree(self, name):
        root = self.folder / name
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    def start(self, bucket, rank, ranks, *more):
        share = ["--rank", f"{rank}/{ranks}"] if ranks > 1 else []
        argv = [RESLICE, "resample", self.scan, f"s3://bucket/{TARGET}", *HOW, *share, *more]
        return subprocess.Popen([str(a) for a in argv], env=environment(bucket.url), stderr=subprocess.PIPE, text=True)

    def of_killed_run(self):
        """What a run leaves that is killed as soon as it has its lease."""
        with Bucket() as bucket:
            child = self.start(bucket, 0, 4)
            while not any("lease-0" in key for key in bucket.contents()):
                assert child.poll() is None, child.communicate()
                time.sleep(0.002)
            child.kill()
            child.communicate()
            return bucket.contents()

    def run(self, nth, kind, ranks):
        """One run with a fault: its requests, whether it took a second run, and what went wrong (None where nothing did)."""
        fresh = ["--overwrite"] if ranks == 1 else []
        told, bad = [], None
        with Bucket(self.old if ranks == 1 else self.killed, nth, kind) as bucket:
            failed = self.ended({rank: self.start(bucket, rank, ranks, *fresh) for rank in range(ranks)}, told)
            requests, again = bucket.server.count, bool(failed)
            if again:
                bucket.server.nth = -1
                more = [*fresh, "--resume"] if ranks == 1 else []
                failed = self.ended({rank: self.start(bucket, rank, ranks, *more) for rank in failed}, told)
            found = {key: body for key, body in bucket.contents(TARGET).items() if not key.startswith(".reslice/")}
        wrong = sorted(key for key in {*found, *self.new} if found.get(key) != self.new.get(key))
        if failed:
            bad = "a second run fails"
        elif wrong:
            bad = f"other bytes: {wrong[:5]}"
        elif any(secret in text for text in told for secret in (KEY, SECRET)):
            bad = "a key is told"
        return requests, again, bad and f"{bad}: {told}"

    def ended(self, children, told):
        """The ranks that did not end with exit code 0."""
        failed = []
        for rank, child in children.items():
            try:
                text = child.communicate(timeout=150)[1].strip()
            except subprocess.TimeoutExpired:
                child.kill()
                text = "hangs: " + child.communicate()[1]
            if child.returncode:
                failed.append(rank)
            if text:
                told.append(f"rank {rank}, exit {child.returncode}: {text}")
        return failed


def every(job, ranks, kind, step=1, offset=0, until=None):
    """A fault at every `step`th request: requests of a run, cases, how many took a second run, and what went wrong."""
    requests = job.run(-1, None, ranks)[0]
    cases, again, bad = 0, 0, []
    for nth in range(offset, requests, step):
        if until and time.monotonic() > until:
            break
        _, resumed, wrong = job.run(nth, kind, ranks)
        cases, again = cases + 1, again + resumed
        if wrong:
            bad.append(f"{ranks} ranks, {kind} at request {nth}: {wrong}")
    return requests, cases, again, bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    args = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        job = Job(folder)
        for ranks in args.ranks:
            for kind in args.kinds:
                begun = time.monotonic()
                requests, cases, again, bad = every(job, ranks, kind, args.step)
                figures = f"{requests} requests, {cases} cases, {again} resumed, {len(bad)} bad"
                print(f"{ranks} ranks, {kind}: {figures}, {time.monotonic() - begun:.0f} s", flush=True)
                for line in bad:
                    print(f"  {line}", flush=True)
                failed |= bool(bad)
    sys.exit(failed)


if __name__ == "__main__":
    main()
