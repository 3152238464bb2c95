"""One fault in one file operation, at every operation of a run: an error or the right bytes, nothing that looks complete, and done again.

RESLICE_FAULTS=all runs every job with every fault; `faults/every.py` does the same and prints the table.
"""

import os
import tempfile
from pathlib import Path

import pytest

from faults.harness import FAULTS, Harness, NoCompiler, fast_folder, table
from faults.jobs import JOBS, make_sources
from faults.several import rounds

WHOLE = os.environ.get("RESLICE_FAULTS") == "all"
FEW = ("EINTR", "short", "done", "EIO", "full", "term", "kill", "cut but journal")
SEED = os.environ.get("RESLICE_SEED", "5")
SOME = (
    "nii to hdr", "nii.gz to nii.gz", "zarr to sharded zarr, hastened", "zarr to nii", "nii over nii", "nii beside nii",
    "nii to mha", "nii to mhd",
)


@pytest.fixture(scope="module")
def harness():
    with tempfile.TemporaryDirectory(dir=fast_folder()) as folder:
        root = Path(folder) / "cases"
        try:
            yield Harness(root, make_sources(root / "sources"))
        except NoCompiler as why:
            pytest.skip(str(why))


@pytest.mark.parametrize("job", JOBS if WHOLE else SOME)
def test_every_operation(harness, job):
    outcomes = harness.every(JOBS[job], FAULTS if WHOLE else FEW, thinned=not WHOLE)
    print(table(outcomes))
    bad = [str(outcome) for outcome in outcomes if outcome.bad]
    assert not bad, "\n".join([f"{len(bad)} of {len(outcomes)} cases", *bad[:40]])
    assert sum(bool(outcome.call) for outcome in outcomes) > 40, "the library saw no calls"


@pytest.mark.parametrize("job", ["zarr to sharded zarr, hastened", "nii.gz to nii.gz, hastened", "nii to nii, hastened"])
def test_rounds_of_several_faults(harness, job):
    outcomes = rounds(harness, JOBS[job], 1000 if WHOLE else 100, SEED)
    bad = [str(outcome) for outcome in outcomes if outcome.bad]
    assert not bad, "\n".join([f"{len(bad)} of {len(outcomes)} rounds", *bad[:20]])
