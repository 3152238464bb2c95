"""Killed runs that go on: `kill_rounds.py` in small, and what a run that goes on decodes again."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import kill_rounds
from command import RESLICE, digest, summary_of
from faults.harness import NoCompiler, build, strays

ROUNDS = int(os.environ.get("RESLICE_KILL_ROUNDS", "6"))
SEED = int(os.environ.get("RESLICE_SEED", 5))
MIB = 64
# With it what is done every ten seconds is done every half second.
HASTE = 20


@pytest.fixture(scope="module")
def rounds():
    with tempfile.TemporaryDirectory() as folder:
        yield kill_rounds.Rounds(Path(folder), MIB, SEED)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_round(rounds, number):
    print(f"seed {SEED}: {rounds.round(number)}")


@pytest.fixture(scope="module")
def hastened(tmp_path_factory):
    try:
        return {"LD_PRELOAD": str(build(tmp_path_factory.mktemp("faults"))), "RESLICE_FAULT_CLOCK": str(HASTE)}
    except NoCompiler as why:
        pytest.skip(str(why))


@pytest.fixture(scope="module", params=[("in.zarr", "out.zarr"), ("in.zarr", "out.nii"), ("in.nii.gz", "out.zarr")], ids=" to ".join)
def whole(rounds, request, tmp_path_factory):
    """An undisturbed run: source, target and what it says."""
    source, target = request.param
    out = tmp_path_factory.mktemp("whole") / target
    return source, out, run_to_end(rounds, out, source)


@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL], ids=lambda kill: kill.name)
def test_decodes_of_a_run_that_goes_on(rounds, whole, hastened, tmp_path, kill):
    """It decodes what is left, at most one window more, plus 5 %."""
    source, right, all_of_it = whole
    out = tmp_path / right.name
    env = {**os.environ, **(hastened if kill == signal.SIGKILL else {})}
    argv = arguments(rounds, source, out, tmp_path / "killed.json")
    # On a busy machine a run may end before its time, or have kept next to nothing by then.
    for part in (0.6, 0.8, 0.4, 0.9, 0.7, 0.5):
        remove(out)
        run = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(part * all_of_it["seconds"])
        run.send_signal(kill)
        _, said = run.communicate(timeout=20)
        if run.returncode == 0 or not list(out.with_name(out.name + ".reslice").glob("journal-*")):
            continue
        assert run.returncode == (75 if kill == signal.SIGTERM else -9), said
        resumed = run_to_end(rounds, out, source)
        assert digest(out) == digest(right)
        assert not strays(out)
        left = resumed["voxels"] / all_of_it["voxels"]
        print(f"{kill.name} {source} to {out.name}: whole {all_of_it['decodes']} decodes; {left:.0%} of the voxels were left, for "
              f"which {resumed['decodes']} chunks are decoded; the window holds {resumed['window']}")
        if left < 0.9:
            break
    else:
        pytest.fail("no run was killed on its way with a tenth of its voxels kept")
    # A stream is read from its beginning: the units before are passed over.
    if source != "in.nii.gz":
        assert resumed["decodes"] <= left * all_of_it["decodes"] * 1.05 + resumed["window"]


def remove(out):
    for path in (out, out.with_name(out.name + ".reslice")):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


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
