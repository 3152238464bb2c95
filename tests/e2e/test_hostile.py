"""Limits of the process and what others put in the way: no panic, no signal, no hang, nothing lost, and one message that says what it is.

RESLICE_ROUNDS is how many cases (hostile/every.py runs 5 000 by hand), RESLICE_SEED which.
"""

import os

from hostile.every import run

ROUNDS = int(os.environ.get("RESLICE_ROUNDS", "220"))
SEED = os.environ.get("RESLICE_SEED", "1")
# About what CI gives it.
SECONDS = 60 if "RESLICE_ROUNDS" not in os.environ else float("inf")


def test_hostile_cases():
    bad, count, _ = run(ROUNDS, SEED, seconds=SECONDS)
    print(dict(count))
    assert not bad, "\n".join([f"{len(bad)} of {sum(count.values())} cases, seed {SEED}", *map(str, bad[:20])])
    assert len(count) >= 9 and sum(count.values()) >= 40
