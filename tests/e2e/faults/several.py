"""Rounds of several faults: runs of one job, by one process or by ranks, each with a fault at random, and then one without."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from .harness import Outcome, boot, judge_end, last_words

FAULTS = ("kill", "kill", "torn", "cut", "cut but journal", "term", "EIO", "full", "done", "short", "")
RANKS = (1, 2, 5)


def rounds(harness, job, count, seed):
    """`count` rounds; the seed of each is `SEED-NUMBER`."""
    harness.calls_of(job)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda number: one(harness, job, f"{seed}-{number}"), range(count)))


def one(harness, job, seed):
    """One round; what is bad says which steps led there."""
    rng, steps = random.Random(f"{job.name} {seed}"), []
    with harness.folder(job) as folder:
        for _ in range(rng.randint(1, 5)):
            text, bad = step(harness, job, folder, rng)
            steps.append(text)
            if bad:
                break
        bad = bad or harness.judge_again(job, folder, harness.right(job))
        return Outcome(job.name, "several", 0, "; ".join(steps), "done", bad and f"{bad} (seed {seed})")


def step(harness, job, folder, rng):
    """A run with a fault; it in words, and what is wrong."""
    fault = rng.choice(FAULTS)
    at = rng.randint(1, len(harness.calls_of(job))) if fault else 0
    of = rng.choice(RANKS)
    more = ("--rank", f"{rng.randrange(of)}/{of}") if of > 1 and not job.adds_levels and "--pyramid=1" not in job.options else ("--resume",)
    more += ("--memory", rng.choice(("32MiB", "1GiB")))
    done, calls = harness.run(replace(job, threads=rng.choice((1, 1, 2))), folder, fault, at, more)
    text = f"{' '.join(more)} with {fault} at {at} ({calls[0].name} {calls[0].path})" if fault and calls else " ".join(more)
    _, bad = judge_end(job, fault, done)
    # A rank that is done leaves the target to the others.
    if not bad and not (more[0] == "--rank" and done.returncode == 0 and not (folder / job.target).exists()):
        bad = harness.judge_target(job, folder / job.target, done.returncode)
    if fault.startswith("cut"):
        boot(folder / job.target)
    return f"{text}: exit {done.returncode}", bad and f"{bad}: {last_words(done)}"
