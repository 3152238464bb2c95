"""Random jobs keep to their budgets: a short form of random_rounds.py."""

import os

import random_rounds

SEED = int(os.environ.get("RESLICE_SEED", 20))
ROUNDS = int(os.environ.get("RESLICE_ROUNDS", 40))


def test_random_jobs():
    report = random_rounds.play(SEED, ROUNDS)
    assert not report.failures, "\n".join(text for _, text in report.failures)
