"""Rounds of killed runs: each starts a job, kills it up to three times at random moments, and lets `--resume` end it.

    target/e2e-venv/bin/python tests/e2e/kill_rounds.py [ROUNDS] [--seed N] [--only ROUND] [--mib SIZE]

Between the kills, memory and threads change, and some ranks of a number of ranks run to their end. The target must have the bytes of
an undisturbed run, and must not be seen under its name before it has. RESLICE is the binary (default: target/release/reslice).
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

E2E = Path(__file__).resolve().parent
sys.path[:0] = [str(E2E), str(E2E.parent.parent / "benches")]
os.environ.setdefault("RESLICE", str(E2E.parent.parent / "target/release/reslice"))

import nibabel as nib  # noqa: E402
import numpy as np  # noqa: E402
import zarr  # noqa: E402

from command import RESLICE, digest  # noqa: E402
from faults.harness import strays  # noqa: E402

SLOW = ("--scale", "0.93", "--interp", "lanczos3")
SHARDS = (*SLOW, "--chunk", "32", "--shard", "128", "--codec", "gzip:6")
# What is killed: source, target, options. None may be done in a moment.
KINDS = (
    ("in.zarr", "out.zarr", SHARDS),
    ("in.nii", "out.nii", ("--scale", "1.2", "--interp", "sinc-lanczos")),
    ("in.nii", "out.nii.gz", SLOW),
    ("in.nii.gz", "out.zarr", SHARDS),
    ("in.zarr", "out.nii", ("--scale", "1.2", "--interp", "sinc-lanczos")),
    ("in.nii.gz", "out.nii.gz", (*SLOW, "--gzip", "bgzf")),
    ("in.nii", "out.mha", SLOW),
    ("in.zarr", "out.nrrd", (*SLOW, "--gzip", "none")),
)
MEMORY = ("64MiB", "128MiB", "1GiB")
RANKS = (2, 3, 5)
STOP_SECONDS, END_SECONDS = 10, 300


class Wrong(AssertionError):
    """A round that did not go as it must."""


@dataclass
class Right:
    """An undisturbed run: its bytes, and how long it took."""

    digest: str
    seconds: float


def make_sources(folder, mib):
    """`mib` MiB of noise of twelve bits, as .nii, .nii.gz and .zarr."""
    edge = round((mib * (1 << 19)) ** (1 / 3))
    shape = (edge + 60, edge - 7, edge - 50)
    samples = np.random.default_rng(4).integers(0, 4096, shape, dtype=np.uint16)
    image = nib.Nifti1Image(samples, np.diag([1.0, 1.5, 2.0, 1.0]))
    nib.save(image, folder / "in.nii")
    image.to_filename(folder / "in.nii.gz")
    store = zarr.create_array(
        folder / "in.zarr", shape=samples.T.shape, chunks=(64, 64, 64), dtype="u2", dimension_names=("z", "y", "x")
    )
    store[...] = samples.T


class Rounds:
    def __init__(self, folder, mib, seed):
        self.folder, self.seed = folder, seed
        self.rights, self.longest_stop = {}, 0.0
        self.count = {"killed": 0, "stopped": 0, "done before": 0, "ranks": 0}
        make_sources(folder, mib)

    def argv(self, kind, target, *more):
        source, _, options = kind
        argv = [RESLICE, "resample", self.folder / source, target, *options, "--progress", "none", *more]
        return [str(part) for part in argv]

    def right(self, kind):
        if kind not in self.rights:
            target = self.folder / f"right-{len(self.rights)}-{kind[1]}"
            start = time.monotonic()
            done = subprocess.run(
                self.argv(kind, target, "--memory", "128MiB", "--threads", "1"), capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise Wrong(f"undisturbed: exit {done.returncode}: {done.stderr}")
            self.rights[kind] = Right(digest(target), time.monotonic() - start)
            remove(target)
        return self.rights[kind]

    def watched(self, argv, target, right, kill=None, after=0.0):
        """Runs to its end, or sends the signal `kill` when `after` seconds are over; the code and what it said."""
        run = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        start, sent, seen = time.monotonic(), None, target.exists()
        while run.poll() is None:
            now = time.monotonic() - start
            if not seen and target.exists():
                seen = True
                if digest(target) != right.digest:
                    raise Wrong(f"{target.name} was there before it was complete")
            if kill and sent is None and now >= after:
                run.send_signal(kill)
                sent = now
            if now > END_SECONDS or (sent is not None and now - sent > STOP_SECONDS + 5):
                run.kill()
                raise Wrong(f"still running after {now:.0f} s: {run.stderr.read()[-400:]}")
            time.sleep(0.003)
        said = run.stderr.read()
        if kill == signal.SIGTERM and sent is not None:
            self.longest_stop = max(self.longest_stop, time.monotonic() - start - sent)
        if "panicked" in said:
            raise Wrong(said)
        # Killed after the rename, before its exit: then the target is complete.
        is_complete = run.returncode == -signal.SIGKILL and target.exists() and digest(target) == right.digest
        if run.returncode and target.exists() and not is_complete:
            raise Wrong(f"exit {run.returncode}, and {target.name} is there: {said}")
        return run.returncode, said

    def step(self, rng, kind, target, right):
        """One disturbed run; what happened, in a word."""
        more = ["--resume", "--memory", rng.choice(MEMORY), "--threads", str(rng.choice((1, 1, 2)))]
        kill = rng.choice((signal.SIGKILL, signal.SIGTERM))
        after = rng.uniform(0, 0.9 * right.seconds)
        code, said = self.watched(self.argv(kind, target, *more), target, right, kill, after)
        if code == 0:
            self.count["done before"] += 1
            return "done"
        if code != (-9 if kill == signal.SIGKILL else 75):
            raise Wrong(f"exit {code} after {kill.name}: {said}")
        self.count["killed" if code == -9 else "stopped"] += 1
        return f"{kill.name[3:].lower()} {after:.1f}s {more[2]}/{more[4]}"

    def some_ranks(self, rng, kind, target, right):
        """Some ranks of a number of ranks, in any order, each to its end."""
        ranks = rng.choice(RANKS)
        chosen = rng.sample(range(ranks), rng.randint(1, ranks))
        for rank in chosen:
            argv = self.argv(kind, target, "--rank", f"{rank}/{ranks}", "--memory", rng.choice(MEMORY), "--threads", "1")
            code, said = self.watched(argv, target, right)
            if code:
                raise Wrong(f"rank {rank}/{ranks}: exit {code}: {said}")
            self.count["ranks"] += 1
        return f"ranks {','.join(map(str, chosen))} of {ranks}"

    def round(self, number):
        """The steps of one round, in words; raises `Wrong` with them."""
        rng = random.Random(f"{self.seed}-{number}")
        kind = KINDS[number % len(KINDS)]
        right, steps = self.right(kind), [f"{kind[0]} to {kind[1]}:"]
        target = self.folder / f"round-{number}" / kind[1]
        target.parent.mkdir()
        try:
            for _ in range(rng.randint(1, 3)):
                if rng.random() < 0.2:
                    steps.append(self.some_ranks(rng, kind, target, right))
                steps.append(self.step(rng, kind, target, right))
            self.finish(rng, kind, target, right)
        except Wrong as wrong:
            raise Wrong(f"round {number} of seed {self.seed}: {'; '.join(steps)}: {wrong}") from None
        finally:
            shutil.rmtree(target.parent, ignore_errors=True)
        return " ".join([steps[0], "; ".join(steps[1:])])

    def finish(self, rng, kind, target, right):
        more = ["--resume", "--memory", rng.choice(MEMORY), "--threads", str(rng.choice((1, 2)))]
        code, said = self.watched(self.argv(kind, target, *more), target, right)
        if code:
            raise Wrong(f"resumed: exit {code}: {said}")
        if digest(target) != right.digest:
            raise Wrong("other bytes")
        if left := strays(target):
            raise Wrong(f"left: {left}")


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rounds", nargs="?", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", type=int, help="the round of this number alone")
    parser.add_argument("--mib", type=int, default=300, help="size of the source")
    args = parser.parse_args()
    numbers = [args.only] if args.only is not None else range(args.rounds)
    print(f"seed {args.seed}", flush=True)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        rounds = Rounds(Path(folder), args.mib, args.seed)
        for number in numbers:
            try:
                print(f"{number}: {rounds.round(number)}", flush=True)
            except Wrong as why:
                wrong += 1
                print(f"{number}: WRONG {why}", flush=True)
    counts = ", ".join(f"{count} {what}" for what, count in rounds.count.items())
    print(f"{len(numbers) - wrong} of {len(numbers)} rounds gave the bytes of an undisturbed run ({counts}); "
          f"SIGTERM to exit at most {rounds.longest_stop:.1f} s; seed {args.seed}")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
