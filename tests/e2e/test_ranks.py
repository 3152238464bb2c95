"""Ranks that run beside each other, and end at the same moment: one target, complete, the same bytes as one run makes."""

import os
import subprocess

import numpy as np
import pytest

import command
from scans import save, straight

RANKS = 6
ROUNDS = 12
OPTIONS = ["--scale", "0.7", "--threads", "1"]
TARGETS = {
    "a.nii": [],
    "single.nii.gz": ["--gzip", "single:1"],
    "bgzf.nii.gz": ["--gzip", "bgzf:1"],
    "sharded.zarr": ["--chunk", "32", "--shard", "64"],
    "chunks.zarr": ["--chunk", "32", "--shard", "none"],
}


def start(*args):
    argv = [command.RESLICE, "resample", *map(str, args), "-q"]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ)


def contents(target):
    files = [target] if target.is_file() else [path for path in target.rglob("*") if path.is_file()]
    return {str(path.relative_to(target)): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", TARGETS)
def test_ranks_that_end_together(tmp_path, name):
    noise = np.random.default_rng(7).integers(-999, 999, (191, 223, 131), dtype=np.int16)
    scan = save(tmp_path / "scan.nii", noise, straight())
    options = [*OPTIONS, *TARGETS[name]]
    command.resample(scan, tmp_path / name, *options)
    expected = contents(tmp_path / name)
    for n in range(ROUNDS):
        target = tmp_path / f"round{n}" / name
        target.parent.mkdir()
        ranks = [start(scan, target, *options, "--rank", f"{rank}/{RANKS}") for rank in range(RANKS)]
        said = [(rank.communicate(timeout=120)[1], rank.returncode) for rank in ranks]
        assert [code for _, code in said] == [0] * RANKS, (n, said)
        assert target.exists(), (n, said)
        found = contents(target)
        assert found.keys() == expected.keys(), (n, found.keys() ^ expected.keys())
        assert found == expected, (n, [key for key in found if found[key] != expected[key]])
