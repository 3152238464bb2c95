"""Every file operation of every job, times every fault: prints how many cases there were, and which went wrong.

    target/e2e-venv/bin/python tests/e2e/faults/every.py [--jobs NAME ...] [--faults NAME ...] [--thinned] [--rounds N]

With `--rounds`, also N rounds of each job in which several runs have a fault at random, one after another. RESLICE is the binary
(default: target/release/reslice).
"""

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

E2E = Path(__file__).resolve().parents[1]
ROOT = E2E.parents[1]
sys.path[:0] = [str(E2E), str(ROOT / "benches")]
os.environ.setdefault("RESLICE", str(ROOT / "target/release/reslice"))

from faults.harness import FAULTS, Harness, fast_folder, table  # noqa: E402
from faults.jobs import JOBS, make_sources  # noqa: E402
from faults.several import rounds  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", nargs="+", default=list(JOBS), choices=list(JOBS), metavar="NAME")
    parser.add_argument("--faults", nargs="*", default=list(FAULTS), choices=list(FAULTS), metavar="NAME")
    parser.add_argument("--thinned", action="store_true", help="a few of each run of equal calls")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of several faults for each job")
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**6)), help="of the rounds")
    args = parser.parse_args()
    started, outcomes = time.monotonic(), []
    with tempfile.TemporaryDirectory(dir=fast_folder()) as folder:
        root = Path(folder) / "cases"
        harness = Harness(root, make_sources(root / "sources"))
        for name in args.jobs:
            job = JOBS[name]
            found = harness.every(job, args.faults, args.thinned)
            if harness.resume(job):
                found += rounds(harness, job, args.rounds, args.seed)
            bad = [o for o in found if o.bad]
            print(f"{name}: {len(harness.calls_of(job))} calls, {len(found)} cases, {len(bad)} bad", flush=True)
            for outcome in bad:
                print(f"  {outcome}", flush=True)
            outcomes += found
    print(table(outcomes))
    if args.rounds:
        print(f"seed {args.seed}")
    hit = sum(bool(o.call) for o in outcomes)
    print(f"{hit} cases, {sum(bool(o.bad) for o in outcomes)} bad, {time.monotonic() - started:.0f} s")
    sys.exit(any(o.bad for o in outcomes))


if __name__ == "__main__":
    main()
