"""A part of the long run of remote_faults.py: a fault at some of the requests of a run, by each kind, with one rank and with four."""

import time

import pytest

import remote_faults
from bucket import KINDS

SECONDS = 60


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    return remote_faults.Job(tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("ranks", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_some_requests(job, kind, ranks):
    # Another remainder for each kind: together they meet more of the requests.
    step = 13 if ranks == 1 else 41
    until = time.monotonic() + SECONDS / (2 * len(KINDS))
    _, cases, _, bad = remote_faults.every(job, ranks, kind, step, 3 * KINDS.index(kind), until)
    assert cases > 0 and not bad, "\n".join(bad)
