"""Random jobs, each made in two ways: the same voxels in the same places.

    target/e2e-venv/bin/python tests/e2e/random_ways.py [ROUNDS] [--seed N] [--keep FOLDER]

One way is as the job says (chunks, shards, levels made along, codecs, one or several ranks, many threads, killed and gone on with) with the
smallest budget that a refusal names; the other leaves all of that out, and has one thread and plenty of memory. RESLICE is the binary (default:
target/release/reslice). Round R of seed N is round 1 of seed N + R.
"""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

E2E = Path(__file__).resolve().parent
sys.path[:0] = [str(E2E), str(E2E.parent.parent / "benches")]
os.environ.setdefault("RESLICE", str(E2E.parent.parent / "target/release/reslice"))

import random_jobs  # noqa: E402
from command import RESLICE  # noqa: E402

# How a target is stored and made, which its voxels do not depend on.
WAYS = ("chunk", "shard", "codec", "ome", "pyramid", "method", "gzip", "threads", "io")
NAMED = re.compile(r"^hint: use --memory (\d+)MiB", re.M)
# Larger budgets are named by estimate, and take long.
MOST_MIB = 1024


def run(*argv, before=()):
    return subprocess.run([*before, RESLICE, *map(str, argv)], capture_output=True, text=True, timeout=900)


def named(job):
    """MiB that a refusal names; None where the job is none, or takes more than is tried."""
    found = NAMED.search(run(*job.argv("--dry-run", "--memory=1MiB")).stderr)
    return int(found[1]) if found and int(found[1]) <= MOST_MIB else None


def make(rng, job, least):
    """The target as the job says, by one run or by several ranks; what was typed and how it ended, of the first that failed."""
    is_shared = job.target.suffix == ".zarr" and "pyramid" not in job.options
    ranks = rng.randint(2, 4) if is_shared and rng.random() < 0.4 else 1
    kills = rng.choice([0, 0, 0, 1, 2])
    for rank in range(ranks):
        share = [f"--rank={rank}/{ranks}"] if ranks > 1 else ["--resume"] if kills else []
        for _ in range(kills):
            soon = ["timeout", "-s", "KILL", f"{rng.uniform(0.005, 0.2):.3f}"]
            run(*job.argv(f"--memory={least}MiB", "-q", *share), before=soon)
        done = run(*job.argv(f"--memory={least}MiB", "-q", *share))
        again = NAMED.search(done.stderr)
        if done.returncode == 2 and again:
            # What a displacement field moves is known once it is read.
            done = run(*job.argv(f"--memory={again[1]}MiB", "-q", *share))
        if done.returncode != 0:
            return done
    return None


def play(seed, folder):
    """What went wrong in the round of a seed; an empty text where nothing did, None where there was no job."""
    rng = random.Random(f"{seed}-ways")
    job = random_jobs.choose(seed, folder)
    least = named(job)
    if least is None:
        return None
    failed = make(rng, job, least)
    if failed:
        is_job = not random_jobs.UNWRITTEN.search(failed.stderr)
        return f"{random_jobs.command(job.argv())}: {failed.stderr}" if is_job else None
    plain = folder / f"plain{job.target.suffix}" if job.target.suffix != ".gz" else folder / "plain.nii"
    options = {name: value for name, value in job.options.items() if name not in WAYS}
    other = random_jobs.Job(job.source, plain, {**options, "threads": 1})
    done = run(*other.argv("--memory=8GiB", "-q"))
    if done.returncode != 0:
        return f"{random_jobs.command(other.argv())}: {done.stderr}"
    compared = run("compare", job.target, plain)
    if compared.returncode != 0:
        return f"{random_jobs.command(job.argv())}\n{compared.stdout}{compared.stderr}"
    return ""


def rounds(seed, count, keep=None):
    """Plays rounds `seed`, `seed + 1`, ...; the texts of those that went wrong."""
    failures, ends = [], Counter()
    for n in range(seed, seed + count):
        folder = Path(keep or tempfile.gettempdir()) / f"reslice-ways-{n}-{os.getpid()}"
        folder.mkdir(parents=True)
        try:
            wrong = play(n, folder)
        finally:
            if not keep:
                shutil.rmtree(folder)
        ends["no job" if wrong is None else "differs" if wrong else "the same"] += 1
        if wrong:
            failures.append(f"seed {n}: {wrong}")
            print(failures[-1], flush=True)
    print(f"{count} rounds of seed {seed}: {dict(ends)}")
    return failures


def main():
    args = random_jobs.arguments(__doc__)
    sys.exit(1 if rounds(args.seed, args.rounds, args.keep) else 0)


if __name__ == "__main__":
    main()
