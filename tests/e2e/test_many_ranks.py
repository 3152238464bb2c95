"""Ranks, at the same time and in any order, some run twice, some killed: the same bytes, and the last one completes the target."""

import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import nibabel as nib
import numpy as np
import pytest

from command import RESLICE, digest, resample
from faults.harness import strays

SEED = os.environ.get("RESLICE_SEED", "5")
TARGETS = {
    "out.zarr": ("--chunk", "16", "--shard", "64"),
    "chunked.zarr": ("--chunk", "16", "--shard", "none"),
    "out.nii": (),
    "out.nii.gz": (),
    "bgzf.nii.gz": ("--gzip", "bgzf"),
}
GRID = ("--scale", "0.9,1.1,1.3", "--interp", "lanczos3")
AT_ONCE = 4


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "in.nii"
    samples = np.random.default_rng(5).integers(0, 4096, (131, 127, 113), dtype=np.uint16)
    nib.save(nib.Nifti1Image(samples, np.diag([1.0, 1.5, 2.0, 1.0])), path)
    return path


def run_rank(source, target, rank, ranks, rng, kills=0.0):
    """Runs a rank, or kills it after a moment, by chance `kills`; whether it ended by itself."""
    argv = [RESLICE, "resample", source, target, *TARGETS[target.name], *GRID, "--rank", f"{rank}/{ranks}"]
    argv += ["--threads", "1", "--memory", rng.choice(("48MiB", "256MiB"))]
    run = subprocess.Popen(list(map(str, argv)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if rng.random() < kills:
        time.sleep(rng.uniform(0, 0.1))
        run.send_signal(rng.choice((signal.SIGKILL, signal.SIGTERM)))
    said = run.communicate(timeout=120)[1]
    is_busy = run.returncode == 1 and "another run" in said
    assert run.returncode in (0, -9, -15, 75) or is_busy, f"rank {rank} of {ranks}: exit {run.returncode}: {said}"
    return run.returncode == 0


@pytest.mark.parametrize("ranks", [1, 2, 5, 16])
@pytest.mark.parametrize("name", TARGETS)
def test_ranks_at_once(source, tmp_path, name, ranks):
    rng = random.Random(f"{SEED} {name} {ranks}")
    print(f"seed {SEED}")
    target = tmp_path / name
    todo = [*range(ranks), *rng.sample(range(ranks), (ranks + 1) // 2)]
    rng.shuffle(todo)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [(rank, pool.submit(run_rank, source, target, rank, ranks, random.Random(rng.random()), 0.3)) for rank in todo]
        done = {rank for rank, job in jobs if job.result()}
    for rank in rng.sample(range(ranks), ranks):
        if rank not in done:
            assert run_rank(source, target, rank, ranks, rng)
    assert target.exists(), "all ranks are done"
    resample(source, tmp_path / f"right-{name}", *TARGETS[name], *GRID)
    assert digest(target) == digest(tmp_path / f"right-{name}")
    assert not strays(target)
