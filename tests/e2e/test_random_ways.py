"""Random jobs give the same voxels whichever way they are made: a short form of random_ways.py."""

import os

import random_ways

SEED = int(os.environ.get("RESLICE_SEED", 40))
ROUNDS = int(os.environ.get("RESLICE_ROUNDS", 40))


def test_random_ways():
    failures = random_ways.rounds(SEED, ROUNDS)
    assert not failures, "\n".join(failures)
