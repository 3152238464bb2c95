"""Ranks at once, in any order, some run twice, some killed, some that end at the same moment: one target, complete, the same bytes
as one run makes."""

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
from scans import save, straight

SEED = os.environ.get("RESLICE_SEED", "5")
TARGETS = {
    "out.zarr": ("--chunk", "16", "--shard", "64"),
    "chunked.zarr": ("--chunk", "16", "--shard", "none"),
    "out.nii": (),
    "out.nii.gz": (),
    "bgzf.nii.gz": ("--gzip", "bgzf"),
    "out.mha": (),
    "out.nrrd": (),
    "raw.mha": ("--gzip", "none"),
    "out.mgz": ("--dtype", "f32"),
}
GRID = ("--scale", "0.9,1.1,1.3", "--interp", "lanczos3")
AT_ONCE = 4

TOGETHER = 6
ROUNDS = 12
LIGHT = {name: ("--gzip", f"{framing}:1") for name, framing in {"out.nii.gz": "single", "bgzf.nii.gz": "bgzf"}.items()}


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


def start(*args):
    argv = [RESLICE, "resample", *map(str, args), "-q"]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def contents(target):
    files = [target] if target.is_file() else [path for path in target.rglob("*") if path.is_file()]
    return {str(path.relative_to(target)): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", TARGETS)
def test_ranks_that_end_together(tmp_path, name):
    noise = np.random.default_rng(7).integers(-999, 999, (191, 223, 131), dtype=np.int16)
    scan = save(tmp_path / "scan.nii", noise, straight())
    options = ["--scale", "0.7", "--threads", "1", *LIGHT.get(name, TARGETS[name])]
    resample(scan, tmp_path / name, *options)
    expected = contents(tmp_path / name)
    for n in range(ROUNDS):
        target = tmp_path / f"round{n}" / name
        target.parent.mkdir()
        ranks = [start(scan, target, *options, "--rank", f"{rank}/{TOGETHER}") for rank in range(TOGETHER)]
        said = [(rank.communicate(timeout=120)[1], rank.returncode) for rank in ranks]
        assert [code for _, code in said] == [0] * TOGETHER, (n, said)
        assert target.exists(), (n, said)
        found = contents(target)
        assert found.keys() == expected.keys(), (n, found.keys() ^ expected.keys())
        assert found == expected, (n, [key for key in found if found[key] != expected[key]])
