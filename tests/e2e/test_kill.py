"""Killed runs that go on: `kill_rounds.py` in small, and what a run that goes on decodes again."""

import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import kill_rounds
from command import RESLICE, digest, summary_of
from faults.harness import knows_resume, strays

ROUNDS = int(os.environ.get("RESLICE_KILL_ROUNDS", "6"))
SEED = int(os.environ.get("RESLICE_SEED", random.SystemRandom().randrange(10**6)))
MIB = 100


@pytest.fixture(scope="module")
def rounds():
    if not knows_resume():
        pytest.skip("this binary has no --resume")
    with tempfile.TemporaryDirectory() as folder:
        yield kill_rounds.Rounds(Path(folder), MIB, SEED)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_round(rounds, number):
    print(f"seed {SEED}: {rounds.round(number)}")


@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL], ids=lambda kill: kill.name)
@pytest.mark.parametrize("source, target", [("in.zarr", "out.zarr"), ("in.zarr", "out.nii"), ("in.nii.gz", "out.zarr")])
def test_decodes_of_a_run_that_goes_on(rounds, tmp_path, source, target, kill):
    """It decodes what is left, at most one window more, plus 5 %."""
    whole = run_to_end(rounds, tmp_path / f"whole-{target}", source)
    out = tmp_path / target
    argv = arguments(rounds, source, out, tmp_path / "killed.json")
    run = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(0.6 * whole["seconds"])
    run.send_signal(kill)
    _, said = run.communicate(timeout=20)
    assert run.returncode == (75 if kill == signal.SIGTERM else -9), said
    resumed = run_to_end(rounds, out, source)
    assert digest(out) == digest(tmp_path / f"whole-{target}")
    assert not strays(out)
    left = resumed["voxels"] / whole["voxels"]
    print(f"{kill.name} {source} to {target}: whole {whole['decodes']} decodes, then {left:.0%} of the voxels are left, for "
          f"which {resumed['decodes']} chunks are decoded; the window holds {resumed['window']}")
    if kill == signal.SIGTERM:
        assert left < 0.9, "nothing was kept"
    # A stream is read from its beginning: the units before are passed over.
    if source != "in.nii.gz":
        assert resumed["decodes"] <= left * whole["decodes"] * 1.05 + resumed["window"]


def arguments(rounds, source, out, summary):
    options = kill_rounds.SHARDS if out.suffix == ".zarr" else ("--scale", "1.2", "--interp", "sinc-lanczos")
    run = ["--threads", "1", "--memory", "64MiB", "--resume", "--summary", summary]
    return [str(part) for part in (RESLICE, "resample", rounds.folder / source, out, *options, *run)]


def run_to_end(rounds, out, source):
    """What the summary says of all passes."""
    summary = out.with_name(f"summary-of-{out.name}.json")
    done = subprocess.run(arguments(rounds, source, out, summary), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    passes = summary_of(summary)["passes"]
    return {
        "decodes": sum(p["done"]["decodes"] for p in passes),
        "voxels": sum(p["done"]["voxels_done"] for p in passes),
        "seconds": sum(p["done"]["seconds"] for p in passes),
        "window": max(p["plan"]["totals"]["most_held"] for p in passes),
    }
